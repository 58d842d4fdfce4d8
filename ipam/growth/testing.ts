// For tests: the objects of a cluster that an autoscaler makes larger.
import type { Draft } from "#core";
import {
  clusterNameLabel,
  deploymentNameLabel,
  inClusterIPPool,
  ipamGroup,
  maxSizeAnnotation,
  minSizeAnnotation,
  type Cluster,
  type IPAddressClaim,
  type MachineDeployment,
  type NetworkDevice,
  type VSphereMachine,
  type VSphereMachineTemplate,
} from "#proto";

const namespace = "c";

export function clusterDraft(name = "c1", more: object = {}): Draft<Cluster> {
  return { metadata: { namespace, name }, spec: { ...more } } as Draft<Cluster>;
}

export function sizes(min: number | string, max: number | string): Record<string, string> {
  return { [minSizeAnnotation]: String(min), [maxSizeAnnotation]: String(max) };
}

/** A card whose address CAPV asks for. */
export function cardOn(...pools: readonly string[]): NetworkDevice {
  const addressesFromPools = pools.map((name) => ({ apiGroup: ipamGroup, kind: inClusterIPPool.kind, name }));
  return { networkName: "net", ...(pools.length > 0 ? { addressesFromPools } : {}) };
}

export function templateDraft(
  devices: readonly NetworkDevice[],
  name = "w",
  labels: Record<string, string> = {},
): Draft<VSphereMachineTemplate> {
  return {
    metadata: { namespace, name, labels },
    spec: { template: { spec: { template: "ubuntu", network: { devices: [...devices] } } } },
  };
}

export function deploymentDraft(
  annotations: Record<string, string>,
  { name = "w", cluster = "c1", template = "w", rollingUpdate = {} as object } = {},
): Draft<MachineDeployment> {
  return {
    metadata: { namespace, name, annotations },
    spec: {
      clusterName: cluster,
      replicas: 1,
      selector: {},
      rollout: { strategy: { type: "RollingUpdate", rollingUpdate } },
      template: {
        spec: {
          clusterName: cluster,
          bootstrap: { dataSecretName: "none" },
          infrastructureRef: {
            apiGroup: "infrastructure.cluster.x-k8s.io",
            kind: "VSphereMachineTemplate",
            name: template,
          },
        },
      },
    },
  } as unknown as Draft<MachineDeployment>;
}

export function machineDraft(name: string, deployment?: string, cluster = "c1"): Draft<VSphereMachine> {
  return {
    metadata: {
      namespace,
      name,
      labels: { [clusterNameLabel]: cluster, ...(deployment ? { [deploymentNameLabel]: deployment } : {}) },
    },
    spec: { template: "ubuntu", network: { devices: [cardOn("nodes")] } },
  };
}

/** As CAPV and static/ make them: with the cluster's name. */
export function claimOf(cluster: string, name: string, pool = "nodes"): Draft<IPAddressClaim> {
  return {
    metadata: { namespace, name, labels: { [clusterNameLabel]: cluster } },
    spec: { poolRef: { apiGroup: ipamGroup, kind: inClusterIPPool.kind, name: pool } },
  };
}
