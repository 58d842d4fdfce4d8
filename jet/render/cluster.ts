// Cluster and VSphereCluster, the identity Secret and the namespace: what stands for the cluster as a whole. Pure.
//
// No object here has an owner reference to anything of ours: an owner outside the moved set would take the Cluster out of any move,
// ours or clusterctl's (research: jet.md 0.2).
import { apiVersionOf, type Draft, type Resource } from "#core";
import {
  cluster,
  inClusterIPPool,
  kubeadmControlPlane,
  namespace,
  secret,
  vsphereCluster,
  type SpaSpec,
} from "#proto";
import { clusterNames, clusterNamespace, words } from "#proto/render/names.ts";
import { dropEmpty } from "#proto/render/shape.ts";

/** What only the world could say: found by earlier steps. */
export interface Resolved {
  readonly endpoint: { readonly host: string; readonly port: number };
  /** Inventory path of the VM template. */
  readonly template: string;
  /** A registry in place of the images' own. */
  readonly mirror?: string | undefined;
}

export function clusterLabels(spec: SpaSpec): Record<string, string> {
  return { [words.clusterName]: spec.clusterName, [words.clusterUid]: spec.clusterUid };
}

export function clusterNamespaceObject(spec: Pick<SpaSpec, "clusterUid" | "clusterName">): Draft<Resource> {
  return {
    apiVersion: apiVersionOf(namespace),
    kind: namespace.kind,
    metadata: {
      name: clusterNamespace(spec.clusterUid),
      labels: { [words.clusterUid]: spec.clusterUid, [words.paletteClusterName]: spec.clusterName },
    },
  };
}

export function clusterObject(spec: SpaSpec, { endpoint }: Resolved): Draft<Resource> {
  const names = clusterNames(spec.clusterUid, spec.clusterName);
  return {
    apiVersion: apiVersionOf(cluster),
    kind: cluster.kind,
    metadata: { name: names.cluster, namespace: names.namespace, labels: clusterLabels(spec) },
    spec: dropEmpty({
      clusterNetwork: {
        pods: { cidrBlocks: [spec.network.podCidr] },
        services: { cidrBlocks: [spec.network.serviceCidr] },
      },
      controlPlaneEndpoint: endpoint,
      controlPlaneRef: {
        apiGroup: kubeadmControlPlane.group,
        kind: kubeadmControlPlane.kind,
        name: names.controlPlane,
      },
      infrastructureRef: { apiGroup: vsphereCluster.group, kind: vsphereCluster.kind, name: names.cluster },
    }),
  };
}

export function vsphereClusterObject(spec: SpaSpec, { endpoint }: Resolved): Draft<Resource> {
  const names = clusterNames(spec.clusterUid, spec.clusterName);
  return {
    apiVersion: apiVersionOf(vsphereCluster),
    kind: vsphereCluster.kind,
    metadata: { name: names.cluster, namespace: names.namespace, labels: clusterLabels(spec) },
    spec: dropEmpty({
      server: spec.cloud.server,
      thumbprint: spec.cloud.thumbprint,
      controlPlaneEndpoint: endpoint,
      identityRef: { kind: "Secret", name: names.identity },
      ...(spec.controlPlane.failureDomains
        ? { failureDomainSelector: { matchLabels: { [words.clusterUid]: spec.clusterUid } } }
        : {}),
    }),
  };
}

/** The one thing that lets a side act on vCenter. Whoever lacks it is fenced. `data` is base64, as read from the credential Secret. */
export function identitySecret(
  spec: Pick<SpaSpec, "clusterUid" | "clusterName">,
  data: { readonly username: string; readonly password: string },
): Draft<Resource> & { readonly data: Record<string, string> } {
  const names = clusterNames(spec.clusterUid, spec.clusterName);
  return {
    apiVersion: apiVersionOf(secret),
    kind: secret.kind,
    metadata: {
      name: names.identity,
      namespace: names.namespace,
      labels: {
        [words.clusterName]: spec.clusterName,
        [words.clusterUid]: spec.clusterUid,
        [words.stays]: "true",
      },
    },
    data: { ...data },
  };
}

export interface LeasedAddress {
  readonly address: string;
  readonly prefix: number;
  readonly gateway?: string;
}

/** The cluster's own pool: exactly the addresses leased from the parent. It moves with the cluster. */
export function childPool(
  spec: SpaSpec,
  name: string,
  leased: readonly LeasedAddress[],
  /** Leased from the same parent, for the API. */
  endpoint?: LeasedAddress,
): Draft<Resource> {
  const first = leased[0];
  return {
    apiVersion: apiVersionOf(inClusterIPPool),
    kind: inClusterIPPool.kind,
    metadata: {
      name,
      namespace: clusterNamespace(spec.clusterUid),
      labels: clusterLabels(spec),
      ...(endpoint ? { annotations: { [words.leasedEndpoint]: endpoint.address } } : {}),
    },
    spec: {
      addresses: leased.map((lease) => lease.address),
      prefix: first?.prefix ?? 0,
      ...(first?.gateway ? { gateway: first.gateway } : {}),
      // The parent chose these very addresses; none is the network's or the broadcast address by accident.
      allocateReservedIPAddresses: true,
    },
  };
}
