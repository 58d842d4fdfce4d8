import { afterEach, describe, expect, test } from "vitest";
import type { Stage } from "#core/controller/testing.ts";
import { inClusterIPPool, ipAddress, ipAddressClaim, metal3IPPool, vsphereVM } from "#proto";
import {
  actImport,
  actRelease,
  planImport,
  planReleaseOfAddress,
  planReleaseOfClaim,
  readInventory,
  rowsOfCsv,
  rowsOfGuests,
  rowsOfInventory,
} from "../index.ts";
import { metal3ClaimState, metal3Given, metal3PoolDraft, metal3Stage } from "../metal3/testing.ts";
import { claimDraft, given, poolDraft } from "../testing.ts";

const stages: Stage[] = [];
afterEach(async () => {
  for (const open of stages.splice(0)) await open.stop();
});
async function staged() {
  const made = await metal3Stage();
  stages.push(made);
  return made;
}

describe("a table of addresses", () => {
  test.each([
    [
      "by commas, in any order",
      "name,address,cluster\ndb,10.0.0.11,shop\n\n# old\n,10.0.0.12,\n",
      ["line 2 10.0.0.11 db shop", "line 5 10.0.0.12  "],
      [],
    ],
    ["by semicolons, quoted", 'Address;Name\r\n"10.0.0.11";"db"\r\n', ["line 2 10.0.0.11 db "], []],
    ["one column", "address\n10.0.0.11\n", ["line 2 10.0.0.11  "], []],
    [
      "without the column",
      "ip,name\n",
      [],
      ['line 1: the heading must name a column "address"; it names ip, name'],
    ],
    [
      "with a column too many",
      "address,mac\n10.0.0.11,x\n",
      ["line 2 10.0.0.11  "],
      ['line 1: there is no column "mac"; use address, name, cluster'],
    ],
    ["empty", "\n", [], ["there is nothing in it"]],
  ])("%s", (_, text, rows, problems) => {
    const read = rowsOfCsv(text);
    expect(
      read.rows.map(({ from, address, name = "", cluster = "" }) => `${from} ${address} ${name} ${cluster}`),
    ).toEqual(rows);
    expect(read.problems).toEqual(problems);
  });
});

describe("import", () => {
  const rows = (...addresses: string[]) =>
    addresses.map((address, index) => ({ from: `line ${index + 2}`, address }));

  test("makes claims that ask for their addresses, in both kinds of pool; all that cannot be is told", async () => {
    const { store, quiet } = await staged();
    await store.create(inClusterIPPool, poolDraft({ addresses: ["10.0.0.10-10.0.0.20"] }));
    await store.create(
      metal3IPPool,
      metal3PoolDraft({ pools: [{ start: "10.0.1.10", end: "10.0.1.20" }], gateway: "10.0.1.1" }),
    );
    await store.create(ipAddressClaim, claimDraft("a"));
    await quiet();
    const inventory = await readInventory(store);
    const pool = (kind: string) => inventory.pools.find(({ pointer }) => pointer.kind === kind)!;
    const plan = planImport(
      [
        ...rows("10.0.0.15", "10.0.0.10", "10.0.0.1", "10.9.0.1", "router", "10.0.0.15"),
        { from: "line 9", address: "10.0.0.16", name: "Data Base" },
      ],
      pool("InClusterIPPool"),
      inventory,
    );
    expect(plan.create).toEqual([{ name: "imported-10-0-0-15", address: "10.0.0.15", from: "line 2" }]);
    expect(plan.held).toEqual([{ address: "10.0.0.10", by: "c/a" }]);
    expect(plan.refused.map(({ from, why }) => `${from}: ${why}`)).toEqual([
      "line 4: InClusterIPPool c/nodes does not give out 10.0.0.1; add it to the pool first",
      "line 5: InClusterIPPool c/nodes does not give out 10.9.0.1; add it to the pool first",
      'line 6: "router" is not an IP address',
      "line 7: 10.0.0.15 is there twice: line 2 names it too",
      "line 9: \"Data Base\" cannot be a claim's name: lower case letters, digits, '-' and '.'",
    ]);
    expect(await actImport(store, pool("InClusterIPPool"), plan, "c")).toBe(1);
    expect(await actImport(store, pool("InClusterIPPool"), plan, "c")).toBe(0);
    const other = planImport(rows("10.0.1.15"), pool("IPPool"), inventory);
    await actImport(store, pool("IPPool"), other, "c");
    await quiet();
    expect(await given(store)).toEqual(["a 10.0.0.10", "imported-10-0-0-15 10.0.0.15"]);
    expect(await metal3Given(store)).toEqual(["imported-10-0-1-15 10.0.1.15"]);
    expect(await metal3ClaimState(store, "imported-10-0-1-15")).toBe("node-10-0-1-15");
  });

  test("from vCenter's guests only what the pool gives out; from another cluster's objects with their names", async () => {
    const { store, quiet } = await staged();
    await store.create(inClusterIPPool, poolDraft({ addresses: ["10.0.0.10-10.0.0.20"] }));
    await quiet();
    const inventory = await readInventory(store);
    const guests = rowsOfGuests([
      { vm: "db-1", addresses: ["10.0.0.11", "fe80::1", "192.168.0.5"] },
      { vm: "web", addresses: [] },
    ]);
    expect(planImport(guests, inventory.pools[0]!, inventory, { skipOthers: true })).toEqual({
      create: [{ name: "db-1", address: "10.0.0.11", from: "VM db-1" }],
      held: [],
      refused: [],
    });
    const other = await staged();
    await other.store.create(inClusterIPPool, poolDraft({ addresses: ["10.0.0.12"] }));
    await other.store.create(ipAddressClaim, claimDraft("theirs"));
    await other.quiet();
    const moved = planImport(
      rowsOfInventory(await readInventory(other.store)),
      inventory.pools[0]!,
      inventory,
    );
    expect(moved.create).toEqual([{ name: "theirs", address: "10.0.0.12", from: "IPAddress c/theirs" }]);
  });
});

describe("release by hand", () => {
  test("of a claim, of an address, of one whose claim is gone; a machine's or a cluster's only when told so", async () => {
    const { store, quiet, run } = await staged();
    await store.create(inClusterIPPool, poolDraft({ addresses: ["10.0.0.10-10.0.0.20"] }));
    const vm = await store.create(vsphereVM, {
      metadata: { namespace: "c", name: "vm" },
      spec: { template: "t", network: { devices: [] } },
    });
    const owner = {
      apiVersion: "infrastructure.cluster.x-k8s.io/v1beta2",
      kind: "VSphereVM",
      name: "vm",
      uid: vm.metadata.uid,
    };
    const lease = { "jet.pcg.dev/cluster-uid": "6402", "jet.pcg.dev/lease-of": "shop-1" };
    const more: Record<string, object> = { b: { ownerReferences: [owner] }, d: { labels: lease } };
    for (const name of ["a", "b", "c", "d"]) {
      await store.create(ipAddressClaim, claimDraft(name, more[name] ?? {}));
      await quiet();
    }
    const torn = (await store.get(ipAddressClaim, { namespace: "c", name: "c" }))!;
    await store.update(ipAddressClaim, { ...torn, metadata: { ...torn.metadata, finalizers: [] } });
    await store.delete(ipAddressClaim, { namespace: "c", name: "c" });
    const inventory = await readInventory(store);
    const a = planReleaseOfClaim(
      inventory.claims.find(({ key }) => key.name === "a")!,
      inventory,
    );
    expect([a.says, a.doubts]).toEqual([
      "IPAddressClaim c/a is deleted, 10.0.0.10 goes back to InClusterIPPool c/nodes",
      [],
    ]);
    expect(planReleaseOfAddress("10.0.0.11", inventory)?.doubts).toEqual([
      "it belongs to VSphereVM c/vm: deleting that releases it in order",
    ]);
    expect(planReleaseOfAddress("10.0.0.13", inventory)?.doubts).toEqual([
      "it belongs to cluster 6402 (shop-1): deleting that releases it in order",
    ]);
    const orphan = planReleaseOfAddress("10.0.0.12", inventory)!;
    expect(orphan.says).toContain("whose claim is gone, is deleted; 10.0.0.12 goes back");
    expect(planReleaseOfAddress("10.0.0.19", inventory)).toBeUndefined();
    await actRelease(store, a);
    await actRelease(store, orphan);
    await actRelease(store, a); // twice is once
    await run(1_000);
    expect(await given(store)).toEqual(["b 10.0.0.11", "d 10.0.0.13"]);
    expect((await store.list(ipAddress)).items).toHaveLength(2);
  });
});
