import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { isFault, silentLogger, systemClock } from "#core";
import {
  deriveCodeKeys,
  formatPairingCode,
  loadIdentity,
  makeKeyAndRequest,
  pair,
  parsePairingCode,
  planeHttp,
  renew,
  requestProof,
  serialOf,
} from "#tunnel/identity/index.ts";
import { testPlane, type TestPlane } from "./testing.ts";

let t: TestPlane;
let dataDir: string;
beforeEach(async () => {
  t = await testPlane({ certificateLifeMs: 3_600_000 });
  dataDir = await mkdtemp(join(tmpdir(), "pcg-gw-"));
});
afterEach(async () => {
  await t.end();
  await rm(dataDir, { recursive: true, force: true });
});

const pairing = (code: string, more: object = {}) =>
  pair({
    planeUrl: t.plane.url,
    code,
    name: "edge-1",
    dataDir,
    clock: systemClock,
    log: silentLogger,
    ...more,
  });
const message = async (work: Promise<unknown>) => {
  try {
    await work;
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("it did not fail");
};

test("a typed code pairs a gateway: it has an identity on disk, and the plane lists it as Pending", async () => {
  const { pairingCode } = await t.client.pairingCode();
  const typed = pairingCode.toLowerCase().replaceAll("-", " ").replaceAll("0", "o");
  const identity = await pairing(typed);
  expect(identity).toMatchObject({
    role: "gateway",
    tenantUid: t.plane.tenantUid,
    tunnel: t.plane.tunnelAddress,
    ca: t.plane.caPem,
  });
  const kept = await loadIdentity(dataDir);
  expect(kept?.privateKey.reveal()).toBe(identity.privateKey.reveal());
  expect((await stat(join(dataDir, "identity.json"))).mode & 0o777).toBe(0o600);
  expect(await readdir(dataDir)).toEqual(["identity.json"]);
  const [overlord] = await t.client.overlords("edge-1");
  expect(overlord).toMatchObject({
    metadata: { uid: identity.uid },
    status: { state: "Pending", isReady: false },
  });
});

test("of 100 gateways that redeem one code at once, exactly one gets in", async () => {
  const { pairingCode } = await t.client.pairingCode();
  const keys = deriveCodeKeys(parsePairingCode(pairingCode));
  const { csr } = await makeKeyAndRequest("x");
  const other = await makeKeyAndRequest("y");
  const http = planeHttp({ url: t.plane.url });
  const results = await Promise.allSettled(
    Array.from({ length: 100 }, (_, i) => {
      const request = { codeId: keys.id, name: `gw-${i}`, csr: i % 2 ? csr : other.csr };
      // two keys among them: a hundred P-256 keys would only cost time; each request differs by its name
      return http.call({
        method: "POST",
        path: "/v1/pcg/register",
        body: { ...request, proof: requestProof(keys.macKey, request) },
      });
    }),
  );
  await http.close();
  const answered = results.filter((r) => r.status === "fulfilled");
  const uids = new Set(answered.map((r) => (r.value as { uid: string }).uid));
  expect(uids.size).toBe(1);
  expect(await t.client.overlords()).toHaveLength(1);
  const refused = results.filter((r) => r.status === "rejected");
  expect(refused.length).toBeGreaterThanOrEqual(50);
  for (const r of refused) expect((r.reason as Error).message).toMatch(/was used at .*make a new one/);
});

test("a code that expired says when, and what to do", async () => {
  const { pairingCode, expiresAt } = await t.client.pairingCode();
  await t.clock.advance(15 * 60_000);
  expect(await message(pairing(pairingCode))).toBe(
    `the pairing code expired at ${expiresAt}; make a new one`,
  );
});

test("a used code does not work for another gateway", async () => {
  const { pairingCode } = await t.client.pairingCode();
  await pairing(pairingCode);
  const second = await mkdtemp(join(tmpdir(), "pcg-gw-"));
  expect(await message(pairing(pairingCode, { dataDir: second }))).toMatch(
    /^the pairing code was used at .*; make a new one$/,
  );
  await rm(second, { recursive: true });
});

test("five unknown codes lock the address for a quarter of an hour, right codes included", async () => {
  const { pairingCode } = await t.client.pairingCode();
  for (let i = 0; i < 5; i++) {
    const wrong = formatPairingCode(new Uint8Array(10).fill(i));
    expect(await message(pairing(wrong))).toMatch(
      /^the pairing code is unknown at this plane: check it for typing mistakes/,
    );
  }
  expect(await message(pairing(pairingCode))).toMatch(
    /^too many unknown codes came from 127\.0\.0\.1; it may try again at /,
  );
  await t.clock.advance(15 * 60_000);
  const { pairingCode: fresh } = await t.client.pairingCode();
  await expect(pairing(fresh)).resolves.toMatchObject({ role: "gateway" });
});

test("a code that was tampered with five times is locked, and the count survives a restart", async () => {
  const { pairingCode } = await t.client.pairingCode();
  const keys = deriveCodeKeys(parsePairingCode(pairingCode));
  const mine = await makeKeyAndRequest("mine");
  const evil = await makeKeyAndRequest("evil");
  const proof = requestProof(keys.macKey, { csr: mine.csr });
  const swapped = async () => {
    const http = planeHttp({ url: t.plane.url });
    try {
      return await message(
        http.call({
          method: "POST",
          path: "/v1/pcg/register",
          body: { codeId: keys.id, csr: evil.csr, proof },
        }),
      );
    } finally {
      await http.close();
    }
  };
  expect(await swapped()).toMatch(/was changed on its way; 4 more wrong tries lock it/);
  for (let i = 0; i < 3; i++) await swapped();
  t = await t.restart();
  expect(await swapped()).toMatch(/^the pairing code is locked after 5 wrong tries; make a new one$/);
  expect(await message(pairing(pairingCode))).toMatch(/is locked/);
});

test.each([
  ["too short", "7K3F-Q0ZD", "a pairing code has 16 characters, this one has 8"],
  ["a stranger among the characters", "7K3F-Q0ZD-11VA-M8X!", "'!' is not a character of a pairing code"],
  ["U, which Crockford left out", "7K3F-Q0ZD-11VA-M8XU", "'U' is not a character of a pairing code"],
])("a malformed code is refused before any call: %s", async (_name, code, why) => {
  expect(await message(pairing(code, { planeUrl: "http://127.0.0.1:1" }))).toContain(why);
});

test("a tenant may have twenty unused codes, not more", async () => {
  for (let i = 0; i < 20; i++) await t.client.pairingCode();
  expect(await message(t.client.pairingCode())).toMatch(/^20 unused pairing codes are waiting already/);
  await t.clock.advance(15 * 60_000);
  await expect(t.client.pairingCode()).resolves.toBeDefined();
});

test("no code, token or API key lies readable in the plane's data directory", async () => {
  const { pairingCode } = await t.client.pairingCode();
  const { privateKey } = await pairing((await t.client.pairingCode()).pairingCode);
  const secrets = [
    pairingCode,
    pairingCode.replaceAll("-", ""),
    t.apiKey.reveal(),
    privateKey.reveal().slice(60, 90),
    "BEGIN PRIVATE KEY",
  ];
  const files = (await readdir(t.dataDir, { recursive: true, withFileTypes: true })).filter((f) =>
    f.isFile(),
  );
  expect(files.length).toBeGreaterThan(4);
  for (const file of files) {
    const bytes = await readFile(join(file.parentPath, file.name), "latin1");
    for (const secret of secrets) expect(bytes.includes(secret), `${file.name}`).toBe(false);
    if (/key|sealed/.test(file.name))
      expect((await stat(join(file.parentPath, file.name))).mode & 0o077).toBe(0);
  }
});

test("a paired gateway renews with its old key and gets a certificate for a new one", async () => {
  await t.end();
  t = await testPlane({}, systemClock);
  const identity = await pairing((await t.client.pairingCode()).pairingCode);
  const next = await renew(identity, { dataDir, clock: systemClock, log: silentLogger });
  expect(next.uid).toBe(identity.uid);
  expect(next.privateKey.reveal()).not.toBe(identity.privateKey.reveal());
  expect(serialOf(next.certificate)).not.toBe(serialOf(identity.certificate));
  expect((await loadIdentity(dataDir))?.certificate).toBe(next.certificate);
  await expect(renew(next, { dataDir, clock: systemClock, log: silentLogger })).resolves.toMatchObject({
    uid: identity.uid,
  });

  await t.client.revokeOverlord(identity.uid, "stolen");
  const refused = await renew(next, { dataDir, clock: systemClock, log: silentLogger }).catch(
    (e: unknown) => e,
  );
  expect(isFault(refused, "Forbidden") && refused.message).toBe("the certificate was revoked; pair again");
});

test("a reinstalled gateway becomes itself again with a code that was bound to it, and its old certificate is refused", async () => {
  const old = await pairing((await t.client.pairingCode()).pairingCode);
  await t.client.revokeOverlord(old.uid);
  const { pairingCode } = await t.client.pairingCode();
  await t.client.bindPairingCode(old.uid, pairingCode);
  const next = await pairing(pairingCode);
  expect(next.uid).toBe(old.uid);
  const allow = (serial: string) =>
    t.hub.options?.allow({ role: "gateway", uid: old.uid, tenantUid: old.tenantUid, serial });
  expect(await allow(serialOf(old.certificate))).toBe(false);
  expect(await allow(serialOf(next.certificate))).toBe(true);
});
