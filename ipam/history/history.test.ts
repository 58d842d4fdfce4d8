import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { openDatabase, type OwnedStore } from "#core";
import { stage, type Stage } from "#core/controller/testing.ts";
import { memoryStore } from "#core/store/memory-store.ts";
import { fakeClock } from "#core/time/fake-clock.ts";
import { inClusterIPPool, ipAddressClaim, metal3IPClaim, metal3IPPool } from "#proto";
import {
  daysToExhaustion,
  historyControllers,
  historyMigration,
  holderAt,
  ipamControllers,
  memoryHistory,
  metal3Controllers,
  addressMetrics,
  readInventory,
  sqliteHistory,
  type HistoryEntry,
  type HistoryShelf,
} from "../index.ts";
import { metal3ClaimDraft, metal3PoolDraft } from "../metal3/testing.ts";
import { claimDraft, poolDraft } from "../testing.ts";

const closers: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function sqliteShelf(): Promise<HistoryShelf> {
  const dir = mkdtempSync(join(tmpdir(), "pcg-history-"));
  const db = await openDatabase(join(dir, "h.db"), { migrations: [historyMigration] });
  closers.push(() => rmSync(dir, { recursive: true, force: true }));
  closers.push(() => db.close());
  return sqliteHistory(db);
}

async function staged(
  shelf: HistoryShelf,
  given: { store?: OwnedStore; clock?: ReturnType<typeof fakeClock> } = {},
): Promise<Stage> {
  const made = await stage(
    (deps) => [
      ...ipamControllers(deps),
      ...metal3Controllers({ ...deps, random: () => 0 }),
      ...historyControllers({ ...deps, shelf }),
    ],
    given,
  );
  closers.push(() => made.stop());
  return made;
}

describe.each([
  ["memory", async () => memoryHistory()],
  ["SQLite", sqliteShelf],
] as const)("history in %s", (_, open) => {
  test("says who had an address when, over several holders", async () => {
    const shelf = await open();
    const { store, clock, quiet } = await staged(shelf);
    await store.create(inClusterIPPool, poolDraft({ addresses: ["10.0.0.10"] }));
    const t0 = clock.now();
    for (const name of ["a", "b"]) {
      await clock.advance(10_000);
      await store.create(ipAddressClaim, claimDraft(name, { labels: name === "b" ? {} : {} }));
      await quiet();
      await clock.advance(10_000);
      await store.delete(ipAddressClaim, { namespace: "c", name });
      await quiet();
    }
    const entries = await shelf.ofAddress("10.0.0.10");
    expect(entries.map(({ event, claim, at }) => `${event} ${claim} ${(at - t0) / 1000}`)).toEqual([
      "given c/a 10",
      "released c/a 20",
      "given c/b 30",
      "released c/b 40",
    ]);
    expect([5, 15, 25, 35, 45].map((s) => holderAt(entries, t0 + s * 1000)?.claim)).toEqual([
      undefined,
      "c/a",
      undefined,
      "c/b",
      undefined,
    ]);
    expect(await shelf.open()).toEqual([]);
    expect((await shelf.ofClaim("c/a")).map(({ address }) => address)).toEqual(["10.0.0.10", "10.0.0.10"]);
  });

  test("of Metal3's addresses too; a restart writes nothing twice, and catches up on what ended meanwhile", async () => {
    const shelf = await open();
    const clock = fakeClock();
    const store = memoryStore({ clock });
    const keep = { ...store, close: async () => {} } as OwnedStore;
    for (const method of ["get", "list", "create", "update", "updateStatus", "delete", "watch"] as const)
      (keep as never as Record<string, unknown>)[method] = (store[method] as () => unknown).bind(store);
    const first = await staged(shelf, { store: keep, clock });
    await store.create(metal3IPPool, metal3PoolDraft());
    for (const name of ["m", "n"]) await store.create(metal3IPClaim, metal3ClaimDraft(name));
    await first.quiet();
    await first.stop();
    const others = await stage((deps) => metal3Controllers({ ...deps, random: () => 0 }), {
      store: keep,
      clock,
    });
    await store.delete(metal3IPClaim, { namespace: "c", name: "n" });
    await others.quiet();
    await others.stop();
    await staged(shelf, { store: keep, clock });
    const all = await shelf.since(0);
    expect(all.map(({ event, address, pool }) => `${event} ${address} ${pool}`).sort()).toEqual([
      "given 10.0.0.10 IPPool c/m3",
      "given 10.0.0.11 IPPool c/m3",
      "released 10.0.0.11 IPPool c/m3",
    ]);
  });
});

describe("figures", () => {
  const day = 86_400_000;
  const entry = (event: HistoryEntry["event"], at: number): HistoryEntry => ({
    event,
    at,
    address: "10.0.0.1",
    uid: `${event}${at}`,
    kind: "IPAddress.ipam.cluster.x-k8s.io",
    object: "c/a",
    claim: "c/a",
    pool: "InClusterIPPool c/nodes",
  });
  const view = { pool: { kind: "InClusterIPPool", group: "g", namespace: "c", name: "nodes" }, free: "30" };

  test.each<[string, HistoryEntry[], number, number | undefined]>([
    [
      "three a day net",
      [
        entry("given", 0),
        ...Array.from({ length: 10 }, (_, i) => entry("given", 1 + i)),
        ...Array.from({ length: 5 }, (_, i) => entry("released", 20 + i)),
      ],
      2 * day,
      10,
    ],
    ["no growth", [entry("given", 0), entry("released", day)], 2 * day, undefined],
    ["no history", [], 2 * day, undefined],
    ["too short a time", [entry("given", 0)], 60_000, undefined],
  ])("days to exhaustion: %s", (_, history, now, expected) => {
    const days = daysToExhaustion(view, history, now);
    if (expected === undefined) expect(days).toBeUndefined();
    else expect(days).toBeCloseTo(expected, 1);
  });

  test("in Prometheus' form, exact for IPv6", async () => {
    const { store, quiet, clock } = await staged(memoryHistory());
    await store.create(inClusterIPPool, poolDraft());
    await store.create(
      inClusterIPPool,
      poolDraft({ addresses: ["fd00::/64"], prefix: 64, gateway: "fd00::1" }, "six"),
    );
    for (const name of ["a", "b", "c", "d"]) await store.create(ipAddressClaim, claimDraft(name));
    await quiet();
    const text = addressMetrics(
      { inventory: await readInventory(store), conflicts: [{ reason: "PoolsOverlap" }] },
      clock.now(),
    );
    for (const line of [
      'pcg_ipam_addresses{kind="InClusterIPPool",namespace="c",pool="nodes",state="used"} 3',
      'pcg_ipam_addresses{kind="InClusterIPPool",namespace="c",pool="six",state="free"} 18446744073709551614',
      'pcg_ipam_claims_waiting{kind="InClusterIPPool",namespace="c",pool="nodes"} 1',
      'pcg_ipam_conflicts{reason="PoolsOverlap"} 1',
      'pcg_ipam_allocation_seconds_bucket{le="1"} 3',
      "pcg_ipam_allocation_seconds_count 3",
    ])
      expect(text.split("\n")).toContain(line);
  });
});
