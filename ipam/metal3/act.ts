import {
  ensureFinalizer,
  Fault,
  hasFinalizer,
  isDeleting,
  isFault,
  keyOf,
  modify,
  modifyStatus,
  ownerReference,
  removeFinalizer,
  timestamp,
  type Clock,
  type Draft,
  type Lease,
  type Resource,
  type ResourceStore,
} from "#core";
import {
  cluster,
  clusterNameLabel,
  ipAddressClaim,
  metal3IPClaim,
  metal3IPPool,
  type IPAddress,
  type Metal3IPAddress,
  type Metal3IPPool,
} from "#proto";
import { formatAddress, type Address } from "../address.ts";
import { withOwners } from "../claim/act.ts";
import { condemn, release, unprotect } from "../going.ts";
import type { Reservations } from "../reservation.ts";
import { byClaim, firstReserved, rangesOf } from "./free.ts";
import { counts, isOwn, ownerUid, toldName } from "./left.ts";
import {
  addressesOnPool,
  flavours,
  type Flavour,
  type Metal3Seen,
  type SeenAddress,
  type SeenClaim,
} from "./observe.ts";
import { isSurplus, type Grant, type Leaving, type Metal3Action, type Verdict } from "./plan.ts";
import { isAllocatable } from "./ranges.ts";
import { poolFinalizer, poolText, provider, providerLabel } from "./words.ts";
import { addressDraft, capiStatus, metal3Status, ownersOf } from "./written.ts";

export interface Metal3ActDeps {
  readonly store: ResourceStore;
  readonly clock: Clock;
  readonly reservations: Reservations;
}

export async function act(deps: Metal3ActDeps, seen: Metal3Seen, action: Metal3Action): Promise<void> {
  const { store, reservations } = deps;
  switch (action.do) {
    case "mark pool":
      return markPool(store, seen);
    case "protect claims":
      return each(action.claims, async ({ flavour, object }) => {
        const { claimKind, claimFinalizer } = flavours[flavour];
        await ensureFinalizer(store, claimKind, object, claimFinalizer);
      });
    case "adopt addresses":
      return adopt(deps, seen, action.pairs);
    case "release addresses":
      return each(action.addresses, (address) => releaseUnheld(store, address));
    case "let claims go":
      return each(action.leaving, (leaving) => letGo(deps, seen, leaving));
    case "give addresses":
      return give(deps, seen, action.grants);
    case "tell claims":
      return each(action.verdicts, ([claim, verdict]) => tell(deps, claim, verdict));
    case "sweep reservations":
      return each(
        seen.reservations.filter(({ lease }) => action.uids.includes(lease.metadata.uid)),
        async (reservation) => {
          if (await reservations.isOver(reservation)) await reservations.remove(reservation.lease); // V2
        },
      );
    case "let pool go":
      await removeFinalizer(store, metal3IPPool, seen.key, poolFinalizer);
      return;
  }
}

async function markPool(store: ResourceStore, { key, owner }: Metal3Seen): Promise<void> {
  await modify(store, metal3IPPool, key, (pool) => {
    if (isDeleting(pool)) return;
    const { metadata, spec } = pool;
    if (!hasFinalizer(pool, poolFinalizer))
      metadata.finalizers = [...(metadata.finalizers ?? []), poolFinalizer];
    if (!spec.clusterName) return;
    metadata.labels = { ...metadata.labels, [clusterNameLabel]: spec.clusterName, [providerLabel]: provider };
    if (owner)
      metadata.ownerReferences = withOwners(metadata.ownerReferences ?? [], [
        ownerReference(cluster, owner, { controller: false }),
      ]);
  });
}

/**
 * Reservations for all, one look at the pool for all, then each IPAddress (reservation.ts, V1 and V2). Who loses is tried again
 * with another address: Conflict. Names stand for addresses here, so that they do not stop a second IPAddress of a claim: of several
 * reservations of a claim the oldest counts. Whoever made another sees it, since it stays until the claim has its IPAddress.
 */
async function give(deps: Metal3ActDeps, seen: Metal3Seen, grants: readonly Grant[]): Promise<void> {
  const { store, reservations } = deps;
  const { key, pool } = seen;
  if (!pool) throw new Fault("Bug", `${poolText(key)} gives addresses, but does not exist`);
  const won = new Map<Grant, Lease>();
  let lost = 0;
  await each(grants, async (grant) => {
    const tried = await reservations.win({ key }, pool, grant.claim.object, grant.address.value);
    if (tried.kind === "won") won.set(grant, tried.lease);
    else lost++;
  });
  const rivals = byClaim(await reservations.of({ key }, pool)); // before the addresses: one that went has left its claim's IPAddress
  const addresses = await addressesOnPool(store, key);
  const taken = new Set(addresses.map(({ object }) => object.spec.address));
  const served = new Set(addresses.map(({ flavour, claim }) => `${flavour} ${claim}`));
  const owned = new Set(addresses.map(({ flavour, object }) => `${flavour} ${ownerUid(flavour, object)}`));
  const ranges = rangesOf(pool);
  const mayBeGiven = (each: Address) =>
    ranges.kind === "ranges" && isAllocatable(ranges.ranges, each) && !taken.has(formatAddress(each));
  await each([...won], async ([grant, lease]) => {
    const { claim, address, fixed } = grant;
    const { uid, name } = claim.object.metadata;
    const first = firstReserved(rivals.get(uid), mayBeGiven);
    const isOther = !fixed && first !== undefined && formatAddress(first) !== formatAddress(address);
    const isTaken = taken.has(formatAddress(address)) || served.has(`${claim.flavour} ${name}`);
    const made = isOther || isTaken ? "lost" : await make(deps, seen, pool, grant);
    if (made === "lost") lost++;
    if (made === "done" || owned.has(`${claim.flavour} ${uid}`)) await reservations.remove(lease);
  });
  if (lost > 0) throw new Fault("Conflict", `${lost} addresses of ${poolText(key)} went to others meanwhile`);
}

/**
 * "lost" where another was faster, "refused" where the claim was told why it cannot have the address, "done" where it has it or counts
 * no more: then its reservation may go (V2).
 */
async function make(
  deps: Metal3ActDeps,
  { key }: Metal3Seen,
  pool: Metal3IPPool,
  { claim, address, range }: Grant,
): Promise<"done" | "lost" | "refused"> {
  const { store } = deps;
  const { uid } = claim.object.metadata;
  const { claimKind, addressKind } = flavours[claim.flavour];
  const draft = addressDraft(pool, claim, { address, range });
  let made: Resource;
  try {
    made = await store.create(addressKind, draft as Draft<Resource>);
  } catch (error) {
    if (!isFault(error, "AlreadyExists")) throw error;
    const other = await store.get(addressKind, { ...key, name: draft.metadata.name! });
    if (!other || namesPool(claim.flavour, other as never, key.name)) return "lost";
    // Two pools with one namePrefix that overlap. The address is in use, though not by this pool's count.
    const message =
      `${formatAddress(address)} cannot be given: the IPAddress ${draft.metadata.name} is another pool's. ` +
      `Give ${poolText(key)} a range or a namePrefix of its own`;
    await tell(deps, claim, { kind: "waiting", reason: "AllocationFailed", message });
    return "refused";
  }
  // The claim may have been let go by another process in the meantime: then nobody else would ever release this (V6).
  const now = await store.get(claimKind, keyOf(claim.object));
  const told = now && toldName(claim.flavour, now);
  const isServed =
    told !== undefined && ![made.metadata.name, toldName(claim.flavour, claim.object)].includes(told); // by another, meanwhile
  if (!now || isServed || !counts(claim.flavour, now, uid)) {
    await releaseOf(store, claim.flavour, made);
    return "done";
  }
  const held = { flavour: claim.flavour, object: made, address, claim: claim.object.metadata.name, alone: 0 };
  await tell(deps, claim, { kind: "bound", address: held as SeenAddress });
  return "done";
}

function namesPool(flavour: string, address: Metal3IPAddress & IPAddress, name: string): boolean {
  return flavour === "metal3" ? address.spec.pool.name === name : address.spec.poolRef.name === name;
}

/**
 * Finalizer and owners for those that are there already. One that was not this claim's is given to it as a new one would be (V1): unless
 * the claim came with it, told of it.
 */
async function adopt(
  { store, reservations }: Metal3ActDeps,
  seen: Metal3Seen,
  pairs: readonly (readonly [SeenClaim, SeenAddress])[],
): Promise<void> {
  const { key, pool } = seen;
  const isGiven = ([{ flavour, object: claim }, { object }]: readonly [SeenClaim, SeenAddress]) =>
    isOwn(flavour, object, claim.metadata.uid) || toldName(flavour, claim) !== undefined;
  await each(
    pairs.filter(isGiven),
    async ([claim, address]) => void (await own(store, seen, claim, address)),
  );
  const news = pairs.filter((pair) => !isGiven(pair));
  if (news.length === 0) return;
  const won = new Map<SeenAddress, Lease>();
  if (pool)
    await each(news, async ([claim, seenAddress]) => {
      const { address } = seenAddress;
      if (!address) return;
      const tried = await reservations.win({ key }, pool, claim.object, address.value);
      if (tried.kind === "won") won.set(seenAddress, tried.lease);
    });
  const bearers = await addressesOnPool(store, key);
  let lost = 0;
  await each(news, async ([claim, address]) => {
    const isShared = bearers.some(
      ({ object }) =>
        object.metadata.uid !== address.object.metadata.uid &&
        object.spec.address === address.object.spec.address,
    );
    const lease = won.get(address);
    if (isShared || (pool && address.address && !lease)) lost++;
    else if (await own(store, seen, claim, address)) await (lease && reservations.remove(lease));
  });
  if (lost > 0)
    throw new Fault(
      "Conflict",
      `${lost} addresses of ${poolText(key)} are given to others, or borne by others`,
    );
}

/** Resolves with whether the address is the claim's now. */
async function own(
  store: ResourceStore,
  { pool }: Metal3Seen,
  claim: SeenClaim,
  { flavour, object }: SeenAddress,
): Promise<boolean> {
  const { addressKind, addressFinalizer } = flavours[flavour];
  const now = await modify(store, addressKind, keyOf(object), (fresh) => {
    if (fresh.metadata.uid !== object.metadata.uid) return;
    fresh.metadata.ownerReferences = withOwners(fresh.metadata.ownerReferences ?? [], ownersOf(pool, claim));
    if (!isDeleting(fresh) && !hasFinalizer(fresh, addressFinalizer))
      fresh.metadata.finalizers = [...(fresh.metadata.finalizers ?? []), addressFinalizer];
  });
  return isOwn(flavour, now, claim.object.metadata.uid);
}

/** Releases it, unless its claim counts and has no other: what was listed may be old by now. */
async function releaseUnheld(store: ResourceStore, { flavour, object, claim }: SeenAddress): Promise<void> {
  const { claimKind } = flavours[flavour];
  const now = await store.get(claimKind, { ...keyOf(object), name: claim });
  const uid = ownerUid(flavour, object) ?? (isDeleting(object) ? undefined : now?.metadata.uid);
  const isHeld = now && uid !== undefined && counts(flavour, now, uid) && !isSurplus(flavour, now, object);
  if (!isHeld) await releaseOf(store, flavour, object);
}

function releaseOf(store: ResourceStore, flavour: Flavour, object: Resource): Promise<void> {
  const { addressKind, addressFinalizer } = flavours[flavour];
  return release(store, addressKind, object, addressFinalizer);
}

/** The claim goes before its IPAddresses, which until then are only marked deleted (V5). */
async function letGo(
  { store, reservations }: Metal3ActDeps,
  { reservations: held }: Metal3Seen,
  { claim: { flavour, object }, addresses }: Leaving,
): Promise<void> {
  const { claimKind, claimFinalizer, addressKind, addressFinalizer } = flavours[flavour];
  const going: Resource[] = [];
  for (const address of addresses)
    if (await condemn(store, addressKind, address.object)) going.push(address.object);
  await unprotect(store, claimKind, object, claimFinalizer);
  for (const address of going) await unprotect(store, addressKind, address, addressFinalizer);
  for (const { claimUid, lease } of held)
    if (claimUid === object.metadata.uid) await reservations.remove(lease);
  await reservations.forget(keyOf(object));
}

/** Writes what the claim hears into its status, if it is the same claim still, and was not told of an address by another meanwhile. */
async function tell({ store, clock }: Metal3ActDeps, claim: SeenClaim, verdict: Verdict): Promise<void> {
  const { object } = claim;
  const isSame = (fresh: Resource) =>
    fresh.metadata.uid === object.metadata.uid &&
    !isDeleting(fresh) &&
    [undefined, toldName(claim.flavour, object)].includes(toldName(claim.flavour, fresh));
  if (claim.flavour === "metal3")
    await modifyStatus(store, metal3IPClaim, keyOf(object), (fresh) => {
      if (isSame(fresh)) fresh.status = metal3Status(fresh, verdict);
    });
  else
    await modifyStatus(store, ipAddressClaim, keyOf(object), (fresh) => {
      if (isSame(fresh)) fresh.status = capiStatus(fresh, verdict, timestamp(clock));
    });
}

/** How many writes are under way at once. */
const atOnce = 32;

/**
 * Does it for all, and throws what failed first only when all were tried: one that fails does not hold up the others. What went
 * meanwhile is no failure: its going brings another round.
 */
async function each<T>(list: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...list];
  const failures: unknown[] = [];
  const worker = async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift())
      await work(item).catch((error: unknown) => void (isFault(error, "NotFound") || failures.push(error)));
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, list.length) }, worker));
  if (failures.length > 0) throw failures[0];
}
