import { readFileSync } from "node:fs";
import { parseAllDocuments } from "yaml";
import { afterEach, describe, expect, test } from "vitest";
import { isFault, leases, type Draft, type Resource } from "#core";
import type { Stage } from "#core/controller/testing.ts";
import { fakeClock } from "#core/time/fake-clock.ts";
import { memoryStore } from "#core/store/memory-store.ts";
import {
  cluster,
  inClusterIPPool,
  ipAddress,
  ipAddressClaim,
  metal3IPAddress,
  metal3IPClaim,
  metal3IPPool,
  pausedAnnotation,
  type Cluster,
  type Metal3IPClaim,
  type Metal3IPPool,
} from "#proto";
import { metal3Reservations } from "../index.ts";
import { claimDraft, claimState, given, poolDraft } from "../testing.ts";
import {
  capiOnMetal3,
  metal3ClaimDraft,
  metal3ClaimState,
  metal3Given,
  metal3PoolDraft,
  metal3Stage,
} from "./testing.ts";

const stages: Stage[] = [];
afterEach(async () => {
  for (const open of stages.splice(0)) await open.stop();
});

async function staged(pool: Draft<Metal3IPPool> | undefined = metal3PoolDraft()) {
  const made = await metal3Stage();
  stages.push(made);
  const { store, quiet } = made;
  if (pool) await store.create(metal3IPPool, pool);
  await quiet();
  const claims = async (...names: string[]) => {
    for (const name of names) {
      await store.create(metal3IPClaim, metal3ClaimDraft(name));
      await quiet();
    }
  };
  const remove = async (name: string) => {
    await store.delete(metal3IPClaim, { namespace: "c", name });
    await quiet();
  };
  const edit = async (change: (pool: Metal3IPPool) => void) => {
    const found = (await store.get(metal3IPPool, { namespace: "c", name: "m3" }))!;
    change(found);
    await store.update(metal3IPPool, found);
    await quiet();
  };
  const poolNow = async () => store.get(metal3IPPool, { namespace: "c", name: "m3" });
  return { ...made, claims, remove, edit, poolNow };
}

describe("a Metal3 pool", () => {
  test("gives in order of its entries, with each entry's prefix, gateway and name servers", async () => {
    const { store, claims, poolNow } = await staged(
      metal3PoolDraft({
        dnsServers: ["8.8.8.8"],
        pools: [
          { start: "10.9.0.7", end: "10.9.0.7", prefix: 25, gateway: "10.9.0.1", dnsServers: ["10.9.0.2"] },
          { start: "10.0.0.10", end: "10.0.0.12" },
        ],
      }),
    );
    await claims("a", "b");
    const { items } = await store.list(metal3IPAddress);
    expect(items.map(({ spec: { claim: _c, pool: _p, ...rest } }) => rest)).toEqual([
      { address: "10.0.0.10", prefix: 24, gateway: "10.0.0.1", dnsServers: ["8.8.8.8"] },
      { address: "10.9.0.7", prefix: 25, gateway: "10.9.0.1", dnsServers: ["10.9.0.2"] },
    ]);
    expect((await poolNow())?.status?.indexes).toEqual({ a: "10.9.0.7", b: "10.0.0.10" });
  });

  test("serves an exhausted claim when an address is freed, in turn, and clears its error", async () => {
    const { store, claims, remove } = await staged();
    await claims("a", "b", "c", "z", "d");
    expect(await metal3ClaimState(store, "z")).toBe(
      "IPPool c/m3 has no free address, 3 are in use; add to its spec.pools",
    );
    await remove("b");
    expect(await metal3ClaimState(store, "z")).toBe("node-10-0-0-11");
    const z = await store.get(metal3IPClaim, { namespace: "c", name: "z" });
    expect(z?.status).toEqual({ address: { name: "node-10-0-0-11", namespace: "c" } });
    expect(await metal3ClaimState(store, "d")).toContain("no free address");
  });

  test("serves an exhausted claim when the pool grows", async () => {
    const { store, claims, edit } = await staged();
    await claims("a", "b", "c", "d");
    await edit((pool) => pool.spec.pools?.push({ start: "10.0.0.30", end: "10.0.0.31" }));
    expect(await metal3ClaimState(store, "d")).toBe("node-10-0-0-30");
  });

  test("keeps pre-allocated addresses for claims by name, of either kind", async () => {
    const { store, claims, quiet } = await staged(
      metal3PoolDraft({ preAllocations: { pinned: "10.0.0.10", cluster: "10.0.0.11" } }),
    );
    await claims("a", "pinned", "b");
    await store.create(ipAddressClaim, capiOnMetal3("cluster"));
    await quiet();
    expect(await metal3Given(store)).toEqual(["a 10.0.0.12", "pinned 10.0.0.10"]);
    expect(await given(store)).toEqual(["node-10-0-0-11 10.0.0.11"]);
    expect(await metal3ClaimState(store, "b")).toContain("no free address");
  });

  test("gives the address that a claim asks for, or says why not", async () => {
    const { store, quiet } = await staged(
      metal3PoolDraft({ preAllocations: { pinned: "10.0.0.10" }, pools: [{ subnet: "10.0.0.0/24" }] }),
    );
    const ask = async (name: string, wants: string) => {
      await store.create(metal3IPClaim, metal3ClaimDraft(name, { ipAddress: wants }));
      await quiet();
      return metal3ClaimState(store, name);
    };
    expect(await ask("a", "10.0.0.20")).toBe("node-10-0-0-20");
    expect(await ask("b", "10.0.0.20")).toBe(
      "10.0.0.20 of IPPool c/m3 is in use by claim a; it is given when that is deleted",
    );
    expect(await ask("c", "10.0.0.10")).toBe("IPPool c/m3 keeps 10.0.0.10 for claim pinned");
    expect(await ask("d", "10.1.0.1")).toBe("10.1.0.1 is out of bounds of IPPool c/m3");
    expect(await ask("e", "10.0.0.1")).toContain("is a gateway");
    expect(await ask("f", "router")).toContain("not a valid IP address");
    expect(await ask("pinned", "10.0.0.21")).toContain("keeps 10.0.0.10 for pinned; remove one");
    await store.delete(metal3IPClaim, { namespace: "c", name: "a" });
    await quiet();
    expect(await metal3ClaimState(store, "b")).toBe("node-10-0-0-20");
  });

  test("answers at once for an address outside of a /64", async () => {
    const { store, quiet, claims } = await staged(
      metal3PoolDraft({ gateway: "fd00::1", prefix: 64, pools: [{ subnet: "fd00::/64" }] }),
    );
    await store.create(metal3IPClaim, metal3ClaimDraft("far", { ipAddress: "fd01::1" }));
    await store.create(metal3IPClaim, metal3ClaimDraft("deep", { ipAddress: "fd00::ffff:0:0:1" }));
    await quiet();
    await claims("next");
    expect(await metal3Given(store)).toEqual(["deep fd00::ffff:0:0:1", "next fd00::2"]);
    expect(await metal3ClaimState(store, "far")).toContain("out of bounds");
    expect(await metal3ClaimState(store, "next")).toBe("node-fd00--2");
  });

  test("at random: all of the pool, each once, and not in order", async () => {
    const { store, quiet } = await staged(
      metal3PoolDraft({ allocationStrategy: "random", pools: [{ start: "10.0.0.10", end: "10.0.0.29" }] }),
    );
    for (let i = 0; i < 20; i++) await store.create(metal3IPClaim, metal3ClaimDraft(`c${i}`));
    await quiet();
    const { items } = await store.list(metal3IPAddress);
    const inOrder = items
      .sort((a, b) => Number(a.spec.claim.name?.slice(1)) - Number(b.spec.claim.name?.slice(1)))
      .map(({ spec }) => spec.address);
    expect(new Set(inOrder).size).toBe(20);
    expect(inOrder).not.toEqual([...inOrder].sort());
  });

  test("two claims of one name and two kinds have an address each", async () => {
    const { store, quiet, claims, poolNow } = await staged();
    await claims("twin");
    await store.create(ipAddressClaim, capiOnMetal3("twin"));
    await quiet();
    expect(await metal3ClaimState(store, "twin")).toBe("node-10-0-0-10");
    expect(await claimState(store, "twin")).toBe("True AddressAllocated: ");
    expect((await poolNow())?.status?.indexes).toEqual({
      twin: "10.0.0.10",
      "IPAddressClaim/twin": "10.0.0.11",
    });
  });

  test("with mistakes says all of them to its claims, and serves them once mended", async () => {
    const { store, claims, edit } = await staged(
      metal3PoolDraft({ pools: [{ prefix: 24 }], gateway: "10.0.0.1" }),
    );
    await claims("a");
    expect(await metal3ClaimState(store, "a")).toBe(
      "IPPool c/m3 cannot be used: spec.pools[0] must have a subnet, or a start and an end",
    );
    await edit((pool) => (pool.spec.pools = [{ start: "10.0.0.10", end: "10.0.0.12" }]));
    expect(await metal3ClaimState(store, "a")).toBe("node-10-0-0-10");
  });

  test("that is missing: the claim says so, and is served when it comes", async () => {
    const { store, quiet, claims } = await staged(undefined);
    await store.delete(metal3IPPool, { namespace: "c", name: "m3" });
    await quiet();
    await claims("a");
    await store.create(ipAddressClaim, capiOnMetal3("b"));
    await quiet();
    expect(await metal3ClaimState(store, "a")).toBe("IPPool c/m3 does not exist");
    expect(await claimState(store, "b")).toBe("False PoolNotReady: IPPool c/m3 does not exist");
    await store.create(metal3IPPool, metal3PoolDraft());
    await quiet();
    expect(await metal3ClaimState(store, "a")).toBe("node-10-0-0-10");
    expect(await claimState(store, "b")).toBe("True AddressAllocated: ");
  });

  test("stays until its addresses are gone, and gives none meanwhile", async () => {
    const { store, quiet, claims, remove, poolNow } = await staged();
    await claims("a");
    await store.delete(metal3IPPool, { namespace: "c", name: "m3" });
    await quiet();
    await claims("late");
    expect(await metal3ClaimState(store, "late")).toBe("IPPool c/m3 is being deleted");
    expect(await poolNow()).toBeDefined();
    await remove("a");
    expect(await poolNow()).toBeUndefined();
  });

  test("of a cluster bears its name; paused or missing, nothing is given", async () => {
    const { store, quiet, claims, poolNow } = await staged(metal3PoolDraft({ clusterName: "k1" }));
    await claims("a");
    expect(await metal3ClaimState(store, "a")).toBe("silent");
    const made = await store.create(cluster, {
      metadata: { namespace: "c", name: "k1" },
      spec: { paused: true },
    } as Draft<Cluster>);
    await quiet();
    expect(await metal3ClaimState(store, "a")).toBe("silent");
    await store.update(cluster, { ...made, spec: { ...made.spec, paused: false } });
    await quiet();
    expect(await metal3ClaimState(store, "a")).toBe("node-10-0-0-10");
    const { labels, ownerReferences } = (await poolNow())!.metadata;
    expect(labels).toEqual({
      "cluster.x-k8s.io/cluster-name": "k1",
      "cluster.x-k8s.io/provider": "ipam-metal3",
    });
    expect(ownerReferences).toEqual([
      {
        apiVersion: "cluster.x-k8s.io/v1beta2",
        kind: "Cluster",
        name: "k1",
        uid: made.metadata.uid,
        controller: false,
      },
    ]);
  });

  test("a paused claim neither gets nor gives back", async () => {
    const { store, quiet, remove } = await staged();
    const paused = metal3ClaimDraft("p", { [pausedAnnotation]: "" });
    const made = await store.create(metal3IPClaim, paused);
    await quiet();
    expect(await metal3ClaimState(store, "p")).toBe("silent");
    await store.update(metal3IPClaim, { ...made, metadata: { ...made.metadata, annotations: {} } });
    await quiet();
    const bound = (await store.get(metal3IPClaim, { namespace: "c", name: "p" }))!;
    await store.update(metal3IPClaim, {
      ...bound,
      metadata: { ...bound.metadata, annotations: { [pausedAnnotation]: "" } },
    });
    await remove("p");
    expect(await metal3Given(store)).toEqual(["p 10.0.0.10"]);
  });

  test("a claim that others still hold keeps its address", async () => {
    const { store, quiet } = await staged();
    const draft = metal3ClaimDraft("vm");
    const made = await store.create(metal3IPClaim, {
      ...draft,
      metadata: { ...draft.metadata, finalizers: ["example.com/vm"] },
    });
    await quiet();
    await store.delete(metal3IPClaim, { namespace: "c", name: "vm" });
    await quiet();
    expect(await metal3Given(store)).toEqual(["vm 10.0.0.10"]);
    const now = (await store.get(metal3IPClaim, { namespace: "c", name: "vm" })) ?? made;
    const left = now.metadata.finalizers?.filter((each) => each !== "example.com/vm") ?? [];
    await store.update(metal3IPClaim, { ...now, metadata: { ...now.metadata, finalizers: left } });
    await quiet();
    expect(await metal3Given(store)).toEqual([]);
    expect(await metal3ClaimState(store, "vm")).toBe("gone");
  });

  test("an address whose claim was torn away is released after ten minutes, and at once when deleted", async () => {
    const { store, quiet, run, claims } = await staged();
    await claims("a", "b");
    for (const name of ["a", "b"]) {
      const claim = (await store.get(metal3IPClaim, { namespace: "c", name }))!;
      await store.update(metal3IPClaim, { ...claim, metadata: { ...claim.metadata, finalizers: [] } });
      await store.delete(metal3IPClaim, { namespace: "c", name });
    }
    await quiet();
    expect(await metal3Given(store)).toHaveLength(2);
    await store.delete(metal3IPAddress, { namespace: "c", name: "node-10-0-0-11" });
    await quiet();
    expect(await metal3Given(store)).toEqual(["a 10.0.0.10"]);
    await run(601_000);
    expect(await metal3Given(store)).toEqual([]);
  });

  test("restored addresses are taken up with their claims' and pool's new uids", async () => {
    const { store, quiet, claims } = await staged(undefined);
    await store.delete(metal3IPPool, { namespace: "c", name: "m3" });
    await quiet();
    await store.create(metal3IPAddress, {
      metadata: { namespace: "c", name: "node-10-0-0-12" },
      spec: {
        address: "10.0.0.12",
        prefix: 24,
        claim: { name: "a", namespace: "c" },
        pool: { name: "m3", namespace: "c" },
      },
    });
    await claims("a");
    await store.create(metal3IPPool, metal3PoolDraft());
    await quiet();
    expect(await metal3ClaimState(store, "a")).toBe("node-10-0-0-12");
    const address = await store.get(metal3IPAddress, { namespace: "c", name: "node-10-0-0-12" });
    expect(address?.metadata.finalizers).toEqual(["ipaddress.ipam.metal3.io"]);
    expect(address?.metadata.ownerReferences?.map(({ kind }) => kind)).toEqual(["IPPool", "IPClaim"]);
  });

  test("two pools with one name prefix that overlap: the loser is told, and nothing is given twice", async () => {
    const { store, quiet, claims } = await staged();
    await claims("a");
    await store.create(metal3IPPool, metal3PoolDraft({}, { name: "other" }));
    await store.create(metal3IPClaim, metal3ClaimDraft("b", undefined, { name: "other", namespace: "c" }));
    await quiet();
    expect(await metal3ClaimState(store, "b")).toContain("the IPAddress node-10-0-0-10 is another pool's");
  });

  test("an address reserved for a living claim of either kind is not taken over by another process", async () => {
    const { store, remove, poolNow } = await staged();
    const paused = { [pausedAnnotation]: "" };
    const claims = [
      await store.create(metal3IPClaim, metal3ClaimDraft("a", paused)),
      await store.create(ipAddressClaim, capiOnMetal3("b", paused)),
    ];
    const key = { namespace: "c", name: "m3" };
    const pool = (await poolNow())!;
    const win = async (index: number, value: bigint) =>
      (await metal3Reservations(store).win({ key }, pool, claims[index]!, value)).kind;
    expect([await win(0, 1n), await win(1, 2n)]).toEqual(["won", "won"]);
    expect([await win(1, 1n), await win(0, 2n)]).toEqual(["reserved", "reserved"]);
    await remove("a");
    expect(await win(1, 1n)).toBe("won");
  });

  test("leaves no reservation behind, and writes nothing at rest", async () => {
    const { store, quiet, claims, run } = await staged();
    await claims("a", "b", "c", "d");
    expect((await store.list(leases)).items).toEqual([]);
    const before = (await store.list(metal3IPPool)).revision;
    await run(1_300_000); // two resyncs
    await quiet();
    expect((await store.list(metal3IPPool)).revision).toBe(before);
  });

  test("an in-cluster pool of the same name is another pool", async () => {
    const { store, quiet, claims } = await staged();
    await store.create(inClusterIPPool, poolDraft({}, "m3"));
    await store.create(ipAddressClaim, claimDraft("x", {}, { name: "m3" }));
    await claims("a");
    await quiet();
    expect(await given(store)).toEqual(["x 10.0.0.10"]);
    expect(await metal3Given(store)).toEqual(["a 10.0.0.10"]);
  });
});

test("what Metal3 itself wrote, field by field", async () => {
  const text = readFileSync(new URL("testdata/upstream.yaml", import.meta.url), "utf8");
  const upstream = parseAllDocuments(text).map((document) => document.toJS() as Resource);
  const made = await metal3Stage();
  stages.push(made);
  const { store, quiet } = made;
  await store.create(cluster, {
    metadata: { namespace: "cluster-1", name: "c1" },
    spec: {},
  } as Draft<Cluster>);
  const bare = (each: Resource): Draft<Resource> => {
    const { name, namespace, annotations } = each.metadata;
    return {
      metadata: { name, namespace: namespace!, ...(annotations ? { annotations } : {}) },
      spec: each.spec,
    };
  };
  const kinds = { IPPool: metal3IPPool, IPClaim: metal3IPClaim, IPAddress: metal3IPAddress } as const;
  for (const kind of ["IPPool", "IPClaim"] as const) {
    // "asked" and "pinned" came before "plain" there.
    for (const each of upstream.filter((one) => one.kind === kind)) {
      await store.create(kinds[kind] as never, bare(each) as never);
      await quiet();
    }
  }
  await store.create(ipAddressClaim, {
    metadata: { namespace: "cluster-1", name: "capi-on-m3" },
    spec: { poolRef: { apiGroup: "ipam.metal3.io", kind: "IPPool", name: "m3pool" } },
  });
  await quiet();
  for (const each of upstream) {
    const kind = kinds[each.kind as keyof typeof kinds];
    const ours = await store.get(kind as never, { namespace: "cluster-1", name: each.metadata.name });
    expect(stripped(ours!), each.metadata.name).toEqual(stripped(each));
  }
  expect((await store.list(ipAddress)).items.map(({ metadata }) => metadata.name)).toEqual(["m3-10-2-0-11"]);
});

/** Without what differs between any two runs. */
function stripped(object: Resource): unknown {
  const copy = structuredClone(object) as Resource & { status?: { lastUpdated?: unknown } };
  const {
    uid: _u,
    resourceVersion: _r,
    creationTimestamp: _c,
    generation: _g,
    managedFields: _m,
    ...metadata
  } = copy.metadata;
  delete copy.status?.lastUpdated;
  return {
    ...copy,
    metadata: {
      ...metadata,
      ownerReferences: metadata.ownerReferences?.map(({ uid: _uid, ...owner }) => owner),
    },
  };
}

test("several processes at once: nothing twice, one address a claim", async () => {
  const clock = fakeClock();
  const store = memoryStore({ clock });
  const rivals = await Promise.all([1, 2, 3].map(() => metal3Stage({ store, clock })));
  const claims: Metal3IPClaim[] = [];
  await store.create(metal3IPPool, metal3PoolDraft({ pools: [{ start: "10.0.0.10", end: "10.0.0.49" }] }));
  for (let i = 0; i < 40; i++) {
    if (i % 2) await store.create(ipAddressClaim, capiOnMetal3(`claim-${i}`));
    else claims.push(await store.create(metal3IPClaim, metal3ClaimDraft(`claim-${i}`)));
  }
  for (let i = 0; i < 40; i++) for (const rival of rivals) await rival.run(500);
  const own = (await store.list(metal3IPAddress)).items;
  const capi = (await store.list(ipAddress)).items;
  const addresses = [...own, ...capi].map(({ spec }) => spec.address);
  expect(addresses).toHaveLength(40);
  expect(new Set(addresses).size).toBe(40);
  expect(
    new Set([...own.map(({ spec }) => spec.claim.name), ...capi.map(({ spec }) => spec.claimRef.name)]).size,
  ).toBe(40);
  expect((await store.list(leases)).items).toEqual([]);
  for (const { metadata } of claims)
    await store.delete(metal3IPClaim, { namespace: "c", name: metadata.name }).catch((error: unknown) => {
      if (!isFault(error, "NotFound")) throw error;
    });
  for (let i = 0; i < 10; i++) for (const rival of rivals) await rival.run(500);
  expect((await store.list(metal3IPAddress)).items).toEqual([]);
  for (const rival of rivals) await rival.stop();
});
