// MachineHealthCheck of Cluster API core, v1beta2.
import { z } from "zod";
import { capiGroup } from "./cluster.ts";
import {
  ageColumn,
  conditionSchema,
  deprecatedSchema,
  integerColumn,
  selectorSchema,
  stringColumn,
} from "./common.ts";
import { kindFrom, type Typed } from "./define.ts";

const unhealthyConditionSchema = z.object({
  type: z.string(),
  status: z.enum(["True", "False", "Unknown"]),
  timeoutSeconds: z.int().min(0),
});

const schema = z.object({
  spec: z.looseObject({
    clusterName: z.string().min(1).max(63),
    selector: selectorSchema,
    checks: z
      .looseObject({
        nodeStartupTimeoutSeconds: z.int().optional(),
        unhealthyNodeConditions: z.array(unhealthyConditionSchema).optional(),
        unhealthyMachineConditions: z.array(unhealthyConditionSchema).optional(),
      })
      .optional(),
    remediation: z
      .looseObject({
        triggerIf: z
          .looseObject({
            unhealthyLessThanOrEqualTo: z.union([z.int(), z.string()]).optional(),
            unhealthyInRange: z.string().optional(),
          })
          .optional(),
      })
      .optional(),
  }),
  status: z
    .looseObject({
      expectedMachines: z.int().optional(),
      currentHealthy: z.int().optional(),
      remediationsAllowed: z.int().optional(),
      targets: z.array(z.string()).optional(),
      conditions: z.array(conditionSchema).optional(),
      observedGeneration: z.int().optional(),
      deprecated: deprecatedSchema.optional(),
    })
    .optional(),
});
export type MachineHealthCheck = Typed<typeof schema>;

export const machineHealthCheck = kindFrom({
  group: capiGroup,
  version: "v1beta2",
  kind: "MachineHealthCheck",
  plural: "machinehealthchecks",
  shortNames: ["mhc", "mhcs"],
  categories: ["cluster-api"],
  printerColumns: [
    stringColumn("Cluster", ".spec.clusterName"),
    integerColumn("Replicas", ".status.expectedMachines"),
    integerColumn("Healthy", ".status.currentHealthy"),
    ageColumn,
  ],
  schema,
});
