import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { silentLogger } from "#core";
import { fakeClock } from "#core/time/fake-clock.ts";
import type { Etcd } from "./etcd.ts";
import {
  isDue,
  listSnapshots,
  parseSnapshotName,
  snapshotName,
  surplus,
  takeIfDue,
  takeSnapshot,
  untilDue,
  type SnapshotInfo,
} from "./snapshots.ts";

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "pcg-snap-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const at = Date.UTC(2026, 10, 27, 22, 30);
const info = (rest: Partial<SnapshotInfo> = {}): SnapshotInfo => ({
  path: "/s/a.db",
  takenAt: at,
  revision: 10,
  objects: 5,
  bytes: 100,
  ...rest,
});

/** An etcd with this database. */
function etcdWith(database: Buffer, census: { revision: number; objects: number; changed: number }): Etcd {
  return {
    status: () => Promise.resolve({ revision: 1, dbSize: database.length, dbSizeInUse: 0, quota: 1 }),
    census: () => Promise.resolve(census),
    async *snapshot() {
      for (let from = 0; from < database.length; from += 300) yield database.subarray(from, from + 300);
      yield await Promise.resolve(createHash("sha256").update(database).digest());
    },
  } as unknown as Etcd;
}

describe("names", () => {
  it("say when, which revision and how much, and are read back", () => {
    const name = snapshotName(at, { revision: 1234, objects: 250 });
    expect(name).toBe("2026-11-27T22-30-00Z-r1234-o250.db");
    expect(parseSnapshotName(name)).toEqual({ takenAt: at, revision: 1234, objects: 250 });
  });

  it.each(["4711.partial", "notes.txt", "2026-11-27T22-30-00Z-r1234-o250.db.old"])("%s is none", (name) => {
    expect(parseSnapshotName(name)).toBeUndefined();
  });
});

describe("when", () => {
  const now = { revision: 12, objects: 5, changed: 0 };
  it.each([
    ["there is none", undefined, now, true],
    ["nothing changed but revisions", info(), now, false],
    ["something was written", info(), { ...now, changed: 1 }, true],
    ["something was deleted", info(), { ...now, objects: 4 }, true],
  ])("%s", (_name, last, census, expected) => {
    expect(isDue(last, census)).toBe(expected);
  });

  it("one that is started again and again takes them, too", async () => {
    expect(await untilDue(folder, 1_800_000, at)).toBe(1_800_000);
    writeFileSync(join(folder, snapshotName(at, { revision: 1, objects: 1 })), "");
    expect(await untilDue(folder, 1_800_000, at + 600_000)).toBe(1_200_000);
    expect(await untilDue(folder, 1_800_000, at + 9_000_000)).toBe(60_000);
    expect(await untilDue(folder, 1_800_000, at - 9_000_000)).toBe(1_800_000);
  });
});

describe("a snapshot", () => {
  it("is whole, has a name, and only so many are kept, the newest", async () => {
    const clock = fakeClock(at);
    const etcd = etcdWith(randomBytes(5 * 512), { revision: 9, objects: 3, changed: 1 });
    for (let round = 0; round < 5; round++) {
      await takeSnapshot({ folder, keep: 3 }, { etcd, clock, log: silentLogger });
      await clock.advance(60_000);
    }
    const kept = await listSnapshots(folder);
    expect(kept.map(({ takenAt }) => takenAt - at)).toEqual([240_000, 180_000, 120_000]);
    expect(kept[0]).toMatchObject({ revision: 9, objects: 3, bytes: 5 * 512 + 32 });
  });

  it("that breaks off or arrives damaged leaves nothing behind", async () => {
    const database = randomBytes(3 * 512);
    const etcd = etcdWith(database, { revision: 9, objects: 3, changed: 1 });
    const short = {
      ...etcd,
      async *snapshot() {
        yield await Promise.resolve(database);
      },
    } as Etcd;
    const deps = { clock: fakeClock(at), log: silentLogger };
    await expect(takeSnapshot({ folder, keep: 3 }, { ...deps, etcd: short })).rejects.toMatchObject({
      code: "Invalid",
    });
    expect(readdirSync(folder)).toEqual([]);
  });

  it("is not taken when nothing changed", async () => {
    const deps = { clock: fakeClock(at), log: silentLogger };
    const taken = await takeIfDue(
      { folder, keep: 3 },
      { ...deps, etcd: etcdWith(randomBytes(512), { revision: 9, objects: 3, changed: 3 }) },
    );
    expect(taken).toBeDefined();
    const again = await takeIfDue(
      { folder, keep: 3 },
      { ...deps, etcd: etcdWith(randomBytes(512), { revision: 40, objects: 3, changed: 0 }) },
    );
    expect(again).toBeUndefined();
  });

  it("at least one is kept, whatever was asked for", () => {
    expect(surplus([info(), info({ path: "/s/b.db" })], 0)).toEqual([info({ path: "/s/b.db" })]);
  });
});
