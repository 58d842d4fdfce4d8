// Room that is kept: for clusters by name (by hand, and by growth/ for autoscalers), for claims by name, for nobody while a range is drained.
// What is kept is free, and yet not to be had by whoever comes anew.
import { keyText, modify, type Key, type Problem, type ResourceStore } from "#core";
import { clusterNameLabel, type IPAddress } from "#proto";
import { includes, subtract } from "./allocator/index.ts";
import { referencePlace, roomOf, type PoolReference, type Room } from "./capacity.ts";
import type { IpamGauges } from "./gauges.ts";
import { addressesOf } from "./in-use.ts";
import { policyAt, poolPolicy, setAsideAnnotation, withSetAside, type Policy } from "./policy.ts";
import { poolTerms, type Terms } from "./terms.ts";
import type { Pool } from "./words.ts";

export type OpenRoom =
  | OpenRoomFound
  | { readonly kind: "missing" }
  | { readonly kind: "wrong"; readonly problems: readonly Problem[] };

/** `free` is what newcomers may take now. */
interface OpenRoomFound extends Room {
  readonly kind: "room";
  /** So many more are held by nobody, but promised, set aside, drained, or beyond a quota. */
  readonly kept: number;
  /** And so many rest after use. */
  readonly resting: number;
  /** When each further one is to be had by itself, the earliest first; milliseconds since 1970. */
  readonly later: readonly number[];
}

/**
 * What claims of a new cluster may take from a pool, counted afresh (not read from its status, which may lag). What rests is known only
 * to the process that gives out of the pool: without its gauges it counts as free.
 */
export async function openRoom(
  store: ResourceStore,
  ref: PoolReference,
  {
    now,
    gauges,
    signal,
  }: { readonly now: number; readonly gauges?: IpamGauges; readonly signal?: AbortSignal },
): Promise<OpenRoom> {
  const place = referencePlace(ref);
  const pool = await store.get(place.kind, place.key, signal);
  if (!pool) return { kind: "missing" };
  const terms = poolTerms(pool);
  if (terms.kind === "wrong") return terms;
  const policy = policyAt(poolPolicy(pool, terms).policy, now);
  const inUse = await addressesOf(store, place, signal);
  const room = roomOf(terms, inUse);
  const lasting = { ...terms, universe: subtract(terms.universe, policy.draining) };
  const open = roomOf(lasting, inUse).free - keptOf(policy, lasting, inUse);
  const limit = quotaLeft(policy, ref, inUse);
  const outlook = gauges?.outlook(place, pool);
  // The store may know of an IPAddress that the book has not heard of, and the book of one that has not come free.
  const free = Math.max(0, Math.min(open, limit, outlook ? Number(outlook.now) : Infinity));
  const resting = Math.min(outlook?.resting ?? 0, room.free - free);
  const later = (outlook?.later ?? []).slice(0, Math.max(0, limit - free));
  return { kind: "room", ...room, free, kept: room.free - free - resting, resting, later };
}

/** Free values that are promised to a claim, or set aside for a cluster. Pure. */
function keptOf(
  policy: Policy,
  { universe, read }: Pick<Terms, "universe" | "read">,
  inUse: readonly IPAddress[],
): number {
  const used = new Set(inUse.map(({ spec }) => read(spec.address)));
  const promised = policy.reserved.filter(({ what }) => includes(universe, what) && !used.has(what)).length;
  const aside = policy.aside.reduce(
    (sum, { key, what }) => sum + Math.max(0, what - inUse.filter(belongsTo(key)).length),
    0,
  );
  return promised + aside;
}

/** What the quota of a namespace leaves to the claims beside a pool. Pure. */
function quotaLeft(
  { perNamespace }: Policy,
  { namespace }: PoolReference,
  inUse: readonly IPAddress[],
): number {
  if (perNamespace === undefined) return Infinity;
  return perNamespace - inUse.filter(({ metadata }) => metadata.namespace === namespace).length;
}

/** Keeps so many addresses for the cluster, counting those it holds. The same again is nothing; 0 gives all back. */
export async function setAside(
  store: ResourceStore,
  ref: PoolReference,
  cluster: Required<Key>,
  count: number,
): Promise<void> {
  const { kind, key } = referencePlace(ref);
  await modify(store, kind, key, (pool) => setAsideIn(pool, setAsideAnnotation, keyText(cluster), count));
}

/** The pool's annotation with another count for the cluster. What says the same already stays as it is. */
export function setAsideIn(pool: Pool, annotation: string, cluster: string, count: number): void {
  const { [annotation]: before, ...annotations } = pool.metadata.annotations ?? {};
  const text = withSetAside(before, cluster, count, pool.metadata.namespace ?? "");
  pool.metadata.annotations = { ...annotations, ...(text === undefined ? {} : { [annotation]: text }) };
}

/** How many addresses a cluster could come to hold in a pool, besides those that it holds: free, and kept for nobody else. Pure. */
export function roomFor(
  cluster: string,
  { pool, terms, inUse, now }: { pool: Pool; terms: Terms; inUse: readonly IPAddress[]; now: number },
): number {
  const policy = policyAt(poolPolicy(pool, terms).policy, now);
  const lasting = { ...terms, universe: subtract(terms.universe, policy.draining) };
  const others = { ...policy, aside: policy.aside.filter(({ key }) => key !== cluster) };
  const held = inUse.filter(belongsTo(cluster)).length;
  const open = roomOf(lasting, inUse).free - keptOf(others, lasting, inUse);
  return Math.max(0, Math.min(open, (policy.perCluster ?? Infinity) - held));
}

function belongsTo(cluster: string): (address: IPAddress) => boolean {
  return ({ metadata }) =>
    `${metadata.namespace ?? ""}/${metadata.labels?.[clusterNameLabel] ?? ""}` === cluster;
}
