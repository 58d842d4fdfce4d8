import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { OwnedStore } from "#core";
import { memoryStore } from "#core/store/memory-store.ts";
import { fakeClock } from "#core/time/fake-clock.ts";
import { namespace, spa, type DesiredCluster } from "#proto";
import { acceptDesired } from "./desired.ts";
import { wish } from "./testing/world.ts";

let store: OwnedStore;
beforeEach(() => {
  store = memoryStore({ clock: fakeClock() });
});
afterEach(() => store.close());

function desired(counter: number, change: Parameters<typeof wish>[0] = {}): DesiredCluster {
  return { clusterUid: "u1", gatewayUid: "g", counter, spec: wish(change) };
}
const stored = async () => (await store.get(spa, { namespace: "cluster-u1", name: "c1" }))?.spec;

describe("a desired document", () => {
  it("becomes an SPA in the cluster's namespace", async () => {
    expect(await acceptDesired(store, desired(1))).toBe("created");
    expect(await store.get(namespace, { name: "cluster-u1" })).toMatchObject({
      metadata: { labels: { "spectrocloud.com/cluster-name": "c1" } },
    });
    expect(await stored()).toMatchObject({ clusterUid: "u1", counter: 1, action: "Create" });
  });

  it("counts by its counter: older and equal ones change nothing, in whatever order they come", async () => {
    await acceptDesired(store, desired(2, { workerPools: [] }));
    expect(await acceptDesired(store, desired(1))).toBe("old");
    expect(await acceptDesired(store, desired(2))).toBe("old");
    expect((await stored())?.workerPools).toEqual([]);
    expect(await acceptDesired(store, desired(3))).toBe("updated");
    expect(await stored()).toMatchObject({ counter: 3, workerPools: [{ name: "w" }] });
  });

  it("that asks for the deletion of what is not there makes nothing", async () => {
    expect(await acceptDesired(store, desired(5, { action: "Delete" }))).toBe("gone");
    expect((await store.list(spa)).items).toEqual([]);
    expect((await store.list(namespace)).items).toEqual([]);
  });

  it("taken in twice at once is one SPA", async () => {
    const outcomes = await Promise.all([acceptDesired(store, desired(1)), acceptDesired(store, desired(1))]);
    expect(outcomes.sort()).toEqual(["created", "old"]);
  });
});
