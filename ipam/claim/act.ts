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
  ownerOf,
  ownerReference,
  parseApiVersion,
  type Clock,
  type Draft,
  type OwnerReference,
  type ResourceStore,
} from "#core";
import { clusterNameLabel, ipAddress, ipAddressClaim, type IPAddress, type IPAddressClaim } from "#proto";
import type { Books } from "../books.ts";
import type { Looks } from "../looks.ts";
import type { Reservations } from "../reservation.ts";
import type { Terms } from "../terms.ts";
import { poolName, protectAddress, releaseAddress, type Pool, type PoolPlace } from "../words.ts";
import { release, unprotect } from "../going.ts";
import { counts, isOwn } from "./counts.ts";
import type { ClaimSeen, Seen } from "./observe.ts";
import { isHeldBy, type ClaimAction } from "./plan.ts";

export interface ActDeps {
  /** Answers from copies where it may. */
  readonly store: ResourceStore;
  /** Answers from what was written, never from a copy. */
  readonly truth: ResourceStore;
  readonly clock: Clock;
  readonly books: Books;
  /** What keeps other writers out; undefined where there is none, because only the leader writes. */
  readonly rivals: Rivals | undefined;
}

/** What is needed where other processes may be giving out of the same pool at the same time. */
export interface Rivals {
  readonly reservations: Reservations;
  readonly looks: Looks;
}

/** For how long an address that is reserved for another claim is not tried again; and after that it is strange that it still is. */
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
      if (seen.kind === "claim" && seen.address) await adopt(deps, seen, seen.address);
      return;
    case "rest address":
      if (seen.address)
        await deleteIfExists(store, ipAddress, keyOf(seen.address), { uid: seen.address.metadata.uid });
      return;
    case "release address":
      if (seen.address) await remove(deps, seen, seen.address, releaseNow);
      return;
    case "free address":
      if (seen.address) await remove(deps, seen, seen.address, free);
      return;
    case "take back address":
      if (seen.address) await releaseNow(store, seen.address);
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

/** A loser throws Conflict: another round finds another address. */
async function allocate(deps: ActDeps, seen: ClaimSeen, value: bigint, text: string): Promise<void> {
  const { claim, place, pool, terms } = seen;
  if (!pool || terms?.kind !== "terms")
    throw new Fault("Bug", `${keyText(keyOf(claim))} gets an address of no pool`);
  const draft = addressDraft(claim, place, pool, terms.write(value));
  const { rivals, truth } = deps;
  if (!rivals) {
    await make(deps, seen, draft);
    return;
  }
  await secure(deps, rivals, { claim, place, pool, terms, value, text });
  const made = await make(deps, seen, draft);
  // The claim may have been let go by another process in the meantime: then nobody else would ever release this (V6).
  if (!counts(await truth.get(ipAddressClaim, keyOf(claim)), claim.metadata.uid))
    await releaseOf(deps, claim, made);
  await rivals.reservations.settle(claim);
}

interface Wanted {
  readonly claim: IPAddressClaim;
  readonly place: PoolPlace;
  readonly pool: Pool;
  readonly terms: Terms;
  readonly value: bigint;
  readonly text: string;
}

/**
 * The reservation, then a look (V1). Conflict where the address is another's; what was reserved stays so (V2), since another process
 * may have looked when nobody bore the address, and be about to create the claim's IPAddress.
 */
async function secure(
  { books, clock, truth }: ActDeps,
  { reservations, looks }: Rivals,
  { claim, place, pool, terms, value, text }: Wanted,
): Promise<void> {
  const book = books.of(place);
  const owner = keyText(keyOf(claim));
  const taken = new Fault("Conflict", `${text} of ${poolName(place)} was given to another claim meanwhile`);
  const tried = await reservations.win(place, pool, claim, value);
  if (tried.kind === "reserved") {
    book.cancel(owner);
    const since = Date.parse(tried.by?.lease.metadata.creationTimestamp ?? "");
    const other = clock.now() - since < lostRestMs ? undefined : tried.by;
    // Whoever reserved it died, or found it in use then: its claim must not wait in vain for what only it may have.
    const first = other && (await truth.get(ipAddressClaim, other.claim));
    if (first) books.push(place, first, value);
    book.lost(owner, value, lostRestMs);
    throw taken;
  }
  const rival = (await looks.look(place)).rival(terms, value, owner);
  if (!rival) return;
  books.answered(rival);
  book.cancel(owner);
  throw taken;
}

/** Creates the IPAddress, and lets the book know how that ended. Conflict where one of its name appeared meanwhile. */
async function make(
  { store, books, rivals }: ActDeps,
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
    if (found && isOwn(found, claim.metadata.uid)) await rivals?.reservations.settle(claim); // V2
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

/**
 * Gives an IPAddress that is there already what upstream gives it: foreign owners first, then claim, then pool; spec untouched. One
 * that was not this claim's is given to it as a new one would be (V1), unless the claim came with it: bound.
 */
async function adopt(deps: ActDeps, seen: ClaimSeen, address: IPAddress): Promise<void> {
  const { claim, place, pool, terms } = seen;
  const { store, rivals } = deps;
  const value = terms?.kind === "terms" ? terms.read(address.spec.address) : undefined;
  const isGiven = isOwn(address, claim.metadata.uid) || claim.status?.addressRef !== undefined;
  if (rivals && pool && terms?.kind === "terms" && value !== undefined && value >= 0n && !isGiven)
    await secure(deps, rivals, { claim, place, pool, terms, value, text: address.spec.address });
  const ours = [claimReference(claim), ...(pool ? [poolReference(place, pool)] : [])];
  const now = await modify(store, ipAddress, keyOf(address), (object) => {
    if (object.metadata.uid !== address.metadata.uid) return;
    object.metadata.ownerReferences = withOwners(object.metadata.ownerReferences ?? [], ours);
    const finalizers = object.metadata.finalizers ?? [];
    if (!isDeleting(object) && !finalizers.includes(protectAddress))
      object.metadata.finalizers = [...finalizers, protectAddress];
    const clusterName = claim.metadata.labels?.[clusterNameLabel];
    if (clusterName !== undefined)
      object.metadata.labels = { ...object.metadata.labels, [clusterNameLabel]: clusterName };
  });
  if (isOwn(now, claim.metadata.uid)) await rivals?.reservations.settle(claim);
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

/** Removes an IPAddress whose claim counts no more: what the copies say of that claim is not enough, unless we let it go ourselves. */
async function remove(
  { store, truth }: ActDeps,
  seen: Seen,
  address: IPAddress,
  how: (store: ResourceStore, address: IPAddress) => Promise<void>,
): Promise<void> {
  if (seen.kind === "orphan" || !isDeleting(seen.claim)) {
    const now = await truth.get(ipAddressClaim, keyOf(address));
    const uid = ownerOf(address, ipAddressClaim)?.uid ?? now?.metadata.uid;
    if (uid !== undefined && counts(now, uid))
      throw new Fault("Conflict", `IPAddressClaim ${keyText(keyOf(address))} is there`);
  }
  await how(store, address);
}

/** Releases it unless another claim of that name has been given it meanwhile. */
async function releaseOf(
  { store, truth }: ActDeps,
  claim: IPAddressClaim,
  address: IPAddress | undefined,
): Promise<void> {
  for (let now = address; now && isHeldBy(now, claim); now = await truth.get(ipAddress, keyOf(claim))) {
    const { uid, resourceVersion } = now.metadata;
    try {
      await deleteIfExists(store, ipAddress, keyOf(now), { uid, resourceVersion });
      return await free(store, now);
    } catch (error) {
      if (!isFault(error, "Conflict")) throw error; // changed: garbage collection takes owners off that are gone
    }
  }
}

function releaseNow(store: ResourceStore, address: IPAddress): Promise<void> {
  return release(store, ipAddress, address, protectAddress);
}

function free(store: ResourceStore, address: IPAddress): Promise<void> {
  return unprotect(store, ipAddress, address, protectAddress);
}

/** The claim counts no more; then what others may have left for it goes. */
async function letGo(deps: ActDeps, { claim, place, pool, address }: ClaimSeen): Promise<void> {
  const { store, truth, rivals } = deps;
  await unprotect(store, ipAddressClaim, claim, releaseAddress);
  if (!rivals) return;
  await rivals.reservations.settle(claim); // V2
  if (pool && !address)
    for (const { claimUid, lease } of await rivals.reservations.of(place, pool))
      if (claimUid === claim.metadata.uid) await rivals.reservations.remove(lease);
  // Another process may have been about to give it an address (V6). Garbage collection may have taken its owner off already.
  const late = await truth.get(ipAddress, keyOf(claim));
  if (!late || late.metadata.uid === address?.metadata.uid || !isHeldBy(late, claim)) return;
  const heir = await truth.get(ipAddressClaim, keyOf(claim));
  if (!heir || heir.metadata.uid === claim.metadata.uid) await releaseOf(deps, claim, late);
}
