// The words that upstream's in-cluster provider writes into objects. Mind the capital letters.
import { groupResource, keyText, type Key, type Kind, type Resource } from "#core";
import {
  inClusterPoolKinds,
  ipamGroup,
  type InClusterIPPool,
  type InClusterPrefixPool,
  type IPAddress,
  type IPAddressClaim,
} from "#proto";

export const releaseAddress = "ipam.cluster.x-k8s.io/ReleaseAddress";
export const protectAddress = "ipam.cluster.x-k8s.io/ProtectAddress";
/** On claims of ours for machines: the address stays given until the VM is gone, though the claim was deleted. */
export const holdAddress = "ipam.pcg.dev/HoldAddress";
export const protectPool = "ipam.cluster.x-k8s.io/ProtectPool";

export type Pool = InClusterIPPool | InClusterPrefixPool;

/** The kinds of pools that we serve: of addresses and of prefixes, each in a namespace or for all. */
export const poolKinds = inClusterPoolKinds as readonly Kind<Pool>[];

/** A pool, as a claim or an address names it from its own namespace. */
export interface PoolPlace {
  readonly kind: Kind<Pool>;
  readonly key: Key;
}

/** Where the pool of a claim or an address is; undefined where it is not one of ours. Pure. */
export function poolPlace(object: IPAddressClaim | IPAddress): PoolPlace | undefined {
  const { apiGroup, kind: name, name: poolName } = object.spec.poolRef;
  const kind = poolKinds.find((each) => each.kind === name);
  if (!kind || apiGroup !== ipamGroup) return undefined;
  const { namespace } = object.metadata;
  return { kind, key: kind.namespaced && namespace ? { namespace, name: poolName } : { name: poolName } };
}

/** The place as a map key: "inclusterippools.ipam.cluster.x-k8s.io cluster-1/nodes". */
export function placeText({ kind, key }: PoolPlace): string {
  return `${groupResource(kind)} ${keyText(key)}`;
}

/** "InClusterIPPool cluster-1/nodes": for messages. */
export function poolName({ kind, key }: PoolPlace): string {
  return `${kind.kind} ${keyText(key)}`;
}

/** The place of a pool object. */
export function placeOf(kind: Kind<Pool>, pool: Resource): PoolPlace {
  const { name, namespace } = pool.metadata;
  return { kind, key: kind.namespaced && namespace ? { namespace, name } : { name } };
}

/** Whether a pool gives out prefixes rather than addresses. Pure. */
export function isPrefixPool(pool: Pool): pool is InClusterPrefixPool {
  return "prefixes" in pool.spec;
}
