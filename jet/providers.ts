// What makes a cluster able to manage itself: Cluster API's controllers, CAPV and our agent, as objects for the workload cluster. Pure.
//
//   V1. They run on the first control-plane node alone: they tolerate its taint, and the one that waits for the cloud provider.
//   V2. No provider has credentials of its own. A VSphereVM whose cluster cannot be read would fall back to them, and act.
//   V3. The only secret here is the agent's one-time token, in a Secret beside its Deployment.
import { apiVersionOf, type Draft, type Kind, type Resource } from "#core";
import {
  clusterRoleBinding,
  deployment,
  encode64,
  namespace,
  secret,
  serviceAccount,
  type SpaSpec,
} from "#proto";
import { agentDeploymentName, agentSecretName, clusterNamespace, words } from "#proto/render/names.ts";
import type { AgentTrust, InstallImages } from "./ports.ts";

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

const tolerations = [
  { key: "node-role.kubernetes.io/control-plane", operator: "Exists", effect: "NoSchedule" },
  { key: "node.cloudprovider.kubernetes.io/uninitialized", operator: "Exists", effect: "NoSchedule" },
  { key: "node.kubernetes.io/not-ready", operator: "Exists" },
];

/** Everything but the CRDs and the desired state, in the order in which it is applied. */
export function installObjects(
  spec: SpaSpec,
  images: InstallImages,
  trust: AgentTrust,
  /** The agent's one-time token; absent once it was used. */
  enrolmentToken?: string,
): Install[] {
  const cluster = clusterNamespace(spec.clusterUid);
  return [
    named(namespace, undefined, providerNamespace),
    {
      kind: namespace,
      object: {
        metadata: {
          name: cluster,
          labels: { [words.clusterUid]: spec.clusterUid, [words.paletteClusterName]: spec.clusterName },
        },
      },
    },
    named(serviceAccount, providerNamespace, "providers"),
    adminBinding("pcg-providers", providerNamespace, "providers"),
    ...[images.core, images.bootstrap, images.controlPlane, images.infrastructure].map((image) => ({
      kind: deployment,
      object: oneReplica(providerNamespace, imageBaseName(image), "providers", {
        image,
        args: ["--leader-elect"],
      }),
    })),
    named(serviceAccount, cluster, agentDeploymentName),
    adminBinding("pcg-agent", cluster, agentDeploymentName),
    { kind: secret, object: agentSecret(spec, trust, enrolmentToken) },
    {
      kind: deployment,
      object: oneReplica(cluster, agentDeploymentName, agentDeploymentName, {
        image: images.agent,
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
export function deploymentKeys(uid: string, images: InstallImages) {
  return [
    ...[images.core, images.bootstrap, images.controlPlane, images.infrastructure].map((image) => ({
      namespace: providerNamespace,
      name: imageBaseName(image),
    })),
    { namespace: clusterNamespace(uid), name: agentDeploymentName },
  ];
}

/** "registry.example/cluster-api-controller:v1.13.5" names the Deployment cluster-api-controller. */
export function imageBaseName(image: string): string {
  const last = image.slice(image.lastIndexOf("/") + 1);
  return last.split(/[:@]/, 1)[0] ?? last;
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
}

function oneReplica(
  namespace: string,
  name: string,
  serviceAccountName: string,
  of: Container,
): Draft<Resource> {
  const labels = { app: name };
  const { volumes, ...container } = of;
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
          tolerations, // V1
          containers: [
            { name: "manager", ...container, resources: { requests: { cpu: "50m", memory: "64Mi" } } },
          ],
          ...(volumes ? { volumes } : {}),
        },
      },
    },
  };
}
