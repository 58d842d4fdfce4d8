// Cluster of Cluster API core, v1beta2.
import { z } from "zod";
import {
  ageColumn,
  conditionColumn,
  conditionSchema,
  contractRefSchema,
  deprecatedSchema,
  endpointSchema,
  integerColumn,
  replicaStatusSchema,
  stringColumn,
} from "./common.ts";
import { kindFrom, type Typed } from "./define.ts";

export const capiGroup = "cluster.x-k8s.io";

const cidrs = z.object({ cidrBlocks: z.array(z.string()) });

const schema = z.object({
  spec: z.looseObject({
    paused: z.boolean().optional(),
    clusterNetwork: z
      .looseObject({
        apiServerPort: z.int().optional(),
        pods: cidrs.optional(),
        services: cidrs.optional(),
        serviceDomain: z.string().optional(),
      })
      .optional(),
    controlPlaneEndpoint: endpointSchema.optional(),
    controlPlaneRef: contractRefSchema.optional(),
    infrastructureRef: contractRefSchema.optional(),
  }),
  status: z
    .looseObject({
      conditions: z.array(conditionSchema).optional(),
      initialization: z
        .looseObject({
          infrastructureProvisioned: z.boolean().optional(),
          controlPlaneInitialized: z.boolean().optional(),
        })
        .optional(),
      controlPlane: z.looseObject({ desiredReplicas: z.int().optional(), ...replicaStatusSchema }).optional(),
      workers: z.looseObject({ desiredReplicas: z.int().optional(), ...replicaStatusSchema }).optional(),
      phase: z.string().optional(),
      observedGeneration: z.int().optional(),
      deprecated: deprecatedSchema.optional(),
    })
    .optional(),
});
export type Cluster = Typed<typeof schema>;

export const cluster = kindFrom({
  group: capiGroup,
  version: "v1beta2",
  kind: "Cluster",
  plural: "clusters",
  shortNames: ["cl"],
  categories: ["cluster-api"],
  printerColumns: [
    stringColumn("ClusterClass", ".spec.topology.classRef.name"),
    conditionColumn("Available", "Available"),
    integerColumn("CP Desired", ".status.controlPlane.desiredReplicas"),
    integerColumn("CP Current", ".status.controlPlane.replicas", 10),
    integerColumn("CP Ready", ".status.controlPlane.readyReplicas", 10),
    integerColumn("CP Available", ".status.controlPlane.availableReplicas"),
    integerColumn("CP Up-to-date", ".status.controlPlane.upToDateReplicas"),
    integerColumn("W Desired", ".status.workers.desiredReplicas"),
    integerColumn("W Current", ".status.workers.replicas", 10),
    integerColumn("W Ready", ".status.workers.readyReplicas", 10),
    integerColumn("W Available", ".status.workers.availableReplicas"),
    integerColumn("W Up-to-date", ".status.workers.upToDateReplicas"),
    conditionColumn("Paused", "Paused", 10),
    stringColumn("Phase", ".status.phase"),
    ageColumn,
    stringColumn("Version", ".spec.topology.version"),
  ],
  schema,
});
