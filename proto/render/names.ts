// The names of everything that stands for one cluster. They follow from the cluster's uid and name alone, so that any process, at
// any time, finds what another has made.
import { boundedName, contentHash } from "./shape.ts";

/** Labels and annotations of our own, and the ones of Cluster API that we write. */
export const words = {
  clusterUid: "jet.pcg.dev/cluster-uid",
  clusterName: "cluster.x-k8s.io/cluster-name",
  paused: "cluster.x-k8s.io/paused",
  deleteForMove: "clusterctl.cluster.x-k8s.io/delete-for-move",
  blockMove: "clusterctl.cluster.x-k8s.io/block-move",
  /** On a lease claim: which of the cluster's pools it feeds. */
  leaseOf: "jet.pcg.dev/lease-of",
  /** Marks an object that never moves with the cluster. */
  stays: "jet.pcg.dev/stays",
  /** On a child pool: the address leased beside it for the cluster's API, which no machine may get. */
  leasedEndpoint: "jet.pcg.dev/leased-endpoint",
  /** On an SPA: why nothing is done for it until it is known which side owns the cluster, "Reason: message". */
  held: "jet.pcg.dev/held",
  /** On an SPA: a person's word on that, "gateway" or "workload". */
  adopt: "jet.pcg.dev/adopt",
  pool: "jet.pcg.dev/worker-pool",
  spaFinalizer: "jet.pcg.dev/cluster",
  /** As on Palette's cluster namespaces. */
  paletteClusterName: "spectrocloud.com/cluster-name",
} as const;

export interface ClusterNames {
  readonly uid: string;
  readonly cluster: string;
  readonly namespace: string;
  readonly controlPlane: string;
  readonly identity: string;
  readonly kubeconfig: string;
  /** Cluster API's names for what an external etcd is reached with. */
  readonly etcdCa: string;
  readonly etcdClient: string;
  readonly agentSecret: string;
  readonly agentDeployment: string;
  /** The ConfigMap that says which side owns the cluster. */
  readonly decision: string;
}

export const agentDeploymentName = "cluster-management-agent";
export const agentSecretName = "pcg-agent";
export const decisionName = "pcg-pivot";
/** On the gateway, in the cluster's namespace: the agent's one-time token, until the cluster is gone. */
export const enrolmentSecretName = "pcg-enrolment";

/** In the workload cluster: the record of what was installed there. */
export const installedName = "pcg-installed";

export function clusterNames(uid: string, cluster: string): ClusterNames {
  return {
    uid,
    cluster,
    namespace: clusterNamespace(uid),
    // Machines append "-xxxxx", and become host names of at most 63.
    controlPlane: boundedName(cluster, "-cp", 57),
    identity: boundedName(cluster, "-identity", 63),
    kubeconfig: `${cluster}-kubeconfig`,
    etcdCa: `${cluster}-etcd`,
    etcdClient: `${cluster}-apiserver-etcd-client`,
    agentSecret: agentSecretName,
    agentDeployment: agentDeploymentName,
    decision: decisionName,
  };
}

/** Palette's naming. */
export function clusterNamespace(uid: string): string {
  return `cluster-${uid}`;
}

/** MachineDeployment and its parts; machine sets and machines append "-xxxxx" each. */
export function workerName(cluster: string, pool: string): string {
  return boundedName(cluster, `-${pool}`.slice(0, 30), 51);
}

/** A template's name tells its content: another content is another template, as templates are immutable in practice. */
export function templateName(base: string, spec: unknown): string {
  return boundedName(base, `-${contentHash(spec).slice(0, 8)}`, 63);
}
