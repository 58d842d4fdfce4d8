import { describe, expect, test } from "vitest";
import type { InClusterPrefixPool, PrefixPoolSpec } from "#proto";
import { Allocator, includes, sizeOf } from "./allocator/index.ts";
import { parseAddress } from "./address.ts";
import { prefixRanges } from "./prefixes.ts";
import { poolTerms } from "./terms.ts";

type Given = Partial<PrefixPoolSpec> & Pick<PrefixPoolSpec, "prefixes">;
const spec = (given: Given): PrefixPoolSpec => ({ allocationPrefixLength: 64, ...given });

/** What the pool's claims get, one after another, beside what is in use; at most so many. */
function given(pool: Given, inUse: readonly string[] = [], most = 4): string[] {
  const terms = poolTerms({ spec: spec(pool) } as InClusterPrefixPool);
  if (terms.kind === "wrong") return terms.problems.map(({ field }) => `! ${field}`);
  const allocator = new Allocator({ universe: terms.universe }, () => 0);
  for (const text of inUse) allocator.hold(terms.read(text) ?? -1n, { owner: text }, 0);
  const all: string[] = [];
  for (let i = 0; i < most; i++) {
    const answer = allocator.allocate({ owner: `claim ${i}` }, 0);
    if (answer.kind !== "given") break;
    const { address, prefix } = terms.write(answer.value);
    expect(terms.read(address)).toBe(answer.value);
    all.push(`${address}/${prefix}`);
  }
  return all;
}

/** How many prefixes there are. */
function total(pool: Given): bigint {
  const ranges = prefixRanges(spec(pool));
  return ranges.kind === "ranges" ? sizeOf(ranges.blocks) : -1n;
}

describe("which prefixes a pool gives out", () => {
  test.each<[string, Given, readonly string[], string[]]>([
    [
      "networks that touch count as one, in order whatever the list's",
      { prefixes: ["2001:db8:0:2::/63", "2001:db8::/63"] },
      [],
      ["2001:db8::/64", "2001:db8:0:1::/64", "2001:db8:0:2::/64", "2001:db8:0:3::/64"],
    ],
    [
      "what is in use is passed over",
      { prefixes: ["2001:db8::/62"] },
      ["2001:db8::", "2001:db8:0:2::"],
      ["2001:db8:0:1::/64", "2001:db8:0:3::/64"],
    ],
    [
      "an excluded address takes its prefix along, the gateway nothing",
      { prefixes: ["2001:db8::/62"], excludedPrefixes: ["2001:db8:0:1::7"], gateway: "2001:db8::1" },
      [],
      ["2001:db8::/64", "2001:db8:0:2::/64", "2001:db8:0:3::/64"],
    ],
    [
      "an excluded range, from the middle of one into the next",
      { prefixes: ["2001:db8::/62"], excludedPrefixes: ["2001:db8:0:1:8000::-2001:db8:0:2::"] },
      [],
      ["2001:db8::/64", "2001:db8:0:3::/64"],
    ],
    ["none is left", { prefixes: ["2001:db8::/64"] }, ["2001:db8::"], []],
    ["all are excluded", { prefixes: ["2001:db8::/62"], excludedPrefixes: ["2001:db8::/32"] }, [], []],
    ["the first prefix is not reserved", { prefixes: ["2001:db8::/64"] }, [], ["2001:db8::/64"]],
    [
      "lengths of their own",
      { prefixes: ["2001:db8::/48"], allocationPrefixLength: 56 },
      ["2001:db8::"],
      ["2001:db8:0:100::/56", "2001:db8:0:200::/56", "2001:db8:0:300::/56", "2001:db8:0:400::/56"],
    ],
    [
      "an address in the middle of a prefix holds the whole",
      { prefixes: ["2001:db8::/63"] },
      ["2001:db8::ffff"],
      ["2001:db8:0:1::/64"],
    ],
    [
      "single addresses, the network's own as well",
      { prefixes: ["2001:db8::/126"], allocationPrefixLength: 128 },
      [],
      ["2001:db8::/128", "2001:db8::1/128", "2001:db8::2/128", "2001:db8::3/128"],
    ],
    ["garbage", { prefixes: ["2001:db8::/48", "edge"] }, [], ["! spec.prefixes[1]"]],
    ["a network that is too small", { prefixes: ["2001:db8::/65"] }, [], ["! spec.prefixes[0]"]],
  ])("%s", (_, pool, inUse, want) => expect(given(pool, inUse)).toEqual(want));

  test.each<[Given, bigint]>([
    [{ prefixes: ["2001:db8::/64"] }, 1n],
    [{ prefixes: ["2001:db8::/48"] }, 2n ** 16n],
    [{ prefixes: ["2001:db8::/48"], allocationPrefixLength: 56 }, 256n],
    [{ prefixes: ["2001:db8::/63", "2001:db8::/64", "2001:db8:1::/64"] }, 3n],
    [{ prefixes: ["2001:db8::/48"], excludedPrefixes: ["2001:db8::/49"] }, 2n ** 15n],
    [{ prefixes: ["::/0"], allocationPrefixLength: 128 }, 2n ** 128n],
    [
      { prefixes: ["2001:db8::/32", "2001:db9::/32"], excludedPrefixes: ["2001:db8:ffff:ffff::"] },
      2n ** 33n - 1n,
    ],
  ])("%j has %d", (pool, want) => expect(total(pool)).toBe(want));

  test("what a pool goes on covering: whole prefixes of its own", () => {
    const ranges = prefixRanges(
      spec({ prefixes: ["2001:db8::/63"], excludedPrefixes: ["2001:db8:0:1::/96"] }),
    );
    const covers = (text: string) =>
      ranges.kind === "ranges" && includes(ranges.blocks, (parseAddress(text)?.value ?? 0n) >> 64n);
    expect(["2001:db8::", "2001:db8:0:1::", "2001:db8:0:2::"].map(covers)).toEqual([true, false, false]);
  });
});
