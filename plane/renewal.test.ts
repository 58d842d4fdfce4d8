import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { silentLogger } from "#core";
import { fakeClock } from "#core/time/fake-clock.ts";
import { keepRenewed, loadIdentity, pair, renew, serialOf, type Identity } from "#tunnel/identity/index.ts";
import { testPlane, type TestPlane } from "./testing.ts";

const day = 86_400_000;
let t: TestPlane;
let dataDir: string;
let identity: Identity;

beforeEach(async () => {
  t = await testPlane();
  dataDir = await mkdtemp(join(tmpdir(), "pcg-gw-"));
  const { pairingCode: code } = await t.client.pairingCode();
  identity = await pair({ planeUrl: t.plane.url, code, dataDir, clock: t.clock, log: silentLogger });
});
afterEach(async () => {
  await t.end();
  await rm(dataDir, { recursive: true });
});
const options = () => ({ dataDir, clock: t.clock, log: silentLogger });
const isGood = (one: Identity) => t.hub.options?.allow({ ...one, serial: serialOf(one.certificate) });

test("a gateway that is kept renewed gets a new key before two thirds of each week, and both certificates work meanwhile", async () => {
  const stop = new AbortController();
  const renewed: Identity[] = [];
  const running = keepRenewed(
    identity,
    { ...options(), random: () => 0, signal: stop.signal },
    (next) => void renewed.push(next),
  );
  await t.clock.advance(4.6 * day);
  expect(renewed).toHaveLength(0);
  await t.clock.advance(0.2 * day);
  await expect.poll(() => renewed.length).toBe(1);
  expect(await isGood(identity)).toBe(true);
  expect(await isGood(renewed[0]!)).toBe(true);
  expect((await loadIdentity(dataDir))?.certificate).toBe(renewed[0]?.certificate);
  await t.clock.advance(4.8 * day);
  await expect.poll(() => renewed.length).toBe(2);
  stop.abort();
  await running;
});

test("while the plane is away renewal is tried again, and the old identity stays", async () => {
  const stop = new AbortController();
  const warnings: string[] = [];
  const log = {
    ...silentLogger,
    info: (m: string) => void warnings.push(m),
    warn: (m: string) => void warnings.push(m),
  };
  const { url } = t.plane;
  const renewed: Identity[] = [];
  await t.plane.close();
  const running = keepRenewed(
    identity,
    { ...options(), log, random: () => 0, signal: stop.signal },
    (next) => void renewed.push(next),
  );
  await t.clock.advance(4.8 * day);
  await expect.poll(() => warnings.length).toBeGreaterThan(0);
  expect((await loadIdentity(dataDir))?.certificate).toBe(identity.certificate);
  t = await t.restart({ listen: { host: "127.0.0.1", port: Number(new URL(url).port) } });
  const tries = async () => {
    await t.clock.advance(60_000);
    return renewed.length;
  };
  await expect.poll(tries, { timeout: 5000 }).toBe(1);
  stop.abort();
  await running;
});

test("a site that was cut off for weeks comes back with its expired certificate; after three months it must pair again", async () => {
  await t.clock.advance(40 * day);
  const next = await renew(identity, options());
  expect(next.uid).toBe(identity.uid);
  await t.clock.advance(100 * day);
  await expect(renew(next, options())).rejects.toThrow("the certificate expired too long ago; pair again");
});

test("renewal ends for good once the gateway is revoked", async () => {
  await t.client.revokeOverlord(identity.uid);
  const errors: string[] = [];
  const log = { ...silentLogger, error: (m: string) => void errors.push(m) };
  const running = keepRenewed(
    identity,
    { ...options(), log, random: () => 0, signal: new AbortController().signal },
    () => {},
  );
  await t.clock.advance(5 * day);
  await running;
  expect(errors).toEqual(["the plane refuses to renew our certificate; pair again"]);
});

test("a clock that is days off is told so, and renewal is not given up for it", async () => {
  const late = fakeClock(t.clock.now() + 3 * day);
  await expect(renew(identity, { ...options(), clock: late })).rejects.toMatchObject({
    code: "Unauthorized",
    message: expect.stringMatching(/set the clock right$/) as string,
  });
});

test("nobody renews with another's certificate: the signature needs its key", async () => {
  const otherDir = await mkdtemp(join(tmpdir(), "pcg-gw-"));
  const { pairingCode: code } = await t.client.pairingCode();
  const thief = await pair({
    planeUrl: t.plane.url,
    code,
    dataDir: otherDir,
    clock: t.clock,
    log: silentLogger,
  });
  const forged = { ...identity, privateKey: thief.privateKey };
  await expect(renew(forged, options())).rejects.toThrow(
    "the request is not signed with the key of its certificate",
  );
  await rm(otherDir, { recursive: true });
});
