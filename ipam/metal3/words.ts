// The words that Metal3's IPAM writes into objects, and those that it reads.
import { keyText, type Key } from "#core";
import {
  metal3IpamGroup,
  metal3IPPool,
  type IPAddress,
  type IPAddressClaim,
  type Metal3IPAddress,
  type Metal3IPClaim,
} from "#proto";
import { formatAddress, parseAddress, type Address } from "../address.ts";

export const poolFinalizer = "ippool.ipam.metal3.io";
export const claimFinalizer = "ipclaim.ipam.metal3.io";
export const addressFinalizer = "ipaddress.ipam.metal3.io";
/** On Cluster API's claims and addresses of such a pool. */
export const capiClaimFinalizer = "ipam.metal3.io/ipaddressclaim";
export const capiAddressFinalizer = "ipam.metal3.io/ipaddress";

/** On a claim of either kind: the address it wants, without a prefix. */
export const wantedAnnotation = "ipAddress";
/** On a pool, "true": network and broadcast addresses are given out too, as Metal3 does. The gateway never is. */
export const reservedAnnotation = "ipam.pcg.dev/allocate-reserved";

export const providerLabel = "cluster.x-k8s.io/provider";
export const provider = "ipam-metal3";

/** "<prefix>-<address>", dots and colons as dashes, none at the end. Pure. */
export function addressName(namePrefix: string, address: Address): string {
  return `${namePrefix}-${formatAddress(address)}`.replace(/[.:]/g, "-").replace(/-+$/, "");
}

/** The address whose IPAddress has this name. Undefined where the name is not one of this prefix. Pure. */
export function namedAddress(namePrefix: string, name: string): Address | undefined {
  const rest = name.slice(namePrefix.length + 1);
  const colons = rest.replaceAll("-", ":");
  return [rest.replaceAll("-", "."), colons, `${colons}::`]
    .flatMap((text) => parseAddress(text) ?? [])
    .find((address) => addressName(namePrefix, address) === name);
}

/** Where the pool of a claim or an address of Metal3 is. Pure. */
export function poolKey(
  { metadata }: Metal3IPClaim | Metal3IPAddress,
  ref: { name?: string | undefined; namespace?: string | undefined },
): Key {
  const namespace = ref.namespace || metadata.namespace;
  return { ...(namespace ? { namespace } : {}), name: ref.name ?? "" };
}

/** Where the Metal3 pool of Cluster API's claim or address is; undefined where its pool is of another kind. Pure. */
export function capiPoolKey({ metadata, spec }: IPAddressClaim | IPAddress): Key | undefined {
  const { apiGroup, kind, name } = spec.poolRef;
  if (apiGroup !== metal3IpamGroup || kind !== metal3IPPool.kind) return undefined;
  const { namespace } = metadata;
  return { ...(namespace ? { namespace } : {}), name };
}

/** "IPPool cluster-1/nodes": for messages. */
export function poolText(key: Key): string {
  return `IPPool ${keyText(key)}`;
}
