import { keyText, listAll, type Key, type Kind, type Resource, type ResourceStore } from "#core";
import {
  cluster,
  ipAddress,
  ipAddressClaim,
  metal3IPAddress,
  metal3IPClaim,
  metal3IPPool,
  type Cluster,
  type IPAddress,
  type IPAddressClaim,
  type Metal3IPAddress,
  type Metal3IPClaim,
  type Metal3IPPool,
} from "#proto";
import { parseAddress, type Address } from "../address.ts";
import { clusterKey, isPaused } from "../claim/observe.ts";
import type { Reservation, Reservations } from "../reservation.ts";
import type { Avoided, PoolMemory } from "./memory.ts";
import {
  addressFinalizer,
  capiAddressFinalizer,
  capiClaimFinalizer,
  capiPoolKey,
  claimFinalizer,
  poolKey,
  wantedAnnotation,
} from "./words.ts";

/** Whose claims and addresses: Metal3's own, or Cluster API's on a Metal3 pool. */
export type Flavour = "metal3" | "capi";

interface FlavourWords {
  readonly claimKind: Kind;
  readonly addressKind: Kind;
  readonly claimFinalizer: string;
  readonly addressFinalizer: string;
}

export const flavours: Readonly<Record<Flavour, FlavourWords>> = {
  metal3: {
    claimKind: metal3IPClaim as Kind,
    addressKind: metal3IPAddress as Kind,
    claimFinalizer,
    addressFinalizer,
  },
  capi: {
    claimKind: ipAddressClaim as Kind,
    addressKind: ipAddress as Kind,
    claimFinalizer: capiClaimFinalizer,
    addressFinalizer: capiAddressFinalizer,
  },
};

/** A claim of either flavour. */
export interface SeenClaim {
  readonly flavour: Flavour;
  readonly object: Metal3IPClaim | IPAddressClaim;
  /** The address it asks for. */
  readonly wants: string | undefined;
  /** Paused itself or by its cluster; or its cluster cannot be found, which stops giving but not taking back. */
  readonly cluster: ClusterState;
}

/** An IPAddress of either flavour. */
export interface SeenAddress {
  readonly flavour: Flavour;
  readonly object: Metal3IPAddress | IPAddress;
  readonly address: Address | undefined;
  /** The name of its claim. */
  readonly claim: string;
  /** When this process first saw it without its claim, milliseconds since 1970; now where it has one. */
  readonly alone: number;
}

export type ClusterState = "none" | "missing" | "paused" | "active";

/** A pool with all that is on it: one round serves them all. */
export interface Metal3Seen {
  readonly key: Key;
  readonly pool: Metal3IPPool | undefined;
  readonly cluster: ClusterState;
  /** The pool's cluster, if it names one that exists. */
  readonly owner: Cluster | undefined;
  /** In the order in which they came. */
  readonly claims: readonly SeenClaim[];
  readonly addresses: readonly SeenAddress[];
  readonly reservations: readonly Reservation[];
  /** In use on the network: given to nobody for now, unless it is asked for. */
  readonly avoided: readonly Avoided[];
  /** For the random strategy. */
  readonly seed: number;
}

export interface Metal3Reads {
  readonly store: ResourceStore;
  readonly reservations: Reservations;
  readonly random: () => number;
  readonly now: () => number;
  readonly memory: PoolMemory;
}

export async function observe(
  deps: Metal3Reads,
  key: Key,
  signal: AbortSignal,
): Promise<Metal3Seen | undefined> {
  const { store, reservations, random, memory } = deps;
  const pool = await store.get(metal3IPPool, key, signal);
  const claims = memory.inTurn(await claimsOf(store, key, signal));
  if (!pool && claims.length === 0) return undefined;
  // Reservations first: one that goes between the two reads has left its IPAddress for the second.
  const held = pool ? await reservations.of({ key }, pool, signal) : [];
  const addresses = await addressesOnPool(store, key, signal);
  const clusters = new Map<string, Promise<Cluster | undefined>>();
  const clusterAt = (at: Key) => {
    const text = keyText(at);
    if (!clusters.has(text)) clusters.set(text, store.get(cluster, at, signal));
    return clusters.get(text)!;
  };
  const stateAt = async (at: Key | undefined): Promise<ClusterState> => {
    if (!at) return "none";
    const found = await clusterAt(at);
    if (!found) return "missing";
    return found.spec.paused || isPaused(found) ? "paused" : "active";
  };
  const ownerKey = pool?.spec.clusterName
    ? { ...(key.namespace ? { namespace: key.namespace } : {}), name: pool.spec.clusterName }
    : undefined;
  const names = new Set(claims.map(({ flavour, object }) => `${flavour} ${object.metadata.name}`));
  const lonely = addresses.filter(({ flavour, claim }) => !names.has(`${flavour} ${claim}`));
  const now = deps.now();
  const since = memory.aloneSince(
    lonely.map(({ object }) => object.metadata.uid),
    now,
  );
  return {
    key,
    pool,
    cluster: await stateAt(ownerKey),
    owner: ownerKey && (await clusterAt(ownerKey)),
    claims: await Promise.all(
      claims.map(async (claim) => ({
        ...claim,
        wants: claim.object.metadata.annotations?.[wantedAnnotation],
        cluster: isPaused(claim.object)
          ? "paused"
          : await stateAt(claim.flavour === "capi" ? clusterKey(claim.object as IPAddressClaim) : undefined),
      })),
    ),
    addresses: addresses.map((each) => ({
      ...each,
      address: parseAddress(each.object.spec.address),
      alone: since.get(each.object.metadata.uid) ?? now,
    })),
    reservations: held,
    avoided: memory.avoided(now),
    seed: memory.seed(random),
  };
}

/** All claims on the pool. Like Metal3's controller we look in the pool's own namespace only. */
export async function claimsOf(
  store: ResourceStore,
  key: Key,
  signal?: AbortSignal,
): Promise<(Pick<SeenClaim, "flavour"> & { readonly object: Metal3IPClaim | IPAddressClaim })[]> {
  const scope = key.namespace ? { namespace: key.namespace } : {};
  const text = keyText(key);
  const [own, capi] = await Promise.all([
    listAll(store, metal3IPClaim, scope, signal),
    listAll(store, ipAddressClaim, scope, signal),
  ]);
  const isOurs = (at: Key | undefined) => at !== undefined && keyText(at) === text;
  return [
    ...own.items
      .filter((claim) => isOurs(poolKey(claim, claim.spec.pool)))
      .map((object) => ({ flavour: "metal3" as const, object })),
    ...capi.items
      .filter((claim) => isOurs(capiPoolKey(claim)))
      .map((object) => ({ flavour: "capi" as const, object })),
  ];
}

/** All IPAddresses of the pool, of either flavour. */
export async function addressesOnPool(
  store: ResourceStore,
  key: Key,
  signal?: AbortSignal,
): Promise<Pick<SeenAddress, "flavour" | "object" | "claim">[]> {
  const scope = key.namespace ? { namespace: key.namespace } : {};
  const text = keyText(key);
  const [own, capi] = await Promise.all([
    listAll(store, metal3IPAddress, scope, signal),
    listAll(store, ipAddress, scope, signal),
  ]);
  return [
    ...own.items
      .filter((address) => keyText(poolKey(address, address.spec.pool)) === text)
      .map((object) => ({ flavour: "metal3" as const, object, claim: object.spec.claim.name ?? "" })),
    ...capi.items
      .filter((address) => {
        const at = capiPoolKey(address);
        return at !== undefined && keyText(at) === text;
      })
      .map((object) => ({ flavour: "capi" as const, object, claim: object.spec.claimRef.name })),
  ];
}

/** The pool that a claim or an address of either flavour is on; for waking it. */
export function poolKeyOf(flavour: Flavour, object: Resource): Key | undefined {
  if (flavour === "capi") return capiPoolKey(object as IPAddressClaim | IPAddress);
  const { spec } = object as Metal3IPClaim | Metal3IPAddress;
  return poolKey(object as Metal3IPClaim, spec.pool);
}

/** The cluster's key as text: pools and claims wait for it. */
export function clusterKeys(seen: Metal3Seen): string[] {
  const { key, pool, claims } = seen;
  const named = pool?.spec.clusterName
    ? [keyText({ ...(key.namespace ? { namespace: key.namespace } : {}), name: pool.spec.clusterName })]
    : [];
  const others = claims.flatMap(({ flavour, object }) => {
    const at = flavour === "capi" ? clusterKey(object as IPAddressClaim) : undefined;
    return at ? [keyText(at)] : [];
  });
  return [...new Set([...named, ...others])];
}
