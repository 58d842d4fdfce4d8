// Which addresses a pool may give out: exactly the arithmetic of the in-cluster provider (internal/poolutil, poolutil.PoolSpecToIPSet).
//
//   A1. allocatable = addresses - excludedAddresses - gateway, and unless allocateReservedIPAddresses: - the first address of the
//       subnet, and for IPv4 its last. The gateway is never given out.
//   A2. The subnet is the one of the lowest address under the pool's prefix.
//   A3. An entry is a single address, a network (host bits are ignored), or "from-to" without spaces.
import type { Problem } from "#core";
import type { PoolSpec } from "#proto";
import { bitsOf, formatAddress, parseAddress, type Address, type Family } from "./address.ts";
import { includes, subtract, toSet, type Interval, type IntervalSet } from "./allocator/intervals.ts";

export interface FamilyInterval extends Interval {
  readonly family: Family;
}

/** One entry of a pool's list; undefined where it is none (A3). Pure. */
export function parseEntry(text: string): FamilyInterval | undefined {
  const slash = text.indexOf("/");
  if (slash >= 0) return parseNetwork(text.slice(0, slash), text.slice(slash + 1));
  const dash = text.indexOf("-");
  if (dash < 0) {
    const only = parseAddress(text);
    return only && { family: only.family, low: only.value, high: only.value };
  }
  const from = parseAddress(text.slice(0, dash));
  const to = parseAddress(text.slice(dash + 1));
  if (!from || !to || from.family !== to.family || from.value > to.value) return undefined;
  return { family: from.family, low: from.value, high: to.value };
}

function parseNetwork(address: string, length: string): FamilyInterval | undefined {
  const base = address.includes("%") ? undefined : parseAddress(address);
  if (!base || !/^(0|[1-9]\d{0,2})$/.test(length) || Number(length) > bitsOf(base.family)) return undefined;
  return { family: base.family, ...subnetOf(base, Number(length)) };
}

/** The network of `prefix` bits that holds the address. Pure. */
export function subnetOf({ family, value }: Address, prefix: number): Interval {
  const hostBits = BigInt(bitsOf(family) - prefix);
  const low = (value >> hostBits) << hostBits;
  return { low, high: low + (1n << hostBits) - 1n };
}

/** What a pool's text means. */
export type PoolRanges =
  | {
      readonly kind: "ranges";
      readonly family: Family;
      /** What may be given out (A1); may be empty. */
      readonly allocatable: IntervalSet;
      /** The network the addresses are in (A2). */
      readonly subnet: Interval;
    }
  | { readonly kind: "wrong"; readonly problems: readonly Problem[] };

/** The addresses that the pool may give out, or every mistake that leaves it without a meaning. Pure. */
export function poolRanges(spec: PoolSpec): PoolRanges {
  const problems: Problem[] = [];
  const entries = (field: string, list: readonly string[] = []) =>
    list.flatMap((text, index) => {
      const entry = parseEntry(text);
      if (!entry) {
        const message = `${JSON.stringify(text)} is no address, network or range such as 10.0.0.10-10.0.0.20`;
        problems.push({ field: `${field}[${index}]`, message });
      }
      return entry ? [entry] : [];
    });

  const wanted = entries("spec.addresses", spec.addresses);
  const excluded = entries("spec.excludedAddresses", spec.excludedAddresses);
  if (spec.addresses.length === 0)
    problems.push({ field: "spec.addresses", message: "at least one entry is required" });
  const gateway = spec.gateway ? parseAddress(spec.gateway) : undefined;
  if (spec.gateway && !gateway)
    problems.push({ field: "spec.gateway", message: `${JSON.stringify(spec.gateway)} is no IP address` });

  const family = wanted[0]?.family ?? 4;
  const mixed = (field: string, list: readonly { readonly family: Family }[]) => {
    if (list.some((each) => each.family !== family))
      problems.push({ field, message: `mixes IP families: the pool's first address is IPv${family}` });
  };
  mixed("spec.addresses", wanted);
  mixed("spec.excludedAddresses", wanted.length > 0 ? excluded : []);
  mixed("spec.gateway", gateway && wanted.length > 0 ? [gateway] : []);
  if (spec.prefix < 0 || (wanted.length > 0 && spec.prefix > bitsOf(family)))
    problems.push({ field: "spec.prefix", message: `must be from 0 to ${bitsOf(family)} for IPv${family}` });

  const all = toSet(wanted);
  const lowest = all[0];
  if (problems.length > 0 || !lowest) return { kind: "wrong", problems };

  const subnet = subnetOf({ family, value: lowest.low }, spec.prefix); // A2
  const withheld: Interval[] = [...excluded]; // A1
  if (!spec.allocateReservedIPAddresses) {
    withheld.push({ low: subnet.low, high: subnet.low });
    if (family === 4) withheld.push({ low: subnet.high, high: subnet.high });
  }
  if (gateway) withheld.push({ low: gateway.value, high: gateway.value });
  return { kind: "ranges", family, allocatable: subtract(all, toSet(withheld)), subnet };
}

/**
 * What admission would refuse of a pool: mistakes in its text, entries outside of its subnet (upstream's webhook refuses those,
 * its controllers serve them), and addresses in use that it would no longer cover: removed, excluded, made the gateway, or
 * withheld as reserved. Pure.
 */
export function poolProblems(spec: PoolSpec, inUse: readonly string[] = []): readonly Problem[] {
  const ranges = poolRanges(spec);
  if (ranges.kind === "wrong") return ranges.problems;
  const { family, subnet, allocatable } = ranges;

  const problems: Problem[] = [];
  for (const [index, text] of spec.addresses.entries()) {
    const entry = parseEntry(text);
    if (!entry || (entry.low >= subnet.low && entry.high <= subnet.high)) continue;
    const network = `${formatAddress({ family, value: subnet.low })}/${spec.prefix}`;
    const message = `${JSON.stringify(text)} is outside of ${network}, the subnet of the lowest address`;
    problems.push({ field: `spec.addresses[${index}]`, message });
  }
  const lost = inUse.filter((text) => {
    const address = parseAddress(text);
    return !address || address.family !== family || !includes(allocatable, address.value);
  });
  if (lost.length > 0) {
    const shown = lost.slice(0, 10).join(", ") + (lost.length > 10 ? ", ..." : "");
    problems.push({ field: "spec.addresses", message: `must go on covering the addresses in use: ${shown}` });
  }
  return problems;
}
