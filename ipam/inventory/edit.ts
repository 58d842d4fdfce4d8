// What a pool's edit would bring, before it is made. Pure.
import { isDeleting, keyText, type Problem } from "#core";
import type { InClusterIPPool, InClusterPrefixPool, Metal3IPPool } from "#proto";
import { formatAddress, parseAddress, type Family } from "../address.ts";
import { intersect, subtract, type IntervalSet } from "../allocator/index.ts";
import { metal3PoolProblems } from "../metal3/ranges.ts";
import { poolProblems } from "../ranges.ts";
import { isPrefixPool, type Pool } from "../words.ts";
import { poolView } from "./pools.ts";
import { isSamePool, pointerText, type Inventory, type KnownPool, type PoolPointer } from "./read.ts";

export interface EditView {
  readonly pool: PoolPointer;
  readonly is: "new" | "changed" | "same";
  /** What admission refuses it for. */
  readonly refusedFor: readonly Problem[];
  /** Ranges that come and go, as text. */
  readonly gained: readonly string[];
  readonly lost: readonly string[];
  /** Counts after the edit, as exact text. */
  readonly total: string;
  readonly free: string;
  /** Claims whose address the pool would no longer give out: they keep it, out of range. */
  readonly stranded: readonly { readonly claim: string; readonly address: string }[];
  /** Addresses in use whose prefix or gateway differ from what the pool would say: IPAddresses never change. */
  readonly stale: readonly string[];
  /** Claims that wait and would be served. */
  readonly served: number;
  /** Pools that give out some of the same addresses. */
  readonly overlaps: readonly { readonly pool: PoolPointer; readonly ranges: readonly string[] }[];
}

/** `after` is the pool as it would be. */
export function planEdit(after: KnownPool, inventory: Inventory): EditView {
  const before = inventory.pools.find((each) => isSamePool(each.pointer, after.pointer));
  const held = inventory.addresses.filter((each) => isSamePool(each.pool, after.pointer));
  const rangesOf = (minuend: KnownPool | undefined, subtrahend: KnownPool | undefined) =>
    (minuend?.sets ?? []).flatMap(({ family, set }) =>
      texts(family, subtract(set, setOf(subtrahend, family))),
    );
  const others = inventory.pools.filter((each) => !isSamePool(each.pointer, after.pointer));
  const changed: Inventory = { ...inventory, pools: [...others, after] };
  const view = poolView(after, changed);
  const waiting = inventory.claims.filter(
    (claim) => isSamePool(claim.pool, after.pointer) && !claim.bound && !isDeleting(claim.object),
  ).length;
  const free = BigInt(view.free);
  return {
    pool: after.pointer,
    is: !before
      ? "new"
      : JSON.stringify(before.object.spec) === JSON.stringify(after.object.spec)
        ? "same"
        : "changed",
    refusedFor: refusals(
      after,
      before,
      held.map(({ object }) => object.spec.address),
    ),
    gained: rangesOf(after, before),
    lost: rangesOf(before, after),
    total: view.total,
    free: view.free,
    stranded: held
      .filter(({ address }) => address && !after.gives(address))
      .map(({ claim, key, object }) => ({
        claim: keyText({ ...key, name: claim }),
        address: object.spec.address,
      })),
    stale: stale(after, held),
    served: free < BigInt(waiting) ? Number(free) : waiting,
    overlaps: overlapsOf(after, others),
  };
}

function refusals(
  after: KnownPool,
  before: KnownPool | undefined,
  inUse: readonly string[],
): readonly Problem[] {
  if (after.pointer.kind === "IPPool") {
    const former = (before?.object as Metal3IPPool | undefined)?.spec;
    return metal3PoolProblems((after.object as Metal3IPPool).spec, former, inUse);
  }
  if (isPrefixPool(after.object as Pool)) return prefixProblems(after, before, inUse);
  return poolProblems((after.object as InClusterIPPool).spec, inUse);
}

function prefixProblems(
  after: KnownPool,
  before: KnownPool | undefined,
  inUse: readonly string[],
): readonly Problem[] {
  if (after.problems.length > 0) return after.problems;
  const length = (pool: KnownPool) => (pool.object as InClusterPrefixPool).spec.allocationPrefixLength;
  if (before && length(before) !== length(after))
    return [{ field: "spec.allocationPrefixLength", message: "cannot be modified; make another pool" }];
  const lost = inUse.filter((text) => {
    const address = parseAddress(text);
    return !address || !after.gives(address);
  });
  const message = `must go on covering the prefixes in use: ${lost.join(", ")}`;
  return lost.length > 0 ? [{ field: "spec.prefixes", message }] : [];
}

/** Only where the pool has one prefix and gateway for all; Metal3's entries have their own. */
function stale(after: KnownPool, held: Inventory["addresses"]): string[] {
  if (after.pointer.kind === "IPPool" || isPrefixPool(after.object as Pool)) return [];
  const { prefix, gateway } = (after.object as InClusterIPPool).spec;
  return held
    .filter(({ object: { spec } }) => spec.prefix !== prefix || (spec.gateway ?? "") !== (gateway ?? ""))
    .map(({ object }) => object.spec.address);
}

/** Pools that give out some of the addresses of this one. */
export function overlapsOf(pool: KnownPool, others: readonly KnownPool[]): EditView["overlaps"] {
  return others.flatMap((other) => {
    const ranges = pool.sets.flatMap(({ family, set }) =>
      texts(family, intersect(set, setOf(other, family))),
    );
    return ranges.length > 0 ? [{ pool: other.pointer, ranges }] : [];
  });
}

/** "2 claims lose ..." as lines for people; the first line is the answer. */
export function editLines(view: EditView): string[] {
  const name = pointerText(view.pool);
  const some = (list: readonly string[], max = 10) =>
    list.slice(0, max).join(", ") + (list.length > max ? `, and ${list.length - max} more` : "");
  const lines: string[] = [];
  if (view.refusedFor.length > 0) {
    lines.push(`${name}: would be refused`);
    lines.push(...view.refusedFor.map(({ field, message }) => `  ${field} ${message}`));
  } else if (view.is === "same") lines.push(`${name}: nothing changes`);
  else lines.push(`${name}: ${view.is === "new" ? "new" : "can be changed so"}`);
  if (view.gained.length > 0) lines.push(`  gives out in addition: ${some(view.gained)}`);
  if (view.lost.length > 0) lines.push(`  no longer gives out: ${some(view.lost)}`);
  lines.push(`  then ${view.total} addresses, ${view.free} of them free`);
  if (view.served > 0)
    lines.push(
      view.served === 1 ? "  serves 1 claim that waits" : `  serves ${view.served} claims that wait`,
    );
  if (view.stranded.length > 0)
    lines.push(
      `  in use and no longer covered: ${some(view.stranded.map(({ address, claim }) => `${address} (${claim})`))}`,
    );
  if (view.stale.length > 0)
    lines.push(`  keep their old prefix and gateway until they are given anew: ${some(view.stale)}`);
  for (const { pool, ranges } of view.overlaps)
    lines.push(`  overlaps ${pointerText(pool)} in ${some(ranges)}: the same address could be given twice`);
  return lines;
}

function setOf(pool: KnownPool | undefined, family: Family): IntervalSet {
  return pool?.sets.find((each) => each.family === family)?.set ?? [];
}

/** "10.0.0.1" or "10.0.0.1-10.0.0.9". */
export function texts(family: Family, set: IntervalSet): string[] {
  return set.map(({ low, high }) => {
    const ends = [low, high].map((value) => formatAddress({ family, value }));
    return low === high ? ends[0]! : ends.join("-");
  });
}
