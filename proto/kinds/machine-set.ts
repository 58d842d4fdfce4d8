// MachineSet of Cluster API core, v1beta2: equal Machines of one generation of a pool.
import { z } from "zod";
import { capiGroup } from "./cluster.ts";
import {
  ageColumn,
  conditionColumn,
  conditionSchema,
  deprecatedSchema,
  integerColumn,
  replicaStatusSchema,
  selectorSchema,
  stringColumn,
} from "./common.ts";
import { kindFrom, type Typed } from "./define.ts";
import { machineTemplateSchema } from "./machine-deployment.ts";

const schema = z.object({
  spec: z.looseObject({
    clusterName: z.string().min(1).max(63),
    replicas: z.int().min(0).default(1),
    selector: selectorSchema,
    template: machineTemplateSchema,
    deletion: z.looseObject({ order: z.string().optional() }).optional(),
  }),
  status: z
    .looseObject({
      ...replicaStatusSchema,
      conditions: z.array(conditionSchema).optional(),
      selector: z.string().optional(),
      observedGeneration: z.int().optional(),
      deprecated: deprecatedSchema.optional(),
    })
    .optional(),
});
export type MachineSet = Typed<typeof schema>;

export const machineSet = kindFrom({
  group: capiGroup,
  version: "v1beta2",
  kind: "MachineSet",
  plural: "machinesets",
  shortNames: ["ms"],
  categories: ["cluster-api"],
  printerColumns: [
    stringColumn("Cluster", ".spec.clusterName"),
    integerColumn("Desired", ".spec.replicas"),
    integerColumn("Current", ".status.replicas"),
    integerColumn("Ready", ".status.readyReplicas"),
    integerColumn("Available", ".status.availableReplicas"),
    integerColumn("Up-to-date", ".status.upToDateReplicas"),
    conditionColumn("Paused", "Paused", 10),
    ageColumn,
    stringColumn("Version", ".spec.template.spec.version"),
  ],
  schema,
});
