// KubeadmControlPlane of the kubeadm control-plane provider, v1beta2.
import { z } from "zod";
import {
  ageColumn,
  conditionColumn,
  conditionSchema,
  contractRefSchema,
  deprecatedSchema,
  integerColumn,
  replicaStatusSchema,
  stringColumn,
  templateMetaSchema,
} from "./common.ts";
import { kindFrom, type Typed } from "./define.ts";
import { kubeadmConfigSpecSchema } from "./kubeadm-config.ts";
import { deletionSchema } from "./machine.ts";
import { rolloutStrategySchema } from "./machine-deployment.ts";

export const controlPlaneGroup = "controlplane.cluster.x-k8s.io";

const schema = z.object({
  spec: z.looseObject({
    replicas: z.int().min(0).default(1),
    version: z.string().min(1),
    machineTemplate: z.looseObject({
      metadata: templateMetaSchema.optional(),
      spec: z.looseObject({
        infrastructureRef: contractRefSchema,
        readinessGates: z.array(z.looseObject({ conditionType: z.string() })).optional(),
        deletion: deletionSchema.optional(),
      }),
    }),
    kubeadmConfigSpec: kubeadmConfigSpecSchema.default({}),
    rollout: z
      .looseObject({
        before: z.looseObject({ certificatesExpiryDays: z.int().optional() }).optional(),
        after: z.string().optional(),
        strategy: rolloutStrategySchema.optional(),
      })
      .optional(),
    remediation: z.looseObject({}).optional(),
  }),
  status: z
    .looseObject({
      ...replicaStatusSchema,
      conditions: z.array(conditionSchema).optional(),
      initialization: z.looseObject({ controlPlaneInitialized: z.boolean().optional() }).optional(),
      selector: z.string().optional(),
      version: z.string().optional(),
      observedGeneration: z.int().optional(),
      lastRemediation: z.looseObject({}).optional(),
      deprecated: deprecatedSchema.optional(),
    })
    .optional(),
});
export type KubeadmControlPlane = Typed<typeof schema>;

export const kubeadmControlPlane = kindFrom({
  group: controlPlaneGroup,
  version: "v1beta2",
  kind: "KubeadmControlPlane",
  plural: "kubeadmcontrolplanes",
  shortNames: ["kcp"],
  categories: ["cluster-api"],
  printerColumns: [
    stringColumn("Cluster", ".metadata.labels['cluster\\.x-k8s\\.io/cluster-name']"),
    conditionColumn("Available", "Available"),
    integerColumn("Desired", ".spec.replicas"),
    integerColumn("Current", ".status.replicas"),
    integerColumn("Ready", ".status.readyReplicas"),
    integerColumn("Available", ".status.availableReplicas"),
    integerColumn("Up-to-date", ".status.upToDateReplicas"),
    conditionColumn("Paused", "Paused", 10),
    stringColumn("Initialized", ".status.initialization.controlPlaneInitialized"),
    ageColumn,
    stringColumn("Version", ".spec.version"),
  ],
  schema,
  /** KCP's webhook: RollingUpdate with surge 1. */
  finish: (object) => ({
    ...object,
    spec: {
      ...object.spec,
      rollout: {
        ...object.spec.rollout,
        strategy: {
          type: "RollingUpdate" as const,
          ...object.spec.rollout?.strategy,
          rollingUpdate: { maxSurge: 1, ...object.spec.rollout?.strategy?.rollingUpdate },
        },
      },
    },
  }),
});
