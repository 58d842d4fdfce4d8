// Which prefixes a pool may give out: IPv6 networks cut into blocks of one length.
//
//   B1. Blocks lie wholly in one of the pool's prefixes, which are joined first where they touch.
//   B2. A block of which an excluded address is part is not given out.
//   B3. The gateway is written into IPAddresses and keeps nothing back.
import type { Problem } from "#core";
import type { PrefixPoolSpec } from "#proto";
import { formatAddress, parseAddress } from "./address.ts";
import {
  blocksTouching,
  blocksWithin,
  includes,
  subtract,
  toSet,
  type IntervalSet,
} from "./allocator/index.ts";
import { parseEntry } from "./ranges.ts";

export type PrefixRanges =
  | {
      readonly kind: "ranges";
      readonly length: number;
      /** Numbers of the blocks that may be given out; may be empty. */
      readonly blocks: IntervalSet;
    }
  | { readonly kind: "wrong"; readonly problems: readonly Problem[] };

/** Pure. */
export function prefixRanges(spec: PrefixPoolSpec): PrefixRanges {
  const problems: Problem[] = [];
  const length = spec.allocationPrefixLength;
  const isLength = Number.isInteger(length) && length >= 1 && length <= 128;
  if (!isLength)
    problems.push({ field: "spec.allocationPrefixLength", message: "must be a whole number from 1 to 128" });
  if (spec.prefixes.length === 0)
    problems.push({ field: "spec.prefixes", message: "at least one IPv6 network is required" });
  const networks = spec.prefixes.flatMap((text, index) => {
    const field = `spec.prefixes[${index}]`;
    const said = (message: string) => (
      problems.push({ field, message: `${JSON.stringify(text)} ${message}` }),
      []
    );
    const [address = "", bits = ""] = text.split("/");
    const entry = text.includes("/") ? parseEntry(text) : undefined;
    if (!entry) return said("is no network such as 2001:db8::/48");
    if (entry.family !== 6) return said("is IPv4; prefix pools hold IPv6 networks only");
    if (parseAddress(address)?.value !== entry.low) {
      const right = `${formatAddress({ family: 6, value: entry.low })}/${bits}`;
      return said(`has host bits set; write ${right}`);
    }
    if (isLength && Number(bits) > length)
      return said(`is smaller than what is given out of it, a /${length} (spec.allocationPrefixLength)`);
    return [entry];
  });
  const excluded = (spec.excludedPrefixes ?? []).flatMap((text, index) => {
    const field = `spec.excludedPrefixes[${index}]`;
    const entry = parseEntry(text);
    if (entry?.family === 6) return [entry];
    const message = entry ? "is IPv4; prefix pools hold IPv6 only" : "is no address, network or range";
    problems.push({ field, message: `${JSON.stringify(text)} ${message}` });
    return [];
  });
  const gateway = spec.gateway ? parseAddress(spec.gateway) : undefined;
  if (spec.gateway && gateway?.family !== 6)
    problems.push({ field: "spec.gateway", message: `${JSON.stringify(spec.gateway)} is no IPv6 address` });
  if (problems.length > 0) return { kind: "wrong", problems };

  const within = toSet(networks).flatMap((each) => blocksWithin(each, length, 128) ?? []); // B1
  const withheld = toSet(excluded.map((each) => blocksTouching(each, length, 128))); // B2
  return { kind: "ranges", length, blocks: subtract(toSet(within), withheld) };
}

/** What is odd about a prefix pool, though it works. Pure. */
export function prefixWarnings(spec: PrefixPoolSpec): readonly string[] {
  const warnings: string[] = [];
  if (spec.allocationPrefixLength === 128)
    warnings.push(
      "spec.allocationPrefixLength is 128: every claim gets a single address, as from an InClusterIPPool",
    );
  const gateway = spec.gateway ? parseAddress(spec.gateway) : undefined;
  const ranges = prefixRanges(spec);
  if (gateway?.family === 6 && ranges.kind === "ranges") {
    const block = gateway.value >> BigInt(128 - ranges.length);
    if (includes(ranges.blocks, block))
      warnings.push(
        `spec.gateway ${spec.gateway} lies in a prefix that may be given out; exclude that prefix to keep it`,
      );
  }
  return warnings;
}
