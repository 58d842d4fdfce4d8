// How much room a pool has.
import { Fault, maxInt64 } from "#core";
import type { IPAddress } from "#proto";
import { includes, sizeOf } from "./allocator/index.ts";
import type { Terms } from "./terms.ts";
import { poolKinds, type PoolPlace } from "./words.ts";

/** Counters as in a pool's status. Numbers are exact up to 2^53 - 1 and stay there beyond. */
export interface Room {
  /** Addresses that the pool may give out. */
  readonly total: number;
  /** Distinct addresses in use. */
  readonly used: number;
  /** Addresses that may be given out and are not in use. */
  readonly free: number;
  /** Addresses in use that the pool may not give out (any more). */
  readonly outOfRange: number;
}

/** Counts. Pure. */
export function roomOf(terms: Pick<Terms, "universe" | "read">, inUse: readonly IPAddress[]): Room {
  const distinct = new Set<bigint>();
  let outOfRange = 0;
  for (const { spec } of inUse) {
    const value = terms.read(spec.address);
    if (value === undefined || distinct.has(value)) continue;
    distinct.add(value);
    if (!includes(terms.universe, value)) outOfRange++;
  }
  const total = sizeOf(terms.universe);
  const used = distinct.size;
  const free = total - BigInt(used - outOfRange);
  return { total: safeNumber(total), used, free: safeNumber(free), outOfRange };
}

function safeNumber(count: bigint): number {
  return count > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(count);
}

/** A count as a pool's status carries it: exact, and at most the largest int64, as upstream's are. Pure. */
export function counter(count: bigint): number | bigint {
  if (count >= BigInt(maxInt64) - 1n) return maxInt64;
  return count > BigInt(Number.MAX_SAFE_INTEGER) ? count : Number(count);
}

export interface PoolReference {
  readonly kind:
    "InClusterIPPool" | "GlobalInClusterIPPool" | "InClusterPrefixPool" | "GlobalInClusterPrefixPool";
  readonly name: string;
  /** For kinds that have one; "default" unless told. */
  readonly namespace?: string;
}

/** Where a pool is; Invalid for a kind that is not served here. Pure. */
export function referencePlace(ref: PoolReference): PoolPlace {
  const kind = poolKinds.find((each) => each.kind === ref.kind);
  if (!kind) throw new Fault("Invalid", `"${ref.kind}" is no kind of pool that is served here`);
  return kind.namespaced
    ? { kind, key: { namespace: ref.namespace ?? "default", name: ref.name } }
    : { kind, key: { name: ref.name } };
}
