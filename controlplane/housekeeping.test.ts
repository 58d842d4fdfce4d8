import { describe, expect, it } from "vitest";
import { silentLogger } from "#core";
import { fakeClock } from "#core/time/fake-clock.ts";
import type { Etcd, EtcdStatus } from "./etcd.ts";
import { keepHouse, reliefFor, relieve, type Relief } from "./housekeeping.ts";

const gib = 1024 ** 3;
const quota = 4 * gib;

const table: readonly [string, Partial<EtcdStatus>, boolean, boolean | undefined, Relief][] = [
  ["small and full", { dbSize: 0.1 * gib, dbSizeInUse: 0.1 * gib }, false, undefined, "none"],
  ["small and empty is not worth a pause", { dbSize: 0.1 * gib, dbSizeInUse: 0 }, false, undefined, "none"],
  ["large and half empty", { dbSize: 2 * gib, dbSizeInUse: 0.9 * gib }, false, undefined, "defragment"],
  ["under the alarm, history first", { dbSize: 4 * gib, dbSizeInUse: 4 * gib }, true, undefined, "compact"],
  ["under the alarm, room after that", { dbSize: 4 * gib, dbSizeInUse: 1 * gib }, true, false, "defragment"],
  [
    "something was forgotten, not counted yet",
    { dbSize: 4 * gib, dbSizeInUse: 4 * gib },
    true,
    true,
    "defragment",
  ],
  [
    "under the alarm, full of what is wanted",
    { dbSize: 4 * gib, dbSizeInUse: 3.9 * gib },
    true,
    false,
    "full",
  ],
];

describe("room in etcd's file", () => {
  it.each(table)("%s", (_name, status, alarm, forgot, expected) => {
    const full = { revision: 1, dbSize: 0, dbSizeInUse: 0, quota, ...status };
    expect(reliefFor(full, alarm, forgot)).toBe(expected);
  });

  /** Under the alarm; what it counts as in use is true after a defragmentation only. */
  async function relieved({ inUse, forgets }: { inUse: number; forgets: boolean }) {
    const done: string[] = [];
    let size = quota;
    const etcd = {
      status: () => Promise.resolve({ revision: 7, dbSize: size, dbSizeInUse: size, quota }),
      hasSpaceAlarm: () => Promise.resolve(true),
      compact: (revision: number) => (done.push(`compact ${revision}`), Promise.resolve(forgets)),
      defragment: () => (done.push("defragment"), (size = inUse), Promise.resolve()),
      clearSpaceAlarm: () => (done.push("clear"), Promise.resolve()),
    } as unknown as Etcd;
    return [await relieve(etcd, silentLogger, new AbortController().signal), done];
  }

  it("under the alarm it is compacted, defragmented, and told that there is room", async () => {
    expect(await relieved({ inUse: gib, forgets: true })).toEqual([
      "defragment",
      ["compact 7", "defragment", "clear"],
    ]);
  });

  it("that is full of what is wanted keeps its alarm, and is not defragmented again and again", async () => {
    expect(await relieved({ inUse: 3.9 * gib, forgets: true })).toEqual([
      "full",
      ["compact 7", "defragment"],
    ]);
    expect(await relieved({ inUse: 3.9 * gib, forgets: false })).toEqual(["full", ["compact 7"]]);
  });
});

describe("chores", () => {
  it("each has its own turns, and one that fails is tried again", async () => {
    const clock = fakeClock();
    const stop = new AbortController();
    const done: string[] = [];
    const keeping = keepHouse(
      [
        { name: "a", everyMs: 10, firstMs: 1, work: () => Promise.resolve(done.push("a")) },
        { name: "b", everyMs: 25, work: () => (done.push("b"), Promise.reject(new Error("no"))) },
      ],
      { clock, log: silentLogger },
      stop.signal,
    );
    for (let ms = 0; ms < 50; ms++) await clock.advance(1);
    expect(done.join("")).toBe("aaabaab");
    stop.abort();
    await keeping;
    expect(clock.pending).toBe(0);
  });
});
