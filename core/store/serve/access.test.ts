// Who is let in, what is bounded, what is told without asking who.
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { afterEach, describe, expect, it } from "vitest";
import { makeAuthority } from "../../net/authority.ts";
import { Secret } from "../../secret.ts";
import { systemClock } from "../../time/clock.ts";
import { bench, memory, serve, widget, widgetsPath as path, type Bench } from "./testing.ts";

let the: Bench | undefined;
afterEach(async () => {
  await the?.close();
  the = undefined;
});

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

describe("a face with a token", () => {
  it("lets in who knows it, and nobody else", async () => {
    the = await bench({ token: new Secret("open sesame") });
    expect((await the.ask(`GET ${path}`, undefined, bearer("open sesame"))).status).toBe(200);
    const refused = [await the.ask(`GET ${path}`), await the.ask(`GET ${path}`, undefined, bearer("wrong"))];
    for (const answer of refused) {
      expect(answer.body).toMatchObject({ kind: "Status", code: 401, reason: "Unauthorized" });
    }
    expect((await the.ask("GET /apis")).status).toBe(401);
  });

  it("tells anybody that it lives, and which version it is", async () => {
    the = await bench({ token: new Secret("x"), version: "v1.35.0" });
    for (const place of ["/healthz", "/readyz", "/livez"])
      expect((await the.ask(`GET ${place}`)).body).toBe("ok");
    expect((await the.ask("GET /version")).body).toMatchObject({
      gitVersion: "v1.35.0",
      major: "1",
      minor: "35",
    });
  });

  it("may ask someone who knows tokens, and says who one is", async () => {
    the = await bench({ token: (token) => (token === "t1" ? { name: "ann", groups: ["team"] } : undefined) });
    const review = { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" };
    const answer = await the.ask(
      "POST /apis/authentication.k8s.io/v1/selfsubjectreviews",
      review,
      bearer("t1"),
    );
    expect(answer.body["status"]).toEqual({ userInfo: { username: "ann", groups: ["team"] } });
    expect((await the.ask("GET /apis", undefined, bearer("t2"))).status).toBe(401);
  });
});

describe("a face without a token", () => {
  it("is refused to the outside", async () => {
    const store = memory();
    await expect(serve(store, { listen: { host: "0.0.0.0", port: 0 } })).rejects.toThrow(
      /serving the API on 0\.0\.0\.0 needs a token or client certificates/,
    );
    await store.close();
  });

  it("does not answer a page that a browser was tricked to send here", async () => {
    the = await bench();
    const { port } = the.served;
    const status = (host: string) =>
      new Promise((resolve, reject) => {
        httpRequest({ host: "127.0.0.1", port, path: "/api", headers: { host } }, (response) => {
          response.resume();
          resolve(response.statusCode);
        })
          .on("error", reject)
          .end();
      });
    expect(await status("evil.example")).toBe(403);
    expect(await status(`localhost:${port}`)).toBe(200);
    expect(await status("[::1]:1")).toBe(200);
    const plain = await the.ask(`POST ${path}`, JSON.stringify(widget("a")), {
      "content-type": "text/plain",
    });
    expect(plain.status).toBe(415);
  });
});

it("a taken port is said to be taken", async () => {
  the = await bench();
  const store = memory();
  await expect(serve(store, { listen: { host: "127.0.0.1", port: the.served.port } })).rejects.toThrow(
    /the port is taken/,
  );
  await store.close();
});

it("a body that is too large is refused, and the refusal arrives", async () => {
  the = await bench({ bodyLimit: 100_000 });
  const answer = await the.ask(`POST ${path}`, widget("a", { note: "x".repeat(5_000_000) }));
  expect(answer.body).toMatchObject({ code: 413, reason: "RequestEntityTooLarge" });
  expect((await the.ask(`POST ${path}`, widget("a"))).status).toBe(201);
});

it("with TLS, a client certificate of the authority is let in under its name, another is not", async () => {
  const authority = await makeAuthority("ours", systemClock);
  const server = await authority.issue({ name: "server", hosts: ["127.0.0.1"] });
  const client = await authority.issue({ name: "ann", organization: "team" });
  const stranger = await (await makeAuthority("theirs", systemClock)).issue({ name: "ann" });
  the = await bench({ tls: { cert: server.certificate, key: server.key, clientCa: authority.certificate } });
  const ask = (identity: typeof client | undefined) =>
    new Promise<{ status: number | undefined; body: string }>((resolve, reject) => {
      const shown = identity ? { cert: identity.certificate, key: identity.key.reveal() } : {};
      const asked = httpsRequest(
        `${the!.served.url}/apis/authentication.k8s.io/v1/selfsubjectreviews`,
        {
          method: "POST",
          ca: authority.certificate,
          headers: { "content-type": "application/json" },
          agent: false,
          ...shown,
        },
        (response) => {
          let body = "";
          response.on("data", (chunk: Buffer) => (body += chunk.toString()));
          response.on("end", () => resolve({ status: response.statusCode, body }));
        },
      );
      asked.on("error", reject).end("{}");
    });
  expect(await ask(client)).toMatchObject({
    status: 201,
    body: expect.stringContaining('"username":"ann"') as string,
  });
  expect((await ask(undefined)).status).toBe(401);
  expect((await ask(stranger)).status).toBe(401);
});
