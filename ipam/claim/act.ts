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
  type Draft,
  type Kind,
  type OwnerReference,
  type Resource,
  type ResourceStore,
} from "#core";
import { clusterNameLabel, ipAddress, ipAddressClaim, type IPAddress, type IPAddressClaim } from "#proto";
import type { Books } from "../books.ts";
import type { Looks } from "../looks.ts";
import type { Reservations } from "../reservation.ts";
import type { Terms } from "../terms.ts";
import { poolName, protectAddress, releaseAddress, type Pool, type PoolPlace } from "../words.ts";
import type { ClaimSeen, Seen } from "./observe.ts";
import { isHeldBy, type ClaimAction } from "./plan.ts";

export interface ActDeps {
  /** Answers from copies where it may. */
  readonly store: ResourceStore;
  readonly books: Books;
  /** What keeps other writers out; undefined where there is none, because only the leader writes. */
  readonly rivals: Rivals | undefined;
}

/** What is needed where other processes may be giving out of the same pool at the same time. */
export interface Rivals {
  readonly reservations: Reservations;
  readonly looks: Looks;
  /** Answers from what was written, never from a copy. */
  readonly store: ResourceStore;
}

/** For how long an address that another process reserved is not tried again. */
const lostRestMs = 2_000;

export async function act(deps: ActDeps, seen: Seen, action: ClaimAction): Promise<void> {
  const { store } = deps;
  switch (action.do) {
    case "protect claim":
      if (seen.kind === "claim") await protect(store, seen);
      return;
    case "allocate address":
      if (seen.kind === "claim") await allocate(deps, seen, action.value, action.text);
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

async function protect(store: ResourceStore, { claim, round }: ClaimSeen): Promise<void> {
  const now = await ensureFinalizer(store, ipAddressClaim, claim, releaseAddress);
  if (now.metadata.uid !== claim.metadata.uid || !hasFinalizer(now, releaseAddress))
    throw new Fault("Conflict", `${keyText(keyOf(claim))} was deleted meanwhile`);
  round.claim = now;
}

/** Reservation, a last look, IPAddress (reservation.ts, V1 and V2). A loser throws Conflict: another round finds another address. */
async function allocate(deps: ActDeps, seen: ClaimSeen, value: bigint, text: string): Promise<void> {
  const { claim, place, pool, terms } = seen;
  if (!pool || terms?.kind !== "terms")
    throw new Fault("Bug", `${keyText(keyOf(claim))} gets an address of no pool`);
  const draft = addressDraft(claim, place, pool, terms.write(value));
  if (!deps.rivals) {
    await make(deps, seen, draft);
    return;
  }

  const { reservations, looks, store: truth } = deps.rivals;
  const book = deps.books.of(place);
  const key = keyOf(claim);
  const taken = new Fault("Conflict", `${text} of ${poolName(place)} was given to another claim meanwhile`);
  const reservation = await reservations.win(place, pool, claim, value);
  if (!reservation) {
    book.lost(keyText(key), value, lostRestMs);
    throw taken;
  }
  const rival = (await looks.look(place)).find(({ spec }) => terms.read(spec.address) === value);
  const isOurs = rival && keyText(keyOf(rival)) === keyText(key);
  if (rival && !isOurs) {
    deps.books.answered(rival);
    book.cancel(keyText(key));
    await reservations.remove(reservation);
    throw taken;
  }
  if (!isOurs) {
    const made = await make(deps, seen, draft).catch(async (error: unknown) => {
      if (isFault(error, "Conflict")) await reservations.remove(reservation);
      throw error;
    });
    // The claim may have been released by another process in the meantime: then nobody else would ever release this (V5).
    const now = await truth.get(ipAddressClaim, key);
    if (now?.metadata.uid !== claim.metadata.uid || !hasFinalizer(now, releaseAddress))
      await release(deps.store, made);
  }
  await reservations.remove(reservation);
}

/** Creates the IPAddress, and lets the book know how that ended. Conflict where one of its name appeared meanwhile. */
async function make(
  { store, books }: ActDeps,
  { claim, place }: ClaimSeen,
  draft: Draft<IPAddress>,
): Promise<IPAddress> {
  const key = keyOf(claim);
  const book = books.of(place);
  book.unsure(keyText(key));
  try {
    const made = await store.create(ipAddress, draft);
    books.answered(made);
    book.cancel(keyText(key)); // made and gone again, where we heard so before
    return made;
  } catch (error) {
    if (isFault(error, "Invalid", "Forbidden")) book.cancel(keyText(key));
    if (!isFault(error, "AlreadyExists")) throw error;
    // Another process finished this very claim, or we did, unheard. What there is, is looked at in the next round.
    const found = await store.get(ipAddress, key);
    if (found) books.answered(found);
    book.cancel(keyText(key)); // nothing where it is there
    throw new Fault("Conflict", `an IPAddress ${keyText(key)} appeared meanwhile`, { cause: error });
  }
}

/** The IPAddress exactly as upstream's provider writes it. Pure. */
export function addressDraft(
  claim: IPAddressClaim,
  place: PoolPlace,
  pool: Pool,
  written: ReturnType<Terms["write"]>,
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
      ...written,
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
  await unprotect(store, ipAddress, address, protectAddress);
}

/** Takes the finalizer off this very object: another of its name keeps its own. */
async function unprotect<R extends Resource>(
  store: ResourceStore,
  kind: Kind<R>,
  object: R,
  finalizer: string,
): Promise<void> {
  const { uid } = object.metadata;
  try {
    await modify(store, kind, keyOf(object), ({ metadata }) => {
      if (metadata.uid !== uid) return;
      const others = metadata.finalizers?.filter((each) => each !== finalizer) ?? [];
      if (others.length > 0) metadata.finalizers = others;
      else delete metadata.finalizers;
    });
  } catch (error) {
    if (!isFault(error, "NotFound")) throw error;
  }
}

async function letGo(deps: ActDeps, { claim, place, pool, address }: ClaimSeen): Promise<void> {
  const { store, rivals } = deps;
  if (rivals && pool && !address)
    for (const { claimUid, lease } of await rivals.reservations.of(place, pool))
      if (claimUid === claim.metadata.uid) await rivals.reservations.remove(lease);
  await unprotect(store, ipAddressClaim, claim, releaseAddress);
  if (!rivals) return;
  // Another process may have been about to give it an address (V5). Garbage collection may have taken its owner off already.
  const late = await rivals.store.get(ipAddress, keyOf(claim));
  if (!late || !isHeldBy(late, claim)) return;
  const heir = await rivals.store.get(ipAddressClaim, keyOf(claim));
  if (!heir || heir.metadata.uid === claim.metadata.uid) await release(store, late);
}

function meant(address: IPAddress) {
  return { uid: address.metadata.uid };
}
