// All that there is of addresses in a store, in one shape whatever the kind: for screens, reports, metrics and checks.
import {
  isDeleting,
  isFault,
  keyText,
  listAll,
  ownerOf,
  type Key,
  type Kind,
  type Problem,
  type Resource,
  type ResourceStore,
} from "#core";
import {
  cluster,
  clusterNameLabel,
  inClusterPoolKinds,
  ipAddress,
  ipAddressClaim,
  ipamGroup,
  metal3IPAddress,
  metal3IPClaim,
  metal3IpamGroup,
  metal3IPPool,
  vsphereMachine,
  vsphereVM,
  type IPAddress,
  type IPAddressClaim,
  type Metal3IPAddress,
  type Metal3IPClaim,
  type Metal3IPPool,
} from "#proto";
import { words } from "#proto/render/names.ts";
import { parseAddress, type Address, type Family } from "../address.ts";
import { includes, networkOf, sizeOf, toSet, type IntervalSet } from "../allocator/index.ts";
import { isPaused } from "../claim/observe.ts";
import { metal3Ranges } from "../metal3/ranges.ts";
import { reservedAnnotation, wantedAnnotation } from "../metal3/words.ts";
import { wishAnnotation } from "../policy.ts";
import { prefixRanges } from "../prefixes.ts";
import { poolTerms } from "../terms.ts";
import { isPrefixPool, type Pool } from "../words.ts";

/** A pool as claims name it. */
export interface PoolPointer {
  /** "InClusterIPPool", "GlobalInClusterIPPool", "IPPool", or another provider's. */
  readonly kind: string;
  readonly group: string;
  readonly namespace?: string;
  readonly name: string;
}

export interface KnownPool {
  readonly pointer: PoolPointer;
  readonly object: Resource;
  readonly paused: boolean;
  readonly deleting: boolean;
  /** How many addresses (or prefixes) it gives out; 0 where it has mistakes. */
  readonly total: bigint;
  /** Whether it gives this one out. */
  readonly gives: (address: Address) => boolean;
  /** The addresses it gives out, by family; kept ones of Metal3's pools and all of a prefix count. Empty where it has mistakes. */
  readonly sets: readonly { readonly family: Family; readonly set: IntervalSet }[];
  /** Claim name to address. */
  readonly kept: ReadonlyMap<string, Address>;
  readonly gateways: readonly Address[];
  readonly problems: readonly Problem[];
  /** Its text, for tables: "10.0.0.10-10.0.0.20". */
  readonly text: readonly string[];
}

export interface KnownClaim {
  readonly kind: Kind;
  readonly object: IPAddressClaim | Metal3IPClaim;
  readonly key: Key;
  readonly pool: PoolPointer;
  readonly cluster: string | undefined;
  readonly wants: string | undefined;
  /** The name of its address, as its status has it. */
  readonly bound: string | undefined;
  /** What it was told it waits for. */
  readonly reason: string | undefined;
  readonly message: string | undefined;
}

export interface KnownAddress {
  readonly kind: Kind;
  readonly object: IPAddress | Metal3IPAddress;
  readonly key: Key;
  readonly pool: PoolPointer;
  readonly claim: string;
  readonly cluster: string | undefined;
  readonly address: Address | undefined;
}

/** How a cluster stands that claims belong to. */
export type KnownCluster = { readonly key: Key; readonly paused: boolean };

export interface Inventory {
  readonly pools: readonly KnownPool[];
  readonly claims: readonly KnownClaim[];
  readonly addresses: readonly KnownAddress[];
  readonly clusters: readonly KnownCluster[];
}

/** Reads everything afresh. Kinds that the store does not serve have no objects. */
export async function readInventory(store: ResourceStore, signal?: AbortSignal): Promise<Inventory> {
  const list = <R extends Resource>(kind: Kind<R>) => served(store, kind, signal);
  const [{ pools }, claims, metal3Claims, addresses, metal3Addresses, clusters] = await Promise.all([
    readPools(store, signal),
    list(ipAddressClaim),
    list(metal3IPClaim),
    list(ipAddress),
    list(metal3IPAddress),
    list(cluster),
  ]);
  return {
    pools,
    claims: [...claims.map(knownClaim), ...metal3Claims.map(knownMetal3Claim)],
    addresses: [...addresses.map(knownAddress), ...metal3Addresses.map(knownMetal3Address)],
    clusters: clusters.map((each) => ({ key: keyFor(each), paused: !!each.spec.paused || isPaused(each) })),
  };
}

/** The same of pools alone. */
export async function readPools(store: ResourceStore, signal?: AbortSignal): Promise<Inventory> {
  const [inCluster, metal3] = await Promise.all([
    Promise.all(
      inClusterPoolKinds.map(async (kind) =>
        (await served(store, kind, signal)).map((pool) => knownPool(kind, pool as Pool)),
      ),
    ),
    served(store, metal3IPPool, signal),
  ]);
  const pools = [...inCluster.flat(), ...metal3.map(knownMetal3Pool)];
  return { pools, claims: [], addresses: [], clusters: [] };
}

async function served<R extends Resource>(
  store: ResourceStore,
  kind: Kind<R>,
  signal: AbortSignal | undefined,
): Promise<readonly R[]> {
  try {
    return (await listAll(store, kind, {}, signal)).items;
  } catch (error) {
    if (isFault(error, "NotFound")) return []; // not served here
    throw error;
  }
}

/** Pure. */
export function knownPool(kind: Kind, object: Pool): KnownPool {
  const terms = poolTerms(object);
  const gateway = object.spec.gateway ? parseAddress(object.spec.gateway) : undefined;
  const isPrefixes = isPrefixPool(object);
  const common = {
    pointer: { kind: kind.kind, group: ipamGroup, ...keyFor(object) },
    object,
    ...standing(object),
    kept: new Map<string, Address>(),
    gateways: gateway && !isPrefixes ? [gateway] : [],
    text: isPrefixPool(object) ? object.spec.prefixes : object.spec.addresses,
  };
  if (terms.kind === "wrong")
    return { ...common, total: 0n, gives: () => false, sets: [], problems: terms.problems };
  const { family, universe } = terms;
  const set = isPrefixPool(object) ? networksOf(object) : universe;
  return {
    ...common,
    total: sizeOf(universe),
    gives: (address) => address.family === family && includes(set, address.value),
    sets: [{ family, set }],
    problems: [],
  };
}

/** The addresses of all blocks that a prefix pool gives out. */
function networksOf(pool: Extract<Pool, { spec: { prefixes: unknown } }>): IntervalSet {
  const ranges = prefixRanges(pool.spec);
  if (ranges.kind === "wrong") return [];
  const of = (block: bigint) => networkOf(block, ranges.length, 128);
  return toSet(ranges.blocks.map(({ low, high }) => ({ low: of(low).low, high: of(high).high })));
}

/** Pure. */
export function knownMetal3Pool(object: Metal3IPPool): KnownPool {
  const { spec, metadata } = object;
  const meant = metal3Ranges(spec, metadata.annotations?.[reservedAnnotation] === "true");
  const kept = meant.kind === "ranges" ? meant.kept : new Map<string, Address>();
  const ofFamily = (family: Family) =>
    meant.kind === "wrong"
      ? []
      : toSet([
          ...meant.ranges
            .filter((range) => range.family === family)
            .flatMap(({ allocatable }) => allocatable),
          ...[...kept.values()]
            .filter((address) => address.family === family)
            .map(({ value }) => ({ low: value, high: value })),
        ]);
  const sets = ([4, 6] as const)
    .map((family) => ({ family, set: ofFamily(family) }))
    .filter(({ set }) => set.length > 0);
  const gateways = [spec.gateway, ...(spec.pools ?? []).map(({ gateway }) => gateway)];
  return {
    pointer: { kind: metal3IPPool.kind, group: metal3IpamGroup, ...keyFor(object) },
    object,
    ...standing(object),
    total: sets.reduce((sum, { set }) => sum + sizeOf(set), 0n),
    gives: ({ family, value }) => sets.some((each) => each.family === family && includes(each.set, value)),
    sets,
    kept,
    gateways: gateways.flatMap((text) => (text ? (parseAddress(text) ?? []) : [])),
    problems: meant.kind === "wrong" ? meant.problems : [],
    text: (spec.pools ?? []).map(
      ({ start, end, subnet }) => [start, end].filter(Boolean).join("-") || subnet || "?",
    ),
  };
}

function standing(object: Resource): Pick<KnownPool, "paused" | "deleting"> {
  return { paused: isPaused(object), deleting: isDeleting(object) };
}

function knownClaim(object: IPAddressClaim): KnownClaim {
  const { poolRef, clusterName } = object.spec;
  const ready = object.status?.conditions?.find(({ type }) => type === "Ready");
  return {
    kind: ipAddressClaim as Kind,
    object,
    key: keyFor(object),
    pool: pointerOf(object, poolRef),
    cluster: clusterName ?? object.metadata.labels?.[clusterNameLabel],
    wants: object.metadata.annotations?.[poolRef.apiGroup === ipamGroup ? wishAnnotation : wantedAnnotation],
    bound: object.status?.addressRef?.name,
    reason: ready?.reason,
    message: ready?.message,
  };
}

function knownMetal3Claim(object: Metal3IPClaim): KnownClaim {
  const { pool } = object.spec;
  const namespace = pool.namespace || object.metadata.namespace;
  const { address, errorMessage } = object.status ?? {};
  return {
    kind: metal3IPClaim as Kind,
    object,
    key: keyFor(object),
    pool: {
      kind: metal3IPPool.kind,
      group: metal3IpamGroup,
      ...(namespace ? { namespace } : {}),
      name: pool.name ?? "",
    },
    cluster: object.metadata.labels?.[clusterNameLabel],
    wants: object.metadata.annotations?.[wantedAnnotation],
    bound: address?.name,
    reason: address ? "AddressAllocated" : errorMessage === undefined ? undefined : "NotAllocated",
    message: errorMessage,
  };
}

function knownAddress(object: IPAddress): KnownAddress {
  return {
    kind: ipAddress as Kind,
    object,
    key: keyFor(object),
    pool: pointerOf(object, object.spec.poolRef),
    claim: object.spec.claimRef.name,
    cluster: object.metadata.labels?.[clusterNameLabel],
    address: parseAddress(object.spec.address),
  };
}

function knownMetal3Address(object: Metal3IPAddress): KnownAddress {
  const namespace = object.spec.pool.namespace || object.metadata.namespace;
  return {
    kind: metal3IPAddress as Kind,
    object,
    key: keyFor(object),
    pool: {
      kind: metal3IPPool.kind,
      group: metal3IpamGroup,
      ...(namespace ? { namespace } : {}),
      name: object.spec.pool.name ?? "",
    },
    claim: object.spec.claim.name ?? "",
    cluster: object.metadata.labels?.[clusterNameLabel],
    address: parseAddress(object.spec.address),
  };
}

/** A pool as an object of Cluster API names it. Kinds that we know as cluster-scoped have no namespace. */
function pointerOf(
  { metadata }: Resource,
  { apiGroup, kind, name }: { readonly apiGroup: string; readonly kind: string; readonly name: string },
): PoolPointer {
  const { namespace } = metadata;
  const isGlobal = kind.startsWith("Global");
  return { kind, group: apiGroup, ...(isGlobal || !namespace ? {} : { namespace }), name };
}

/** "InClusterIPPool c/nodes". */
export function pointerText(pointer: PoolPointer): string {
  return `${pointer.kind} ${keyText(pointer)}`;
}

export function isSamePool(a: PoolPointer, b: PoolPointer): boolean {
  return a.kind === b.kind && a.group === b.group && a.namespace === b.namespace && a.name === b.name;
}

/**
 * The machine (by its infrastructure object) that a claim was made for, as "VSphereVM c/x"; of a lease the cluster that it was made
 * for, as "cluster 6402 (shop-1)", by its uid and the pool that it feeds there.
 */
export function consumerOf({ object, key }: KnownClaim): string | undefined {
  const owner =
    ownerOf(object, vsphereVM) ?? ownerOf(object, vsphereMachine) ?? object.metadata.ownerReferences?.[0];
  if (owner) return `${owner.kind} ${keyText({ ...key, name: owner.name })}`;
  const { [words.clusterUid]: uid, [words.leaseOf]: pool } = object.metadata.labels ?? {};
  return uid && pool && `cluster ${uid} (${pool})`;
}

/** The address object of a claim: of its kind, naming it, in its namespace. */
export function addressOfClaim({ addresses }: Inventory, claim: KnownClaim): KnownAddress | undefined {
  const isMetal3 = claim.kind.group === metal3IpamGroup;
  return addresses.find(
    (address) =>
      (address.kind.group === metal3IpamGroup) === isMetal3 &&
      address.claim === claim.key.name &&
      address.key.namespace === claim.key.namespace &&
      isSamePool(address.pool, claim.pool),
  );
}

function keyFor({ metadata }: Resource): Key {
  const { namespace, name } = metadata;
  return namespace ? { namespace, name } : { name };
}
