// Our client at servers that are no vCenter: a web page, a redirect, a proxy's error page, an endless answer.
import type { RequestListener } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { Secret, silentLogger, systemClock } from "#core";
import { connectVsphere } from "#vsphere";
import { httpText } from "#vsphere/soap/http-text.ts";
import { httpsTransport } from "#vsphere/soap/transport.ts";
import { selfSigned, thumbprintOf } from "./identity.ts";

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function serve(listener: RequestListener) {
  const identity = await selfSigned("127.0.0.1", Date.now());
  const server = createServer({ cert: identity.certificate, key: identity.key.reveal() }, listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(
    () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  const { port } = server.address() as AddressInfo;
  return { server: `127.0.0.1:${port}`, thumbprint: thumbprintOf(identity.certificate) };
}

async function checkLogin(listener: RequestListener): Promise<unknown> {
  const at = await serve(listener);
  const account = { username: "u", password: new Secret("p"), clock: systemClock, log: silentLogger };
  const client = connectVsphere({ ...at, ...account });
  try {
    return await client.checkLogin().catch((error: unknown) => error);
  } finally {
    await client.close();
  }
}

describe("a server that is no vCenter", () => {
  test.each<[string, RequestListener, string]>([
    [
      "shows a web page",
      (_, to) => to.writeHead(200, { "content-type": "text/html" }).end("<html>"),
      "HTTP 200",
    ],
    ["knows no such page", (_, to) => to.writeHead(404).end(), "HTTP 404; is that a vCenter?"],
    [
      "is too busy",
      (_, to) => to.writeHead(503, { "retry-after": "7" }).end("no healthy upstream"),
      "HTTP 503",
    ],
    [
      "sends elsewhere",
      (_, to) => to.writeHead(302, { location: "https://elsewhere.example/sdk" }).end(),
      "redirects to https://elsewhere.example/sdk, which is refused",
    ],
    [
      "talks other XML",
      (request, to) =>
        request.method === "GET"
          ? to.writeHead(404).end()
          : to.writeHead(200, { "content-type": "text/xml" }).end("<html/>"),
      "<html> is no SOAP envelope",
    ],
    ["hangs up", (request) => request.socket.destroy(), "the connection broke"],
  ])("and %s is Unavailable, and the error says why", async (_, listener, why) => {
    expect(await checkLogin(listener)).toMatchObject({
      code: "Unavailable",
      message: expect.stringContaining(why),
    });
  });

  test("and asks for patience is not asked again before that time", async () => {
    const busy: RequestListener = (_, to) => to.writeHead(503, { "retry-after": "7" }).end();
    expect(
      await checkLogin((request, to) =>
        request.method === "GET" ? to.writeHead(404).end() : busy(request, to),
      ),
    ).toMatchObject({
      retryAfterMs: 7_000,
    });
  });

  test("and is not there at all is Unavailable", async () => {
    const at = await serve(() => {});
    await closers.pop()!();
    const client = connectVsphere({
      ...at,
      username: "u",
      password: new Secret("p"),
      clock: systemClock,
      log: silentLogger,
    });
    await expect(client.about()).rejects.toMatchObject({
      code: "Unavailable",
      message: expect.stringContaining(at.server),
    });
    await client.close();
  });
});

describe("an answer", () => {
  test("beyond the limit is cut off", async () => {
    const at = await serve((_, to) => void to.writeHead(200).end("x".repeat(5_000)));
    const transport = httpsTransport({ ...at, clock: systemClock, maxBytes: 1_000 });
    const request = { method: "GET", path: "/", repeatable: true, timeoutMs: 5_000 } as const;
    await expect(httpText(transport, request)).rejects.toMatchObject({
      message: expect.stringContaining("longer than 1000 bytes"),
    });
    transport.close();
  });

  test("whose letters are cut across packets is read whole", async () => {
    const text = "straße 日本語 🙂".repeat(50);
    const at = await serve((_, to) => {
      to.writeHead(200);
      const bytes = Buffer.from(text);
      for (let i = 0; i < bytes.length; i += 7) to.write(bytes.subarray(i, i + 7));
      to.end();
    });
    const transport = httpsTransport({ ...at, clock: systemClock });
    const answer = await httpText(transport, {
      method: "GET",
      path: "/",
      repeatable: true,
      timeoutMs: 5_000,
    });
    expect(answer.text).toBe(text);
    transport.close();
  });
});

test("trust in one connection changes nothing for the rest of the process", async () => {
  const at = await serve((_, to) => void to.writeHead(200).end("ok"));
  const pinned = httpsTransport({ ...at, clock: systemClock });
  const request = { method: "GET", path: "/", repeatable: true, timeoutMs: 5_000 } as const;
  expect((await httpText(pinned, request)).status).toBe(200);
  await expect(fetch(`https://${at.server}/`)).rejects.toThrow();
  const other = httpsTransport({ server: at.server, clock: systemClock });
  await expect(httpText(other, request)).rejects.toMatchObject({
    message: expect.stringContaining("is not trusted"),
  });
  expect(process.env["NODE_TLS_REJECT_UNAUTHORIZED"]).toBeUndefined();
  for (const transport of [pinned, other]) transport.close();
});
