// MachineDeployment of Cluster API core, v1beta2: a pool of workers.
import { z } from "zod";
import { capiGroup } from "./cluster.ts";
import {
  ageColumn,
  clusterNameLabel,
  conditionColumn,
  conditionSchema,
  deprecatedSchema,
  integerColumn,
  replicaStatusSchema,
  selectorSchema,
  stringColumn,
  templateMetaSchema,
} from "./common.ts";
import { kindFrom, type Typed } from "./define.ts";
import { machineSpecSchema } from "./machine.ts";

export const machineTemplateSchema = z.object({
  metadata: templateMetaSchema.optional(),
  spec: machineSpecSchema,
});

export const rolloutStrategySchema = z.looseObject({
  type: z.enum(["RollingUpdate", "OnDelete"]).default("RollingUpdate"),
  rollingUpdate: z
    .looseObject({
      maxSurge: z.union([z.int(), z.string()]).optional(),
      maxUnavailable: z.union([z.int(), z.string()]).optional(),
    })
    .optional(),
});

const schema = z.object({
  spec: z.looseObject({
    clusterName: z.string().min(1).max(63),
    replicas: z.int().min(0).default(1),
    selector: selectorSchema.default({}),
    template: machineTemplateSchema,
    paused: z.boolean().optional(),
    rollout: z
      .looseObject({ after: z.string().optional(), strategy: rolloutStrategySchema.optional() })
      .optional(),
    deletion: z.looseObject({ order: z.string().optional() }).optional(),
  }),
  status: z
    .looseObject({
      ...replicaStatusSchema,
      conditions: z.array(conditionSchema).optional(),
      selector: z.string().optional(),
      phase: z.string().optional(),
      observedGeneration: z.int().optional(),
      deprecated: deprecatedSchema.optional(),
    })
    .optional(),
});
export type MachineDeployment = Typed<typeof schema>;

export const machineDeployment = kindFrom({
  group: capiGroup,
  version: "v1beta2",
  kind: "MachineDeployment",
  plural: "machinedeployments",
  shortNames: ["md"],
  categories: ["cluster-api"],
  printerColumns: [
    stringColumn("Cluster", ".spec.clusterName"),
    conditionColumn("Available", "Available"),
    integerColumn("Desired", ".spec.replicas"),
    integerColumn("Current", ".status.replicas"),
    integerColumn("Ready", ".status.readyReplicas"),
    integerColumn("Available", ".status.availableReplicas"),
    integerColumn("Up-to-date", ".status.upToDateReplicas"),
    conditionColumn("Paused", "Paused", 10),
    stringColumn("Phase", ".status.phase"),
    ageColumn,
    stringColumn("Version", ".spec.template.spec.version"),
  ],
  schema,
  finish: withWebhookDefaults,
});

/** What CAPI's webhook adds: the cluster-name label everywhere, RollingUpdate with surge 1 and nothing unavailable. */
function withWebhookDefaults(object: MachineDeployment): MachineDeployment {
  const { spec, metadata } = object;
  const label = { [clusterNameLabel]: spec.clusterName };
  const strategy = spec.rollout?.strategy ?? { type: "RollingUpdate" as const };
  const rolling = strategy.type === "RollingUpdate";
  return {
    ...object,
    metadata: { ...metadata, labels: { ...metadata.labels, ...label } },
    spec: {
      ...spec,
      selector: { ...spec.selector, matchLabels: { ...spec.selector.matchLabels, ...label } },
      template: {
        ...spec.template,
        metadata: {
          ...spec.template.metadata,
          labels: { ...spec.template.metadata?.labels, ...label },
        },
      },
      rollout: {
        ...spec.rollout,
        strategy: rolling
          ? { ...strategy, rollingUpdate: { maxSurge: 1, maxUnavailable: 0, ...strategy.rollingUpdate } }
          : strategy,
      },
    },
  };
}
