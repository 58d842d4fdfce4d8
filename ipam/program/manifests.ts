// What to apply to a cluster so that `pcg ipam run` serves it.
import type { Kind, Resource } from "#core";
import { inClusterPoolKinds, ipamKinds, metal3Kinds } from "#proto";
import { ipamCrd } from "./crds.ts";
import { admittedKinds, validatingWebhooks, type Reach } from "./registration.ts";

export interface ManifestWishes {
  readonly image: string;
  readonly namespace: string;
  readonly replicas: number;
  /** Also the CRDs of claims and addresses, which Cluster API brings. */
  readonly withClusterApiCrds: boolean;
  readonly webhooks: boolean;
}

const name = "pcg-ipam";
const service = "pcg-ipam-webhook";
const accountDir = "/etc/pcg-ipam/vcenter";

/** In the order in which they are to be applied. Pure. */
export function ipamManifests(wishes: ManifestWishes): readonly Resource[] {
  const { namespace, webhooks, withClusterApiCrds } = wishes;
  const reach: Reach | undefined = webhooks ? { kind: "service", namespace, name: service } : undefined;
  const claims = ipamKinds.filter((kind) => !inClusterPoolKinds.includes(kind));
  const kinds = [...(withClusterApiCrds ? claims : []), ...inClusterPoolKinds, ...metal3Kinds];
  const labels = { "app.kubernetes.io/name": name };
  const named = (apiVersion: string, kind: string, more: object, own: string = name) =>
    ({ apiVersion, kind, metadata: { name: own, namespace, labels }, ...more }) as unknown as Resource;
  const wide = (apiVersion: string, kind: string, more: object) =>
    ({ apiVersion, kind, metadata: { name, labels }, ...more }) as unknown as Resource;
  const subjects = [{ kind: "ServiceAccount", name, namespace }];
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace, labels } } as unknown as Resource,
    ...kinds.map((kind) => ipamCrd(kind, reach)),
    named("v1", "ServiceAccount", {}),
    wide("rbac.authorization.k8s.io/v1", "ClusterRole", { rules: clusterRules }),
    wide("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", {
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name },
      subjects,
    }),
    named("rbac.authorization.k8s.io/v1", "Role", { rules: namespaceRules }),
    named("rbac.authorization.k8s.io/v1", "RoleBinding", {
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name },
      subjects,
    }),
    ...(webhooks
      ? [
          named(
            "v1",
            "Service",
            { spec: { selector: labels, ports: [{ port: 443, targetPort: "webhooks" }] } },
            service,
          ),
        ]
      : []),
    named("apps/v1", "Deployment", deployment(wishes, labels)),
    ...(reach ? [validatingWebhooks(admittedKinds, reach)] : []),
  ];
}

const all = ["get", "list", "watch", "create", "update", "patch", "delete"];
const read = ["get", "list", "watch"];

function rule(kinds: readonly Kind[], verbs: readonly string[], part = "") {
  return {
    apiGroups: [...new Set(kinds.map(({ group }) => group))],
    resources: kinds.map(({ plural }) => plural + part),
    verbs,
  };
}

const clusterRules = [
  rule([...ipamKinds, ...metal3Kinds], all),
  rule([...ipamKinds, ...metal3Kinds], ["get", "update", "patch"], "/status"),
  {
    apiGroups: ["cluster.x-k8s.io"],
    resources: ["clusters", "clusters/status", "machines", "machinedeployments"],
    verbs: read,
  },
  {
    apiGroups: ["infrastructure.cluster.x-k8s.io"],
    resources: ["vspheremachines", "vsphereclusters", "vspheremachinetemplates", "vspherevms"],
    verbs: [...read, "update", "patch"],
  },
  { apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: all },
  { apiGroups: [""], resources: ["events"], verbs: ["get", "create", "update", "patch"] },
  {
    apiGroups: ["admissionregistration.k8s.io"],
    resources: ["validatingwebhookconfigurations"],
    resourceNames: [name],
    verbs: ["get", "update", "patch"],
  },
  {
    apiGroups: ["apiextensions.k8s.io"],
    resources: ["customresourcedefinitions"],
    resourceNames: inClusterPoolKinds.map(({ plural, group }) => `${plural}.${group}`),
    verbs: ["get", "update", "patch"],
  },
];

/** The webhooks' certificate. */
const namespaceRules = [{ apiGroups: [""], resources: ["secrets"], verbs: ["get", "create", "update"] }];

function deployment(
  { image, namespace, replicas, webhooks }: ManifestWishes,
  labels: Record<string, string>,
) {
  const port = (own: string, containerPort: number) => ({ name: own, containerPort });
  const probe = (path: string) => ({ httpGet: { path, port: "health" } });
  return {
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          serviceAccountName: name,
          terminationGracePeriodSeconds: 10,
          // SERVER, USERNAME, PASSWORD, THUMBPRINT or CA, where somebody makes it; followed when it changes.
          volumes: [{ name: "vcenter", secret: { secretName: "pcg-ipam-vcenter", optional: true } }],
          containers: [
            {
              name: "ipam",
              image,
              args: [
                "ipam",
                "run",
                "--leader-elect",
                `--leader-election-namespace=${namespace}`,
                ...(webhooks ? [`--webhook-service=${namespace}/${service}`] : ["--webhook-port=0"]),
                "--diagnostics-address=:8080",
                `--vcenter-account-dir=${accountDir}`,
              ],
              volumeMounts: [{ name: "vcenter", mountPath: accountDir, readOnly: true }],
              ports: [
                port("health", 8081),
                port("metrics", 8080),
                ...(webhooks ? [port("webhooks", 9443)] : []),
              ],
              livenessProbe: probe("/healthz"),
              readinessProbe: probe("/readyz"),
              resources: { requests: { cpu: "50m", memory: "128Mi" }, limits: { memory: "512Mi" } },
              securityContext: {
                allowPrivilegeEscalation: false,
                readOnlyRootFilesystem: true,
                runAsNonRoot: true,
                capabilities: { drop: ["ALL"] },
                seccompProfile: { type: "RuntimeDefault" },
              },
            },
          ],
        },
      },
    },
  };
}
