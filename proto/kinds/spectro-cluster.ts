// SpectroCluster: what the plane wants of this cluster, kept in the cluster itself for its agent, and what the agent sees.
// It lives in the namespace cluster-<uid> of the workload cluster. No credential is ever in it.
import { z } from "zod";
import { ageColumn, conditionSchema, integerColumn, stringColumn } from "./common.ts";
import { kindFrom, type Typed } from "./define.ts";
import { machineStatusSchema, spaSpecSchema } from "./spa.ts";

export const spectroClusterGroup = "cluster.pcg.dev";

/** The SPA's spec without what only the gateway may hold: the vCenter credential's name and the agent's enrolment token. */
export const desiredStateSchema = spaSpecSchema
  .omit({ agent: true })
  .extend({ cloud: spaSpecSchema.shape.cloud.omit({ credentialRef: true }) });
export type DesiredState = z.output<typeof desiredStateSchema>;

const schema = z.object({
  spec: z.object({
    desired: desiredStateSchema,
    /** The plane's counter of this document; a lower one never overwrites a higher one. */
    counter: z.int().min(1),
    /** Ed25519 by the plane over the document it sent, base64. */
    signature: z.string().optional(),
  }),
  status: z
    .object({
      observedCounter: z.int().optional(),
      heartbeat: z.object({ version: z.string(), lastHeartbeat: z.string() }).optional(),
      conditions: z.array(conditionSchema).optional(),
      machines: z.array(machineStatusSchema).optional(),
      /** The last copy that the agent sent to the gateway; `reader` is the public key that it was sealed for. */
      mirror: z
        .object({
          digest: z.string(),
          sequence: z.int(),
          at: z.string(),
          reader: z.string(),
          counter: z.int(),
        })
        .optional(),
      observedGeneration: z.int().optional(),
    })
    .optional(),
});
export type SpectroCluster = Typed<typeof schema>;

export const spectroCluster = kindFrom({
  group: spectroClusterGroup,
  version: "v1alpha1",
  kind: "SpectroCluster",
  plural: "spectroclusters",
  shortNames: ["spc"],
  categories: ["pcg"],
  printerColumns: [
    stringColumn("Cluster", ".spec.desired.clusterName"),
    integerColumn("Counter", ".spec.counter"),
    integerColumn("Observed", ".status.observedCounter"),
    stringColumn("Agent", ".status.heartbeat.version"),
    ageColumn,
  ],
  schema,
});
