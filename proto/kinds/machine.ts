// Machine of Cluster API core, v1beta2.
import { z } from "zod";
import { capiGroup } from "./cluster.ts";
import {
  ageColumn,
  conditionColumn,
  conditionSchema,
  contractRefSchema,
  deprecatedSchema,
  machineAddressSchema,
  stringColumn,
} from "./common.ts";
import { kindFrom, type Typed } from "./define.ts";

export const deletionSchema = z.looseObject({
  nodeDrainTimeoutSeconds: z.int().optional(),
  nodeVolumeDetachTimeoutSeconds: z.int().optional(),
  nodeDeletionTimeoutSeconds: z.int().optional(),
});

/** What a Machine, and a template of Machines, asks for. */
export const machineSpecSchema = z.looseObject({
  clusterName: z.string().min(1).max(63),
  bootstrap: z.looseObject({
    configRef: contractRefSchema.optional(),
    dataSecretName: z.string().optional(),
  }),
  infrastructureRef: contractRefSchema,
  version: z.string().optional(),
  providerID: z.string().optional(),
  failureDomain: z.string().optional(),
  minReadySeconds: z.int().optional(),
  readinessGates: z.array(z.looseObject({ conditionType: z.string() })).optional(),
  deletion: deletionSchema.optional(),
});
export type MachineSpec = z.output<typeof machineSpecSchema>;

const schema = z.object({
  spec: machineSpecSchema,
  status: z
    .looseObject({
      conditions: z.array(conditionSchema).optional(),
      initialization: z
        .looseObject({
          infrastructureProvisioned: z.boolean().optional(),
          bootstrapDataSecretCreated: z.boolean().optional(),
        })
        .optional(),
      nodeRef: z.object({ name: z.string() }).optional(),
      nodeInfo: z.looseObject({}).optional(),
      lastUpdated: z.string().optional(),
      addresses: z.array(machineAddressSchema).optional(),
      phase: z.string().optional(),
      deletion: z.looseObject({}).optional(),
      observedGeneration: z.int().optional(),
      deprecated: deprecatedSchema.optional(),
    })
    .optional(),
});
export type Machine = Typed<typeof schema>;

export const machine = kindFrom({
  group: capiGroup,
  version: "v1beta2",
  kind: "Machine",
  plural: "machines",
  shortNames: ["ma"],
  categories: ["cluster-api"],
  printerColumns: [
    stringColumn("Cluster", ".spec.clusterName"),
    stringColumn("Node Name", ".status.nodeRef.name"),
    stringColumn("Provider ID", ".spec.providerID", 10),
    conditionColumn("Ready", "Ready"),
    conditionColumn("Available", "Available"),
    conditionColumn("Up-to-date", "UpToDate"),
    stringColumn("Internal-IP", ".status.addresses[?(@.type=='InternalIP')].address", 10),
    stringColumn("External-IP", ".status.addresses[?(@.type=='ExternalIP')].address", 10),
    stringColumn("OS-Image", ".status.nodeInfo.osImage", 10),
    conditionColumn("Paused", "Paused", 10),
    stringColumn("Phase", ".status.phase"),
    ageColumn,
    stringColumn("Version", ".spec.version"),
  ],
  schema,
  finish: (object) => ({
    ...object,
    spec: { ...object.spec, deletion: { nodeDeletionTimeoutSeconds: 10, ...object.spec.deletion } },
  }),
});
