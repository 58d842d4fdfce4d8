import {
  deleteIfExists,
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
  setCondition,
  timestamp,
  type Clock,
  type Draft,
  type Lease,
  type OwnerReference,
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
  type IPAddressClaim,
  type Metal3IPAddress,
  type Metal3IPClaim,
  type Metal3IPPool,
} from "#proto";
import { formatAddress, type Address } from "../address.ts";
import { withOwners } from "../claim/act.ts";
import { asV1beta1 } from "../claim/report.ts";
import { digitsOf, type Reservations } from "../reservation.ts";
import { addressesOnPool, flavours, type Metal3Seen, type SeenAddress, type SeenClaim } from "./observe.ts";
import type { Grant, Metal3Action, Verdict } from "./plan.ts";
import { addressName, poolFinalizer, poolText, provider, providerLabel } from "./words.ts";

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
      return each(action.pairs, ([claim, address]) => adopt(store, seen, claim, address));
    case "release addresses":
      return each(action.addresses, (address) => release(store, address.flavour, address.object));
    case "let claims go":
      return each(action.claims, (claim) => letGo(deps, seen, claim));
    case "give addresses":
      return give(deps, seen, action.grants);
    case "tell claims":
      return each(action.verdicts, ([claim, verdict]) => tell(deps, claim, verdict));
    case "sweep reservations":
      return each(
        seen.reservations.filter(({ lease }) => action.uids.includes(lease.metadata.uid)),
        ({ lease }) => reservations.remove(lease),
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
 * with another address: Conflict.
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
  const rivals = await reservations.of({ key }, pool);
  const addresses = await addressesOnPool(store, key);
  const taken = new Set(addresses.map(({ object }) => object.spec.address));
  const served = new Set(addresses.map(({ flavour, claim }) => `${flavour} ${claim}`));
  await each([...won], async ([grant, lease]) => {
    const { claim, address } = grant;
    const { uid, name } = claim.object.metadata;
    // Another process serves this very claim with another address: both step back (a name stands for the address, not the claim).
    const isContested = rivals.some(
      ({ claimUid, digits }) => claimUid === uid && digits !== digitsOf(address.value),
    );
    const isTaken = taken.has(formatAddress(address)) || served.has(`${claim.flavour} ${name}`);
    if (isContested || isTaken || !(await make(deps, seen, pool, grant))) lost++;
    await reservations.remove(lease);
  });
  if (lost > 0) throw new Fault("Conflict", `${lost} addresses of ${poolText(key)} went to others meanwhile`);
}

/** False where another was faster. */
async function make(
  deps: Metal3ActDeps,
  { key }: Metal3Seen,
  pool: Metal3IPPool,
  { claim, address, range }: Grant,
): Promise<boolean> {
  const { store } = deps;
  const { claimKind, addressKind, claimFinalizer } = flavours[claim.flavour];
  const draft = addressDraft(pool, claim, address, range);
  let made: Resource;
  try {
    made = await store.create(addressKind, draft as Draft<Resource>);
  } catch (error) {
    if (!isFault(error, "AlreadyExists")) throw error;
    const other = await store.get(addressKind, { ...key, name: draft.metadata.name! });
    if (!other || namesPool(claim.flavour, other as never, key.name)) return false;
    // Two pools with one namePrefix that overlap. The address is in use, though not by this pool's count.
    const message =
      `${formatAddress(address)} cannot be given: the IPAddress ${draft.metadata.name} is another pool's. ` +
      `Give ${poolText(key)} a range or a namePrefix of its own`;
    await tell(deps, claim, { kind: "waiting", reason: "AllocationFailed", message });
    return true;
  }
  // The claim may have been released by another process in the meantime: then nobody else would ever release this (V6).
  const now = await store.get(claimKind, keyOf(claim.object));
  if (now?.metadata.uid !== claim.object.metadata.uid || !hasFinalizer(now, claimFinalizer)) {
    await release(store, claim.flavour, made);
    return true;
  }
  const held = { flavour: claim.flavour, object: made, address, claim: claim.object.metadata.name, alone: 0 };
  await tell(deps, claim, { kind: "bound", address: held as SeenAddress });
  return true;
}

function namesPool(flavour: string, address: Metal3IPAddress & IPAddress, name: string): boolean {
  return flavour === "metal3" ? address.spec.pool.name === name : address.spec.poolRef.name === name;
}

/** The IPAddress as Metal3 writes it; Cluster API's has the owners that its contract asks for. Pure. */
export function addressDraft(
  pool: Metal3IPPool,
  claim: SeenClaim,
  address: Address,
  range: Grant["range"],
): Draft<Metal3IPAddress | IPAddress> {
  const { name, namespace, labels } = claim.object.metadata;
  const metadata = {
    name: addressName(pool.spec.namePrefix, address),
    ...(namespace === undefined ? {} : { namespace }),
    ...(labels ? { labels: { ...labels } } : {}),
    finalizers: [flavours[claim.flavour].addressFinalizer],
    ownerReferences: ownersOf(pool, claim),
  };
  const { prefix, gateway, dnsServers } = range;
  const common = { address: formatAddress(address), ...(gateway ? { gateway } : {}) };
  if (claim.flavour === "capi") {
    const { apiGroup, kind, name: poolName } = (claim.object as IPAddressClaim).spec.poolRef;
    return {
      metadata,
      spec: {
        ...common,
        prefix: prefix ?? 0,
        claimRef: { name },
        poolRef: { apiGroup, kind, name: poolName },
      },
    } as Draft<IPAddress>;
  }
  const at = (of: string) => ({ name: of, ...(namespace === undefined ? {} : { namespace }) });
  return {
    metadata,
    spec: {
      ...common,
      claim: at(name),
      pool: at(pool.metadata.name),
      ...(prefix === undefined ? {} : { prefix }),
      ...(dnsServers?.length ? { dnsServers: [...dnsServers] } : {}),
    },
  } as Draft<Metal3IPAddress>;
}

/** Pool, then claim. */
function ownersOf(pool: Metal3IPPool | undefined, claim: SeenClaim): OwnerReference[] {
  const { claimKind } = flavours[claim.flavour];
  const byContract = claim.flavour === "capi";
  const flags = (controller: boolean) => (byContract ? { controller, blockOwnerDeletion: true } : {});
  return [
    ...(pool ? [ownerReference(metal3IPPool, pool, flags(false))] : []),
    ownerReference(claimKind, claim.object, flags(true)),
  ];
}

async function adopt(
  store: ResourceStore,
  { pool }: Metal3Seen,
  claim: SeenClaim,
  { flavour, object }: SeenAddress,
): Promise<void> {
  const { addressKind, addressFinalizer } = flavours[flavour];
  await modify(store, addressKind, keyOf(object), (fresh) => {
    if (fresh.metadata.uid !== object.metadata.uid) return;
    fresh.metadata.ownerReferences = withOwners(fresh.metadata.ownerReferences ?? [], ownersOf(pool, claim));
    if (!isDeleting(fresh) && !hasFinalizer(fresh, addressFinalizer))
      fresh.metadata.finalizers = [...(fresh.metadata.finalizers ?? []), addressFinalizer];
  });
}

/** Deleted first, then unprotected: whoever dies in between leaves an object that is going, not one that nobody knows. */
async function release(
  store: ResourceStore,
  flavour: SeenAddress["flavour"],
  object: Resource,
): Promise<void> {
  const { addressKind, addressFinalizer } = flavours[flavour];
  try {
    await deleteIfExists(store, addressKind, keyOf(object), { uid: object.metadata.uid });
  } catch (error) {
    if (!isFault(error, "Conflict")) throw error;
    return; // another of that name by now: not ours
  }
  await removeFinalizer(store, addressKind, keyOf(object), addressFinalizer);
}

async function letGo(
  { store, reservations }: Metal3ActDeps,
  { reservations: held }: Metal3Seen,
  { flavour, object }: SeenClaim,
): Promise<void> {
  const { claimKind, claimFinalizer } = flavours[flavour];
  await removeFinalizer(store, claimKind, keyOf(object), claimFinalizer);
  for (const { claimUid, lease } of held)
    if (claimUid === object.metadata.uid) await reservations.remove(lease);
}

/** Writes what the claim hears into its status, if it is the same claim still. */
async function tell({ store, clock }: Metal3ActDeps, claim: SeenClaim, verdict: Verdict): Promise<void> {
  const { object } = claim;
  const isSame = (fresh: Resource) => fresh.metadata.uid === object.metadata.uid && !isDeleting(fresh);
  if (claim.flavour === "metal3")
    await modifyStatus(store, metal3IPClaim, keyOf(object), (fresh) => {
      if (isSame(fresh)) fresh.status = metal3Status(fresh, verdict);
    });
  else
    await modifyStatus(store, ipAddressClaim, keyOf(object), (fresh) => {
      if (isSame(fresh)) fresh.status = capiStatus(fresh, verdict, timestamp(clock));
    });
}

function metal3Status({ status }: Metal3IPClaim, verdict: Verdict): NonNullable<Metal3IPClaim["status"]> {
  const { address: _address, errorMessage: _error, ...rest } = status ?? {};
  if (verdict.kind === "waiting") return { ...rest, errorMessage: verdict.message };
  const { name, namespace } = verdict.address.object.metadata;
  return { ...rest, address: { name, ...(namespace === undefined ? {} : { namespace }) } };
}

function capiStatus(
  { status }: IPAddressClaim,
  verdict: Verdict,
  now: string,
): NonNullable<IPAddressClaim["status"]> {
  const condition =
    verdict.kind === "bound"
      ? { status: "True" as const, reason: "AddressAllocated", message: "" } // CAPV repeats what claims say
      : { status: "False" as const, reason: verdict.reason, message: verdict.message };
  const conditions = setCondition(status?.conditions, { type: "Ready", ...condition }, now);
  return {
    ...status,
    ...(verdict.kind === "bound" ? { addressRef: { name: verdict.address.object.metadata.name } } : {}),
    conditions,
    deprecated: { v1beta1: { conditions: conditions.map(asV1beta1) } },
  };
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
