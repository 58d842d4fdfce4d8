// InClusterIPPool and GlobalInClusterIPPool of the in-cluster IPAM provider, v1alpha2. What a list of addresses means, and which
// lists are wrong, is ipam's to say (it checks at admission); the schema is upstream's.
import { z } from "zod";
import { integerColumn, stringColumn } from "./common.ts";
import { kindFrom, type Typed } from "./define.ts";
import { ipamGroup } from "./ip-address.ts";

const schema = z.object({
  spec: z.object({
    /** Single addresses, CIDRs, or from-to ranges. */
    addresses: z.array(z.string()),
    prefix: z.int().min(0).max(128),
    gateway: z.string().optional(),
    allocateReservedIPAddresses: z.boolean().optional(),
    excludedAddresses: z.array(z.string()).optional(),
    addressReuseGracePeriodSeconds: z.int().min(0).optional(),
  }),
  status: z
    .looseObject({
      ipAddresses: z.object({ total: z.int(), free: z.int(), used: z.int(), outOfRange: z.int() }).optional(),
    })
    .optional(),
});
export type InClusterIPPool = Typed<typeof schema>;
export type GlobalInClusterIPPool = Typed<typeof schema>;
export type PoolSpec = InClusterIPPool["spec"];

const shared = {
  group: ipamGroup,
  version: "v1alpha2",
  categories: ["cluster-api"],
  printerColumns: [
    stringColumn("Addresses", ".spec.addresses"),
    integerColumn("Total", ".status.ipAddresses.total"),
    integerColumn("Free", ".status.ipAddresses.free"),
    integerColumn("Used", ".status.ipAddresses.used"),
  ],
  schema,
};

export const inClusterIPPool = kindFrom({ ...shared, kind: "InClusterIPPool", plural: "inclusterippools" });

export const globalInClusterIPPool = kindFrom({
  ...shared,
  kind: "GlobalInClusterIPPool",
  plural: "globalinclusterippools",
  namespaced: false,
});
