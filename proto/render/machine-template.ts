// A machine as CAPV wants it described. Used for the control plane (by Jet) and for worker pools (by the agent).
import { apiVersionOf, type Draft, type Resource } from "#core";
import type { Placement } from "../kinds/spa.ts";
import type { DesiredState } from "../kinds/spectro-cluster.ts";
import { poolFor } from "./addresses.ts";
import { templateName, words } from "./names.ts";
import { dropEmpty } from "./shape.ts";

export interface MachineShape {
  readonly placement: Placement;
  readonly instance: DesiredState["controlPlane"]["instance"];
  /** The VM template's inventory path. */
  readonly template: string;
}

/** A VSphereMachineTemplate named by its content: `base`-<hash>. */
export function machineTemplate(
  kind: { readonly group: string; readonly version: string; readonly kind: string },
  spec: DesiredState,
  namespace: string,
  base: string,
  shape: MachineShape,
): Draft<Resource> & { readonly metadata: { readonly name: string } } {
  const machine = machineSpec(spec, shape);
  return {
    apiVersion: apiVersionOf(kind),
    kind: kind.kind,
    metadata: {
      name: templateName(base, machine),
      namespace,
      labels: { [words.clusterName]: spec.clusterName, [words.clusterUid]: spec.clusterUid },
    },
    spec: { template: { spec: machine } },
  };
}

/** The spec of one machine. Pure. */
export function machineSpec(spec: DesiredState, { placement, instance, template }: MachineShape): object {
  const pool = poolFor(spec, placement);
  // Not the vCenter and its certificate: a machine cannot change them. CAPV takes both from the VSphereCluster, where they can (0034).
  return dropEmpty({
    datacenter: placement.datacenter,
    folder: placement.folder,
    resourcePool: resourcePoolPath(placement),
    datastore: placement.datastore,
    storagePolicyName: placement.storagePolicyName,
    template,
    // A linked clone cannot have a disk larger than its template's.
    cloneMode: "fullClone",
    numCPUs: instance.numCPUs,
    memoryMiB: instance.memoryMiB,
    diskGiB: instance.diskGiB,
    powerOffMode: "trySoft",
    network: {
      devices: [
        {
          networkName: placement.networkName,
          ...(pool === undefined
            ? { dhcp4: true }
            : {
                addressesFromPools: [
                  { apiGroup: "ipam.cluster.x-k8s.io", kind: "InClusterIPPool", name: pool },
                ],
              }),
          nameservers: placement.nameservers,
        },
      ],
    },
  });
}

/** A pool given by name lies below its compute cluster's root pool, which is itself called Resources; a path is taken as it is. */
export function resourcePoolPath(placement: Placement): string {
  const { computeCluster, resourcePool } = placement;
  if (!resourcePool || resourcePool === "Resources") return `${computeCluster}/Resources`;
  return resourcePool.includes("/") ? resourcePool : `${computeCluster}/Resources/${resourcePool}`;
}
