// Somebody sits between gateway and plane, with full sight of both ways (TLS is no help: the first call trusts any certificate).
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { silentLogger, systemClock } from "#core";
import type { RegisterAnswer, RegisterRequest } from "#proto/messages.ts";
import { loadIdentity, makeKeyAndRequest, pair } from "#tunnel/identity/index.ts";
import { testPlane, type TestPlane } from "./testing.ts";

let t: TestPlane;
let evil: TestPlane;
let dataDir: string;
let server: Server | undefined;

beforeEach(async () => {
  t = await testPlane();
  evil = await testPlane();
  dataDir = await mkdtemp(join(tmpdir(), "pcg-gw-"));
});
afterEach(async () => {
  server?.closeAllConnections();
  await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)));
  server = undefined;
  await t.end();
  await evil.end();
  await rm(dataDir, { recursive: true });
});

type Tampering = {
  request?: (request: RegisterRequest) => Promise<RegisterRequest> | RegisterRequest;
  answer?: (answer: RegisterAnswer) => Promise<RegisterAnswer> | RegisterAnswer;
  seen?: string[];
};

async function interceptor({ request, answer, seen }: Tampering): Promise<string> {
  server = createServer((incoming, outgoing) => {
    void (async () => {
      let text = "";
      for await (const chunk of incoming) text += String(chunk);
      seen?.push(text);
      const sent = JSON.parse(text) as RegisterRequest;
      const reply = await fetch(t.plane.url + (incoming.url ?? ""), {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(request ? await request(sent) : sent),
      });
      const got = await reply.text();
      seen?.push(got);
      const changed =
        reply.ok && answer ? JSON.stringify(await answer(JSON.parse(got) as RegisterAnswer)) : got;
      outgoing.writeHead(reply.status, { "content-type": "application/json" }).end(changed);
    })();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const pairing = async (planeUrl: string, code: string) =>
  pair({ planeUrl, code, name: "edge", dataDir, clock: systemClock, log: silentLogger });

test("who only listens learns neither the code nor a key, and pairing goes well", async () => {
  const seen: string[] = [];
  const url = await interceptor({ seen });
  const { pairingCode } = await t.client.pairingCode();
  const identity = await pairing(url, pairingCode);
  expect(seen).toHaveLength(2);
  for (const text of seen) {
    expect(text).not.toContain(pairingCode);
    expect(text).not.toContain(pairingCode.replaceAll("-", ""));
    expect(text).not.toContain("PRIVATE KEY");
  }
  expect(identity.ca).toBe(t.plane.caPem);
});

test("a swapped CSR is refused by the plane, and the code stays good for its owner", async () => {
  const mine = await makeKeyAndRequest("evil");
  const { pairingCode } = await t.client.pairingCode();
  const url = await interceptor({ request: (request) => ({ ...request, csr: mine.csr }) });
  await expect(pairing(url, pairingCode)).rejects.toThrow(
    /does not carry the proof of the pairing code: it was changed on its way/,
  );
  expect(await t.client.overlords()).toEqual([]);
  await expect(pairing(t.plane.url, pairingCode)).resolves.toMatchObject({ role: "gateway" });
});

test.each<[string, (answer: RegisterAnswer) => RegisterAnswer]>([
  ["the authority", (answer) => ({ ...answer, ca: evil.plane.caPem })],
  ["the tunnel's address", (answer) => ({ ...answer, tunnel: "evil.example:443" })],
  ["the key that signs desired state", (answer) => ({ ...answer, signingKey: "-----BEGIN PUBLIC KEY-----" })],
  ["the tenant", (answer) => ({ ...answer, tenantUid: "other" })],
  ["the proof", (answer) => ({ ...answer, proof: "0".repeat(64) })],
])(
  "an answer in which %s was swapped is refused by the gateway, and nothing is stored",
  async (_what, answer) => {
    const { pairingCode } = await t.client.pairingCode();
    const url = await interceptor({ answer });
    await expect(pairing(url, pairingCode)).rejects.toThrow(
      /does not carry the proof of the code: somebody between here and the plane changed it/,
    );
    expect(await loadIdentity(dataDir)).toBeUndefined();
    expect(await readdir(dataDir)).toEqual(["enrolment.json"]);
    // the real answer, on the next try, makes it the same gateway: one, not two
    await pairing(t.plane.url, pairingCode);
    expect(await t.client.overlords()).toHaveLength(1);
    expect(await readdir(dataDir)).toEqual(["identity.json"]);
  },
);

test("a plane that does not know the code cannot answer for it", async () => {
  const { pairingCode } = await t.client.pairingCode();
  await expect(pairing(evil.plane.url, pairingCode)).rejects.toThrow(/is unknown at this plane/);
});
