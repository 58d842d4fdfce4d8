// Several processes that serve the same pools without a lead, step by step; by chance: rivals.test.ts.
import { describe, expect, onTestFinished, test } from "vitest";
import { Fault, leases, ownerReference, type OwnedStore } from "#core";
import { memoryStore } from "#core/store/memory-store.ts";
import { fakeClock } from "#core/time/fake-clock.ts";
import { inClusterIPPool, ipAddress, ipAddressClaim, pausedAnnotation } from "#proto";
import { parseAddress } from "./address.ts";
import { claimReservations } from "./index.ts";
import { claimDraft, claimState, given, ipamStage, poolDraft, staged } from "./testing.ts";

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
    onTestFinished(made.stop);
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

test("a claim that another process served and let go meanwhile leaves no reservation behind", async () => {
  const made = await staged();
  const { store, quiet, claims } = made;
  await store.create(inClusterIPPool, poolDraft());
  await quiet();
  const create = store.create.bind(store);
  store.create = async (kind, draft) => {
    if (kind.kind !== ipAddress.kind) return create(kind, draft);
    const claim = await store.get(ipAddressClaim, { namespace: "c", name: "a" });
    if (!claim) throw new Error("no claim");
    await store.update(ipAddressClaim, { ...claim, metadata: { ...claim.metadata, finalizers: [] } });
    await store.delete(ipAddressClaim, { namespace: "c", name: "a" });
    throw new Fault("AlreadyExists", "its IPAddress was there, and is gone by now");
  };
  await claims("a");
  await made.run(5_000);
  expect((await store.list(leases)).items).toEqual([]);
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
