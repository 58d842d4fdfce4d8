// How pools stand: what tables, heartbeats and metrics show. Pure.
import { isDeleting } from "#core";
import type { Problem } from "#core";
import { isSamePool, type Inventory, type KnownPool, type PoolPointer } from "./read.ts";

export type PoolState = "ok" | "low" | "exhausted" | "wrong" | "paused" | "deleting";

export interface PoolView {
  readonly pool: PoolPointer;
  readonly ranges: readonly string[];
  /** Counts as exact decimal text: an IPv6 pool's do not fit a number. */
  readonly total: string;
  readonly free: string;
  readonly used: number;
  /** Distinct addresses in use that the pool does not give out (any more). */
  readonly outOfRange: number;
  /** Claims without an address. */
  readonly waiting: number;
  readonly state: PoolState;
  readonly problems: readonly Problem[];
}

/** With less than a tenth of its addresses free, and less than fifty, a pool is low. */
const lowPart = 10n;
const lowCount = 50n;

export function poolViews(inventory: Inventory): PoolView[] {
  return inventory.pools.map((pool) => poolView(pool, inventory));
}

export function poolView(pool: KnownPool, { addresses, claims }: Inventory): PoolView {
  const inUse = new Map<string, boolean>();
  for (const { address, pool: of } of addresses)
    if (address && isSamePool(of, pool.pointer))
      inUse.set(`${address.family} ${address.value}`, pool.gives(address));
  const { total } = pool;
  const within = [...inUse.values()].filter(Boolean).length;
  const free = total - BigInt(within);
  const waiting = claims.filter(
    (claim) => isSamePool(claim.pool, pool.pointer) && !claim.bound && !isDeleting(claim.object),
  ).length;
  return {
    pool: pool.pointer,
    ranges: pool.text,
    total: String(total),
    free: String(free),
    used: inUse.size,
    outOfRange: inUse.size - within,
    waiting,
    state: stateOf(pool, total, free),
    problems: pool.problems,
  };
}

function stateOf({ problems, deleting, paused }: KnownPool, total: bigint, free: bigint): PoolState {
  if (problems.length > 0) return "wrong";
  if (deleting) return "deleting";
  if (paused) return "paused";
  if (free === 0n) return "exhausted";
  return free * lowPart < total && free < lowCount ? "low" : "ok";
}
