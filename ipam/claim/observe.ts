import { groupResource, isDeleting, keyOf, keyText, ownerOf, type Key, type ResourceStore } from "#core";
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
import { parseAddress } from "../address.ts";
import type { Answer } from "../allocator/index.ts";
import type { Books } from "../books.ts";
import { wishAnnotation } from "../policy.ts";
import type { PoolTerms } from "../terms.ts";
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
  /** What the pool's text means, if there is a pool. */
  readonly terms: PoolTerms | undefined;
  /** An address for it; asked for only by a claim that may get one now. */
  readonly offer: Answer | { readonly kind: "bad wish"; readonly text: string } | undefined;
  /** Who else has an IPAddress of the pool with the same address: a claim, or nobody any more (V6). */
  readonly sharer: "none" | "claim" | "left over";
  /** Whether a lead keeps other processes from giving addresses, rather than reservations. */
  readonly isLed: boolean;
  /** The claim as the writes of this round left it. */
  readonly round: { claim: IPAddressClaim };
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
  /** Answers from what was written. */
  readonly truth: ResourceStore;
  readonly books: Books;
  readonly isLed: boolean;
  /** When the IPAddress of this key was first seen without a claim; undefined forgets it. */
  readonly orphanSince: (key: Key, address: IPAddress | undefined) => number;
}

export async function observe(deps: ObserveDeps, key: Key, signal: AbortSignal): Promise<Seen | undefined> {
  const { store, isLed } = deps;
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
    terms: pool && deps.books.shape(place, pool),
    offer: undefined,
    sharer: address && !claim.status?.addressRef ? await sharerOf(deps, place, key, signal) : "none",
    isLed,
    round: { claim },
  };
  return seen.terms?.kind === "terms" && mayAllocate(seen)
    ? { ...seen, offer: offerFor(deps.books, seen) }
    : seen;
}

async function sharerOf(
  { truth, books }: ObserveDeps,
  place: PoolPlace,
  key: Key,
  signal: AbortSignal,
): Promise<ClaimSeen["sharer"]> {
  let sharer: ClaimSeen["sharer"] = "none";
  for (const other of books.of(place).sharers(keyText(key))) {
    const address = await truth.get(ipAddress, other, signal);
    if (!address) continue; // of its end we have not heard yet
    const claim = await truth.get(ipAddressClaim, other, signal);
    const uid = ownerOf(address, ipAddressClaim)?.uid ?? claim?.metadata.uid;
    if (claim && !isDeleting(claim) && claim.metadata.uid === uid) return "claim";
    sharer = "left over";
  }
  return sharer;
}

function offerFor(books: Books, { claim, place, terms }: ClaimSeen): ClaimSeen["offer"] {
  const wish = claim.metadata.annotations?.[wishAnnotation];
  const wished =
    wish !== undefined && parseAddress(wish) && terms?.kind === "terms" ? terms.read(wish) : undefined;
  if (wish !== undefined && wished === undefined) return { kind: "bad wish", text: wish };
  books.offered(keyOf(claim), place);
  return books.of(place).offer(claim, wished);
}

/** Whether nothing but a free address is missing for the claim to get one. Pure. */
export function mayAllocate(seen: ClaimSeen): boolean {
  const { claim, pool, address, cluster: state } = seen;
  const isOpen = pool !== undefined && !isDeleting(pool);
  const isReady = !isDeleting(claim) && !address;
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

/** What could bring the claim on: for waking it. `forRoom`: of its pool, nothing but room is missing. Pure. */
export function awaited(claim: IPAddressClaim, forRoom: boolean): string[] {
  const place = poolPlace(claim);
  const key = clusterKey(claim);
  const pool = place && placeText(place);
  return [...(pool ? [forRoom ? stateText(pool) : pool] : []), ...(key ? [clusterText(key)] : [])];
}

/** Where those wait whom only the state of a pool concerns: that it appears, goes, or is paused. */
export function stateText(pool: string): string {
  return `state of ${pool}`;
}

export function clusterText(key: Key): string {
  return `${groupResource(cluster)} ${keyText(key)}`;
}
