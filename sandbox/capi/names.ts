// Names that Cluster API and CAPV give, and the marks they leave. All of them as upstream writes them.
import { controlPlaneLabel, type Machine } from "#proto";
import type { Resource } from "#core";

export const finalizers = {
  cluster: "cluster.cluster.x-k8s.io",
  machine: "machine.cluster.x-k8s.io",
  machineSet: "cluster.x-k8s.io/machineset",
  machineDeployment: "cluster.x-k8s.io/machinedeployment",
  controlPlane: "kubeadm.controlplane.cluster.x-k8s.io",
  vsphereCluster: "vspherecluster.infrastructure.cluster.x-k8s.io",
  vsphereMachine: "vspheremachine.infrastructure.cluster.x-k8s.io",
  vsphereVM: "vspherevm.infrastructure.cluster.x-k8s.io",
  /** On IPAddressClaims, until the VM is gone. */
  claim: "vspherevm.infrastructure.cluster.x-k8s.io/ip-claim-protection",
  /** On the identity Secret. */
  identity: "vspherecluster/infrastructure.cluster.x-k8s.io",
} as const;

export const annotations = {
  preTerminate: "pre-terminate.delete.hook.machine.cluster.x-k8s.io/kcp-cleanup",
  clonedFromName: "cluster.x-k8s.io/cloned-from-name",
  clonedFromGroupKind: "cluster.x-k8s.io/cloned-from-groupkind",
  revision: "machinedeployment.clusters.x-k8s.io/revision",
  desiredReplicas: "machinedeployment.clusters.x-k8s.io/desired-replicas",
  maxReplicas: "machinedeployment.clusters.x-k8s.io/max-replicas",
  disableMachineCreate: "cluster.x-k8s.io/disable-machine-create",
} as const;

export const esxiHostLabel = "node.cluster.x-k8s.io/esxi-host";
export const templateHashLabel = "machine-template-hash";
export const secretType = "cluster.x-k8s.io/secret";

// Kubernetes' alphabet for generated names: no vowels, nothing that looks like something else (k8s.io/apimachinery util/rand).
const alphabet = "bcdfghjklmnpqrstvwxz2456789";

/** Five random characters, as generateName appends them. */
export function suffix(random: () => number, length = 5): string {
  return Array.from({ length }, () => alphabet[Math.floor(random() * alphabet.length)]).join("");
}

/** The base cut so that base, dash and suffix fit 63 characters. */
export function withSuffix(base: string, random: () => number): string {
  return `${base.slice(0, 57)}-${suffix(random)}`;
}

/** FNV-1a over JSON: the hash in a MachineSet's template label. */
export function templateHash(value: unknown): string {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(JSON.stringify(value))) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return String(hash);
}

export function isControlPlane(object: Resource): boolean {
  return object.metadata.labels?.[controlPlaneLabel] !== undefined;
}

export function byName(a: Machine, b: Machine): number {
  return a.metadata.name < b.metadata.name ? -1 : 1;
}

export function byAge(a: Resource, b: Resource): number {
  return (
    a.metadata.creationTimestamp.localeCompare(b.metadata.creationTimestamp) ||
    a.metadata.name.localeCompare(b.metadata.name)
  );
}
