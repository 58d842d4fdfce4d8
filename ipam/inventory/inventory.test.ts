import { afterEach, describe, expect, test } from "vitest";
import type { Draft } from "#core";
import type { Stage } from "#core/controller/testing.ts";
import {
  cluster,
  inClusterIPPool,
  ipAddress,
  ipAddressClaim,
  metal3IPClaim,
  metal3IPPool,
  type Cluster,
  type InClusterIPPool,
} from "#proto";
import { parseAddress } from "../address.ts";
import { metal3ClaimDraft, metal3PoolDraft, metal3Stage } from "../metal3/testing.ts";
import { claimDraft, poolDraft } from "../testing.ts";
import {
  claimViews,
  editLines,
  explainAddress,
  explainClaim,
  knownPool,
  planEdit,
  poolViews,
  readInventory,
  type Explanation,
} from "./index.ts";

const stages: Stage[] = [];
afterEach(async () => {
  for (const open of stages.splice(0)) await open.stop();
});

async function staged() {
  const made = await metal3Stage();
  stages.push(made);
  const { store, quiet } = made;
  const claim = async (...args: Parameters<typeof claimDraft>) => {
    await store.create(ipAddressClaim, claimDraft(...args));
    await quiet();
  };
  const explain = async (name: string) => {
    const inventory = await readInventory(store);
    return text(
      explainClaim(
        inventory.claims.find(({ key }) => key.name === name)!,
        inventory,
        made.clock.now(),
      ),
    );
  };
  return { ...made, claim, explain };
}

function text({ verdict, findings }: Explanation): string {
  return [
    verdict,
    ...findings.map(({ is, text: said, remedy }) => `${is} ${said}${remedy ? ` -> ${remedy}` : ""}`),
  ].join("\n");
}

describe("pools and claims in one view", () => {
  test("of all kinds, counted exactly", async () => {
    const { store, quiet, claim } = await staged();
    await store.create(inClusterIPPool, poolDraft());
    await store.create(
      inClusterIPPool,
      poolDraft({ addresses: ["fd00::/64"], prefix: 64, gateway: "fd00::1" }, "six"),
    );
    await store.create(inClusterIPPool, poolDraft({ addresses: ["10.9.0.x"] }, "broken"));
    await store.create(metal3IPPool, metal3PoolDraft({ preAllocations: { db: "10.0.0.11" } }));
    await store.create(metal3IPClaim, metal3ClaimDraft("m"));
    for (const name of ["a", "b", "c", "d"]) await claim(name);
    await quiet();
    const inventory = await readInventory(store);
    expect(
      poolViews(inventory).map(({ pool, total, free, used, waiting, state }) =>
        [pool.kind, pool.name, total, free, used, waiting, state].join(" "),
      ),
    ).toEqual([
      "InClusterIPPool broken 0 0 0 0 wrong",
      "InClusterIPPool nodes 3 0 3 1 exhausted",
      "InClusterIPPool six 18446744073709551614 18446744073709551614 0 0 ok",
      "IPPool m3 3 2 1 0 ok",
    ]);
    expect(
      claimViews(inventory).map(({ name, state, address, message }) =>
        [name, state, address ?? message].join(" "),
      ),
    ).toEqual([
      "a bound 10.0.0.10",
      "b bound 10.0.0.11",
      "c bound 10.0.0.12",
      expect.stringMatching(/^d waiting .*no free address/),
      "m bound 10.0.0.10",
    ]);
  });
});

describe("explain", () => {
  test("a claim that has its address", async () => {
    const { store, claim, explain } = await staged();
    await store.create(inClusterIPPool, poolDraft());
    await claim("a");
    expect(await explain("a")).toMatch(/^IPAddressClaim c\/a has 10.0.0.10 from InClusterIPPool c\/nodes\n/);
  });

  test("one whose pool is missing names the pools there are", async () => {
    const { store, claim, explain } = await staged();
    await store.create(inClusterIPPool, poolDraft({}, "others"));
    await claim("a");
    expect(await explain("a")).toContain(
      "stop InClusterIPPool c/nodes does not exist -> create it (there are: InClusterIPPool c/others)",
    );
  });

  test("one on an exhausted pool says who holds it all, and how many are before", async () => {
    const { store, clock, claim, explain } = await staged();
    await store.create(cluster, { metadata: { namespace: "c", name: "shop" }, spec: {} } as Draft<Cluster>);
    await store.create(inClusterIPPool, poolDraft());
    for (const name of ["a", "b", "c"])
      await claim(name, { labels: { "cluster.x-k8s.io/cluster-name": "shop" } });
    await claim("d");
    await clock.advance(2_000);
    await claim("e");
    expect(await explain("e")).toContain(
      "stop no address of InClusterIPPool c/nodes is free; 1 claims wait before it; held by cluster shop (3) -> add",
    );
  });

  test("one that finds free addresses set aside for others names those", async () => {
    const { store, claim, explain } = await staged();
    const metadata = { annotations: { "ipam.pcg.dev/set-aside-growth": "c/shop=3" } };
    const draft = poolDraft();
    await store.create(inClusterIPPool, { ...draft, metadata: { ...draft.metadata, ...metadata } });
    await claim("a");
    expect(await explain("a")).toContain(
      "stop all 3 free addresses of InClusterIPPool c/nodes are set aside: 3 for cluster c/shop -> add",
    );
  });

  test.each([
    ["a paused cluster", { paused: true }, /its Cluster c\/shop is paused -> set its spec.paused/],
    ["a missing cluster", undefined, /its Cluster c\/shop does not exist/],
  ])("%s", async (_, spec, expected) => {
    const { store, claim, explain } = await staged();
    await store.create(inClusterIPPool, poolDraft());
    if (spec)
      await store.create(cluster, { metadata: { namespace: "c", name: "shop" }, spec } as Draft<Cluster>);
    await claim("a", { labels: { "cluster.x-k8s.io/cluster-name": "shop" } });
    expect(await explain("a")).toMatch(expected);
  });

  test("one that asks for an address in use", async () => {
    const { store, quiet, explain } = await staged();
    await store.create(metal3IPPool, metal3PoolDraft());
    await store.create(metal3IPClaim, metal3ClaimDraft("a", { ipAddress: "10.0.0.11" }));
    await quiet();
    await store.create(metal3IPClaim, metal3ClaimDraft("b", { ipAddress: "10.0.0.11" }));
    await quiet();
    expect(await explain("b")).toContain("stop 10.0.0.11 is in use by claim c/a -> delete that claim");
  });

  test("another provider's claim", async () => {
    const { claim, explain } = await staged();
    await claim("x", {}, { apiGroup: "ipam.example.com", kind: "InfobloxIPPool" });
    expect(await explain("x")).toContain(
      "InfobloxIPPool.ipam.example.com is not a kind of pool that this IPAM serves",
    );
  });

  test("an address: its holder, its pools, a double", async () => {
    const { store, claim } = await staged();
    await store.create(inClusterIPPool, poolDraft());
    await store.create(inClusterIPPool, poolDraft({ addresses: ["10.0.0.10"] }, "twice"));
    await claim("a");
    await claim("b", {}, { name: "twice" });
    const inventory = await readInventory(store);
    const of = (address: string) => text(explainAddress(parseAddress(address)!, inventory));
    expect(of("10.0.0.10")).toMatch(
      /in use\nok held by claim c\/a.*\nok held by claim c\/b.*twice[\s\S]*stop 2 IPAddresses bear it[\s\S]*stop 2 pools give it out/,
    );
    expect(of("10.0.0.1")).toMatch(/not in use\nnote it is a gateway of InClusterIPPool c\/nodes/);
    expect(of("10.9.0.1")).toBe("10.9.0.1 is in no pool, and nobody holds it");
  });
});

describe("planning a pool's edit", () => {
  test("says what is gained, lost, stranded, served, stale and overlapped", async () => {
    const { store, claim } = await staged();
    const pool = await store.create(inClusterIPPool, poolDraft());
    await store.create(inClusterIPPool, poolDraft({ addresses: ["10.0.0.20-10.0.0.29"] }, "next"));
    for (const name of ["a", "b", "c", "d"]) await claim(name);
    const inventory = await readInventory(store);
    const lines = (spec: Partial<InClusterIPPool["spec"]>) =>
      editLines(
        planEdit(knownPool(inClusterIPPool, { ...pool, spec: { ...pool.spec, ...spec } }), inventory),
      ).join("\n");
    expect(lines({})).toBe(
      "InClusterIPPool c/nodes: nothing changes\n  then 3 addresses, 0 of them free\n".trimEnd(),
    );
    expect(lines({ addresses: ["10.0.0.11-10.0.0.21"], gateway: "10.0.0.2" })).toBe(
      [
        "InClusterIPPool c/nodes: would be refused",
        "  spec.addresses must go on covering the addresses in use: 10.0.0.10",
        "  gives out in addition: 10.0.0.13-10.0.0.21",
        "  no longer gives out: 10.0.0.10",
        "  then 11 addresses, 9 of them free",
        "  serves 1 claim that waits",
        "  in use and no longer covered: 10.0.0.10 (c/a)",
        "  keep their old prefix and gateway until they are given anew: 10.0.0.10, 10.0.0.11, 10.0.0.12",
        "  overlaps InClusterIPPool c/next in 10.0.0.20-10.0.0.21: the same address could be given twice",
      ].join("\n"),
    );
    expect((await store.list(ipAddress)).items).toHaveLength(3); // nothing was done
  });
});
