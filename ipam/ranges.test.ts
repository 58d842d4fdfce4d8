import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { PoolSpec } from "#proto";
import { formatAddress, parseAddress } from "./address.ts";
import { sizeOf } from "./allocator/intervals.ts";
import { digitsOf } from "./reservation.ts";
import { parseEntry, poolProblems, poolRanges } from "./ranges.ts";

/** The allocatable set as text: "10.0.0.2", "10.0.0.4-10.0.0.6"; or the fields of the mistakes. */
function allocatable(spec: PoolSpec): string[] {
  const ranges = poolRanges(spec);
  if (ranges.kind === "wrong") return ranges.problems.map(({ field }) => `! ${field}`);
  const text = (value: bigint) => formatAddress({ family: ranges.family, value });
  return ranges.allocatable.map(({ low, high }) => (low === high ? text(low) : `${text(low)}-${text(high)}`));
}

describe("which addresses a pool may give out", () => {
  const table: [string, PoolSpec, string[]][] = [
    ["one address that is network and broadcast at once", { addresses: ["10.0.0.5"], prefix: 32 }, []],
    ["a /31 (RFC 3021 is not honoured upstream)", { addresses: ["10.0.0.4/31"], prefix: 31 }, []],
    ["a /30 with a gateway", { addresses: ["10.0.0.0/30"], prefix: 30, gateway: "10.0.0.1" }, ["10.0.0.2"]],
    ["one IPv6 address alone in its subnet", { addresses: ["fd00::5"], prefix: 128 }, []],
    ["an IPv6 /127", { addresses: ["fd00::/127"], prefix: 127 }, ["fd00::1"]],
    [
      "an IPv6 /64 with a gateway: no broadcast there",
      { addresses: ["fd00::/64"], prefix: 64, gateway: "fd00::1" },
      ["fd00::2-fd00::ffff:ffff:ffff:ffff"],
    ],
    [
      "host bits in a network are ignored",
      { addresses: ["10.0.0.7/24"], prefix: 24 },
      ["10.0.0.1-10.0.0.254"],
    ],
    [
      "two networks in one subnet merge",
      { addresses: ["10.0.1.0/24", "10.0.0.0/24"], prefix: 23 },
      ["10.0.0.1-10.0.1.254"],
    ],
    ["an IPv4-mapped address is IPv6", { addresses: ["::ffff:10.0.0.5"], prefix: 64 }, ["::ffff:10.0.0.5"]],
    ["a zone is dropped", { addresses: ["fe80::1%eth0"], prefix: 64 }, ["fe80::1"]],
    [
      "spaces, leading zeros",
      { addresses: ["10.0.0.10 - 10.0.0.20", "10.0.0.010"], prefix: 24 },
      ["! spec.addresses[0]", "! spec.addresses[1]"],
    ],
    [
      "exclusions in all three forms",
      {
        addresses: ["10.0.0.0/27"],
        prefix: 24,
        gateway: "10.0.0.1",
        excludedAddresses: ["10.0.0.3", "10.0.0.8/30", "10.0.0.20-10.0.0.30"],
      },
      ["10.0.0.2", "10.0.0.4-10.0.0.7", "10.0.0.12-10.0.0.19", "10.0.0.31"],
    ],
    [
      "reserved addresses on demand, though never the gateway",
      { addresses: ["10.0.0.0/30"], prefix: 30, gateway: "10.0.0.1", allocateReservedIPAddresses: true },
      ["10.0.0.0", "10.0.0.2-10.0.0.3"],
    ],
    [
      "the order of the list does not matter, overlaps count once",
      { addresses: ["10.0.0.9", "10.0.0.2-10.0.0.5", "10.0.0.4-10.0.0.6"], prefix: 24 },
      ["10.0.0.2-10.0.0.6", "10.0.0.9"],
    ],
    [
      "nothing but what is reserved",
      { addresses: ["10.0.0.0", "10.0.0.255", "10.0.0.1"], prefix: 24, gateway: "10.0.0.1" },
      [],
    ],
    [
      "a network, a broadcast and a gateway within",
      { addresses: ["10.0.0.0-10.0.0.255"], prefix: 24, gateway: "10.0.0.128" },
      ["10.0.0.1-10.0.0.127", "10.0.0.129-10.0.0.254"],
    ],
    [
      "IPv6: the first address is withheld, the last is not, exclusions in all three forms",
      {
        addresses: ["fd00::/122"],
        prefix: 122,
        gateway: "fd00::1",
        excludedAddresses: ["fd00::3", "fd00::8/126", "fd00::14-fd00::3e"],
      },
      ["fd00::2", "fd00::4-fd00::7", "fd00::c-fd00::13", "fd00::3f"],
    ],
    [
      "IPv6: reserved addresses on demand, though never the gateway",
      { addresses: ["fd00::/126"], prefix: 126, gateway: "fd00::1", allocateReservedIPAddresses: true },
      ["fd00::", "fd00::2-fd00::3"],
    ],
    [
      "all forms at once, which touch and overlap",
      { addresses: ["10.0.0.2", "10.0.0.3-10.0.0.9", "10.0.0.8/29", "10.0.0.32/30"], prefix: 24 },
      ["10.0.0.2-10.0.0.15", "10.0.0.32-10.0.0.35"],
    ],
    [
      "exclusions over the last address, out of order and over one another",
      {
        addresses: ["10.0.0.10-10.0.0.20"],
        prefix: 24,
        excludedAddresses: ["10.0.0.19-10.0.0.30", "10.0.0.12", "10.0.0.18-10.0.0.20", "10.0.0.10"],
      },
      ["10.0.0.11", "10.0.0.13-10.0.0.17"],
    ],
    [
      "a very large exclusion",
      {
        addresses: ["fd00::/64"],
        prefix: 64,
        excludedAddresses: ["fd00::/65", "fd00::8000:0:0:1-fd00::ffff:ffff:ffff:fffe"],
      },
      ["fd00::8000:0:0:0", "fd00::ffff:ffff:ffff:ffff"],
    ],
    [
      "a range's end is the last, leading zeros in IPv6 mean nothing",
      { addresses: ["fd00:0000:0::0010-fd00::00ff"], prefix: 64 },
      ["fd00::10-fd00::ff"],
    ],
    [
      "an exclusion elsewhere takes nothing",
      { addresses: ["10.0.0.5"], prefix: 24, excludedAddresses: ["10.9.0.0/16"] },
      ["10.0.0.5"],
    ],
    ["prefix 0 is allowed", { addresses: ["10.0.0.1-10.0.0.2"], prefix: 0 }, ["10.0.0.1-10.0.0.2"]],
    [
      "an entry of another subnet is served, though admission refuses it",
      { addresses: ["10.0.0.10", "10.0.1.10"], prefix: 24 },
      ["10.0.0.10", "10.0.1.10"],
    ],
    [
      "the pool of the golden objects",
      {
        addresses: ["10.1.0.10-10.1.0.60", "10.1.0.100/30"],
        excludedAddresses: ["10.1.0.12"],
        gateway: "10.1.0.1",
        prefix: 24,
      },
      ["10.1.0.10-10.1.0.11", "10.1.0.13-10.1.0.60", "10.1.0.100-10.1.0.103"],
    ],
  ];
  test.each(table)("%s", (_name, spec, want) => expect(allocatable(spec)).toEqual(want));
});

describe("what admission refuses", () => {
  const good: PoolSpec = { addresses: ["10.0.0.10-10.0.0.20"], prefix: 24, gateway: "10.0.0.1" };
  const table: [string, Partial<PoolSpec>, string[]][] = [
    ["nothing of a good pool", {}, []],
    ["no addresses", { addresses: [] }, ["spec.addresses"]],
    ["garbage", { addresses: ["10.0.0.10", "edge"] }, ["spec.addresses[1]"]],
    ["a reversed range", { addresses: ["10.0.0.20-10.0.0.10"] }, ["spec.addresses[0]"]],
    ["a /33", { addresses: ["10.0.0.0/33"] }, ["spec.addresses[0]"]],
    ["a range over two families", { addresses: ["10.0.0.1-fd00::1"] }, ["spec.addresses[0]"]],
    ["two families", { addresses: ["10.0.0.10", "fd00::1"] }, ["spec.addresses"]],
    ["a gateway that is none", { gateway: "router" }, ["spec.gateway"]],
    ["a gateway of the other family", { gateway: "fd00::1" }, ["spec.gateway"]],
    ["exclusions of the other family", { excludedAddresses: ["fd00::1"] }, ["spec.excludedAddresses"]],
    ["a prefix that IPv4 does not have", { prefix: 33 }, ["spec.prefix"]],
    ["an entry of another subnet", { addresses: ["10.0.0.10", "10.0.1.10"] }, ["spec.addresses[1]"]],
    ["several mistakes at once", { addresses: ["x"], gateway: "y" }, ["spec.addresses[0]", "spec.gateway"]],
  ];
  test.each(table)("%s", (_name, change, want) => {
    expect(poolProblems({ ...good, ...change }).map(({ field }) => field)).toEqual(want);
  });

  test("a pool that would no longer cover addresses in use", () => {
    const inUse = ["10.0.0.10", "10.0.0.15"];
    expect(poolProblems(good, inUse)).toEqual([]);
    for (const change of [
      { addresses: ["10.0.0.11-10.0.0.20"] },
      { excludedAddresses: ["10.0.0.8/29"] },
      { gateway: "10.0.0.10" },
    ])
      expect(poolProblems({ ...good, ...change }, inUse)).toEqual([
        {
          field: "spec.addresses",
          message: expect.stringContaining("10.0.0.10") as string,
        },
      ]);
  });
});

test.each([
  ["10.0.0.1", true],
  ["10.0.0.1/24", true],
  ["10.0.0.0/0", true],
  ["10.0.0.1-10.0.0.1", true],
  ["fd00::1", true],
  ["fd00::/128", true],
  ["fd00::1-fd01::", true],
  ["", false],
  ["10.0.0", false],
  ["10.0.0.256", false],
  ["10.0.0.0/33", false],
  ["10.0.0.0/-1", false],
  ["10.0.0.0/", false],
  ["10.0.0.2-10.0.0.1", false],
  ["10.0.0.1-10.0.0.2-10.0.0.3", false],
  ["10.0.0.1-", false],
  ["-10.0.0.1", false],
  ["10.0.0.1-5", false],
  ["fd00::/129", false],
  ["fd00:::1", false],
  ["10.0.0.0/24-10.0.1.0/24", false],
])("%j is an entry: %s", (text, is) => expect(parseEntry(text) !== undefined).toBe(is));

test("how many addresses a pool has", () => {
  const count = (addresses: string[], prefix = 0) => {
    const ranges = poolRanges({ addresses, prefix });
    return ranges.kind === "ranges" ? sizeOf(ranges.allocatable) : -1n;
  };
  expect(count(["10.0.0.1"])).toBe(1n);
  expect(count(["10.0.0.1-10.0.0.8", "10.0.1.1-10.0.1.8"])).toBe(16n);
  expect(count(["10.0.0.1-10.0.0.10", "10.0.0.6-10.0.0.15"])).toBe(15n);
  expect(count(["10.0.0.1-10.0.0.2"])).toBe(2n);
  expect(count(["10.0.0.0/24", "10.0.2.0/31"])).toBe(258n);
  expect(count(["fd00::/126"])).toBe(4n);
  expect(count(["fd00::/64", "fd01::/64"])).toBe(2n ** 65n);
  expect(count(["fd00::/8"])).toBe(2n ** 120n);
});

test("addresses survive being written and read again, in Go's canonical form", () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
      const address = parseAddress(text);
      expect(address).toBeDefined();
      if (address) expect(parseAddress(formatAddress(address))).toEqual(address);
    }),
  );
  const canonical = ["2001:DB8:0:0:1:0:0:1", "::FFFF:1.2.3.4", "0:0::0", "10.0.0.1"].map((text) => {
    const address = parseAddress(text);
    return address && formatAddress(address);
  });
  expect(canonical).toEqual(["2001:db8::1:0:0:1", "::ffff:1.2.3.4", "::", "10.0.0.1"]);
  expect(digitsOf(255n)).toBe("000000000000000000000000000000ff");
  expect(parseEntry("10.0.0.0/024")).toBeUndefined();
});
