// What makes a cluster able to manage itself: Cluster API's controllers, CAPV and our agent, as objects for the workload cluster.
// Real providers come through a port (ports.ts, ProviderSource); the plain ones here are what the sandbox plays.
//
//   V1. They run on the first control-plane node alone, before it has a network for pods: on the host's network, tolerating its taint,
//       the one that waits for the cloud provider, and that it is not ready.
//   V2. No provider has credentials of its own. A VSphereVM whose cluster cannot be read would fall back to them, and act.
//   V3. The only secret here is the agent's one-time token, in a Secret beside its Deployment.
import { apiVersionOf, type Draft, type Kind, type Resource, type ResourceStore, type Secret } from "#core";
import {
  clusterRoleBinding,
  configMap,
  deployment,
  encode64,
  namespace,
  secret,
  serviceAccount,
  type Deployment,
  type SpaSpec,
} from "#proto";
import { imageBaseName, mirrored } from "#proto/render/images.ts";
import {
  agentDeploymentName,
  agentSecretName,
  clusterNamespace,
  installedName,
  words,
} from "#proto/render/names.ts";
import { contentHash } from "#proto/render/shape.ts";
import { ensureExists, ensureHolds } from "./ensure.ts";
import type { AgentTrust, ImageSource, InstallImages, ProviderSource } from "./ports.ts";

export const providerNamespace = "capi-system";

/** Provider name to image name; the names are what the sandbox and `controlplane/` recognise. */
export const defaultImages: InstallImages = {
  core: "cluster-api-controller",
  bootstrap: "kubeadm-bootstrap-controller",
  controlPlane: "kubeadm-control-plane-controller",
  infrastructure: "cluster-api-vsphere-controller",
  agent: "pcg-agent",
};

export interface Install {
  readonly kind: Kind;
  readonly object: Draft<Resource>;
}

const resources = {
  requests: { cpu: "50m", memory: "128Mi" },
  limits: { cpu: "1", memory: "512Mi" },
};

const tolerations = [
  { key: "node-role.kubernetes.io/control-plane", operator: "Exists", effect: "NoSchedule" },
  { key: "node.cloudprovider.kubernetes.io/uninitialized", operator: "Exists", effect: "NoSchedule" },
  { key: "node.kubernetes.io/not-ready", operator: "Exists" },
];

/** Providers without webhooks or roles of their own, recognised by the names of their images. */
export function plainProviders(images: InstallImages): ProviderSource {
  const managers = [images.core, images.bootstrap, images.controlPlane, images.infrastructure];
  const objects = (source: ImageSource): Install[] => [
    named(namespace, undefined, providerNamespace),
    named(serviceAccount, providerNamespace, "providers"),
    adminBinding("pcg-providers", providerNamespace, "providers"),
    ...managers.map((image) => ({
      kind: deployment,
      object: oneReplica(providerNamespace, imageBaseName(image), "providers", {
        image: mirrored(image, source.mirror),
        args: ["--leader-elect"],
      }),
    })),
  ];
  return {
    deployments: managers.map((image) => ({ namespace: providerNamespace, name: imageBaseName(image) })),
    crds: [],
    digest: (source) => contentHash(objects(source).map(({ object }) => object)),
    async install(to, source) {
      await writeAll(to, objects(source));
      return {};
    },
    silent: () => Promise.resolve(undefined),
  };
}

/** Writes what is missing, and keeps Secrets and Deployments as they are wanted. */
export async function writeAll(to: ResourceStore, objects: readonly Install[]): Promise<void> {
  for (const { kind, object } of objects) {
    await (kind === secret || kind === deployment ? ensureHolds : ensureExists)(to, kind, object);
  }
}

/** The agent and what it needs, in the order in which it is applied. */
export function agentObjects(
  spec: SpaSpec,
  image: string,
  source: ImageSource,
  trust: AgentTrust,
  /** The agent's one-time token; absent once it was used. */
  enrolmentToken?: string,
): Install[] {
  const cluster = clusterNamespace(spec.clusterUid);
  return [
    {
      kind: namespace,
      object: {
        metadata: {
          name: cluster,
          labels: { [words.clusterUid]: spec.clusterUid, [words.paletteClusterName]: spec.clusterName },
        },
      },
    },
    named(serviceAccount, cluster, agentDeploymentName),
    adminBinding("pcg-agent", cluster, agentDeploymentName),
    { kind: secret, object: agentSecret(spec, trust, enrolmentToken) },
    ...(source.pullSecret ? [{ kind: secret, object: pullSecret(cluster, source.pullSecret.config) }] : []),
    {
      kind: deployment,
      object: oneReplica(cluster, agentDeploymentName, agentDeploymentName, {
        image: mirrored(image, source.mirror),
        ...(source.pullSecret ? { imagePullSecrets: [{ name: pullSecretName }] } : {}),
        env: [
          { name: "PCG_CLUSTER_UID", value: spec.clusterUid },
          { name: "PCG_CLUSTER_NAME", value: spec.clusterName },
          { name: "PCG_NAMESPACE", value: cluster },
        ],
        volumeMounts: [{ name: "identity", mountPath: "/etc/pcg-agent", readOnly: true }],
        volumes: [{ name: "identity", secret: { secretName: agentSecretName } }],
      }),
    },
  ];
}

/** The Deployments that must be available before a pivot. */
export function deploymentKeys(uid: string, { deployments }: Pick<ProviderSource, "deployments">) {
  return [...deployments, { namespace: clusterNamespace(uid), name: agentDeploymentName }];
}

export function isAvailable(object: Deployment | undefined): boolean {
  const { availableReplicas = 0, conditions } = object?.status ?? {};
  return (
    availableReplicas > 0 || conditions?.some((c) => c.type === "Available" && c.status === "True") === true
  );
}

/** What was installed in a workload cluster, as its record there says. */
export interface Installed {
  /** Of everything that was written. */
  readonly digest: string;
  /** When it must be written again, milliseconds since 1970. */
  readonly renewAt?: number | undefined;
  /** Whose providers. */
  readonly release?: string | undefined;
}

/** The record is written last: where it is, all else was. */
export async function writeInstalled(
  to: ResourceStore,
  uid: string,
  { digest, renewAt, release }: Installed,
): Promise<void> {
  const draft: Draft<Resource> & { data: Record<string, string> } = {
    metadata: {
      name: installedName,
      namespace: clusterNamespace(uid),
      labels: { [words.clusterUid]: uid, [words.stays]: "true" },
    },
    data: {
      digest,
      ...(renewAt === undefined ? {} : { renewAt: new Date(renewAt).toISOString() }),
      ...(release === undefined ? {} : { release }),
    },
  };
  await ensureHolds(to, configMap, draft);
}

export async function readInstalled(
  from: ResourceStore,
  uid: string,
  signal?: AbortSignal,
): Promise<Installed | undefined> {
  const key = { namespace: clusterNamespace(uid), name: installedName };
  const { digest, renewAt, release } = (await from.get(configMap, key, signal))?.data ?? {};
  if (!digest) return undefined;
  return { digest, release, ...(renewAt ? { renewAt: Date.parse(renewAt) } : {}) };
}

const pullSecretName = "pcg-images";

function pullSecret(inNamespace: string, config: Secret): Draft<Resource> {
  const draft: Draft<Resource> & { type: string; data: Record<string, string> } = {
    apiVersion: apiVersionOf(secret),
    kind: secret.kind,
    metadata: { name: pullSecretName, namespace: inNamespace, labels: { [words.stays]: "true" } },
    type: "kubernetes.io/dockerconfigjson",
    data: { ".dockerconfigjson": encode64(config.reveal()) },
  };
  return draft;
}

function agentSecret(spec: SpaSpec, trust: AgentTrust, enrolmentToken: string | undefined): Draft<Resource> {
  const values: Record<string, string | undefined> = {
    planeUrl: spec.agent?.planeUrl,
    planeCa: spec.agent?.planeCa,
    enrolmentToken,
    signingKey: trust.signingKey,
    mirrorKey: trust.mirror?.key,
    mirrorToken: trust.mirror?.token.reveal(),
  };
  const data: Record<string, string> = {};
  for (const [key, value] of Object.entries(values)) if (value) data[key] = encode64(value);
  const draft: Draft<Resource> & { data: Record<string, string> } = {
    apiVersion: apiVersionOf(secret),
    kind: secret.kind,
    metadata: {
      name: agentSecretName,
      namespace: clusterNamespace(spec.clusterUid),
      labels: { [words.clusterUid]: spec.clusterUid, [words.stays]: "true" },
    },
    data,
  };
  return draft;
}

function named(kind: Kind, namespace: string | undefined, name: string): Install {
  return { kind, object: { metadata: { name, ...(namespace ? { namespace } : {}) } } };
}

function adminBinding(name: string, namespace: string, account: string): Install {
  const object: Draft<Resource> & Record<string, unknown> = {
    metadata: { name },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "cluster-admin" },
    subjects: [{ kind: "ServiceAccount", name: account, namespace }],
  };
  return { kind: clusterRoleBinding, object };
}

interface Container {
  readonly image: string;
  readonly args?: readonly string[];
  readonly env?: readonly object[];
  readonly volumeMounts?: readonly object[];
  readonly volumes?: readonly object[];
  readonly imagePullSecrets?: readonly object[];
}

function oneReplica(
  namespace: string,
  name: string,
  serviceAccountName: string,
  of: Container,
): Draft<Resource> {
  const labels = { app: name };
  const { volumes, imagePullSecrets, ...container } = of;
  return {
    apiVersion: apiVersionOf(deployment),
    kind: deployment.kind,
    metadata: { name, namespace, labels },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          serviceAccountName,
          ...(imagePullSecrets ? { imagePullSecrets } : {}),
          hostNetwork: true, // V1
          dnsPolicy: "Default",
          tolerations,
          containers: [{ name: "manager", ...container, resources }],
          ...(volumes ? { volumes } : {}),
        },
      },
    },
  };
}
