// The leases of a mirrored cluster, as they must be: the very addresses that it holds. Pure.
//
//   A1. A claim's IPAddress is written first, with the address it shall have, and the claim after it: whatever provider serves the pool
//       finds the claim bound (Cluster API's IPAM contract names an IPAddress after its claim), and has nothing to choose.
//   A2. An address that another claim holds by now is not taken from it: that is for a person.
import type { Draft, Resource } from "#core";
import {
  inClusterIPPool,
  type InClusterIPPool,
  type IPAddress,
  type IPAddressClaim,
  type SpaSpec,
} from "#proto";
import { addressNeeds, poolText, type AddressNeed } from "#proto/render/addresses.ts";
import { words } from "#proto/render/names.ts";
import type { Mirrored } from "../ports.ts";
import { leaseClaim, leaseNames, type LeaseName } from "../render/lease.ts";

export interface Lease {
  readonly at: LeaseName;
  readonly claim: Draft<Resource>;
  readonly address: Draft<IPAddress>;
  readonly need: AddressNeed;
}

/** All leases of a cluster, by its child pools. `spec` is the wish as the gateway has it (or will have it). */
export function leasesOf({ objects }: Mirrored, spec: SpaSpec): Lease[] {
  const pools = objects.filter((o) => o.kind === inClusterIPPool.kind) as InClusterIPPool[];
  return addressNeeds(spec).flatMap((need) => {
    const pool = pools.find((one) => one.metadata.name === need.child);
    if (!pool) return [];
    const endpoint = pool.metadata.annotations?.[words.leasedEndpoint];
    // The API's address is always the first lease.
    const addresses = [...(endpoint ? [endpoint] : []), ...pool.spec.addresses];
    const names = leaseNames(spec, { ...need, count: addresses.length });
    return names.map((at, i) => ({
      at,
      need,
      claim: leaseClaim(spec, need, at),
      address: addressOf(at, need, addresses[i]!, pool),
    }));
  });
}

function addressOf(
  { namespace, name }: LeaseName,
  { parent }: AddressNeed,
  address: string,
  { spec: { prefix, gateway } }: InClusterIPPool,
): Draft<IPAddress> {
  return {
    metadata: { namespace, name },
    spec: {
      address,
      prefix,
      ...(gateway ? { gateway } : {}),
      claimRef: { name },
      poolRef: { apiGroup: inClusterIPPool.group, kind: parent.kind, name: parent.name },
    },
  } as Draft<IPAddress>;
}

export interface LeasePlan {
  /** In order; each is written unless it is there. */
  readonly make: readonly Lease[];
  /** How many of them are not as they must be. */
  readonly todo: number;
  /** Claims of this cluster that hold another address than they must: given up first. */
  readonly drop: readonly IPAddressClaim[];
  /** A2, in words. */
  readonly conflicts: readonly string[];
}

/** What is to be done so that these leases hold these addresses. */
export function planLeases(
  wanted: readonly Lease[],
  claims: readonly IPAddressClaim[],
  addresses: readonly IPAddress[],
  clusterUid: string,
): LeasePlan {
  const own = claims.filter((claim) => claim.metadata.labels?.[words.clusterUid] === clusterUid);
  const isOwn = (namespace: string | undefined, name: string) =>
    own.some((c) => c.metadata.namespace === namespace && c.metadata.name === name);
  const held = (at: LeaseName) =>
    addresses.find((a) => a.metadata.namespace === at.namespace && a.metadata.name === at.name);
  const make: Lease[] = [];
  let todo = 0;
  const conflicts: string[] = [];
  const drop = new Map<string, IPAddressClaim>();
  for (const lease of wanted) {
    const { address, poolRef } = lease.address.spec;
    const have = held(lease.at);
    if (have?.spec.address === address) {
      make.push(lease); // the claim may still be missing
      if (!isOwn(lease.at.namespace, lease.at.name)) todo++;
      continue;
    }
    const rival = addresses.find(
      (a) =>
        a.spec.address === address &&
        a.spec.poolRef.kind === poolRef.kind &&
        a.spec.poolRef.name === poolRef.name &&
        (lease.need.parent.namespace === undefined || a.metadata.namespace === lease.need.parent.namespace),
    );
    if (rival && !isOwn(rival.metadata.namespace, rival.spec.claimRef.name)) {
      const who = `${rival.metadata.namespace ?? ""}/${rival.spec.claimRef.name}`;
      conflicts.push(`${address} of pool ${poolText(lease.need.parent)} is held by claim ${who}`);
      continue;
    }
    for (const wrong of [have, rival]) {
      const claim =
        wrong &&
        own.find(
          (c) =>
            c.metadata.namespace === wrong.metadata.namespace && c.metadata.name === wrong.spec.claimRef.name,
        );
      if (claim) drop.set(`${claim.metadata.namespace}/${claim.metadata.name}`, claim);
    }
    make.push(lease);
    todo++;
  }
  return { make, todo, drop: [...drop.values()], conflicts };
}
