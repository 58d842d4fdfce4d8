// One object of each kind of a cluster, as small as its provider accepts it: created for trial, it shows that the webhooks answer.
// In an older version it shows, besides, that the provider converts.
import type { Draft, Kind, Resource } from "#core";
import {
  cluster,
  kubeadmConfig,
  kubeadmConfigTemplate,
  kubeadmControlPlane,
  machine,
  machineDeployment,
  machineHealthCheck,
  machineSet,
  vsphereCluster,
  vsphereDeploymentZone,
  vsphereFailureDomain,
  vsphereMachine,
  vsphereMachineTemplate,
  vsphereVM,
} from "#proto";

export interface Probe {
  readonly kind: Kind;
  readonly object: Draft<Resource>;
}

const name = "pcg-probe";
const matchLabels = { probe: name };

const refTo = ({ group, kind }: Kind) => ({ apiGroup: group, kind, name });
const machineSpec = {
  clusterName: name,
  bootstrap: { dataSecretName: name },
  infrastructureRef: refTo(vsphereMachineTemplate),
};
const template = { metadata: { labels: matchLabels }, spec: machineSpec };
const clone = {
  template: name,
  server: "vcenter.invalid",
  datacenter: name,
  network: { devices: [{ networkName: name, dhcp4: true }] },
};
const machineTemplate = { spec: { infrastructureRef: refTo(vsphereMachineTemplate) } };
const kubeadm = { joinConfiguration: { nodeRegistration: { name } } };

const specs: readonly (readonly [Kind, object])[] = [
  [cluster, { controlPlaneRef: refTo(kubeadmControlPlane), infrastructureRef: refTo(vsphereCluster) }],
  [machine, { ...machineSpec, infrastructureRef: refTo(vsphereMachine) }],
  [machineSet, { clusterName: name, replicas: 0, selector: { matchLabels }, template }],
  [machineDeployment, { clusterName: name, replicas: 0, selector: { matchLabels }, template }],
  [
    machineHealthCheck,
    {
      clusterName: name,
      selector: { matchLabels },
      checks: { unhealthyNodeConditions: [{ type: "Ready", status: "Unknown", timeoutSeconds: 600 }] },
    },
  ],
  [kubeadmConfig, kubeadm],
  [kubeadmConfigTemplate, { template: { spec: kubeadm } }],
  [kubeadmControlPlane, { replicas: 1, version: "v1.35.0", machineTemplate, kubeadmConfigSpec: kubeadm }],
  [vsphereCluster, { server: "vcenter.invalid", controlPlaneEndpoint: { host: "192.0.2.1", port: 6443 } }],
  [vsphereMachine, clone],
  [vsphereMachineTemplate, { template: { spec: clone } }],
  [vsphereVM, clone],
  [
    vsphereFailureDomain,
    {
      region: { name, type: "Datacenter", tagCategory: name },
      zone: { name, type: "ComputeCluster", tagCategory: name },
      topology: { datacenter: name, computeCluster: name },
    },
  ],
  [vsphereDeploymentZone, { server: "vcenter.invalid", failureDomain: name }],
];

/** In the version before: what a provider cannot convert, nobody with an older client can read. */
const older: readonly (readonly [Kind, object])[] = [
  [cluster, { clusterNetwork: { serviceDomain: "cluster.local" } }],
  [kubeadmConfig, kubeadm],
  [
    kubeadmControlPlane,
    {
      replicas: 1,
      version: "v1.35.0",
      machineTemplate: {
        infrastructureRef: {
          apiVersion: "infrastructure.cluster.x-k8s.io/v1beta1",
          kind: "VSphereMachineTemplate",
          name,
        },
      },
      kubeadmConfigSpec: {},
    },
  ],
  [vsphereCluster, { server: "vcenter.invalid", controlPlaneEndpoint: { host: "192.0.2.1", port: 6443 } }],
];

/** The trials, to be made in this namespace. */
export function probesIn(namespace: string): Probe[] {
  const probe = (kind: Kind, spec: object): Probe => ({
    kind,
    object: { metadata: { name, ...(kind.namespaced ? { namespace } : {}) }, spec },
  });
  return [
    ...specs.map(([kind, spec]) => probe(kind, spec)),
    ...older.map(([kind, spec]) => probe({ ...kind, version: "v1beta1" }, spec)),
  ];
}
