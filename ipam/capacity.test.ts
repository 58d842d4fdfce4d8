import { afterEach, describe, expect, test } from "vitest";
import { systemClock, type OwnedStore } from "#core";
import { memoryStore } from "#core/store/memory-store.ts";
import {
  globalInClusterIPPool,
  inClusterIPPool,
  ipAddress,
  type InClusterIPPool,
  type IPAddress,
  type PoolSpec,
} from "#proto";
import { addressesNeeded, allPoolRooms, poolRoom, roomOf, roomProblem } from "./capacity.ts";
import { preflight, setAside } from "./set-aside.ts";
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

describe("room for a cluster", () => {
  test("is nodes and three", () => expect(addressesNeeded(4)).toBe(7));

  test("too little is told with what to do", () => {
    const room = { kind: "room", total: 10, used: 6, free: 4, outOfRange: 0 } as const;
    expect(roomProblem("edge", room, 1)).toBeUndefined();
    expect(roomProblem("edge", room, 5)).toBe(
      "pool edge has 4 of 10 addresses free; 5 machines need 8: one each, one while bootstrapping, one for the API and one for repaves. Add 4 or more addresses to its spec.addresses",
    );
    expect(roomProblem("edge", { kind: "missing" }, 5)).toContain("does not exist");
    const problems = [{ field: "spec.gateway", message: "is no IP address" }];
    expect(roomProblem("edge", { kind: "wrong", problems }, 5)).toContain("spec.gateway is no IP address");
  });

  const stores: OwnedStore[] = [];
  afterEach(async () => {
    for (const store of stores.splice(0)) await store.close();
  });

  test("is counted afresh from the store, whatever the pool's status says", async () => {
    const store = memoryStore({ clock: systemClock });
    stores.push(store);
    const ref = { kind: "InClusterIPPool", namespace: "c", name: "nodes" } as const;
    expect(await poolRoom(store, ref)).toEqual({ kind: "missing" });
    await store.create(inClusterIPPool, poolDraft());
    const { spec } = address("10.0.0.11");
    await store.create(ipAddress, { metadata: { namespace: "c", name: "a" }, spec });
    await store.create(ipAddress, { metadata: { namespace: "elsewhere", name: "a" }, spec });
    expect(await poolRoom(store, ref)).toEqual({ kind: "room", total: 3, used: 1, free: 2, outOfRange: 0 });
    await store.create(globalInClusterIPPool, {
      metadata: { name: "shared" },
      spec: { addresses: ["x"], prefix: 24 },
    });
    expect((await allPoolRooms(store)).map(({ kind, name, room }) => [kind, name, room.kind])).toEqual([
      ["InClusterIPPool", "nodes", "room"],
      ["GlobalInClusterIPPool", "shared", "wrong"],
    ]);
  });
});

describe("what is set aside for a cluster", () => {
  test("is left to it: others hear that there is too little, it hears that there is enough, until it is given back", async () => {
    const store = memoryStore({ clock: systemClock });
    await store.create(inClusterIPPool, poolDraft({ addresses: ["10.0.0.10-10.0.0.24"] })); // 15
    const ref = { kind: "InClusterIPPool", namespace: "c", name: "nodes" } as const;
    const mine = { namespace: "c", name: "mine" };
    const other = { namespace: "c", name: "other" };
    await setAside(store, ref, mine, 8);
    expect((await preflight(store, ref, { cluster: mine, nodes: 3, maxNodes: 12 })).problem).toBeUndefined();
    const refused = await preflight(store, ref, { cluster: other, nodes: 6 });
    expect(refused.problem).toContain("has 7 of 15 addresses free; 6 machines need 9");
    expect(refused.problem).toContain("8 more are free, but set aside for other clusters");
    await setAside(store, ref, mine, 0);
    expect((await preflight(store, ref, { cluster: other, nodes: 6 })).problem).toBeUndefined();
    expect(
      (await store.get(inClusterIPPool, { namespace: "c", name: "nodes" }))?.metadata.annotations ?? {},
    ).toEqual({});
    await store.close();
  });
});
