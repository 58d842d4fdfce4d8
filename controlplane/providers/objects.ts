// Cluster API's providers as objects for a workload cluster. Pure: from a bundle's manifests and a wish, the same objects always.
//
//   O1. They run on the first control-plane node, before there is a network for pods, a cloud provider or a worker: on the host's
//       network, each with ports of its own, tolerating what such a node is tainted with, small enough for a 4 GiB machine.
//   O2. CAPV has no credentials. A VSphereVM whose cluster cannot be read would fall back to them, and act.
//   O3. Who is trusted (CRDs, webhooks) goes before who serves (Secret, Deployment); see certificate.ts, C2.
//   O4. Each provider has an account of its own, which may do what it does (roles.ts).
import { apiVersionOf, type Draft, type Kind, type Resource, type Secret } from "#core";
import {
  clusterRole,
  clusterRoleBinding,
  customResourceDefinition,
  deployment,
  encode64,
  mutatingWebhooks,
  namespace,
  role,
  roleBinding,
  secret,
  service,
  serviceAccount,
  validatingWebhooks,
} from "#proto";
import { mirrored } from "#proto/render/images.ts";
import { providerNames, providers, type ProviderName } from "../versions.ts";
import { byService, patchCrd, patchWebhooks } from "../webhooks.ts";
import type { ServingCertificate } from "./certificate.ts";
import { clusterRules, leaderRules } from "./roles.ts";

/** What a bundle says of its providers (bundle.ts). */
export type ProviderManifests = Readonly<
  Record<
    ProviderName,
    { readonly version: string; readonly crds: readonly Resource[]; readonly webhooks: readonly Resource[] }
  >
>;

export interface ProviderWish {
  readonly certificate: ServingCertificate;
  /** A registry, perhaps with a path, in place of upstream's. */
  readonly mirror?: string | undefined;
  /** A Docker config (JSON) with the logins of the registry. */
  readonly pullSecret?: Secret | undefined;
}

export interface Applied {
  readonly kind: Kind;
  readonly object: Draft<Resource> & { readonly metadata: { readonly name: string } };
}

export const providerNamespace = "capi-system";
export const certificateName = "provider-webhooks";
export const pullSecretName = "provider-images";

interface Program {
  readonly image: string;
  readonly ports: { readonly webhook: number; readonly health: number; readonly diagnostics: number };
  readonly args?: readonly string[];
}

const programs: Readonly<Record<ProviderName, Program>> = {
  core: {
    image: "registry.k8s.io/cluster-api/cluster-api-controller",
    ports: { webhook: 9443, health: 9440, diagnostics: 8443 },
  },
  bootstrap: {
    image: "registry.k8s.io/cluster-api/kubeadm-bootstrap-controller",
    ports: { webhook: 9453, health: 9450, diagnostics: 8453 },
  },
  "control-plane": {
    image: "registry.k8s.io/cluster-api/kubeadm-control-plane-controller",
    ports: { webhook: 9463, health: 9460, diagnostics: 8463 },
  },
  infrastructure: {
    image: "registry.k8s.io/cluster-api-vsphere/cluster-api-vsphere-controller",
    ports: { webhook: 9473, health: 9470, diagnostics: 8473 },
    args: ["--credentials-file=/dev/null"], // O2; without a file it complains at each start
  },
};

/** The names of a provider's objects: as in upstream's releases. */
export function providerObjectName(name: ProviderName, what: string): string {
  return `${providers[name].prefix}${what}`;
}

/** The Deployments of a workload cluster's providers. */
export const providerDeployments = providerNames.map((name) => ({
  namespace: providerNamespace,
  name: providerObjectName(name, "controller-manager"),
}));

/** The names by which an API server calls the webhooks. */
export const webhookHosts = providerNames.map(
  (name) => `${providerObjectName(name, "webhook-service")}.${providerNamespace}.svc`,
);

/** Everything, in waves: each when the one before is there, and within one in any order. */
export function providerObjects(manifests: ProviderManifests, wish: ProviderWish): Applied[][] {
  return [
    [
      one(namespace, providerNamespace, undefined, {
        labels: { "pod-security.kubernetes.io/enforce": "privileged" }, // O1: the host's network
      }),
    ],
    [
      ...(wish.pullSecret ? [pullSecretObject(wish.pullSecret)] : []),
      ...providerNames.flatMap((name) => accountObjects(name, manifests)), // O4
      ...providerNames.map(serviceObject),
      ...providerNames.flatMap((name) => trustObjects(name, manifests, wish)), // O3
    ],
    [certificateObject(wish.certificate)],
    providerNames.map((name) => deploymentObject(name, manifests[name].version, wish)),
  ];
}

function one(
  kind: Kind,
  name: string,
  inNamespace: string | undefined,
  metadata: { readonly labels?: Readonly<Record<string, string>> } = {},
  content: object = {},
): Applied {
  return {
    kind,
    object: {
      apiVersion: apiVersionOf(kind),
      kind: kind.kind,
      metadata: { name, ...(inNamespace ? { namespace: inNamespace } : {}), ...metadata },
      ...content,
    } as Applied["object"],
  };
}

function labelsOf(name: ProviderName): Record<string, string> {
  return { "cluster.x-k8s.io/provider": providers[name].label };
}

function pullSecretObject(config: Secret): Applied {
  return one(
    secret,
    pullSecretName,
    providerNamespace,
    {},
    {
      type: "kubernetes.io/dockerconfigjson",
      data: { ".dockerconfigjson": encode64(config.reveal()) },
    },
  );
}

function certificateObject({ certificate, key, authorities }: ServingCertificate): Applied {
  return one(
    secret,
    certificateName,
    providerNamespace,
    {},
    {
      type: "kubernetes.io/tls",
      data: {
        "tls.crt": encode64(certificate),
        "tls.key": encode64(key.reveal()),
        "ca.crt": encode64(authorities),
      },
    },
  );
}

function accountObjects(name: ProviderName, manifests: ProviderManifests): Applied[] {
  const [account, manager, leader] = ["manager", "manager-role", "leader-election-role"].map((what) =>
    providerObjectName(name, what),
  ) as [string, string, string];
  const metadata = { labels: labelsOf(name) };
  const subjects = [{ kind: "ServiceAccount", name: account, namespace: providerNamespace }];
  const roleRef = (kind: string, to: string) => ({ apiGroup: "rbac.authorization.k8s.io", kind, name: to });
  const crds = manifests[name].crds.map((crd) => crd.metadata.name);
  return [
    one(serviceAccount, account, providerNamespace, metadata),
    one(clusterRole, manager, undefined, metadata, { rules: clusterRules(name, crds) }),
    one(clusterRoleBinding, manager, undefined, metadata, {
      roleRef: roleRef("ClusterRole", manager),
      subjects,
    }),
    one(role, leader, providerNamespace, metadata, { rules: leaderRules }),
    one(roleBinding, leader, providerNamespace, metadata, { roleRef: roleRef("Role", leader), subjects }),
  ];
}

function serviceObject(name: ProviderName): Applied {
  return one(
    service,
    providerObjectName(name, "webhook-service"),
    providerNamespace,
    { labels: labelsOf(name) },
    {
      spec: {
        selector: labelsOf(name),
        ports: [{ name: "webhook", protocol: "TCP", port: 443, targetPort: programs[name].ports.webhook }],
      },
    },
  );
}

const webhookKinds: readonly Kind[] = [mutatingWebhooks, validatingWebhooks];

function trustObjects(
  name: ProviderName,
  manifests: ProviderManifests,
  { certificate }: ProviderWish,
): Applied[] {
  const where = byService(
    providerObjectName(name, "webhook-service"),
    providerNamespace,
    certificate.authorities,
  );
  const { crds, webhooks } = manifests[name];
  return [
    ...crds.map((crd) => ({
      kind: customResourceDefinition,
      object: withLabels(patchCrd(crd, where), name),
    })),
    ...patchWebhooks(webhooks, providers[name].prefix, where).flatMap((object) =>
      webhookKinds
        .filter(({ kind }) => kind === object.kind)
        .map((kind) => ({ kind, object: withLabels(object, name) })),
    ),
  ];
}

function withLabels({ metadata, ...rest }: Resource, name: ProviderName): Applied["object"] {
  const { name: called, annotations } = metadata;
  return {
    ...rest,
    metadata: {
      name: called,
      labels: { ...metadata.labels, ...labelsOf(name) },
      ...(annotations ? { annotations } : {}),
    },
  };
}

const tolerations = [
  { key: "node-role.kubernetes.io/control-plane", operator: "Exists", effect: "NoSchedule" },
  { key: "node.cloudprovider.kubernetes.io/uninitialized", operator: "Exists", effect: "NoSchedule" },
  { key: "node.kubernetes.io/not-ready", operator: "Exists" },
];

/** Measured: 62 to 82 MiB each with one cluster. */
const resources = {
  requests: { cpu: "50m", memory: "96Mi" },
  limits: { cpu: "1", memory: "512Mi" },
};

const certificateFolder = "/etc/provider-webhooks";

function deploymentObject(name: ProviderName, version: string, wish: ProviderWish): Applied {
  const { image, ports, args = [] } = programs[name];
  const labels = labelsOf(name);
  const podField = (env: string, fieldPath: string) => ({
    name: env,
    valueFrom: { fieldRef: { fieldPath } },
  });
  const probe = (path: string) => ({ httpGet: { path, port: "health" } });
  const container = {
    name: "manager",
    image: mirrored(`${image}:v${version.replace(/^v/, "")}`, wish.mirror),
    imagePullPolicy: "IfNotPresent",
    args: [
      "--leader-elect",
      `--webhook-port=${ports.webhook}`,
      `--webhook-cert-dir=${certificateFolder}`,
      `--health-addr=:${ports.health}`,
      `--diagnostics-address=:${ports.diagnostics}`,
      ...args,
    ],
    env: [
      podField("POD_NAMESPACE", "metadata.namespace"),
      podField("POD_NAME", "metadata.name"),
      podField("POD_UID", "metadata.uid"),
    ],
    ports: [
      { name: "webhook", containerPort: ports.webhook, protocol: "TCP" },
      { name: "health", containerPort: ports.health, protocol: "TCP" },
      { name: "metrics", containerPort: ports.diagnostics, protocol: "TCP" },
    ],
    readinessProbe: probe("/readyz"),
    livenessProbe: probe("/healthz"),
    resources,
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
      runAsUser: 65532,
      runAsGroup: 65532,
    },
    terminationMessagePolicy: "FallbackToLogsOnError",
    volumeMounts: [{ name: "certificate", mountPath: certificateFolder, readOnly: true }],
  };
  return one(
    deployment,
    providerObjectName(name, "controller-manager"),
    providerNamespace,
    { labels },
    {
      spec: {
        replicas: 1,
        strategy: { type: "Recreate" }, // O1: a second one would find the ports taken
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            serviceAccountName: providerObjectName(name, "manager"),
            ...(wish.pullSecret ? { imagePullSecrets: [{ name: pullSecretName }] } : {}),
            hostNetwork: true,
            dnsPolicy: "Default", // the cluster's own DNS may not run yet
            tolerations,
            terminationGracePeriodSeconds: 10,
            securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
            containers: [container],
            volumes: [{ name: "certificate", secret: { secretName: certificateName } }],
          },
        },
      },
    },
  );
}
