import { describe, expect, test } from "vitest";
import type { Metal3PoolSpec } from "#proto";
import { formatAddress } from "../address.ts";
import { metal3PoolProblems, metal3Ranges, metal3Total } from "./ranges.ts";

const spec = (given: Partial<Metal3PoolSpec>): Metal3PoolSpec => ({
  namePrefix: "n",
  allocationStrategy: "sequential",
  ...given,
});

/** "low-high low-high | ..." of what each entry gives to anybody. */
function allocatable(given: Partial<Metal3PoolSpec>, withReserved = false): string {
  const meant = metal3Ranges(spec(given), withReserved);
  if (meant.kind === "wrong")
    return meant.problems.map(({ field, message }) => `${field}: ${message}`).join("; ");
  return meant.ranges
    .map(({ family, allocatable: set }) =>
      set
        .map(({ low, high }) => [low, high].map((value) => formatAddress({ family, value })).join("-"))
        .join(" "),
    )
    .join(" | ");
}

describe("what a pool may give out", () => {
  test.each<[string, Partial<Metal3PoolSpec>, string]>([
    ["a range", { pools: [{ start: "10.0.0.10", end: "10.0.0.20" }] }, "10.0.0.10-10.0.0.20"],
    ["start = end", { pools: [{ start: "10.0.0.10", end: "10.0.0.10" }] }, "10.0.0.10-10.0.0.10"],
    [
      "a subnet without its network and broadcast",
      { pools: [{ subnet: "10.3.0.0/28" }] },
      "10.3.0.1-10.3.0.14",
    ],
    ["a subnet from its host bits on", { pools: [{ subnet: "10.3.0.4/28" }] }, "10.3.0.5-10.3.0.14"],
    [
      "a subnet without its gateway",
      { pools: [{ subnet: "10.3.0.0/29", gateway: "10.3.0.1" }] },
      "10.3.0.2-10.3.0.6",
    ],
    [
      "every gateway of the pool is withheld",
      { gateway: "10.0.0.12", pools: [{ start: "10.0.0.10", end: "10.0.0.14", gateway: "10.0.0.11" }] },
      "10.0.0.10-10.0.0.10 10.0.0.13-10.0.0.14",
    ],
    [
      "a range over a network's ends",
      { prefix: 24, pools: [{ start: "10.0.0.0", end: "10.0.0.255" }] },
      "10.0.0.1-10.0.0.254",
    ],
    ["start and subnet", { pools: [{ start: "10.3.0.5", subnet: "10.3.0.0/28" }] }, "10.3.0.5-10.3.0.14"],
    [
      "start only ends with its network",
      { prefix: 28, pools: [{ start: "10.3.0.5" }] },
      "10.3.0.5-10.3.0.14",
    ],
    [
      "networks of one and two use all",
      { pools: [{ subnet: "10.3.0.0/32" }, { start: "10.4.0.0", end: "10.4.0.1", prefix: 31 }] },
      "10.3.0.0-10.3.0.0 | 10.4.0.0-10.4.0.1",
    ],
    ["IPv6 has no broadcast", { pools: [{ subnet: "fd00::/126" }] }, "fd00::1-fd00::3"],
    [
      "both families in one pool",
      { pools: [{ subnet: "10.3.0.0/30" }, { subnet: "fd00::/127" }] },
      "10.3.0.1-10.3.0.2 | fd00::1-fd00::1",
    ],
    [
      "kept addresses are for their claims only",
      { preAllocations: { a: "10.3.0.2" }, pools: [{ subnet: "10.3.0.0/29" }] },
      "10.3.0.1-10.3.0.1 10.3.0.3-10.3.0.6",
    ],
    [
      "a reversed range",
      { pools: [{ start: "10.0.0.9", end: "10.0.0.1" }] },
      "spec.pools[0]: end 10.0.0.1 is before start 10.0.0.9",
    ],
    [
      "an empty entry",
      { pools: [{ prefix: 24 }] },
      "spec.pools[0]: must have a subnet, or a start and an end",
    ],
    [
      "an end only",
      { pools: [{ end: "10.0.0.9" }] },
      "spec.pools[0]: has an end, but neither start nor subnet",
    ],
    [
      "a start outside of the subnet",
      { pools: [{ start: "10.4.0.1", end: "10.4.0.2", subnet: "10.3.0.0/24" }] },
      "spec.pools[0]: start and end must lie in the subnet 10.3.0.0/24",
    ],
    [
      "two families in one entry",
      { pools: [{ start: "10.4.0.1", end: "fd00::1" }] },
      "spec.pools[0]: mixes IP families",
    ],
    [
      "a prefix that cannot be",
      { pools: [{ subnet: "10.0.0.0/24", prefix: 64 }] },
      "spec.pools[0].prefix: must be from 0 to 32 for IPv4",
    ],
    [
      "bad texts, all named",
      { gateway: "gw", dnsServers: ["dns"], pools: [{ subnet: "10.0.0.0/24", gateway: "10.0.0.256" }] },
      'spec.gateway: "gw" is not a valid IP address; spec.dnsServers[0]: "dns" is not a valid IP address; spec.pools[0].gateway: "10.0.0.256" is not a valid IP address',
    ],
    [
      "one address kept for two, in two texts",
      { pools: [{ subnet: "fd00::/64" }], preAllocations: { a: "fd00::5", b: "fd00:0::5" } },
      "spec.preAllocations.b: fd00::5 is already pre-allocated to claim a",
    ],
    [
      "a kept address outside",
      { pools: [{ subnet: "10.0.0.0/24" }], preAllocations: { a: "10.1.0.5" } },
      "spec.preAllocations.a: 10.1.0.5 is out of bounds of the pools given",
    ],
  ])("%s", (_, given, expected) => expect(allocatable(given)).toBe(expected));

  test("with reserved ones, as Metal3 does; the gateway never", () => {
    expect(
      allocatable(
        { gateway: "10.3.0.1", pools: [{ start: "10.3.0.0", end: "10.3.0.7", subnet: "10.3.0.0/29" }] },
        true,
      ),
    ).toBe("10.3.0.0-10.3.0.0 10.3.0.2-10.3.0.7");
  });

  test("a /64 counts exactly, overlapping entries once, kept ones too", () => {
    const total = (given: Partial<Metal3PoolSpec>) => {
      const meant = metal3Ranges(spec(given));
      return meant.kind === "ranges" ? metal3Total(meant) : -1n;
    };
    expect(total({ pools: [{ subnet: "fd00::/64" }] })).toBe(2n ** 64n - 1n);
    expect(
      total({
        pools: [
          { start: "10.0.0.1", end: "10.0.0.9" },
          { start: "10.0.0.5", end: "10.0.0.12" },
        ],
        preAllocations: { a: "10.0.0.5" },
      }),
    ).toBe(12n);
  });
});

describe("what admission refuses", () => {
  test("changes of what addresses are named by, and losing addresses in use", () => {
    const former = spec({ pools: [{ start: "10.0.0.10", end: "10.0.0.20" }] });
    const fields = (next: Partial<Metal3PoolSpec>) =>
      metal3PoolProblems({ ...former, ...next }, former, ["10.0.0.15"]).map(({ field }) => field);
    expect(fields({})).toEqual([]);
    expect(fields({ namePrefix: "m" })).toEqual(["spec.namePrefix"]);
    expect(fields({ allocationStrategy: "random" })).toEqual(["spec.allocationStrategy"]);
    expect(fields({ pools: [{ start: "10.0.0.16", end: "10.0.0.20" }] })).toEqual(["spec.pools"]);
  });
});
