import { groupResource, hasFinalizer, isDeleting, keyText, type Key, type ResourceStore } from "#core";
import {
  cluster,
  clusterNameLabel,
  ipAddress,
  ipAddressClaim,
  pausedAnnotation,
  type Cluster,
  type IPAddress,
  type IPAddressClaim,
} from "#proto";
import type { Desk, Offer } from "../desk.ts";
import { poolRanges, type PoolRanges } from "../ranges.ts";
import { placeText, poolPlace, releaseAddress, type Pool, type PoolPlace } from "../words.ts";

/** All that a decision about one claim needs. */
export interface ClaimSeen {
  readonly kind: "claim";
  readonly claim: IPAddressClaim;
  readonly place: PoolPlace;
  /** The pool, if it exists. */
  readonly pool: Pool | undefined;
  /** How the claim's cluster is; "none" when it names none. */
  readonly cluster: "none" | "missing" | "paused" | "active";
  /** The IPAddress of the claim's name, whosever it is. */
  readonly address: IPAddress | undefined;
  /** What the pool's text means, if there is a pool. */
  readonly ranges: PoolRanges | undefined;
  /** An address for it; asked for only by a claim that may get one now. */
  readonly offer: Offer | undefined;
}

/** An IPAddress whose claim is gone. */
export interface OrphanSeen {
  readonly kind: "orphan";
  readonly address: IPAddress;
  /** When this process first saw it so, milliseconds since 1970. */
  readonly since: number;
}

export type Seen = ClaimSeen | OrphanSeen;

export interface ObserveDeps {
  readonly store: ResourceStore;
  /** The counter of a pool. */
  readonly desk: (place: PoolPlace) => Desk;
  /** When the IPAddress of this key was first seen without a claim; undefined forgets it. */
  readonly orphanSince: (key: Key, address: IPAddress | undefined) => number;
}

export async function observe(deps: ObserveDeps, key: Key, signal: AbortSignal): Promise<Seen | undefined> {
  const { store } = deps;
  const claim = await store.get(ipAddressClaim, key, signal);
  const address = await store.get(ipAddress, key, signal);
  if (!claim) {
    const ours = address && poolPlace(address) && address.spec.claimRef.name === key.name;
    const since = deps.orphanSince(key, ours ? address : undefined);
    return ours ? { kind: "orphan", address, since } : undefined;
  }
  deps.orphanSince(key, undefined);
  const place = poolPlace(claim);
  if (!place) return undefined; // another provider's
  const pool = await store.get(place.kind, place.key, signal);
  const seen: ClaimSeen = {
    kind: "claim",
    claim,
    place,
    pool,
    cluster: await clusterOf(store, claim, signal),
    address,
    ranges: pool && poolRanges(pool.spec),
    offer: undefined,
  };
  if (!pool || seen.ranges?.kind !== "ranges" || !mayAllocate(seen)) return seen;
  return { ...seen, offer: await deps.desk(place).offer(pool, seen.ranges, claim) };
}

/** Whether nothing but a free address is missing for the claim to get one. Pure. */
export function mayAllocate(seen: ClaimSeen): boolean {
  const { claim, pool, address, cluster: state } = seen;
  const isOpen = pool !== undefined && !isDeleting(pool);
  const isReady = hasFinalizer(claim, releaseAddress) && !isDeleting(claim) && !address;
  return isOpen && isReady && state !== "missing" && !isHalted(seen);
}

/** Whether the claim, its pool or its cluster is paused. Pure. */
export function isHalted({ claim, pool, cluster: state }: ClaimSeen): boolean {
  return state === "paused" || isPaused(claim) || (pool !== undefined && isPaused(pool));
}

async function clusterOf(
  store: ResourceStore,
  claim: IPAddressClaim,
  signal: AbortSignal,
): Promise<ClaimSeen["cluster"]> {
  const key = clusterKey(claim);
  if (!key) return "none";
  const found: Cluster | undefined = await store.get(cluster, key, signal);
  if (!found) return "missing";
  return found.spec.paused || isPaused(found) ? "paused" : "active";
}

/** The cluster that a claim belongs to: by field, or by label as older providers do. Pure. */
export function clusterKey(claim: IPAddressClaim): Key | undefined {
  const name = claim.spec.clusterName ?? claim.metadata.labels?.[clusterNameLabel];
  const { namespace } = claim.metadata;
  return name ? { ...(namespace === undefined ? {} : { namespace }), name } : undefined;
}

/** Whether the object carries the annotation that stops controllers, whatever its value. Pure. */
export function isPaused(object: {
  readonly metadata: { readonly annotations?: Record<string, string> };
}): boolean {
  return object.metadata.annotations?.[pausedAnnotation] !== undefined;
}

/** What could bring the claim on: for waking it. Pure. */
export function awaited(claim: IPAddressClaim): string[] {
  const place = poolPlace(claim);
  const key = clusterKey(claim);
  return [...(place ? [placeText(place)] : []), ...(key ? [clusterText(key)] : [])];
}

export function clusterText(key: Key): string {
  return `${groupResource(cluster)} ${keyText(key)}`;
}
