import { describe, expect, onTestFinished, test } from "vitest";
import { defineKind, ownerReference } from "#core";
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
} from "#proto";
import { claimDraft, claimState, given, ipamStage, poolDraft, staged } from "./testing.ts";

const vms = defineKind({
  group: "infrastructure.cluster.x-k8s.io",
  version: "v1beta2",
  kind: "VSphereVM",
  plural: "vspherevms",
});

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
    onTestFinished(made.stop);
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
