import { groupResource, isDeleting, keyText, type Key, type ResourceStore } from "#core";
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
import { addressesOf } from "../in-use.ts";
import type { Reservation, Reservations } from "../reservation.ts";
import { placeText, poolPlace, type Pool, type PoolPlace } from "../words.ts";

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
  /** What is taken of the pool; looked up only for a claim that has no address yet. */
  readonly taken:
    { readonly addresses: readonly IPAddress[]; readonly reservations: readonly Reservation[] } | undefined;
}

/** An IPAddress whose claim is gone. */
export interface OrphanSeen {
  readonly kind: "orphan";
  readonly address: IPAddress;
  /** When this process first saw it so, milliseconds since 1970. */
  readonly since: number;
}

export type Seen = ClaimSeen | OrphanSeen;

export async function observe(
  deps: {
    readonly store: ResourceStore;
    readonly reservations: Reservations;
    /** When the IPAddress of this key was first seen without a claim; undefined forgets it. */
    readonly orphanSince: (key: Key, address: IPAddress | undefined) => number;
  },
  key: Key,
  signal: AbortSignal,
): Promise<Seen | undefined> {
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
  const unbound = !address && !isDeleting(claim) && pool !== undefined;
  return {
    kind: "claim",
    claim,
    place,
    pool,
    cluster: await clusterOf(store, claim, signal),
    address,
    taken: unbound
      ? {
          // Reservations first: one that goes between the two reads has left its IPAddress for the second.
          reservations: await deps.reservations.of(place, pool, signal),
          addresses: await addressesOf(store, place, signal),
        }
      : undefined,
  };
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
