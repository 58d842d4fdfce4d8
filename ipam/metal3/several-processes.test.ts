// Several processes that serve the same Metal3 pool without a lead, step by step; by chance: ../rivals.test.ts.
import { describe, expect, onTestFinished, test } from "vitest";
import { leases, ownerReference, type Draft, type Kind } from "#core";
import {
  ipAddress,
  ipAddressClaim,
  metal3IPAddress,
  metal3IPClaim,
  metal3IpamGroup,
  metal3IPPool,
  pausedAnnotation,
  type IPAddress,
  type Metal3IPAddress,
} from "#proto";
import { parseAddress } from "../address.ts";
import { metal3Reservations } from "../index.ts";
import {
  capiOnMetal3,
  metal3ClaimDraft,
  metal3ClaimState,
  metal3Given,
  metal3PoolDraft,
  metal3Stage,
} from "./testing.ts";

const key = (name: string) => ({ namespace: "c", name });

/** An IPAddress of Cluster API's kind that somebody brought. */
const rival: Draft<IPAddress> = {
  metadata: key("rival"),
  spec: {
    address: "10.0.0.10",
    prefix: 24,
    claimRef: { name: "rival" },
    poolRef: { apiGroup: metal3IpamGroup, kind: metal3IPPool.kind, name: "m3" },
  },
};

async function staged(end = "10.0.0.12") {
  const made = await metal3Stage();
  onTestFinished(made.stop);
  const { store, quiet } = made;
  const pool = await store.create(metal3IPPool, metal3PoolDraft({ pools: [{ start: "10.0.0.10", end }] }));
  await quiet();
  const reserved = async () =>
    (await store.list(leases)).items
      .map(({ metadata, spec }) => `${spec.holderIdentity} ${metadata.name.slice(-2)}`)
      .sort();
  const claim = async (name: string) => {
    await store.create(metal3IPClaim, metal3ClaimDraft(name));
    await quiet();
  };
  /** As another process would. */
  const reserve = async (name: string, address: string) => {
    const found = await store.get(metal3IPClaim, key(name));
    const value = parseAddress(address)?.value;
    if (!found || value === undefined) throw new Error(`no claim ${name}`);
    return (await metal3Reservations(store).win({ key: key("m3") }, pool, found, value)).kind;
  };
  return { ...made, pool, reserved, claim, reserve };
}

describe("among several processes on a Metal3 pool", () => {
  test("an address found in use by a claim of the other kind stays reserved until the claim is served", async () => {
    const { store, claim, run, reserved } = await staged("10.0.0.10");
    const create = store.create.bind(store);
    let isThere = false;
    store.create = async (kind, draft) => {
      if (kind.kind === leases.kind && !isThere) {
        isThere = true;
        await create(ipAddress, rival); // between our plan and our look
      }
      return create(kind, draft);
    };
    await claim("a");
    await run(120_000);
    expect(await metal3Given(store)).toEqual([]);
    expect(await reserved()).toEqual(["c/a 0a"]);
    await store.delete(ipAddress, key("rival"));
    await run(5_000);
    expect(await metal3Given(store)).toEqual(["a 10.0.0.10"]);
    expect(await reserved()).toEqual([]);
  });

  test("of several reservations of a claim the oldest counts, and all go when it is served", async () => {
    const { store, quiet, run, reserve, reserved } = await staged();
    const paused = metal3ClaimDraft("a", { [pausedAnnotation]: "" });
    await store.create(metal3IPClaim, paused);
    for (const address of ["10.0.0.11", "10.0.0.10"]) expect(await reserve("a", address)).toBe("won");
    const a = await store.get(metal3IPClaim, key("a"));
    await store.update(metal3IPClaim, { ...a!, metadata: { ...a!.metadata, annotations: {} } });
    await quiet();
    expect(await metal3Given(store)).toEqual(["a 10.0.0.11"]);
    await run(125_000);
    expect(await reserved()).toEqual([]);
  });

  test.each([
    [metal3IPClaim as Kind, metal3IPAddress as Kind, metal3ClaimDraft("a")],
    [ipAddressClaim as Kind, ipAddress as Kind, capiOnMetal3("a")],
  ])("a claim goes before its IPAddress: %o", async (claimKind, addressKind, draft) => {
    const { store, quiet } = await staged();
    await store.create(claimKind, draft as never);
    await quiet();
    const { revision } = await store.list(addressKind);
    const stop = new AbortController();
    const gone: [kind: string, at: number][] = [];
    const follow = async (kind: Kind) => {
      for await (const event of store.watch(kind, { after: revision }, stop.signal))
        if (event.type === "Deleted") gone.push([kind.kind, Number(event.revision)]);
    };
    const following = [follow(claimKind), follow(addressKind)];
    await store.delete(claimKind, key("a"));
    await quiet();
    stop.abort();
    await Promise.all(following);
    expect(gone.sort(([, a], [, b]) => a - b).map(([kind]) => kind)).toEqual([
      claimKind.kind,
      addressKind.kind,
    ]);
  });

  test("an IPAddress that a sleeper made for a claim that has one already is told to nobody, and goes after ten minutes", async () => {
    const { store, pool, claim, run } = await staged();
    await claim("a");
    const a = await store.get(metal3IPClaim, key("a"));
    const late: Draft<Metal3IPAddress> = {
      metadata: {
        ...key("node-10-0-0-9"),
        finalizers: ["ipaddress.ipam.metal3.io"],
        ownerReferences: [ownerReference(metal3IPPool, pool), ownerReference(metal3IPClaim, a!)],
      },
      spec: { address: "10.0.0.9", claim: key("a"), pool: key("m3"), prefix: 24 },
    };
    await store.create(metal3IPAddress, late);
    await run(500_000);
    expect(await metal3Given(store)).toEqual(["a 10.0.0.10", "a 10.0.0.9"]);
    expect(await metal3ClaimState(store, "a")).toBe("node-10-0-0-10");
    await run(200_000);
    expect(await metal3Given(store)).toEqual(["a 10.0.0.10"]);
    expect(await metal3ClaimState(store, "a")).toBe("node-10-0-0-10");
  });

  test("a claim whose IPAddress was torn away while another bears its address gets another one", async () => {
    const { store, claim, run } = await staged();
    await claim("a");
    await store.create(ipAddress, rival);
    const torn = await store.get(metal3IPAddress, key("node-10-0-0-10"));
    await store.update(metal3IPAddress, { ...torn!, metadata: { ...torn!.metadata, finalizers: [] } });
    await store.delete(metal3IPAddress, key("node-10-0-0-10"));
    await run(5_000);
    expect(await metal3Given(store)).toEqual(["a 10.0.0.11"]);
    expect(await metal3ClaimState(store, "a")).toBe("node-10-0-0-11");
  });

  test("an IPAddress that was another claim's is taken up only while no other bears its address", async () => {
    const { store, pool, claim, run, reserved } = await staged("10.0.0.10");
    const former = {
      apiVersion: "ipam.metal3.io/v1alpha1",
      kind: "IPClaim",
      name: "a",
      uid: "former",
    };
    await store.create(ipAddress, rival);
    await store.create(metal3IPAddress, {
      metadata: { ...key("node-10-0-0-10"), ownerReferences: [ownerReference(metal3IPPool, pool), former] },
      spec: { address: "10.0.0.10", claim: key("a"), pool: key("m3"), prefix: 24 },
    });
    await claim("a");
    await run(5_000);
    const isTakenUp = async () => {
      const address = await store.get(metal3IPAddress, key("node-10-0-0-10"));
      const { uid } = (await store.get(metal3IPClaim, key("a")))!.metadata;
      return address?.metadata.ownerReferences?.some((owner) => owner.uid === uid);
    };
    expect(await isTakenUp()).toBe(false);
    expect(await metal3ClaimState(store, "a")).toContain("is another's too; release one of them");
    await store.delete(ipAddress, key("rival"));
    await run(120_000);
    expect(await isTakenUp()).toBe(true);
    expect(await reserved()).toEqual([]);
  });
});
