// VSphereCluster of CAPV, v1beta2.
import { z } from "zod";
import {
  ageColumn,
  conditionColumn,
  conditionSchema,
  deprecatedSchema,
  dnsName,
  endpointSchema,
  selectorSchema,
  stringColumn,
} from "./common.ts";
import { kindFrom, type Typed } from "./define.ts";

export const infrastructureGroup = "infrastructure.cluster.x-k8s.io";

const schema = z.object({
  spec: z.looseObject({
    /** Host, or host:port. */
    server: z.string().optional(),
    /** SHA-1 or SHA-256 of the server's certificate, colon hex; absent: not verified by CAPV. */
    thumbprint: z.string().optional(),
    controlPlaneEndpoint: endpointSchema.optional(),
    identityRef: z.object({ kind: z.enum(["Secret", "VSphereClusterIdentity"]), name: dnsName }).optional(),
    failureDomainSelector: selectorSchema.optional(),
    disableClusterModule: z.boolean().optional(),
    clusterModules: z.array(z.looseObject({})).optional(),
  }),
  status: z
    .looseObject({
      conditions: z.array(conditionSchema).optional(),
      initialization: z.looseObject({ provisioned: z.boolean().optional() }).optional(),
      vCenterVersion: z.string().optional(),
      failureDomains: z.array(z.looseObject({ name: z.string() })).optional(),
      deprecated: deprecatedSchema.optional(),
    })
    .optional(),
});
export type VSphereCluster = Typed<typeof schema>;

export const vsphereCluster = kindFrom({
  group: infrastructureGroup,
  version: "v1beta2",
  kind: "VSphereCluster",
  plural: "vsphereclusters",
  categories: ["cluster-api"],
  printerColumns: [
    stringColumn("Cluster", ".metadata.labels['cluster\\.x-k8s\\.io/cluster-name']"),
    conditionColumn("Ready", "Ready"),
    conditionColumn("Paused", "Paused", 10),
    stringColumn("Server", ".spec.server"),
    stringColumn("ControlPlaneEndpoint", ".spec.controlPlaneEndpoint.host", 1),
    ageColumn,
  ],
  schema,
});
