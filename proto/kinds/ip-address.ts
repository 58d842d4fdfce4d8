// IPAddressClaim and IPAddress of Cluster API's IPAM contract, v1beta2.
import { z } from "zod";
import type { Resource } from "#core";
import { ageColumn, conditionSchema, deprecatedSchema, stringColumn } from "./common.ts";
import { kindFrom, type Typed } from "./define.ts";

export const ipamGroup = "ipam.cluster.x-k8s.io";

const dnsSubdomain = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/);

const poolRef = z.object({
  apiGroup: dnsSubdomain,
  kind: z
    .string()
    .min(1)
    .max(63)
    .regex(/^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$/),
  name: dnsSubdomain,
});

const columns = [
  stringColumn("Pool Name", ".spec.poolRef.name"),
  stringColumn("Pool Kind", ".spec.poolRef.kind"),
  ageColumn,
];

const claimSchema = z.object({
  spec: z.object({ clusterName: z.string().min(1).max(63).optional(), poolRef }),
  status: z
    .looseObject({
      addressRef: z.object({ name: dnsSubdomain }).optional(),
      conditions: z.array(conditionSchema).max(32).optional(),
      deprecated: deprecatedSchema.optional(),
    })
    .optional(),
});
export type IPAddressClaim = Typed<typeof claimSchema>;

export const ipAddressClaim = kindFrom({
  group: ipamGroup,
  version: "v1beta2",
  kind: "IPAddressClaim",
  plural: "ipaddressclaims",
  categories: ["cluster-api"],
  printerColumns: columns,
  schema: claimSchema,
});

const addressSchema = z.object({
  spec: z.object({
    address: z.string().min(1).max(39),
    prefix: z.int().min(0).max(128),
    gateway: z.string().min(1).max(39).optional(),
    claimRef: z.object({ name: dnsSubdomain }),
    poolRef,
  }),
});
export type IPAddress = Typed<typeof addressSchema> & Resource;

export const ipAddress = kindFrom({
  group: ipamGroup,
  version: "v1beta2",
  kind: "IPAddress",
  plural: "ipaddresses",
  categories: ["cluster-api"],
  hasStatus: false,
  printerColumns: [stringColumn("Address", ".spec.address"), ...columns],
  schema: addressSchema,
});
