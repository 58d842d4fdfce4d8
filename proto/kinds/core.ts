// The kinds of Kubernetes itself that we read or write. Only what we use is spelt out; the rest is kept as it comes.
import { z } from "zod";
import { ageColumn, integerColumn, labelsSchema, stringColumn } from "./common.ts";
import { kindFrom, type KindParts, type Typed } from "./define.ts";

const anything = z.looseObject({});

function builtin<S extends z.ZodObject>(
  parts: Omit<KindParts<S>, "group" | "version"> & { readonly group?: string; readonly version?: string },
) {
  return kindFrom<S>({ group: "", version: "v1", ...parts } as KindParts<S>);
}

const namespaceSchema = z.object({
  spec: z.looseObject({ finalizers: z.array(z.string()).optional() }).optional(),
  status: z.looseObject({ phase: z.string().optional() }).optional(),
});
export type Namespace = Typed<typeof namespaceSchema>;
export const namespace = builtin({
  kind: "Namespace",
  plural: "namespaces",
  shortNames: ["ns"],
  namespaced: false,
  printerColumns: [stringColumn("Status", ".status.phase"), ageColumn],
  schema: namespaceSchema,
});

const secretSchema = z.looseObject({
  type: z.string().default("Opaque"),
  /** Values in base64. */
  data: labelsSchema.optional(),
  /** Write only: moved into `data`. */
  stringData: labelsSchema.optional(),
  immutable: z.boolean().optional(),
});
export type SecretObject = Typed<typeof secretSchema>;
export const secret = builtin({
  kind: "Secret",
  plural: "secrets",
  hasStatus: false,
  printerColumns: [stringColumn("Type", ".type"), ageColumn],
  schema: secretSchema,
  finish: ({ stringData, ...object }) => {
    if (!stringData) return object as SecretObject;
    const encoded = Object.entries(stringData).map(([key, value]) => [key, encode64(value)]);
    return { ...object, data: { ...object.data, ...Object.fromEntries(encoded) } } as SecretObject;
  },
});

const configMapSchema = z.looseObject({
  data: labelsSchema.optional(),
  binaryData: labelsSchema.optional(),
  immutable: z.boolean().optional(),
});
export type ConfigMap = Typed<typeof configMapSchema>;
export const configMap = builtin({
  kind: "ConfigMap",
  plural: "configmaps",
  shortNames: ["cm"],
  hasStatus: false,
  printerColumns: [ageColumn],
  schema: configMapSchema,
});

const eventSchema = z.looseObject({
  involvedObject: z.looseObject({
    apiVersion: z.string().optional(),
    kind: z.string().optional(),
    name: z.string().optional(),
    namespace: z.string().optional(),
    uid: z.string().optional(),
  }),
  type: z.string().optional(),
  reason: z.string().optional(),
  message: z.string().optional(),
  source: z.looseObject({ component: z.string().optional() }).optional(),
  firstTimestamp: z.string().nullish(),
  lastTimestamp: z.string().nullish(),
  count: z.int().optional(),
});
export type EventObject = Typed<typeof eventSchema>;
export const event = builtin({
  kind: "Event",
  plural: "events",
  shortNames: ["ev"],
  hasStatus: false,
  printerColumns: [
    { name: "Last Seen", type: "date", jsonPath: ".lastTimestamp" },
    stringColumn("Type", ".type"),
    stringColumn("Reason", ".reason"),
    stringColumn("Object", ".involvedObject.name"),
    stringColumn("Message", ".message"),
  ],
  schema: eventSchema,
});

const nodeConditionSchema = z.looseObject({
  type: z.string(),
  status: z.enum(["True", "False", "Unknown"]),
  reason: z.string().optional(),
  message: z.string().optional(),
  lastTransitionTime: z.string().nullish(),
  lastHeartbeatTime: z.string().nullish(),
});
const nodeSchema = z.object({
  spec: z
    .looseObject({
      providerID: z.string().optional(),
      unschedulable: z.boolean().optional(),
      taints: z
        .array(z.looseObject({ key: z.string(), value: z.string().optional(), effect: z.string() }))
        .optional(),
    })
    .optional(),
  status: z
    .looseObject({
      conditions: z.array(nodeConditionSchema).optional(),
      addresses: z.array(z.object({ type: z.string(), address: z.string() })).optional(),
      nodeInfo: z.looseObject({ kubeletVersion: z.string().optional() }).optional(),
    })
    .optional(),
});
export type Node = Typed<typeof nodeSchema>;
export const node = builtin({
  kind: "Node",
  plural: "nodes",
  shortNames: ["no"],
  namespaced: false,
  printerColumns: [
    stringColumn("Ready", ".status.conditions[?(@.type=='Ready')].status"),
    ageColumn,
    stringColumn("Version", ".status.nodeInfo.kubeletVersion"),
    stringColumn("Provider ID", ".spec.providerID", 1),
  ],
  schema: nodeSchema,
});

export const serviceAccount = builtin({
  kind: "ServiceAccount",
  plural: "serviceaccounts",
  shortNames: ["sa"],
  hasStatus: false,
  printerColumns: [ageColumn],
  schema: anything,
});

const podSchema = z.object({
  spec: anything.optional(),
  status: z
    .looseObject({
      phase: z.string().optional(),
      conditions: z.array(z.looseObject({ type: z.string(), status: z.string() })).optional(),
    })
    .optional(),
});
export type Pod = Typed<typeof podSchema>;
export const pod = builtin({
  kind: "Pod",
  plural: "pods",
  shortNames: ["po"],
  printerColumns: [
    stringColumn("Status", ".status.phase"),
    ageColumn,
    stringColumn("Node", ".spec.nodeName", 1),
  ],
  schema: podSchema,
});

export const service = builtin({
  kind: "Service",
  plural: "services",
  shortNames: ["svc"],
  printerColumns: [
    stringColumn("Type", ".spec.type"),
    stringColumn("Cluster-IP", ".spec.clusterIP"),
    ageColumn,
  ],
  schema: anything,
});

const containerSchema = z.looseObject({
  name: z.string(),
  image: z.string(),
  command: z.array(z.string()).optional(),
  args: z.array(z.string()).optional(),
  env: z.array(z.looseObject({ name: z.string(), value: z.string().optional() })).optional(),
  volumeMounts: z.array(z.looseObject({ name: z.string(), mountPath: z.string() })).optional(),
});
const deploymentSchema = z.object({
  spec: z.looseObject({
    replicas: z.int().min(0).default(1),
    selector: z.looseObject({ matchLabels: labelsSchema.optional() }),
    template: z.looseObject({
      metadata: z.looseObject({ labels: labelsSchema.optional() }).optional(),
      spec: z.looseObject({
        containers: z.array(containerSchema).min(1),
        volumes: z
          .array(
            z.looseObject({
              name: z.string(),
              secret: z.looseObject({ secretName: z.string().optional() }).optional(),
            }),
          )
          .optional(),
      }),
    }),
  }),
  status: z
    .looseObject({
      observedGeneration: z.int().optional(),
      replicas: z.int().optional(),
      readyReplicas: z.int().optional(),
      availableReplicas: z.int().optional(),
      updatedReplicas: z.int().optional(),
      unavailableReplicas: z.int().optional(),
      conditions: z.array(z.looseObject({ type: z.string(), status: z.string() })).optional(),
    })
    .optional(),
});
export type Deployment = Typed<typeof deploymentSchema>;
export const deployment = builtin({
  group: "apps",
  kind: "Deployment",
  plural: "deployments",
  shortNames: ["deploy"],
  categories: ["all"],
  printerColumns: [
    integerColumn("Desired", ".spec.replicas"),
    integerColumn("Ready", ".status.readyReplicas"),
    integerColumn("Up-to-date", ".status.updatedReplicas"),
    integerColumn("Available", ".status.availableReplicas"),
    ageColumn,
  ],
  schema: deploymentSchema,
});

const leaseSchema = z.object({
  spec: z
    .looseObject({
      holderIdentity: z.string().nullish(),
      leaseDurationSeconds: z.int().nullish(),
      acquireTime: z.string().nullish(),
      renewTime: z.string().nullish(),
      leaseTransitions: z.int().nullish(),
    })
    .optional(),
});
export type Lease = Typed<typeof leaseSchema>;
export const lease = builtin({
  group: "coordination.k8s.io",
  kind: "Lease",
  plural: "leases",
  hasStatus: false,
  printerColumns: [stringColumn("Holder", ".spec.holderIdentity"), ageColumn],
  schema: leaseSchema,
});

const crdSchema = z.object({
  spec: z.looseObject({
    group: z.string(),
    names: z.looseObject({ kind: z.string(), plural: z.string() }),
    scope: z.string().optional(),
    versions: z.array(
      z.looseObject({ name: z.string(), served: z.boolean().optional(), storage: z.boolean().optional() }),
    ),
  }),
  status: z.looseObject({ conditions: z.array(z.looseObject({})).optional() }).optional(),
});
export type CustomResourceDefinition = Typed<typeof crdSchema>;
export const customResourceDefinition = builtin({
  group: "apiextensions.k8s.io",
  kind: "CustomResourceDefinition",
  plural: "customresourcedefinitions",
  shortNames: ["crd", "crds"],
  categories: ["api-extensions"],
  namespaced: false,
  printerColumns: [{ name: "Created At", type: "date", jsonPath: ".metadata.creationTimestamp" }],
  schema: crdSchema,
});

function admission(kind: string, plural: string) {
  return builtin({
    group: "admissionregistration.k8s.io",
    kind,
    plural,
    categories: ["api-extensions"],
    namespaced: false,
    hasStatus: false,
    printerColumns: [ageColumn],
    schema: anything,
  });
}
export const mutatingWebhooks = admission("MutatingWebhookConfiguration", "mutatingwebhookconfigurations");
export const validatingWebhooks = admission(
  "ValidatingWebhookConfiguration",
  "validatingwebhookconfigurations",
);

function rbac(kind: string, plural: string, namespaced: boolean) {
  return builtin({
    group: "rbac.authorization.k8s.io",
    kind,
    plural,
    namespaced,
    hasStatus: false,
    printerColumns: [ageColumn],
    schema: anything,
  });
}
export const role = rbac("Role", "roles", true);
export const roleBinding = rbac("RoleBinding", "rolebindings", true);
export const clusterRole = rbac("ClusterRole", "clusterroles", false);
export const clusterRoleBinding = rbac("ClusterRoleBinding", "clusterrolebindings", false);

/** Text as a Secret's `data` holds it. */
export function encode64(text: string): string {
  return Buffer.from(text, "utf8").toString("base64");
}

/** A value of a Secret's `data` as text; undefined when there is no such key. */
export function secretText(object: SecretObject | undefined, key: string): string | undefined {
  const value = object?.data?.[key];
  return value === undefined ? undefined : Buffer.from(value, "base64").toString("utf8");
}
