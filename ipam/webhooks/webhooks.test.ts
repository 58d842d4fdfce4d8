import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Resource } from "#core";
import type { InClusterIPPool, InClusterPrefixPool, PoolSpec, PrefixPoolSpec } from "#proto";
import { judgePool, reviewOf, skipDeleteAnnotation, type AdmissionRequest } from "./admission.ts";
import { convert, conversionAnnotation, downgrade, upgrade, type OldPoolSpec } from "./conversion.ts";

const meta = { name: "p", namespace: "c" } as Resource["metadata"];
const pool = (spec: Partial<PoolSpec>, annotations?: Record<string, string>): InClusterIPPool => ({
  apiVersion: "ipam.cluster.x-k8s.io/v1alpha2",
  kind: "InClusterIPPool",
  metadata: { ...meta, ...(annotations ? { annotations } : {}) },
  spec: { addresses: ["10.0.0.10-10.0.0.20"], prefix: 24, ...spec },
});
const prefixes = (spec: Partial<PrefixPoolSpec>): InClusterPrefixPool => ({
  apiVersion: "ipam.cluster.x-k8s.io/v1alpha2",
  kind: "InClusterPrefixPool",
  metadata: meta,
  spec: { prefixes: ["2001:db8::/48"], allocationPrefixLength: 64, ...spec },
});

describe("pools are refused, at creation and at every change, for", () => {
  const table: [string, Partial<PoolSpec>, string][] = [
    ["no addresses", { addresses: [] }, "spec.addresses"],
    ["a gateway that is none", { gateway: "router" }, "spec.gateway"],
    ["an entry of another subnet", { addresses: ["10.0.0.3", "10.0.1.3"] }, "spec.addresses[1]"],
    ["an entry that is nothing", { addresses: ["garbage"] }, "spec.addresses[0]"],
    ["a negative prefix", { prefix: -1 }, "spec.prefix"],
    ["a prefix of 9999", { prefix: 9999 }, "spec.prefix"],
    ["/33", { prefix: 33 }, "spec.prefix"],
    ["a reversed range", { addresses: ["10.0.0.20-10.0.0.10"] }, "spec.addresses[0]"],
    ["a network of /33", { addresses: ["10.0.0.0/33"] }, "spec.addresses[0]"],
    [
      "a range below the subnet",
      { addresses: ["10.0.1.10-10.0.1.20", "10.0.0.3-10.0.0.9"] },
      "spec.addresses[0]",
    ],
    ["a range above it", { addresses: ["10.0.0.10", "10.0.1.3-10.0.1.9"] }, "spec.addresses[1]"],
    [
      "a range that starts below it",
      { addresses: ["10.0.0.250-10.0.1.9", "10.0.1.10"] },
      "spec.addresses[0]",
    ],
    ["a network below it", { addresses: ["10.0.1.0/25", "10.0.0.0/25"] }, "spec.addresses[0]"],
    ["a network above it", { addresses: ["10.0.0.0/25", "10.0.1.0/25"] }, "spec.addresses[1]"],
    ["a network that starts below it", { addresses: ["10.0.0.0/23", "10.0.1.5"] }, "spec.addresses[0]"],
    ["a network that ends above it", { addresses: ["10.0.0.0/16"] }, "spec.addresses[0]"],
    ["a range that ends outside", { addresses: ["10.0.0.250-10.0.1.5"] }, "spec.addresses[0]"],
    ["leading zeros", { addresses: ["10.0.0.010"] }, "spec.addresses[0]"],
    ["spaces around the dash", { addresses: ["10.0.0.10 - 10.0.0.20"] }, "spec.addresses[0]"],
    ["a gateway of the other family", { gateway: "fd00::1" }, "spec.gateway"],
    [
      "an IPv4 gateway of IPv6 addresses",
      { addresses: ["fd00::1"], prefix: 64, gateway: "10.0.0.1" },
      "spec.gateway",
    ],
    ["an IPv4 prefix of 128", { prefix: 128 }, "spec.prefix"],
    ["an IPv6 prefix of 129", { addresses: ["fd00::1"], prefix: 129 }, "spec.prefix"],
    [
      "exclusions of both families",
      { excludedAddresses: ["10.0.0.12", "fd00::1"] },
      "spec.excludedAddresses",
    ],
    ["an exclusion that is nothing", { excludedAddresses: ["10.0.0.12-"] }, "spec.excludedAddresses[0]"],
    ["addresses of both families", { addresses: ["10.0.0.10", "fd00::1"] }, "spec.addresses"],
    ["exclusions of the other family", { excludedAddresses: ["fd00::1"] }, "spec.excludedAddresses"],
    [
      "a negative grace period",
      { addressReuseGracePeriodSeconds: -1 },
      "spec.addressReuseGracePeriodSeconds",
    ],
  ];
  test.each(table)("%s", (_name, spec, field) => {
    for (const operation of ["CREATE", "UPDATE"] as const) {
      const verdict = judgePool(operation, pool(spec), pool({}), []);
      expect(verdict.kind === "invalid" ? verdict.problems.map((each) => each.field) : verdict).toContain(
        field,
      );
    }
    expect(judgePool("DELETE", pool(spec), undefined, []).kind).toBe("allowed");
  });

  const ofPrefixes: [string, Partial<PrefixPoolSpec>, string][] = [
    ["no prefixes", { prefixes: [] }, "spec.prefixes"],
    ["an address instead of a network", { prefixes: ["2001:db8::1"] }, "spec.prefixes[0]"],
    ["host bits", { prefixes: ["2001:db8::1/48"] }, "spec.prefixes[0]"],
    ["IPv4", { prefixes: ["10.0.0.0/8"] }, "spec.prefixes[0]"],
    ["a network smaller than its parts", { prefixes: ["2001:db8::/80"] }, "spec.prefixes[0]"],
    ["a length of 0", { allocationPrefixLength: 0 }, "spec.allocationPrefixLength"],
    ["a length of 129", { allocationPrefixLength: 129 }, "spec.allocationPrefixLength"],
    ["an IPv4 gateway", { gateway: "10.0.0.1" }, "spec.gateway"],
    ["an IPv4 exclusion", { excludedPrefixes: ["10.0.0.0/8"] }, "spec.excludedPrefixes[0]"],
  ];
  test.each(ofPrefixes)("%s", (_name, spec, field) => {
    for (const operation of ["CREATE", "UPDATE"] as const) {
      const verdict = judgePool(operation, prefixes(spec), prefixes({}), []);
      expect(verdict.kind === "invalid" ? verdict.problems.map((each) => each.field) : verdict).toContain(
        field,
      );
    }
    expect(judgePool("DELETE", prefixes(spec), undefined, []).kind).toBe("allowed");
  });
});

describe("pools are taken", () => {
  test.each<[string, InClusterIPPool | InClusterPrefixPool]>([
    ["of prefix 0", pool({ prefix: 0 })],
    ["of prefix 32", pool({ addresses: ["10.0.0.10"], prefix: 32 })],
    ["of IPv6 prefix 128", pool({ addresses: ["fd00::1"], prefix: 128 })],
    ["with exclusions elsewhere", pool({ excludedAddresses: ["10.9.0.0/16"] })],
    ["with a gateway elsewhere", pool({ gateway: "10.9.0.1" })],
    ["of disjoint prefixes", prefixes({ prefixes: ["2001:db8::/48", "fd00::/56"] })],
    ["of prefixes of /56", prefixes({ allocationPrefixLength: 56 })],
    ["of prefixes of /64, just one", prefixes({ prefixes: ["2001:db8::/64"] })],
    ["of prefixes of /96", prefixes({ allocationPrefixLength: 96 })],
    ["of prefixes of /128", prefixes({ allocationPrefixLength: 128 })],
    [
      "of prefixes with exclusions in all forms",
      prefixes({ excludedPrefixes: ["fd00::1", "fd00::/64", "fd00::1-fd00::2"] }),
    ],
  ])("%s", (_name, object) => {
    expect(judgePool("CREATE", object, undefined, []).kind).toBe("allowed");
    expect(judgePool("UPDATE", object, object, []).kind).toBe("allowed");
  });
});

test("a prefix's length is for ever", () => {
  expect(judgePool("UPDATE", prefixes({ allocationPrefixLength: 56 }), prefixes({}), [])).toMatchObject({
    kind: "invalid",
    problems: [{ field: "spec.allocationPrefixLength" }],
  });
});

test.each<[string, Partial<PrefixPoolSpec>, string[]]>([
  ["nothing", {}, []],
  ["single addresses", { allocationPrefixLength: 128 }, ["allocationPrefixLength is 128"]],
  ["a gateway that may be given out", { gateway: "2001:db8::1" }, ["gateway 2001:db8::1 lies in a prefix"]],
  ["a gateway whose prefix is excluded", { gateway: "2001:db8::1", excludedPrefixes: ["2001:db8::/64"] }, []],
  ["a gateway elsewhere", { gateway: "fe80::1" }, []],
  [
    "both",
    { allocationPrefixLength: 128, gateway: "2001:db8::1" },
    ["allocationPrefixLength is 128", "gateway 2001:db8::1 lies in a prefix"],
  ],
])("warnings of a prefix pool: %s, at creation and at every change", (_name, spec, want) => {
  const old = prefixes({ ...spec, prefixes: ["2001:db8::/49"] });
  for (const verdict of [
    judgePool("CREATE", prefixes(spec), undefined, []),
    judgePool("UPDATE", prefixes(spec), old, []),
  ]) {
    expect(verdict.kind).toBe("allowed");
    expect(verdict.warnings).toEqual(want.map((text) => expect.stringContaining(text) as string));
  }
});

describe("what is in use", () => {
  const inUse = ["10.0.0.12"];
  test.each([
    ["removed", { addresses: ["10.0.0.13-10.0.0.20"] }],
    ["excluded", { excludedAddresses: ["10.0.0.12"] }],
    ["made the gateway", { gateway: "10.0.0.12" }],
  ])("may not be %s", (_how, spec: Partial<PoolSpec>) => {
    const verdict = judgePool("UPDATE", pool(spec), pool({}), inUse);
    expect(verdict.kind === "in use" && verdict.message).toContain(
      "pool addresses do not contain allocated addresses: 10.0.0.12; to empty a range first",
    );
  });
  test("may not be withheld as reserved again", () => {
    const all = pool({ addresses: ["10.0.0.0/24"], allocateReservedIPAddresses: true });
    const fewer = pool({ addresses: ["10.0.0.0/24"] });
    for (const reserved of ["10.0.0.0", "10.0.0.255"])
      expect(judgePool("UPDATE", fewer, all, [reserved]).kind).toBe("in use");
    expect(judgePool("UPDATE", fewer, all, inUse).kind).toBe("allowed");
  });
  test("does not hinder harmless changes, nor finalizers of a pool that could not be made today", () => {
    expect(judgePool("UPDATE", pool({ addresses: ["10.0.0.0/24"] }), pool({}), inUse).kind).toBe("allowed");
    const old = pool({ addresses: ["10.0.0.50"] });
    const same = { ...old, metadata: { ...old.metadata, finalizers: ["x"] } };
    expect(judgePool("UPDATE", same, old, inUse).kind).toBe("allowed");
  });
  test("keeps a pool from being deleted, unless a move says so", () => {
    expect(judgePool("DELETE", pool({}), pool({}), inUse)).toMatchObject({ kind: "in use" });
    expect(judgePool("DELETE", pool({}), pool({}), []).kind).toBe("allowed");
    const moved = pool({}, { [skipDeleteAnnotation]: "" });
    expect(judgePool("DELETE", moved, moved, inUse).kind).toBe("allowed");
    const whole = prefixes({});
    expect(judgePool("DELETE", whole, whole, ["2001:db8::"]).kind).toBe("in use");
    expect(judgePool("DELETE", whole, whole, []).kind).toBe("allowed");
    const movedWhole = { ...whole, metadata: { ...meta, annotations: { [skipDeleteAnnotation]: "" } } };
    expect(judgePool("DELETE", movedWhole, movedWhole, ["2001:db8::"]).kind).toBe("allowed");
  });
  test("of a prefix pool stays allocatable", () => {
    const shrunk = prefixes({ prefixes: ["2001:db8:0:8000::/49"] });
    expect(judgePool("UPDATE", shrunk, prefixes({}), ["2001:db8::"])).toMatchObject({
      kind: "in use",
      message: expect.stringContaining("existing allocations become non-allocatable: 2001:db8::") as string,
    });
    const without = prefixes({ excludedPrefixes: ["2001:db8:0:1::5"] });
    expect(judgePool("UPDATE", without, prefixes({}), ["2001:db8:0:1::"]).kind).toBe("in use");
    expect(judgePool("UPDATE", without, prefixes({}), ["2001:db8:0:2::"]).kind).toBe("allowed");
    const more = prefixes({ prefixes: ["2001:db8::/48", "fd00::/48"], gateway: "fe80::1" });
    expect(judgePool("UPDATE", more, prefixes({}), ["2001:db8:0:1::"]).kind).toBe("allowed");
  });
});

test("annotations of ours are judged as well, and a look-alike field is warned of", () => {
  const odd = pool({}, { "ipam.pcg.dev/strategy": "fastest", "ipam.pcg.dev/quarantine": "soon" });
  const verdict = judgePool("CREATE", odd, undefined, []);
  expect(verdict.kind === "invalid" && verdict.problems.map(({ field }) => field)).toEqual([
    "metadata.annotations[ipam.pcg.dev/strategy]",
    "metadata.annotations[ipam.pcg.dev/quarantine]",
  ]);
  const misspelt = pool({ excludeAddresses: ["10.0.0.12"] } as Partial<PoolSpec>);
  expect(judgePool("CREATE", misspelt, undefined, []).warnings[0]).toContain("excludedAddresses");
});

test("a refusal is a 422 with every mistake, or a 400 for what is in use", () => {
  const request: AdmissionRequest = {
    uid: "u",
    operation: "CREATE",
    kind: { group: "ipam.cluster.x-k8s.io", version: "v1alpha2", kind: "InClusterIPPool" },
    name: "p",
  };
  const invalid = judgePool("CREATE", pool({ addresses: [], gateway: "x" }), undefined, []);
  expect(reviewOf(request, invalid)).toMatchObject({
    response: {
      uid: "u",
      allowed: false,
      status: { code: 422, reason: "Invalid", details: { causes: [{}, {}] } },
    },
  });
  expect(reviewOf(request, judgePool("DELETE", pool({}), pool({}), ["10.0.0.12"]))).toMatchObject({
    response: { allowed: false, status: { code: 400 } },
  });
});

describe("v1alpha1", () => {
  const old = (spec: OldPoolSpec) =>
    ({
      apiVersion: "ipam.cluster.x-k8s.io/v1alpha1",
      kind: "InClusterIPPool",
      metadata: meta,
      spec,
    }) as Resource;
  const newSpec = (object: Resource) => (upgrade(object) as InClusterIPPool).spec;
  test.each<[string, OldPoolSpec, PoolSpec]>([
    [
      "start, end, prefix",
      { start: "10.0.0.10", end: "10.0.0.20", prefix: 24, gateway: "10.0.0.1" },
      { addresses: ["10.0.0.10-10.0.0.20"], prefix: 24, gateway: "10.0.0.1" },
    ],
    ["addresses only", { addresses: ["10.0.0.7"], prefix: 24 }, { addresses: ["10.0.0.7"], prefix: 24 }],
    [
      "a subnet gives prefix, start and end",
      { subnet: "10.0.0.0/24" },
      { addresses: ["10.0.0.1-10.0.0.254"], prefix: 24 },
    ],
    [
      "a subnet and a start",
      { subnet: "10.0.0.0/24", start: "10.0.0.100" },
      { addresses: ["10.0.0.100-10.0.0.254"], prefix: 24 },
    ],
  ])("becomes v1alpha2: %s", (_name, spec, want) => {
    expect(newSpec(old(spec))).toEqual(want);
    expect((downgrade(upgrade(old(spec))) as { spec?: unknown }).spec).toEqual(spec);
  });

  test("whoever edits the older version loses nothing of the newer", () => {
    const spec = { excludedAddresses: ["10.0.0.12"], allocateReservedIPAddresses: true };
    const seen = downgrade(pool(spec, { mine: "yes" })) as Resource & { spec: OldPoolSpec };
    expect(seen.spec).toEqual({ addresses: ["10.0.0.10-10.0.0.20"], prefix: 24 });
    const edited = upgrade({ ...seen, spec: { ...seen.spec, prefix: 23 } } as Resource) as InClusterIPPool;
    expect(edited.spec).toEqual({ ...pool(spec).spec, prefix: 23 });
    expect(edited.metadata.annotations).toEqual({ mine: "yes" });
  });

  const kinds = fc.constantFrom("InClusterIPPool", "GlobalInClusterIPPool");
  const annotations = fc.option(fc.constant({ mine: "yes" }), { nil: undefined });
  const at = fc.integer({ min: 1, max: 254 }).map((last) => `10.0.0.${last}`);
  const lists = fc.array(fc.oneof(at, fc.constantFrom("10.0.0.0/27", "10.0.0.9-10.0.0.12")), {
    minLength: 1,
  });
  const made = (version: string, kind: string, spec: unknown, annotated?: Record<string, string>) =>
    ({
      apiVersion: `ipam.cluster.x-k8s.io/${version}`,
      kind,
      metadata: { ...meta, ...(annotated ? { annotations: annotated } : {}) },
      spec,
    }) as unknown as Resource;

  test("there and back is the same, from the newer version", () => {
    const specs = fc.record(
      {
        addresses: lists,
        prefix: fc.integer({ min: 0, max: 32 }),
        gateway: at,
        allocateReservedIPAddresses: fc.boolean(),
        excludedAddresses: lists,
        addressReuseGracePeriodSeconds: fc.nat(),
      },
      { requiredKeys: ["addresses", "prefix"] },
    );
    fc.assert(
      fc.property(kinds, specs, annotations, (kind, spec, annotated) => {
        const object = made("v1alpha2", kind, spec, annotated);
        expect(upgrade(downgrade(object))).toEqual(object);
      }),
    );
  });

  test("there and back is the same, from the older version", () => {
    const specs = fc.oneof(
      fc.record(
        { addresses: lists, prefix: fc.integer({ min: 1, max: 32 }), gateway: at },
        { requiredKeys: ["addresses", "prefix"] },
      ),
      fc.record(
        { start: at, end: at, prefix: fc.constant(24), gateway: at },
        { requiredKeys: ["start", "end", "prefix"] },
      ),
      fc.record(
        { subnet: fc.constant("10.0.0.0/24"), start: at, end: at, addresses: lists, gateway: at },
        { requiredKeys: ["subnet"] },
      ),
    );
    fc.assert(
      fc.property(kinds, specs, annotations, (kind, spec, annotated) => {
        const object = made("v1alpha1", kind, spec, annotated);
        expect(downgrade(upgrade(object))).toEqual(object);
      }),
    );
  });

  test("words that no longer say the same are not brought back", () => {
    const up = upgrade(old({ subnet: "10.0.0.0/24" })) as InClusterIPPool;
    const changed = { ...up, spec: { ...up.spec, addresses: ["10.0.0.9"] } };
    expect((downgrade(changed) as { spec?: unknown }).spec).toEqual({ addresses: ["10.0.0.9"], prefix: 24 });
    expect(downgrade(changed).metadata.annotations?.[conversionAnnotation]).toBeUndefined();
  });

  test("a review is answered in whole, or fails in whole", () => {
    const request = {
      uid: "u",
      desiredAPIVersion: "ipam.cluster.x-k8s.io/v1alpha2",
      objects: [old({ prefix: 24 })],
    };
    expect(convert({ request })).toMatchObject({
      response: { uid: "u", result: { status: "Success" }, convertedObjects: [{ kind: "InClusterIPPool" }] },
    });
    const other = { ...request, desiredAPIVersion: "ipam.cluster.x-k8s.io/v9" };
    expect(convert({ request: other })).toMatchObject({ response: { result: { status: "Failure" } } });
  });
});
