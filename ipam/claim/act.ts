import {
  deleteIfExists,
  ensureFinalizer,
  Fault,
  hasFinalizer,
  isDeleting,
  isFault,
  keyOf,
  keyText,
  modify,
  ownerReference,
  parseApiVersion,
  removeFinalizer,
  type Draft,
  type OwnerReference,
  type ResourceStore,
} from "#core";
import { clusterNameLabel, ipAddress, ipAddressClaim, type IPAddress, type IPAddressClaim } from "#proto";
import { parseAddress, type Address } from "../address.ts";
import type { Desk } from "../desk.ts";
import type { Reservations } from "../reservation.ts";
import { poolName, protectAddress, releaseAddress, type Pool, type PoolPlace } from "../words.ts";
import type { ClaimSeen, Seen } from "./observe.ts";
import { isHeldBy, type ClaimAction } from "./plan.ts";

export interface ActDeps {
  readonly store: ResourceStore;
  readonly reservations: Reservations;
  /** The counter of a pool. */
  readonly desk: (place: PoolPlace) => Desk;
}

export async function act(deps: ActDeps, seen: Seen, action: ClaimAction): Promise<void> {
  const { store } = deps;
  switch (action.do) {
    case "protect claim":
      if (seen.kind === "claim") await ensureFinalizer(store, ipAddressClaim, seen.claim, releaseAddress);
      return;
    case "allocate address":
      if (seen.kind === "claim") await allocate(deps, seen, action.address, action.text);
      return;
    case "adopt address":
      if (seen.kind === "claim" && seen.address) await adopt(store, seen, seen.address);
      return;
    case "rest address":
      if (seen.address) await deleteIfExists(store, ipAddress, keyOf(seen.address), meant(seen.address));
      return;
    case "release address":
      if (seen.address) await release(store, seen.address);
      return;
    case "let claim go":
      if (seen.kind === "claim") await letGo(deps, seen);
      return;
  }
}

/** Reservation, a last look, IPAddress (reservation.ts, V1 and V2). A loser throws Conflict: another round finds another address. */
async function allocate(
  { store, reservations, desk }: ActDeps,
  { claim, place, pool }: ClaimSeen,
  address: Address,
  text: string,
): Promise<void> {
  if (!pool) throw new Fault("Bug", `${keyText(keyOf(claim))} gets an address of no pool`);
  const taken = new Fault("Conflict", `${text} of ${poolName(place)} was given to another claim meanwhile`);
  const reservation = await reservations.win(place, pool, claim, address);
  if (!reservation) throw taken;
  const { addresses } = await desk(place).look(pool);
  const rival = addresses.find(({ spec }) => {
    const used = parseAddress(spec.address);
    return used?.family === address.family && used.value === address.value;
  });
  const isOurs = rival && keyText(keyOf(rival)) === keyText(keyOf(claim));
  if (rival && !isOurs) {
    await reservations.remove(reservation);
    throw taken;
  }
  if (!isOurs) {
    let made: IPAddress;
    try {
      made = await store.create(ipAddress, addressDraft(claim, place, pool, text));
    } catch (error) {
      // Another process finished this very claim. What it made is looked at in the next round.
      if (!isFault(error, "AlreadyExists")) throw error;
      await reservations.remove(reservation);
      throw new Fault("Conflict", `an IPAddress ${keyText(keyOf(claim))} appeared meanwhile`, {
        cause: error,
      });
    }
    // The claim may have been released by another process in the meantime: then nobody else would ever release this (V5).
    const now = await store.get(ipAddressClaim, keyOf(claim));
    if (now?.metadata.uid !== claim.metadata.uid || !hasFinalizer(now, releaseAddress))
      await release(store, made);
  }
  await reservations.remove(reservation);
}

/** The IPAddress exactly as upstream's provider writes it. Pure. */
export function addressDraft(
  claim: IPAddressClaim,
  place: PoolPlace,
  pool: Pool,
  text: string,
): Draft<IPAddress> {
  const { name, namespace } = claim.metadata;
  const clusterName = claim.metadata.labels?.[clusterNameLabel];
  const { apiGroup, kind, name: poolRefName } = claim.spec.poolRef;
  return {
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      ...(clusterName === undefined ? {} : { labels: { [clusterNameLabel]: clusterName } }),
      finalizers: [protectAddress],
      ownerReferences: [claimReference(claim), poolReference(place, pool)],
    },
    spec: {
      address: text,
      prefix: pool.spec.prefix,
      ...(pool.spec.gateway ? { gateway: pool.spec.gateway } : {}),
      claimRef: { name },
      poolRef: { apiGroup, kind, name: poolRefName },
    },
  };
}

function claimReference(claim: IPAddressClaim): OwnerReference {
  return ownerReference(ipAddressClaim, claim, { controller: true, blockOwnerDeletion: true });
}

function poolReference(place: PoolPlace, pool: Pool): OwnerReference {
  return ownerReference(place.kind, pool, { controller: false, blockOwnerDeletion: true });
}

/** Gives an IPAddress that is there already what upstream gives it: foreign owners first, then claim, then pool; spec untouched. */
async function adopt(
  store: ResourceStore,
  { claim, place, pool }: ClaimSeen,
  address: IPAddress,
): Promise<void> {
  const ours = [claimReference(claim), ...(pool ? [poolReference(place, pool)] : [])];
  await modify(store, ipAddress, keyOf(address), (object) => {
    if (object.metadata.uid !== address.metadata.uid) return;
    object.metadata.ownerReferences = withOwners(object.metadata.ownerReferences ?? [], ours);
    const finalizers = object.metadata.finalizers ?? [];
    if (!isDeleting(object) && !finalizers.includes(protectAddress))
      object.metadata.finalizers = [...finalizers, protectAddress];
    const clusterName = claim.metadata.labels?.[clusterNameLabel];
    if (clusterName !== undefined)
      object.metadata.labels = { ...object.metadata.labels, [clusterNameLabel]: clusterName };
  });
}

/** Foreign owners first, then these: one of the same group, kind and name gives way (its uid may be old). Pure. */
export function withOwners(
  have: readonly OwnerReference[],
  ours: readonly OwnerReference[],
): OwnerReference[] {
  const isSame = (a: OwnerReference, b: OwnerReference) =>
    a.kind === b.kind &&
    a.name === b.name &&
    parseApiVersion(a.apiVersion).group === parseApiVersion(b.apiVersion).group;
  return [...have.filter((each) => !ours.some((owner) => isSame(each, owner))), ...ours];
}

/** Deleted first, then unprotected: whoever dies in between leaves an object that is going, not one that nobody knows. */
async function release(store: ResourceStore, address: IPAddress): Promise<void> {
  const key = keyOf(address);
  try {
    await deleteIfExists(store, ipAddress, key, meant(address));
  } catch (error) {
    if (!isFault(error, "Conflict")) throw error;
    return; // another of that name by now: not ours
  }
  await removeFinalizer(store, ipAddress, key, protectAddress);
}

async function letGo({ store, reservations }: ActDeps, { claim, place, pool }: ClaimSeen): Promise<void> {
  if (pool)
    for (const { claimUid, lease } of await reservations.of(place, pool))
      if (claimUid === claim.metadata.uid) await reservations.remove(lease);
  await removeFinalizer(store, ipAddressClaim, keyOf(claim), releaseAddress);
  // Another process may have been about to give it an address (V5). Garbage collection may have taken its owner off already.
  const late = await store.get(ipAddress, keyOf(claim));
  if (!late || !isHeldBy(late, claim)) return;
  const heir = await store.get(ipAddressClaim, keyOf(claim));
  if (!heir || heir.metadata.uid === claim.metadata.uid) await release(store, late);
}

function meant(address: IPAddress) {
  return { uid: address.metadata.uid };
}
