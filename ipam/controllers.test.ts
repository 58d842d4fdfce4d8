import { afterEach, describe, expect, test } from "vitest";
import { defineKind, leases, ownerReference, type OwnedStore } from "#core";
import { recordingLogger, type Stage } from "#core/controller/testing.ts";
import { memoryStore } from "#core/store/memory-store.ts";
import { fakeClock } from "#core/time/fake-clock.ts";
import {
  cluster,
  clusterNameLabel,
  globalInClusterIPPool,
  inClusterIPPool,
  ipAddress,
  ipAddressClaim,
  namespace,
  pausedAnnotation,
  type InClusterIPPool,
} from "#proto";
import { parseAddress } from "./address.ts";
import { claimReservations } from "./index.ts";
import { claimDraft, claimState, given, ipamStage, poolDraft } from "./testing.ts";

const vms = defineKind({
  group: "infrastructure.cluster.x-k8s.io",
  version: "v1beta2",
  kind: "VSphereVM",
  plural: "vspherevms",
});

const stages: Stage[] = [];
afterEach(async () => {
  for (const open of stages.splice(0)) await open.stop();
});
async function staged() {
  const log = recordingLogger();
  const made = await ipamStage({ log });
  stages.push(made);
  const pool = async (name = "nodes") => {
    const found = await made.store.get(inClusterIPPool, { namespace: "c", name });
    if (!found) throw new Error(`no pool ${name}`);
    return found;
  };
  const counters = async () => {
    const { total, used, free, outOfRange } = (await pool()).status?.ipAddresses ?? {};
    return [total, used, free, outOfRange];
  };
  /** Changes the pool as a user would. */
  const edit = async (change: (pool: InClusterIPPool) => InClusterIPPool) => {
    await made.store.update(inClusterIPPool, change(await pool()));
    await made.quiet();
  };
  const claims = async (...names: string[]) => {
    for (const name of names) {
      await made.store.create(ipAddressClaim, claimDraft(name));
      await made.quiet();
    }
  };
  const remove = async (name: string) => {
    await made.store.delete(ipAddressClaim, { namespace: "c", name });
    await made.quiet();
  };
  return { ...made, log, pool, counters, edit, claims, remove };
}

describe("a claim", () => {
  test("gets the lowest free address, and says so", async () => {
    const { store, quiet, claims } = await staged();
    await store.create(inClusterIPPool, poolDraft());
    await quiet();
    await claims("a", "b");
    expect(await given(store)).toEqual(["a 10.0.0.10", "b 10.0.0.11"]);
    expect(await claimState(store, "a")).toBe("True AddressAllocated: ");
    const status = (await store.get(ipAddressClaim, { namespace: "c", name: "a" }))?.status;
    expect(status?.deprecated).toEqual({
      v1beta1: { conditions: [{ type: "Ready", status: "True", lastTransitionTime: expect.any(String) }] },
    });
  });

  test("without a pool waits, says why, and goes on when the pool appears", async () => {
    const { store, quiet, claims } = await staged();
    await claims("a");
    expect(await claimState(store, "a")).toBe("False PoolNotReady: InClusterIPPool c/nodes does not exist");
    await store.create(inClusterIPPool, poolDraft());
    await quiet();
    expect(await given(store)).toEqual(["a 10.0.0.10"]);
  });

  test("on a pool with mistakes hears of all of them", async () => {
    const { store, quiet, claims, edit, log } = await staged();
    await store.create(inClusterIPPool, poolDraft({ addresses: ["10.0.0.10-"], gateway: "router" }));
    await claims("a");
    await quiet();
    expect(await claimState(store, "a")).toContain(
      "PoolNotReady: InClusterIPPool c/nodes cannot be used: spec.addresses[0]",
    );
    expect(await claimState(store, "a")).toContain("spec.gateway");
    expect(log.lines.filter(({ level }) => level === "error")).toEqual([]);
    await edit((pool) => ({ ...pool, spec: poolDraft().spec }));
    expect(await given(store)).toEqual(["a 10.0.0.10"]);
  });

  test("on an exhausted pool waits its turn; a freed address goes to the one who waits longest", async () => {
    const { store, claims, remove, quiet, counters } = await staged();
    await store.create(inClusterIPPool, poolDraft());
    await quiet();
    await claims("a", "b", "c", "z-first", "d-second");
    expect(await claimState(store, "z-first")).toBe(
      "False PoolExhausted: InClusterIPPool c/nodes has no free address, 3 are in use; add to its spec.addresses",
    );
    expect(await counters()).toEqual([3, 3, 0, 0]);
    await remove("b");
    expect(await given(store)).toContain("z-first 10.0.0.11");
    expect(await claimState(store, "d-second")).toContain("PoolExhausted");
    await remove("a");
    expect(await given(store)).toContain("d-second 10.0.0.10");
  });

  test("waiting on an exhausted pool goes on when the pool grows", async () => {
    const { store, claims, quiet, edit } = await staged();
    await store.create(inClusterIPPool, poolDraft({ addresses: ["10.0.0.10"] }));
    await quiet();
    await claims("a", "b");
    await edit((pool) => ({ ...pool, spec: { ...pool.spec, addresses: ["10.0.0.10", "10.0.0.30"] } }));
    expect(await given(store)).toEqual(["a 10.0.0.10", "b 10.0.0.30"]);
  });

  test("deleted gives its address back, wholly", async () => {
    const { store, claims, remove, quiet, counters } = await staged();
    await store.create(inClusterIPPool, poolDraft());
    await quiet();
    await claims("a", "b");
    await remove("a");
    expect(await claimState(store, "a")).toBe("gone");
    expect(await given(store)).toEqual(["b 10.0.0.11"]);
    expect(await counters()).toEqual([3, 1, 2, 0]);
    await claims("c");
    expect(await given(store)).toEqual(["b 10.0.0.11", "c 10.0.0.10"]);
  });

  test("deleted rests its address for as long as the pool says", async () => {
    const { store, claims, run, remove, quiet } = await staged();
    await store.create(
      inClusterIPPool,
      poolDraft({ addresses: ["10.0.0.10"], addressReuseGracePeriodSeconds: 60 }),
    );
    await quiet();
    await claims("a", "b");
    await remove("a");
    expect(
      (await store.get(ipAddress, { namespace: "c", name: "a" }))?.metadata.deletionTimestamp,
    ).toBeDefined();
    await run(50_000);
    expect(await given(store)).toEqual(["a 10.0.0.10"]);
    await run(15_000);
    expect(await given(store)).toEqual(["b 10.0.0.10"]);
    expect(await claimState(store, "a")).toBe("gone");
  });

  test("of another provider is left alone", async () => {
    const { store, quiet } = await staged();
    const other = { apiGroup: "ipam.metal3.io", kind: "IPPool" };
    const made = await store.create(ipAddressClaim, claimDraft("a", {}, other));
    await quiet();
    expect(await store.get(ipAddressClaim, { namespace: "c", name: "a" })).toEqual(made);
  });

  test("of two claims of one name in two namespaces on a global pool, each gets its own", async () => {
    const { store, quiet } = await staged();
    const { spec } = poolDraft();
    await store.create(globalInClusterIPPool, { metadata: { name: "shared" }, spec });
    const ref = { kind: globalInClusterIPPool.kind, name: "shared" };
    await store.create(ipAddressClaim, claimDraft("a", { namespace: "x" }, ref));
    await store.create(ipAddressClaim, claimDraft("a", { namespace: "y" }, ref));
    await quiet();
    expect(await given(store)).toEqual(["a 10.0.0.10", "a 10.0.0.11"]);
  });

  test("on a global pool is served even where there is no kube-system yet", async () => {
    const clock = fakeClock();
    const made = await ipamStage({ clock, store: memoryStore({ clock, requireNamespaces: true }) });
    stages.push(made);
    await made.store.create(namespace, { metadata: { name: "c" } });
    await made.store.create(globalInClusterIPPool, { metadata: { name: "shared" }, spec: poolDraft().spec });
    const ref = { kind: globalInClusterIPPool.kind, name: "shared" };
    await made.store.create(ipAddressClaim, claimDraft("a", {}, ref));
    await made.quiet();
    expect(await given(made.store)).toEqual(["a 10.0.0.10"]);
  });

  test("on pools of one name in two namespaces is independent", async () => {
    const { store, quiet } = await staged();
    for (const namespace of ["x", "y"]) {
      await store.create(inClusterIPPool, { ...poolDraft(), metadata: { namespace, name: "nodes" } });
      await store.create(ipAddressClaim, claimDraft("a", { namespace }));
    }
    await quiet();
    expect(await given(store)).toEqual(["a 10.0.0.10", "a 10.0.0.10"]);
  });

  test("prefers no entry over another: the lowest address wins, whatever the order of the list", async () => {
    const { store, quiet, claims } = await staged();
    await store.create(inClusterIPPool, poolDraft({ addresses: ["10.0.0.30", "10.0.0.20"] }));
    await quiet();
    await claims("a");
    expect(await given(store)).toEqual(["a 10.0.0.20"]);
  });
});

describe("pausing", () => {
  const labelled = { labels: { [clusterNameLabel]: "k" } };
  const paused = { annotations: { [pausedAnnotation]: "" } };
  interface Pausing {
    readonly spec: { readonly paused?: boolean };
    readonly metadata?: typeof paused;
  }

  test("a claim of a cluster that cannot be found waits for it", async () => {
    const { store, quiet } = await staged();
    await store.create(inClusterIPPool, poolDraft());
    await store.create(ipAddressClaim, claimDraft("by-label", labelled));
    const byName = claimDraft("by-name");
    await store.create(ipAddressClaim, { ...byName, spec: { ...byName.spec, clusterName: "k" } });
    await quiet();
    expect(await given(store)).toEqual([]);
    expect(await claimState(store, "by-label")).toBe("silent");
    await store.create(cluster, { metadata: { namespace: "c", name: "k" }, spec: {} });
    await quiet();
    expect(await given(store)).toEqual(["by-label 10.0.0.10", "by-name 10.0.0.11"]);
    // Only the claim's label is copied; the field is not made one.
    const label = async (name: string) =>
      (await store.get(ipAddress, { namespace: "c", name }))?.metadata.labels;
    expect(await label("by-label")).toEqual({ [clusterNameLabel]: "k" });
    expect(await label("by-name")).toBeUndefined();
  });

  test.each([
    ["spec.paused", { spec: { paused: true } }],
    ["the annotation", { metadata: paused, spec: {} }],
  ] as const)("a cluster paused by %s stops giving and releasing", async (_how, object: Pausing) => {
    const { store, quiet } = await staged();
    const metadata = { namespace: "c", name: "k" };
    await store.create(inClusterIPPool, poolDraft());
    await store.create(cluster, { metadata, spec: {} });
    await store.create(ipAddressClaim, claimDraft("held", labelled));
    await quiet();
    const running = await store.get(cluster, metadata);
    if (!running) throw new Error("no cluster");
    await store.update(cluster, {
      ...running,
      ...object,
      metadata: { ...running.metadata, ...object.metadata },
    });
    await store.create(ipAddressClaim, claimDraft("new", labelled));
    await store.delete(ipAddressClaim, { namespace: "c", name: "held" });
    await quiet();
    expect(await given(store)).toEqual(["held 10.0.0.10"]);
    const now = await store.get(cluster, metadata);
    if (!now) throw new Error("no cluster");
    const { annotations: _, ...bare } = now.metadata;
    await store.update(cluster, { ...now, metadata: bare, spec: {} });
    await quiet();
    expect(await given(store)).toHaveLength(1);
    expect(await claimState(store, "held")).toBe("gone");
    expect(await claimState(store, "new")).toContain("True AddressAllocated");
  });

  test("a paused claim waits in every round, also when its pool changes", async () => {
    const { store, quiet, edit } = await staged();
    await store.create(inClusterIPPool, poolDraft());
    const claim = await store.create(ipAddressClaim, claimDraft("a", paused));
    await quiet();
    await edit((pool) => ({ ...pool, spec: { ...pool.spec, addresses: ["10.0.0.50"] } }));
    expect(await given(store)).toEqual([]);
    await store.update(ipAddressClaim, { ...claim, metadata: { ...claim.metadata, annotations: {} } });
    await quiet();
    expect(await given(store)).toEqual(["a 10.0.0.50"]);
  });

  test("a paused pool neither gives nor takes back", async () => {
    const { store, claims, remove, quiet, edit } = await staged();
    await store.create(inClusterIPPool, poolDraft());
    await quiet();
    await claims("a");
    await edit((pool) => ({ ...pool, metadata: { ...pool.metadata, ...paused } }));
    await claims("b");
    await remove("a");
    expect(await given(store)).toEqual(["a 10.0.0.10"]);
    await edit((pool) => ({ ...pool, metadata: { ...pool.metadata, annotations: {} } }));
    await quiet();
    expect(await claimState(store, "a")).toBe("gone");
    expect(await given(store)).toHaveLength(1);
  });

  test("a claim whose cluster is gone is released all the same", async () => {
    const { store, quiet, remove } = await staged();
    await store.create(inClusterIPPool, poolDraft());
    await store.create(cluster, { metadata: { namespace: "c", name: "k" }, spec: {} });
    await store.create(ipAddressClaim, claimDraft("a", labelled));
    await quiet();
    await store.delete(cluster, { namespace: "c", name: "k" });
    await remove("a");
    expect(await given(store)).toEqual([]);
  });
});

describe("an IPAddress that is there already", () => {
  const spec = {
    address: "10.0.0.11",
    prefix: 24,
    claimRef: { name: "a" },
    poolRef: { apiGroup: ipAddress.group, kind: inClusterIPPool.kind, name: "nodes" },
  };

  test("without owners is adopted: finalizer and owners, spec untouched", async () => {
    const { store, quiet, claims, pool } = await staged();
    await store.create(inClusterIPPool, poolDraft());
    const vm = await store.create(vms, { metadata: { namespace: "c", name: "x" } });
    const foreign = ownerReference(vms, vm);
    await store.create(ipAddress, {
      metadata: { namespace: "c", name: "a", ownerReferences: [foreign], finalizers: ["x/y"] },
      spec,
    });
    await claims("a");
    await quiet();
    const claim = await store.get(ipAddressClaim, { namespace: "c", name: "a" });
    const address = await store.get(ipAddress, { namespace: "c", name: "a" });
    expect(address?.spec).toEqual(spec);
    expect(address?.metadata.finalizers).toEqual(["x/y", "ipam.cluster.x-k8s.io/ProtectAddress"]);
    expect(address?.metadata.ownerReferences?.map(({ uid }) => uid)).toEqual([
      vm.metadata.uid,
      claim?.metadata.uid,
      (await pool()).metadata.uid,
    ]);
    expect(claim?.status?.addressRef).toEqual({ name: "a" });
  });

  test("that was moved with owners of an old uid gets them refreshed", async () => {
    const { store, quiet, claims, pool } = await staged();
    await store.create(inClusterIPPool, poolDraft());
    await quiet();
    const { metadata } = await pool();
    const owner = {
      apiVersion: "ipam.cluster.x-k8s.io/v1beta2",
      kind: "IPAddressClaim",
      name: "a",
      uid: "old",
    };
    const poolOwner = {
      apiVersion: "ipam.cluster.x-k8s.io/v1alpha2",
      kind: "InClusterIPPool",
      name: "nodes",
      uid: metadata.uid,
    };
    await store.create(ipAddress, {
      metadata: { namespace: "c", name: "a", ownerReferences: [owner, poolOwner] },
      spec,
    });
    await claims("a");
    const claim = await store.get(ipAddressClaim, { namespace: "c", name: "a" });
    const address = await store.get(ipAddress, { namespace: "c", name: "a" });
    expect(address?.metadata.ownerReferences?.[0]).toEqual({
      ...owner,
      uid: claim?.metadata.uid,
      controller: true,
      blockOwnerDeletion: true,
    });
    expect(address?.metadata.ownerReferences).toHaveLength(2);
    expect(await given(store)).toContain("a 10.0.0.11");
  });

  test("of another pool is not touched; the claim says what stands in its way", async () => {
    const { store, quiet, claims } = await staged();
    await store.create(inClusterIPPool, poolDraft());
    const other = { ...spec, poolRef: { ...spec.poolRef, name: "elsewhere" } };
    const made = await store.create(ipAddress, { metadata: { namespace: "c", name: "a" }, spec: other });
    await claims("a");
    await quiet();
    expect(await claimState(store, "a")).toBe(
      "False AllocationFailed: an IPAddress of this name belongs to InClusterIPPool elsewhere, claim a; delete it, or use another name",
    );
    expect(await store.get(ipAddress, { namespace: "c", name: "a" })).toEqual(made);
  });

  test("cannot be deleted while its claim lives", async () => {
    const { store, quiet, claims } = await staged();
    await store.create(inClusterIPPool, poolDraft());
    await quiet();
    await claims("a");
    await store.delete(ipAddress, { namespace: "c", name: "a" });
    await quiet();
    expect(await given(store)).toEqual(["a 10.0.0.10"]);
    await store.delete(ipAddressClaim, { namespace: "c", name: "a" });
    await quiet();
    expect(await given(store)).toEqual([]);
  });

  test("outlives a claim whose finalizer was torn off by ten minutes: the claim may be on its way", async () => {
    const { store, quiet, claims, run } = await staged();
    await store.create(inClusterIPPool, poolDraft());
    await quiet();
    await claims("a");
    const claim = await store.get(ipAddressClaim, { namespace: "c", name: "a" });
    if (!claim) throw new Error("no claim");
    await store.update(ipAddressClaim, { ...claim, metadata: { ...claim.metadata, finalizers: [] } });
    await store.delete(ipAddressClaim, { namespace: "c", name: "a" });
    await run(540_000);
    expect(await given(store)).toEqual(["a 10.0.0.10"]);
    await run(70_000);
    expect(await given(store)).toEqual([]);
  });
});

describe("another process", () => {
  test("that reserved an address is respected; what it left behind is swept when its claim is gone", async () => {
    const { store, quiet, claims, pool, run } = await staged();
    await store.create(inClusterIPPool, poolDraft());
    await quiet();
    const paused = { annotations: { [pausedAnnotation]: "" } };
    const other = await store.create(ipAddressClaim, claimDraft("other", paused));
    const reservations = claimReservations(store);
    if (!lowest) throw new Error("no address");
    await reservations.win(place, await pool(), other, lowest.value);
    await claims("a");
    await run(100);
    expect(await given(store)).toEqual(["a 10.0.0.11"]);
    await store.delete(ipAddressClaim, { namespace: "c", name: "other" });
    await run(700_000);
    expect((await store.list(leases)).items).toEqual([]);
    await claims("b");
    expect(await given(store)).toEqual(["a 10.0.0.11", "b 10.0.0.10"]);
  });

  /** A stage on which something happens at the moment when the controllers create their next reservation. */
  async function ambushed(ambush: (store: OwnedStore) => Promise<void>) {
    const clock = fakeClock();
    const inner = memoryStore({ clock });
    let isArmed = false;
    const store: OwnedStore = {
      get: (kind, key, signal) => inner.get(kind, key, signal),
      list: (kind, options, signal) => inner.list(kind, options, signal),
      update: (kind, object) => inner.update(kind, object),
      updateStatus: (kind, object) => inner.updateStatus(kind, object),
      delete: (kind, key, options) => inner.delete(kind, key, options),
      watch: (kind, options, signal) => inner.watch(kind, options, signal),
      close: () => inner.close(),
      async create(kind, draft) {
        if (isArmed && kind.kind === leases.kind) {
          isArmed = false;
          await ambush(inner);
        }
        return inner.create(kind, draft);
      },
    };
    const made = await ipamStage({ store, clock });
    stages.push(made);
    await store.create(inClusterIPPool, poolDraft());
    await made.quiet();
    isArmed = true;
    await store.create(ipAddressClaim, claimDraft("a"));
    await made.run(1_000);
    return made;
  }
  const place = { kind: inClusterIPPool, key: { namespace: "c", name: "nodes" } };
  const lowest = parseAddress("10.0.0.10");

  test("that was faster by a hair wins: the last look after the reservation sees its address", async () => {
    const { store } = await ambushed(async (inner) => {
      // It made its IPAddress and let its own reservation go.
      const { poolRef } = claimDraft("x").spec;
      const spec = { address: "10.0.0.10", prefix: 24, claimRef: { name: "rival" }, poolRef };
      await inner.create(ipAddress, { metadata: { namespace: "c", name: "rival" }, spec });
    });
    expect(await given(store)).toEqual(["a 10.0.0.11", "rival 10.0.0.10"]);
    expect((await store.list(leases)).items).toEqual([]);
  });

  test("that reserved first wins, even if nothing else of it shows yet", async () => {
    const { store } = await ambushed(async (inner) => {
      const paused = { annotations: { [pausedAnnotation]: "" } };
      const rival = await inner.create(ipAddressClaim, claimDraft("rival", paused));
      const pool = await inner.get(inClusterIPPool, place.key);
      if (pool && lowest) await claimReservations(inner).win(place, pool, rival, lowest.value);
    });
    expect(await given(store)).toEqual(["a 10.0.0.11"]);
    expect((await store.list(leases)).items).toHaveLength(1);
  });

  test("that released the claim meanwhile leaves no address behind", async () => {
    const { store } = await ambushed(async (inner) => {
      const claim = await inner.get(ipAddressClaim, { namespace: "c", name: "a" });
      if (!claim) throw new Error("no claim");
      await inner.update(ipAddressClaim, { ...claim, metadata: { ...claim.metadata, finalizers: [] } });
      await inner.delete(ipAddressClaim, { namespace: "c", name: "a" });
    });
    expect(await given(store)).toEqual([]);
    expect((await store.list(leases)).items).toEqual([]);
  });
});

describe("among several processes", () => {
  const place = { kind: inClusterIPPool, key: { namespace: "c", name: "nodes" } };
  const one = parseAddress("10.0.0.10")?.value ?? 0n;
  const rival = {
    metadata: { namespace: "c", name: "rival" },
    spec: {
      address: "10.0.0.10",
      prefix: 24,
      claimRef: { name: "rival" },
      poolRef: claimDraft("x").spec.poolRef,
    },
  };
  async function onOneAddress() {
    const made = await staged();
    await made.store.create(inClusterIPPool, poolDraft({ addresses: ["10.0.0.10"] }));
    await made.quiet();
    const reserved = async () =>
      (await made.store.list(leases)).items.map(({ spec }) => spec.holderIdentity).sort();
    const reserve = async (claim: string) => {
      const found = await made.store.get(ipAddressClaim, { namespace: "c", name: claim });
      if (!found) throw new Error(`no claim ${claim}`);
      return (await claimReservations(made.store).win(place, await made.pool(), found, one)).kind;
    };
    return { ...made, reserved, reserve };
  }

  test("a claim goes before its IPAddress: whoever comes late with a second one finds the name taken", async () => {
    const { store, claims, remove } = await onOneAddress();
    await claims("a");
    const { revision } = await store.list(ipAddress);
    const stop = new AbortController();
    const seen: string[] = [];
    const follow = async (kind: typeof ipAddress | typeof ipAddressClaim) => {
      for await (const event of store.watch(kind as typeof ipAddress, { after: revision }, stop.signal))
        if (event.type === "Deleted") seen.push(`${kind.kind} ${event.revision}`);
    };
    const following = [follow(ipAddress), follow(ipAddressClaim)];
    await remove("a");
    stop.abort();
    await Promise.all(following);
    const order = seen.sort((x, y) => Number(x.split(" ")[1]) - Number(y.split(" ")[1]));
    expect(order.map((each) => each.split(" ")[0])).toEqual(["IPAddressClaim", "IPAddress"]);
  });

  test("who died between letting a claim go and freeing its IPAddress is made up for, though others hold the claim", async () => {
    const { store, claims, quiet, edit } = await onOneAddress();
    await claims("a");
    const key = { namespace: "c", name: "a" };
    await edit((pool) => ({
      ...pool,
      metadata: { ...pool.metadata, annotations: { [pausedAnnotation]: "" } },
    }));
    await store.delete(ipAddress, key);
    const claim = await store.get(ipAddressClaim, key);
    if (!claim) throw new Error("no claim");
    const others = { ...claim.metadata, finalizers: ["others.dev/hold"] };
    await store.update(ipAddressClaim, { ...claim, metadata: others });
    await store.delete(ipAddressClaim, key);
    await quiet();
    expect(await given(store)).toEqual(["a 10.0.0.10"]);
    await edit((pool) => ({ ...pool, metadata: { ...pool.metadata, annotations: {} } }));
    await quiet();
    expect(await given(store)).toEqual([]);
  });

  test("an address found in use stays reserved for the claim until that is served: another process may have looked before", async () => {
    const { store, claims, run, reserved } = await onOneAddress();
    const create = store.create.bind(store);
    let isThere = false;
    store.create = async (kind, draft) => {
      if (kind.kind === leases.kind && !isThere) {
        isThere = true;
        await create(ipAddress, rival); // between our offer and our look
      }
      return create(kind, draft);
    };
    await claims("a");
    await run(120_000);
    expect(await given(store)).toEqual(["rival 10.0.0.10"]);
    expect(await reserved()).toEqual(["c/a"]);
    await store.delete(ipAddress, { namespace: "c", name: "rival" });
    await run(5_000);
    expect(await given(store)).toEqual(["a 10.0.0.10"]);
    expect(await reserved()).toEqual([]);
  });

  test("a reservation whose claim is gone, or was let go, or has its IPAddress is taken over by whoever comes next", async () => {
    const { store, claims, remove, reserve, reserved } = await onOneAddress();
    await store.create(ipAddressClaim, claimDraft("gone"));
    expect(await reserve("gone")).toBe("won");
    await remove("gone");
    await claims("a");
    expect(await given(store)).toEqual(["a 10.0.0.10"]);
    expect(await reserve("a")).toBe("won");
    await claims("b");
    expect(await reserve("b")).toBe("won");
    expect(await reserved()).toEqual(["c/b"]);
  });

  test("a reservation that a dead process left is swept after a minute or two, though nothing else happens", async () => {
    const { store, claims, reserve, reserved, run } = await onOneAddress();
    await store.create(ipAddressClaim, claimDraft("a"));
    await claims("b");
    expect(await given(store)).toEqual(["a 10.0.0.10"]);
    expect(await reserve("a")).toBe("won");
    await run(125_000);
    expect(await reserved()).toEqual([]);
  });

  test("an address that is reserved for a claim goes to it, though an older one waits too", async () => {
    const { store, quiet, claims, run, reserve, remove } = await onOneAddress();
    await store.create(ipAddress, rival);
    await quiet();
    await claims("older");
    await run(2_000);
    await claims("younger");
    expect(await reserve("younger")).toBe("won");
    await run(3_000);
    await store.delete(ipAddress, { namespace: "c", name: "rival" });
    await run(5_000);
    expect(await given(store)).toEqual(["younger 10.0.0.10"]);
    await remove("younger");
    await run(5_000);
    expect(await given(store)).toEqual(["older 10.0.0.10"]);
  });

  test("an IPAddress that was another claim's is adopted only while no other bears its address", async () => {
    const { store, claims, run, pool } = await onOneAddress();
    const former = {
      apiVersion: "ipam.cluster.x-k8s.io/v1beta2",
      kind: "IPAddressClaim",
      name: "a",
      uid: "former",
    };
    const create = store.create.bind(store);
    await create(ipAddress, {
      metadata: {
        namespace: "c",
        name: "a",
        ownerReferences: [former, ownerReference(inClusterIPPool, await pool())],
      },
      spec: { ...rival.spec, claimRef: { name: "a" } },
    });
    let isThere = false;
    store.create = async (kind, draft) => {
      if (kind.kind === leases.kind && !isThere) {
        isThere = true;
        await create(ipAddress, rival);
      }
      return create(kind, draft);
    };
    await claims("a");
    await run(5_000);
    expect(isThere).toBe(true);
    expect(await claimState(store, "a")).toMatch(/^False AllocationFailed: 10.0.0.10 is held by another/);
  });
});

describe("a pool", () => {
  test("counts, also what fell out of its range", async () => {
    const { store, claims, counters, edit, quiet } = await staged();
    await store.create(inClusterIPPool, poolDraft({ addresses: ["10.0.0.10-10.0.0.20"] }));
    await quiet();
    expect(await counters()).toEqual([11, 0, 11, 0]);
    await claims("a", "b", "c");
    expect(await counters()).toEqual([11, 3, 8, 0]);
    await edit((pool) => ({ ...pool, spec: { ...pool.spec, addresses: ["10.0.0.12-10.0.0.20"] } }));
    expect(await counters()).toEqual([9, 3, 8, 2]);
  });

  test("stays until its last address is given back, gives out nothing meanwhile, then goes", async () => {
    const { store, claims, quiet, remove } = await staged();
    await store.create(inClusterIPPool, poolDraft());
    await quiet();
    await claims("a");
    await store.delete(inClusterIPPool, { namespace: "c", name: "nodes" });
    await quiet();
    await claims("b");
    expect(await claimState(store, "b")).toBe("False PoolNotReady: InClusterIPPool c/nodes is being deleted");
    expect(await store.get(inClusterIPPool, { namespace: "c", name: "nodes" })).toBeDefined();
    await remove("a");
    expect(await store.get(inClusterIPPool, { namespace: "c", name: "nodes" })).toBeUndefined();
    expect(await claimState(store, "b")).toBe("False PoolNotReady: InClusterIPPool c/nodes does not exist");
  });

  test("at rest costs no write, however often everything is looked at again", async () => {
    const { store, claims, quiet, run } = await staged();
    await store.create(inClusterIPPool, poolDraft());
    await quiet();
    await claims("a", "b", "c", "waiting");
    const { revision } = await store.list(ipAddressClaim);
    await run(3_600_000);
    expect((await store.list(ipAddressClaim)).revision).toBe(revision);
  });
});
