// Failure domains: several places for the machines of one control plane. Cluster API spreads the machines, CAPV places each by the
// zone it is in. Pure.
//
//   Z1. Both kinds are for the whole API server and move with nobody: each side has its own copies, and their names bear the cluster's
//       uid.
//   Z2. A zone is found by tags in vCenter: one on the datacenter (the region), one on the compute cluster (the zone).
import { apiVersionOf, type Draft, type Kind, type Resource } from "#core";
import type { FailureDomain } from "../kinds/spa.ts";
import type { DesiredState } from "../kinds/spectro-cluster.ts";
import { vsphereDeploymentZone, vsphereFailureDomain } from "../kinds/vsphere-failure-domain.ts";
import { poolFor } from "./addresses.ts";
import { resourcePoolPath } from "./machine-template.ts";
import { words } from "./names.ts";
import { boundedName, dropEmpty } from "./shape.ts";

/** The categories of the tags, as the vSphere cloud provider has them. */
export const tagCategories = { region: "k8s-region", zone: "k8s-zone" } as const;

/** The tags that mark a failure domain. */
export function tagsOf({ region, zone, placement }: FailureDomain) {
  return { region: region ?? placement.datacenter, zone: zone ?? placement.computeCluster };
}

/** The name of both objects, which is what a Machine's failureDomain says. */
export function zoneName({ clusterUid }: Pick<DesiredState, "clusterUid">, { name }: FailureDomain): string {
  return boundedName(clusterUid, `-${name}`);
}

/** What a cluster's zones are known by. */
export function zoneLabels(spec: Pick<DesiredState, "clusterUid" | "clusterName">): Record<string, string> {
  return { [words.clusterUid]: spec.clusterUid, [words.clusterName]: spec.clusterName };
}

export interface ZoneObject {
  readonly kind: Kind;
  readonly object: Draft<Resource> & { readonly metadata: { readonly name: string } };
}

/** All zones of a cluster; of each the domain before the zone that refers to it. None where there is one place. */
export function zoneObjects(spec: DesiredState): ZoneObject[] {
  return (spec.controlPlane.failureDomains ?? []).flatMap((domain) => [
    zoned(spec, domain, vsphereFailureDomain, domainSpec(spec, domain)),
    zoned(spec, domain, vsphereDeploymentZone, zoneSpec(spec, domain)),
  ]);
}

function zoned(spec: DesiredState, domain: FailureDomain, kind: Kind, content: object): ZoneObject {
  const metadata = { name: zoneName(spec, domain), labels: zoneLabels(spec) };
  return {
    kind,
    object: { apiVersion: apiVersionOf(kind), kind: kind.kind, metadata, spec: dropEmpty(content) },
  };
}

function domainSpec(spec: DesiredState, domain: FailureDomain): object {
  const { placement } = domain;
  const { region, zone } = tagsOf(domain);
  const pool = poolFor(spec, placement);
  return {
    region: { name: region, type: "Datacenter", tagCategory: tagCategories.region }, // Z2
    zone: { name: zone, type: "ComputeCluster", tagCategory: tagCategories.zone },
    topology: {
      datacenter: placement.datacenter,
      computeCluster: placement.computeCluster,
      datastore: placement.datastore,
      networkConfigurations: [
        {
          networkName: placement.networkName,
          nameservers: placement.nameservers,
          ...(pool === undefined
            ? { dhcp4: true }
            : {
                addressesFromPools: [
                  { apiGroup: "ipam.cluster.x-k8s.io", kind: "InClusterIPPool", name: pool },
                ],
              }),
        },
      ],
    },
  };
}

function zoneSpec(spec: DesiredState, domain: FailureDomain): object {
  const { placement } = domain;
  return {
    server: spec.cloud.server,
    failureDomain: zoneName(spec, domain),
    controlPlane: true,
    placementConstraint: { resourcePool: resourcePoolPath(placement), folder: placement.folder },
  };
}
