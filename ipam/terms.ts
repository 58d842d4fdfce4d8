// What a pool gives out, whatever its kind: numbers in a universe, and how a number is written into an IPAddress.
import type { Problem } from "#core";
import type { IPAddress } from "#proto";
import { formatAddress, parseAddress, type Family } from "./address.ts";
import { blockOf, networkOf, type IntervalSet } from "./allocator/index.ts";
import { prefixRanges } from "./prefixes.ts";
import { poolRanges } from "./ranges.ts";
import { isPrefixPool, type Pool } from "./words.ts";

export interface Terms {
  readonly kind: "terms";
  /** What may be given out: addresses, or numbers of blocks. */
  readonly universe: IntervalSet;
  /** What numbers mean here; two terms of one scheme can be compared number by number. */
  readonly scheme: string;
  readonly family: Family;
  /** "address" or "prefix": for messages. */
  readonly word: "address" | "prefix";
  /** The field to add to when there is not enough. */
  readonly field: "spec.addresses" | "spec.prefixes";
  /** How a number is written. */
  write(value: bigint): Pick<IPAddress["spec"], "address" | "prefix" | "gateway">;
  /** "10.0.0.7", "2001:db8::/64": for messages. */
  text(value: bigint): string;
  /** The number that an IPAddress holds; below zero where it is none of this pool's scheme. */
  read(address: string): bigint | undefined;
}

export type PoolTerms = Terms | { readonly kind: "wrong"; readonly problems: readonly Problem[] };

/** The terms of a pool, or every mistake that leaves it without a meaning. Pure. */
export function poolTerms(pool: Pool): PoolTerms {
  return isPrefixPool(pool) ? prefixTerms(pool.spec) : addressTerms(pool.spec);
}

function addressTerms(spec: Parameters<typeof poolRanges>[0]): PoolTerms {
  const ranges = poolRanges(spec);
  if (ranges.kind === "wrong") return ranges;
  const { family, allocatable: universe } = ranges;
  const text = (value: bigint) => formatAddress({ family, value });
  return {
    kind: "terms",
    universe,
    family,
    scheme: `addresses of IPv${family}`,
    word: "address",
    field: "spec.addresses",
    write: (value) => ({
      address: text(value),
      prefix: spec.prefix,
      ...(spec.gateway ? { gateway: spec.gateway } : {}),
    }),
    text,
    read: (address) => numberOf(address, family),
  };
}

function prefixTerms(spec: Parameters<typeof prefixRanges>[0]): PoolTerms {
  const ranges = prefixRanges(spec);
  if (ranges.kind === "wrong") return ranges;
  const { length, blocks: universe } = ranges;
  const base = (value: bigint) => formatAddress({ family: 6, value: networkOf(value, length, 128).low });
  return {
    kind: "terms",
    universe,
    family: 6,
    scheme: `prefixes of length ${length}`,
    word: "prefix",
    field: "spec.prefixes",
    write: (value) => ({
      address: base(value),
      prefix: length,
      ...(spec.gateway ? { gateway: spec.gateway } : {}),
    }),
    text: (value) => `${base(value)}/${length}`,
    read: (address) => {
      const number = numberOf(address, 6);
      return number === undefined || number < 0n ? number : blockOf(number, length, 128);
    },
  };
}

/** The address as a number; one of the other family lies below zero, where no universe is. */
function numberOf(text: string, family: Family): bigint | undefined {
  const address = parseAddress(text);
  if (!address) return undefined;
  return address.family === family ? address.value : -1n - address.value;
}
