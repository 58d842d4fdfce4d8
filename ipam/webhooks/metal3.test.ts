import { describe, expect, test } from "vitest";
import type { Resource } from "#core";
import { memoryStore } from "#core/store/memory-store.ts";
import { fakeClock } from "#core/time/fake-clock.ts";
import type { Metal3IPAddress, Metal3IPClaim, Metal3PoolSpec } from "#proto";
import type { AdmissionRequest } from "./admission.ts";
import { judgeMetal3 } from "./metal3.ts";

const group = "ipam.metal3.io";
const made = (kind: string, spec: object, metadata: object = {}) =>
  ({
    apiVersion: `${group}/v1alpha1`,
    kind,
    metadata: { name: "x", namespace: "c", ...metadata },
    spec,
  }) as unknown as Resource;

/** Fields that are refused; none: it is allowed. */
async function refused(object: Resource, oldObject?: Resource, status?: object): Promise<string[]> {
  const review: AdmissionRequest = {
    uid: "u",
    operation: oldObject ? "UPDATE" : "CREATE",
    kind: { group, version: "v1alpha1", kind: object.kind },
    object,
    ...(oldObject ? { oldObject: { ...oldObject, ...(status ? { status } : {}) } as Resource } : {}),
  };
  const store = memoryStore({ clock: fakeClock() });
  const verdict = await judgeMetal3(store, review);
  await store.close();
  return verdict?.kind === "invalid" ? verdict.problems.map(({ field }) => field) : [];
}

describe("pools", () => {
  type Spec = Partial<Metal3PoolSpec>;
  const pool = (spec: Spec) =>
    made("IPPool", {
      namePrefix: "n",
      allocationStrategy: "sequential",
      pools: [{ start: "10.0.0.1", end: "10.0.0.9" }],
      ...spec,
    });

  test.each<[string, Spec, string[]]>([
    ["good ones", {}, []],
    ["start = end", { pools: [{ start: "10.0.0.1", end: "10.0.0.1" }] }, []],
    ["start = end in two texts", { pools: [{ start: "fd00::1", end: "fd00:0::0001" }] }, []],
    ["start only", { pools: [{ start: "10.0.0.1" }] }, []],
    ["a large IPv6 subnet", { pools: [{ subnet: "fd00::/32" }] }, []],
    ["no entry", { pools: [] }, []],
    [
      "gateways and name servers of both families",
      { gateway: "10.0.0.1", dnsServers: ["fd00::1", "10.0.0.2"] },
      [],
    ],
    [
      "random order of a /64, which Metal3 cannot",
      { allocationStrategy: "random", pools: [{ subnet: "fd00::/64" }] },
      [],
    ],
    [
      "random order without an end, which Metal3 cannot",
      { allocationStrategy: "random", pools: [{ start: "fd00::1" }] },
      [],
    ],
    ["pre-allocated at both ends", { preAllocations: { a: "10.0.0.1", b: "10.0.0.9" } }, []],
    ["an end only", { pools: [{ end: "10.0.0.9" }] }, ["spec.pools[0]"]],
    ["an empty entry", { pools: [{ start: "10.0.0.1" }, {}] }, ["spec.pools[1]"]],
    ["a reversed range", { pools: [{ start: "10.0.0.9", end: "10.0.0.1" }] }, ["spec.pools[0]"]],
    ["a reversed IPv6 range", { pools: [{ start: "fd00::9", end: "fd00::1" }] }, ["spec.pools[0]"]],
    ["a malformed start", { pools: [{ start: "10.0.0.256" }] }, ["spec.pools[0].start"]],
    ["a malformed end", { pools: [{ start: "10.0.0.1", end: "x" }] }, ["spec.pools[0].end"]],
    ["a malformed subnet", { pools: [{ subnet: "10.0.0.0" }] }, ["spec.pools[0].subnet"]],
    ["a malformed gateway", { gateway: "gw" }, ["spec.gateway"]],
    ["a malformed name server", { dnsServers: ["10.0.0.1", "dns"] }, ["spec.dnsServers[1]"]],
    [
      "a malformed gateway of an entry",
      { pools: [{ subnet: "10.0.0.0/24", gateway: "gw" }] },
      ["spec.pools[0].gateway"],
    ],
    [
      "a malformed name server of an entry",
      { pools: [{ subnet: "10.0.0.0/24", dnsServers: ["dns"] }] },
      ["spec.pools[0].dnsServers[0]"],
    ],
    ["a malformed pre-allocation", { preAllocations: { a: "10.0.0" } }, ["spec.preAllocations.a"]],
    ["a pre-allocation outside", { preAllocations: { a: "10.0.0.10" } }, ["spec.preAllocations.a"]],
    ["one address for two", { preAllocations: { a: "10.0.0.5", b: "10.0.0.5" } }, ["spec.preAllocations.b"]],
    [
      "one address for two, in two texts",
      { pools: [{ subnet: "fd00::/64" }], preAllocations: { a: "fd00::5", b: "fd00:0::0005" } },
      ["spec.preAllocations.b"],
    ],
  ])("%s, at creation and at every change", async (_, spec, fields) => {
    expect(await refused(pool(spec))).toEqual(fields);
    const { allocationStrategy = "sequential" } = spec;
    const former = pool({ allocationStrategy, pools: [{ subnet: "10.9.0.0/24" }] });
    expect(await refused(pool(spec), former)).toEqual(fields);
  });

  test.each<[string, Spec, string[]]>([
    ["nothing", {}, []],
    ["more room", { pools: [{ start: "10.0.0.1", end: "10.0.0.99" }] }, []],
    ["less room that holds what is in use", { pools: [{ start: "10.0.0.5", end: "10.0.0.5" }] }, []],
    ["another prefix of names", { namePrefix: "m" }, ["spec.namePrefix"]],
    ["another strategy", { allocationStrategy: "random" }, ["spec.allocationStrategy"]],
    ["less room than is in use", { pools: [{ start: "10.0.0.6", end: "10.0.0.9" }] }, ["spec.pools"]],
  ])("a change of %s", async (_, spec, fields) => {
    expect(await refused(pool(spec), pool({}), { indexes: { a: "10.0.0.5" } })).toEqual(fields);
  });
});

const pool = { name: "m3", namespace: "c", kind: "IPPool" };

describe("claims", () => {
  const claim = (spec: Metal3IPClaim["spec"] = { pool }, annotations?: Record<string, string>) =>
    made("IPClaim", spec, annotations ? { annotations } : {});

  test.each<[string, Resource, string[]]>([
    ["a good one", claim(), []],
    ["one that wants an address", claim({ pool }, { ipAddress: "fd00::5" }), []],
    ["one without a pool", claim({ pool: {} }), ["spec.pool.name"]],
    ["one of an empty name", claim({ pool: { name: "" } }), ["spec.pool.name"]],
    [
      "one that wants a network",
      claim({ pool }, { ipAddress: "10.0.0.5/24" }),
      ["metadata.annotations[ipAddress]"],
    ],
    [
      "one that wants nothing sensible",
      claim({ pool }, { ipAddress: "router" }),
      ["metadata.annotations[ipAddress]"],
    ],
  ])("%s", async (_, object, fields) => expect(await refused(object)).toEqual(fields));

  test.each<[string, Metal3IPClaim["spec"], string[]]>([
    ["nothing", { pool }, []],
    ["the pool", { pool: { ...pool, name: "other" } }, ["spec.pool.name"]],
    ["the pool's namespace", { pool: { ...pool, namespace: "d" } }, ["spec.pool.namespace"]],
    ["the pool's kind", { pool: { ...pool, kind: "Pool" } }, ["spec.pool.kind"]],
  ])("a change of %s", async (_, spec, fields) =>
    expect(await refused(claim(spec), claim())).toEqual(fields),
  );

  test("made before anybody looked go on, and out", async () => {
    const odd = claim({ pool }, { ipAddress: "router" });
    const held = { ...odd, metadata: { ...odd.metadata, finalizers: ["x/y"] } };
    expect(await refused(held, odd)).toEqual([]);
    const leaving = { ...odd, metadata: { ...odd.metadata, deletionTimestamp: "2026-01-01T00:00:00Z" } };
    expect(await refused(leaving, claim())).toEqual([]);
  });
});

describe("addresses", () => {
  type Spec = Metal3IPAddress["spec"];
  const good: Spec = { address: "10.0.0.5", pool, claim: { name: "a", namespace: "c" } };
  const address = (spec: Partial<Spec>, annotations?: Record<string, string>) =>
    made("IPAddress", { ...good, ...spec }, annotations ? { annotations } : {});

  test.each<[string, Resource, string[]]>([
    ["a good one", address({}), []],
    ["without a pool's name", address({ pool: {} }), ["spec.pool.name"]],
    ["without a claim's name", address({ claim: { name: "" } }), ["spec.claim.name"]],
    ["without an address", address({ address: "" }), ["spec.address"]],
    ["of a malformed address", address({ address: "10.0.0.5/24" }), ["spec.address"]],
    [
      "with a malformed annotation",
      address({}, { ipAddress: "10.0.0" }),
      ["metadata.annotations[ipAddress]"],
    ],
  ])("%s", async (_, object, fields) => expect(await refused(object)).toEqual(fields));

  test.each<[string, Partial<Spec>, string[]]>([
    ["nothing that names it", { gateway: "10.0.0.1" }, []],
    ["the address", { address: "10.0.0.6" }, ["spec.address"]],
    ["the pool", { pool: { ...pool, name: "o" } }, ["spec.pool.name"]],
    ["the pool's namespace", { pool: { ...pool, namespace: "d" } }, ["spec.pool.namespace"]],
    ["the claim", { claim: { name: "b", namespace: "d" } }, ["spec.claim.name", "spec.claim.namespace"]],
  ])("a change of %s", async (_, spec, fields) =>
    expect(await refused(address(spec), address({}))).toEqual(fields),
  );
});
