import { afterEach, describe, expect, onTestFinished, test } from "vitest";
import { systemClock, type OwnedStore } from "#core";
import { stage } from "#core/controller/testing.ts";
import { memoryStore } from "#core/store/memory-store.ts";
import {
  globalInClusterIPPool,
  inClusterIPPool,
  ipAddress,
  ipAddressClaim,
  type InClusterIPPool,
  type IPAddress,
  type PoolSpec,
} from "#proto";
import { roomOf } from "./capacity.ts";
import { IpamGauges, ipamControllers } from "./index.ts";
import { openRoom, setAside } from "./set-aside.ts";
import { poolTerms } from "./terms.ts";
import { claimDraft, poolDraft } from "./testing.ts";

function address(text: string, at = 0): IPAddress {
  const { poolRef } = claimDraft("x").spec;
  return {
    apiVersion: "ipam.cluster.x-k8s.io/v1beta2",
    kind: "IPAddress",
    metadata: { namespace: "c", name: `a${at}` } as IPAddress["metadata"],
    spec: { address: text, prefix: 24, claimRef: { name: `a${at}` }, poolRef },
  };
}

/** total, used, free, outOfRange */
function counters(spec: PoolSpec, inUse: string[]): number[] {
  const terms = poolTerms({ spec } as InClusterIPPool);
  if (terms.kind === "wrong") throw new Error("a wrong pool");
  const room = roomOf(terms, inUse.map(address));
  return [room.total, room.used, room.free, room.outOfRange];
}

describe("counters as upstream's own suite expects them", () => {
  const eleven = { addresses: ["10.0.0.10-10.0.0.20"], prefix: 24 };
  const table: [string, PoolSpec, string[], number[]][] = [
    ["one claim, no gateway", eleven, ["10.0.0.10"], [11, 1, 10, 0]],
    ["two claims, no gateway", eleven, ["10.0.0.10", "10.0.0.11"], [11, 2, 9, 0]],
    ["gateway inside", { ...eleven, gateway: "10.0.0.10" }, ["10.0.0.11"], [10, 1, 9, 0]],
    ["gateway outside", { ...eleven, gateway: "10.0.0.1" }, ["10.0.0.10"], [11, 1, 10, 0]],
    ["network and one more", { addresses: ["10.0.0.0-10.0.0.1"], prefix: 24 }, ["10.0.0.1"], [1, 1, 0, 0]],
    ["one and broadcast", { addresses: ["10.0.0.254-10.0.0.255"], prefix: 24 }, ["10.0.0.254"], [1, 1, 0, 0]],
    [
      "the last address of an IPv6 /120",
      { addresses: ["fe80::ff"], prefix: 120 },
      ["fe80::ff"],
      [1, 1, 0, 0],
    ],
    [
      "three fell out of range: they are used, and no free address is missing for them",
      { addresses: ["10.0.0.13-10.0.0.20"], prefix: 24 },
      ["10.0.0.10", "10.0.0.11", "10.0.0.12", "10.0.0.13"],
      [8, 4, 7, 3],
    ],
    ["one address twice counts once", eleven, ["10.0.0.10", "10.0.0.10"], [11, 1, 10, 0]],
    [
      "larger than any counter",
      { addresses: ["fd00::/64"], prefix: 64 },
      [],
      [2 ** 53 - 1, 0, 2 ** 53 - 1, 0],
    ],
  ];
  test.each(table)("%s", (_name, spec, inUse, want) => expect(counters(spec, inUse)).toEqual(want));
});

const now = Date.parse("2026-11-24T00:00:00Z");

describe("room for a cluster", () => {
  const stores: OwnedStore[] = [];
  afterEach(async () => {
    for (const store of stores.splice(0)) await store.close();
  });

  test("is counted afresh from the store, whatever the pool's status says", async () => {
    const store = memoryStore({ clock: systemClock });
    stores.push(store);
    const ref = { kind: "InClusterIPPool", namespace: "c", name: "nodes" } as const;
    expect(await openRoom(store, ref, { now })).toEqual({ kind: "missing" });
    await store.create(inClusterIPPool, poolDraft());
    const { spec } = address("10.0.0.11");
    await store.create(ipAddress, { metadata: { namespace: "c", name: "a" }, spec });
    await store.create(ipAddress, { metadata: { namespace: "elsewhere", name: "a" }, spec });
    expect(await openRoom(store, ref, { now })).toEqual({
      kind: "room",
      total: 3,
      used: 1,
      free: 2,
      outOfRange: 0,
      kept: 0,
      resting: 0,
      later: [],
    });
    await store.create(globalInClusterIPPool, {
      metadata: { name: "shared" },
      spec: { addresses: ["x"], prefix: 24 },
    });
    expect(await openRoom(store, { kind: "GlobalInClusterIPPool", name: "shared" }, { now })).toMatchObject({
      kind: "wrong",
    });
  });
});

describe("room for a newcomer", () => {
  const ref = { kind: "InClusterIPPool", namespace: "c", name: "nodes" } as const;
  const fifteen = { addresses: ["10.0.0.10-10.0.0.24"] };
  const opened = async (annotations: Record<string, string>, held: [string, string?][] = []) => {
    const store = memoryStore({ clock: systemClock });
    const draft = poolDraft(fifteen);
    await store.create(inClusterIPPool, { ...draft, metadata: { ...draft.metadata, annotations } });
    for (const [at, [text, clusterName]] of held.entries()) {
      const { spec } = address(text);
      const labels = clusterName ? { "cluster.x-k8s.io/cluster-name": clusterName } : {};
      await store.create(ipAddress, { metadata: { namespace: "c", name: `a${at}`, labels }, spec });
    }
    return store;
  };
  const table: [string, Record<string, string>, [string, string?][], [number, number]][] = [
    ["all that is free, where nothing is kept", {}, [["10.0.0.10"]], [14, 0]],
    ["without what is set aside for a cluster", { "ipam.pcg.dev/set-aside": "mine=8" }, [], [7, 8]],
    [
      "of which the cluster holds some already",
      { "ipam.pcg.dev/set-aside": "mine=8" },
      [
        ["10.0.0.10", "mine"],
        ["10.0.0.11", "mine"],
        ["10.0.0.12", "other"],
      ],
      [6, 6],
    ],
    [
      "without a range that is drained, held or not",
      { "ipam.pcg.dev/drain": "10.0.0.20-10.0.1.7" },
      [["10.0.0.20"]],
      [10, 4],
    ],
    ["without what is promised to a claim", { "ipam.pcg.dev/reserve": "db=10.0.0.12" }, [], [14, 1]],
    [
      "with what was kept until a time that has passed",
      {
        "ipam.pcg.dev/reserve": "db=10.0.0.12 until 2026-11-23T00:00:00Z",
        "ipam.pcg.dev/set-aside": "mine=8 until 2026-11-24T00:00:00Z, other=2 until 2026-11-25T00:00:00Z",
        "ipam.pcg.dev/set-aside-growth": "mine=3",
      },
      [],
      [10, 5],
    ],
    [
      "within the quota of its namespace",
      { "ipam.pcg.dev/quota-per-namespace": "4" },
      [["10.0.0.10"]],
      [3, 11],
    ],
  ];
  test.each(table)("is %s", async (_name, annotations, held, [free, kept]) => {
    const store = await opened(annotations, held);
    expect(await openRoom(store, ref, { now })).toMatchObject({ kind: "room", total: 15, free, kept });
    await store.close();
  });

  test("is without what rests after use, as the process that gives out knows; it tells when that ends", async () => {
    const gauges = new IpamGauges();
    const made = await stage((deps) => ipamControllers({ ...deps, gauges }));
    onTestFinished(made.stop);
    const { store, clock, quiet } = made;
    const draft = poolDraft(fifteen);
    const annotations = {
      "ipam.pcg.dev/quarantine": "10m",
      "ipam.pcg.dev/set-aside": "mine=8",
      "ipam.pcg.dev/drain": "10.0.0.20-10.0.0.24",
    };
    await store.create(inClusterIPPool, { ...draft, metadata: { ...draft.metadata, annotations } });
    for (const name of ["a", "b", "d"]) await store.create(ipAddressClaim, claimDraft(name));
    await quiet();
    const found = () => openRoom(store, ref, { now: clock.now(), gauges });
    expect(await found()).toMatchObject({ total: 15, used: 2, free: 0, kept: 13, resting: 0, later: [] });
    const release = async (name: string) => {
      await store.delete(ipAddressClaim, { namespace: "c", name });
      await quiet();
      return clock.now() + 600_000;
    };
    const first = await release("a");
    await made.run(60_000);
    const second = await release("b");
    expect(await found()).toMatchObject({ used: 0, free: 0, kept: 13, resting: 2, later: [second] }); // "d" has the first
    expect(await openRoom(store, ref, { now })).toMatchObject({ free: 2, kept: 13, resting: 0, later: [] });
    await made.run(first - clock.now() + 1_000);
    expect(await found()).toMatchObject({ used: 1, free: 0, resting: 1, later: [second] });
    await made.run(second - clock.now() + 1_000);
    expect(await found()).toMatchObject({ used: 1, free: 1, kept: 13, resting: 0, later: [] });
  });

  test("what was set aside is given back by zero, and the annotation goes with the last of it", async () => {
    const store = await opened({});
    const cluster = { namespace: "c", name: "mine" };
    await setAside(store, ref, cluster, 8);
    await setAside(store, ref, cluster, 8);
    expect(await openRoom(store, ref, { now })).toMatchObject({ free: 7, kept: 8 });
    await setAside(store, ref, cluster, 0);
    expect(await openRoom(store, ref, { now })).toMatchObject({ free: 15, kept: 0 });
    const pool = await store.get(inClusterIPPool, { namespace: "c", name: "nodes" });
    expect(pool?.metadata.annotations ?? {}).toEqual({});
    await store.close();
  });
});
