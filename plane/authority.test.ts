import "reflect-metadata";
import { X509Certificate } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, createServer, type TLSSocket } from "node:tls";
import { once } from "node:events";
import { X509Crl } from "@peculiar/x509";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock, type Database } from "#core";
import { keyFileSeal } from "#core/store/seal.ts";
import { identityOfAltName, makeKeyAndRequest, normaliseSerial, serialOf } from "#tunnel/identity/index.ts";
import { openAuthority, type Authority } from "./authority.ts";
import { openPlaneDatabase } from "./database.ts";

let dataDir: string;
let db: Database;
let authority: Authority;
const name = { role: "gateway", uid: "g1", tenantUid: "t1" } as const;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "pcg-ca-"));
  await open();
});
afterEach(async () => {
  await db.close();
  await rm(dataDir, { recursive: true });
});
async function open() {
  db = await openPlaneDatabase(dataDir);
  authority = await openAuthority({
    dataDir,
    db,
    seal: await keyFileSeal(join(dataDir, "seal.key")),
    clock: systemClock,
  });
}

/** A handshake on loopback; what the server saw of the client, or the way it failed. */
async function handshake(
  client: { cert: string; key: string },
  trust = authority.caPem,
  servername = "localhost",
) {
  const server = await authority.issueServer(["localhost", "127.0.0.1"]);
  const listener = createServer({
    key: server.key,
    cert: server.certificate,
    ca: authority.caPem,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: "TLSv1.3",
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const accepted = new Promise<{ alt: string | undefined; serial: string } | Error>((resolve) => {
    listener.once("secureConnection", (socket: TLSSocket) => {
      const { subjectaltname: alt, serialNumber } = socket.getPeerCertificate();
      socket.end();
      resolve({ alt, serial: normaliseSerial(serialNumber) });
    });
    listener.once("tlsClientError", resolve);
  });
  const { port } = listener.address() as AddressInfo;
  const socket = connect({ host: "127.0.0.1", port, ca: trust, servername, ...client });
  const refused = new Promise<Error>((resolve) => socket.once("error", resolve));
  try {
    return await Promise.race([accepted, refused]);
  } finally {
    socket.destroy();
    await new Promise((resolve) => listener.close(resolve));
  }
}

test("a certificate it issued opens an mTLS connection and names its holder", async () => {
  const { csr, privateKey } = await makeKeyAndRequest("x");
  const issued = await authority.issueClient(name, csr);
  const seen = await handshake({ cert: issued.certificate, key: privateKey.reveal() });
  if (seen instanceof Error) throw seen;
  expect(identityOfAltName(seen.alt)).toEqual(name);
  expect(seen.serial).toBe(issued.serial);
  expect(serialOf(issued.certificate)).toBe(issued.serial);
  expect(await authority.isGood(name, seen.serial)).toBe(true);
});

test("another authority's certificate with the same name is refused in the handshake", async () => {
  const otherDir = await mkdtemp(join(tmpdir(), "pcg-ca-"));
  const otherDb = await openPlaneDatabase(otherDir);
  const other = await openAuthority({
    dataDir: otherDir,
    db: otherDb,
    seal: await keyFileSeal(join(otherDir, "k")),
    clock: systemClock,
  });
  const { csr, privateKey } = await makeKeyAndRequest("x");
  const forged = await other.issueClient(name, csr);
  expect(await handshake({ cert: forged.certificate, key: privateKey.reveal() })).toBeInstanceOf(Error);
  const mine = await authority.issueClient(name, csr);
  const impostor = await handshake({ cert: mine.certificate, key: privateKey.reveal() }, other.caPem);
  expect(impostor).toMatchObject({ code: expect.stringMatching(/SELF_SIGNED|UNABLE_TO/) as string });
  await otherDb.close();
  await rm(otherDir, { recursive: true });
});

test("from a request it takes the key and nothing else: it is a client, no authority, for seven days", async () => {
  const { csr } = await makeKeyAndRequest("evil, CA:TRUE");
  const { certificate } = await authority.issueClient(name, csr);
  const seen = new X509Certificate(certificate);
  expect(seen.subject).toBe("CN=gateway g1");
  expect(seen.ca).toBe(false);
  expect(seen.keyUsage).toEqual(["1.3.6.1.5.5.7.3.2"]); // extended key usage: client authentication
  expect(Date.parse(seen.validTo) - Date.now()).toBeGreaterThan(6.99 * 86_400_000);
  expect(Date.parse(seen.validTo) - Date.now()).toBeLessThan(7.01 * 86_400_000);
  expect(seen.verify(new X509Certificate(authority.caPem).publicKey)).toBe(true);
});

test.each([
  ["text that is no request", async () => "hello", /not PKCS#10/],
  [
    "a request whose signature is broken",
    async () => broken((await makeKeyAndRequest("x")).csr),
    /not signed with its own key|not PKCS#10/,
  ],
])("it refuses %s", async (_name, make, message) => {
  await expect(authority.issueClient(name, await make())).rejects.toThrow(message);
});

test("revocation holds after a restart and is in the revocation list; the same authority opens again", async () => {
  const { csr } = await makeKeyAndRequest("x");
  const first = await authority.issueClient(name, csr);
  const second = await authority.issueClient({ ...name, uid: "g2" }, csr);
  await authority.revoke(name, "lost");
  const { caPem, signingKeyPem } = authority;
  await db.close();
  await open();
  expect(authority.caPem).toBe(caPem);
  expect(authority.signingKeyPem).toBe(signingKeyPem);
  expect(await authority.isGood(name, first.serial)).toBe(false);
  expect(await authority.isGood({ ...name, uid: "g2" }, second.serial)).toBe(true);
  expect(await authority.isGood(name, second.serial)).toBe(false); // another's serial
  const list = new X509Crl((await authority.revocationList()).replaceAll("X509 CRL", "CRL"));
  expect(list.entries.map((e) => normaliseSerial(e.serialNumber))).toEqual([first.serial]);
});

test("the authority's keys do not open with another sealing key", async () => {
  const seal = await keyFileSeal(join(dataDir, "other.key"));
  await expect(openAuthority({ dataDir, db, seal, clock: systemClock })).rejects.toThrow(
    /does not open with this key/,
  );
});

/** The last bytes of the signature turned over. */
function broken(pem: string): string {
  const lines = pem.trim().split("\n");
  const der = Buffer.from(lines.slice(1, -1).join(""), "base64");
  der[der.length - 3] = (der[der.length - 3] ?? 0) ^ 0xff;
  return `${lines[0] ?? ""}\n${der.toString("base64")}\n${lines.at(-1) ?? ""}`;
}
