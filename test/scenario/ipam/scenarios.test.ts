// The scenarios of this folder on memory, under a clock that the test moves, and on SQLite, where time is real.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { silentLogger, systemClock, type OwnedStore, type ResourceStore } from "#core";
import { stage } from "#core/controller/testing.ts";
import { memoryStore } from "#core/store/memory-store.ts";
import { sqliteStore } from "#core/store/sqlite-store.ts";
import { fakeClock } from "#core/time/fake-clock.ts";
import { difference, play, readScenarios, surplus, variants } from "./runner.ts";
import { allAddressControllers, liveWorld, type LiveWorld } from "./worlds.ts";

const scenarios = readScenarios();

describe("on memory", () => {
  test.each(scenarios)("%s", async (_, scenario) => {
    const clock = fakeClock();
    const store = memoryStore({ clock });
    const start = () =>
      stage((deps) => allAddressControllers({ ...deps, random: () => 0 }), { store: lent(store), clock });
    let running = await start();
    await play(
      scenario,
      {
        store,
        pass: (ms) => running.run(ms),
        restart: async () => {
          await running.stop();
          running = await start();
        },
        patienceMs: 15_000,
        watchMs: 5_000,
      },
      "ns-1",
    );
    await running.stop();
    await store.close();
  });
});

describe("on SQLite", () => {
  let dir: string;
  let store: OwnedStore;
  let world: LiveWorld;
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "pcg-scenarios-"));
    store = await sqliteStore(join(dir, "store.db"), { clock: systemClock, log: silentLogger });
    world = await liveWorld(store, { patienceMs: 15_000, watchMs: 200 });
  });
  afterAll(async () => {
    await world?.close();
    await store?.close();
    rmSync(dir, { recursive: true, force: true });
  });

  test.concurrent.each(scenarios.map(([name, scenario], index) => [name, scenario, index] as const))(
    "%s",
    (_, scenario, index) => play(scenario, world, `ns-${index}`),
  );
});

describe("the runner itself", () => {
  test.each<[string, unknown, unknown, string | undefined]>([
    ["a subset fits", { a: 1, b: 2 }, { a: 1 }, undefined],
    ["another value", { a: 1 }, { a: 2 }, "a is 1, should be 2"],
    ["null is absence", { a: 1 }, { a: null }, "a is 1, should be absent"],
    ["a pattern", { a: "x1" }, { a: "~^y" }, 'a is "x1", should fit ^y'],
    ["a pattern, and nothing there", {}, { a: "~." }, "a is undefined, should fit ."],
    ["lists match whole", { a: [1, 2] }, { a: [1] }, "a is [1,2], should have 1 entries: [1]"],
    ["deep", { a: [{ b: { c: 1 } }] }, { a: [{ b: { c: 2 } }] }, "a[0].b.c is 1, should be 2"],
  ])("%s", (_, found, wanted, expected) => expect(difference(found, wanted, "")).toBe(expected));

  test.each<[string, unknown, unknown, string | undefined]>([
    ["nothing more", { a: [{ b: 1 }] }, { a: [{ b: 1 }] }, undefined],
    ["a field more", { a: 1, b: { c: 2 } }, { a: 1 }, 'b is {"c":2}, should be absent'],
    ["deep in a list", { a: [{ b: 1, c: 2 }] }, { a: [{ b: 1 }] }, "a.0.c is 2, should be absent"],
  ])("whole objects: %s", (_, found, wanted, expected) => expect(surplus(found, wanted, "")).toBe(expected));

  test("a scenario is played for each row and scope", () => {
    const steps = [{ expect: [{ kind: "$Pool", name: "$pool", spec: "$spec", status: { of: "$case$ns" } }] }];
    const rows = [
      { case: "one", spec: { prefix: 1 } },
      { case: "two", spec: { prefix: 2 } },
    ];
    const made = variants({ title: "of $case", scopes: "both", rows, steps });
    expect(made.map(({ title }) => title)).toEqual([
      "of one, namespaced",
      "of one, global",
      "of two, namespaced",
      "of two, global",
    ]);
    expect(made[3]?.steps).toEqual([
      {
        expect: [
          { kind: "GlobalInClusterIPPool", name: "$ns", spec: { prefix: 2 }, status: { of: "two$ns" } },
        ],
      },
    ]);
  });

  test("every scenario has a title of its own", () => {
    const titles = scenarios.map(([name]) => name);
    expect(titles.filter((title, index) => titles.indexOf(title) !== index)).toEqual([]);
  });

  test("fails where the world is otherwise, naming the step", async () => {
    const clock = fakeClock();
    const store = memoryStore({ clock });
    const world = {
      store,
      pass: (ms: number) => clock.advance(ms),
      restart: async () => {},
      patienceMs: 100,
      watchMs: 100,
    };
    const expecting = { title: "t", steps: [{ expect: [{ kind: "IPAddress", name: "a" }] }] };
    await expect(play(expecting, world, "n")).rejects.toThrow("step 1 (expect): IPAddress a: there is none");
    const dreading = { title: "t", steps: [{ never: [{ kind: "IPAddress", name: "a", gone: true }] }] };
    await expect(play(dreading, world, "n")).rejects.toThrow(
      /step 1 \(never\): IPAddress a came to look like/,
    );
    await store.close();
  });
});

/** The store, for those who may not close it. */
function lent(store: OwnedStore): OwnedStore {
  const bound = Object.fromEntries(
    (["get", "list", "create", "update", "updateStatus", "delete", "watch"] as const).map((name) => [
      name,
      (store[name] as (...args: never[]) => unknown).bind(store),
    ]),
  ) as unknown as ResourceStore;
  return { ...bound, close: async () => {} };
}
