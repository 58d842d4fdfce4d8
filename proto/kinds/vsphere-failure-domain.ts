// VSphereFailureDomain and VSphereDeploymentZone of CAPV, v1beta2: where machines may go, for the whole API server.
import { z } from "zod";
import { ageColumn, conditionColumn, conditionSchema, deprecatedSchema, stringColumn } from "./common.ts";
import { kindFrom, type Typed } from "./define.ts";
import { infrastructureGroup } from "./vsphere-cluster.ts";
import { poolRefSchema } from "./vsphere-machine.ts";

const tagSchema = z.looseObject({
  /** A tag of vCenter that lies on the object. */
  name: z.string().min(1),
  type: z.enum(["Datacenter", "ComputeCluster", "HostGroup"]),
  tagCategory: z.string().min(1),
});

const domainSchema = z.object({
  spec: z.looseObject({
    region: tagSchema,
    zone: tagSchema,
    topology: z.looseObject({
      datacenter: z.string().min(1),
      computeCluster: z.string().min(1).optional(),
      networkConfigurations: z
        .array(
          z.looseObject({
            networkName: z.string().min(1),
            dhcp4: z.boolean().optional(),
            nameservers: z.array(z.string()).optional(),
            addressesFromPools: z.array(poolRefSchema).optional(),
          }),
        )
        .optional(),
      datastore: z.string().min(1).optional(),
    }),
  }),
});
export type VSphereFailureDomain = Typed<typeof domainSchema>;

export const vsphereFailureDomain = kindFrom({
  group: infrastructureGroup,
  version: "v1beta2",
  kind: "VSphereFailureDomain",
  plural: "vspherefailuredomains",
  categories: ["cluster-api"],
  namespaced: false,
  hasStatus: false,
  printerColumns: [ageColumn],
  schema: domainSchema,
});

const zoneSchema = z.object({
  spec: z.looseObject({
    server: z.string().optional(),
    /** The VSphereFailureDomain's name. */
    failureDomain: z.string().min(1),
    controlPlane: z.boolean().optional(),
    placementConstraint: z
      .looseObject({ resourcePool: z.string().optional(), folder: z.string().optional() })
      .optional(),
  }),
  status: z
    .looseObject({
      ready: z.boolean().optional(),
      conditions: z.array(conditionSchema).optional(),
      deprecated: deprecatedSchema.optional(),
    })
    .optional(),
});
export type VSphereDeploymentZone = Typed<typeof zoneSchema>;

export const vsphereDeploymentZone = kindFrom({
  group: infrastructureGroup,
  version: "v1beta2",
  kind: "VSphereDeploymentZone",
  plural: "vspheredeploymentzones",
  categories: ["cluster-api"],
  namespaced: false,
  printerColumns: [
    conditionColumn("Ready", "Ready"),
    stringColumn("FailureDomain", ".spec.failureDomain"),
    ageColumn,
  ],
  schema: zoneSchema,
});
