// A lease is a claim on the parent pool that outlives every machine: it holds an address for the cluster from before its first VM
// until after its last one. Nothing but Cluster API's IPAM contract is used, so any provider can be the parent.
//
// poolRef has no namespace, so a claim on a namespaced pool lies beside that pool. It bears no cluster-name label: a provider
// leaves claims of a paused or unknown Cluster alone.
import { apiVersionOf, type Draft, type Resource } from "#core";
import { inClusterIPPool, ipAddressClaim, type SpaSpec } from "#proto";
import type { AddressNeed } from "#proto/render/addresses.ts";
import { clusterNamespace, words } from "#proto/render/names.ts";
import { boundedName } from "#proto/render/shape.ts";

export interface LeaseName {
  readonly namespace: string;
  readonly name: string;
}

/** The names of all leases of a need, in order; the first one is the API's address where `need.vip`. */
export function leaseNames(
  spec: Pick<SpaSpec, "clusterUid" | "clusterName">,
  need: AddressNeed,
): LeaseName[] {
  const beside = need.parent.kind === "InClusterIPPool";
  const namespace = beside ? (need.parent.namespace ?? "default") : clusterNamespace(spec.clusterUid);
  // Several pools may lie in one namespace: a further child adds what its name adds to the cluster's.
  const extra = need.child === spec.clusterName ? "" : need.child.slice(need.child.lastIndexOf("-"));
  const base = `${beside ? spec.clusterUid : spec.clusterName}${extra}`;
  return Array.from({ length: need.count }, (_, at) => ({
    namespace,
    name: boundedName(base, `-lease-${at}`, 253),
  }));
}

export function leaseClaim(
  spec: Pick<SpaSpec, "clusterUid" | "clusterName">,
  need: AddressNeed,
  { namespace, name }: LeaseName,
): Draft<Resource> {
  return {
    apiVersion: apiVersionOf(ipAddressClaim),
    kind: ipAddressClaim.kind,
    metadata: {
      name,
      namespace,
      labels: { [words.clusterUid]: spec.clusterUid, [words.leaseOf]: need.child, [words.stays]: "true" },
    },
    spec: { poolRef: { apiGroup: inClusterIPPool.group, kind: need.parent.kind, name: need.parent.name } },
  };
}
