// The pools of the in-cluster IPAM provider, v1alpha2: of addresses, and of prefixes; each in a namespace, or for all. What a list of
// addresses means, and which lists are wrong, is ipam's to say (it checks at admission); the schema is upstream's. Conditions are
// ours: upstream's schema has none, and a server with that schema leaves them out.
import { z } from "zod";
import { conditionSchema, integerColumn, stringColumn } from "./common.ts";
import { kindFrom, type Typed } from "./define.ts";
import { ipamGroup } from "./ip-address.ts";

const isWhole = (value: unknown) => typeof value === "bigint" || Number.isInteger(value);

/** An int64 as Kubernetes writes it: a bigint where a number would not be exact, 2^63 for the largest (core/json.ts). */
const counter = z.custom<number | bigint>(isWhole, "must be a whole number").meta({ type: "integer" });

const status = z
  .looseObject({
    ipAddresses: z.object({ total: counter, free: counter, used: counter, outOfRange: counter }).optional(),
    conditions: z.array(conditionSchema).max(32).optional(),
  })
  .optional();

const addressSchema = z.object({
  spec: z.object({
    /** Single addresses, CIDRs, or from-to ranges. */
    addresses: z.array(z.string()),
    prefix: z.int().min(0).max(128),
    gateway: z.string().optional(),
    allocateReservedIPAddresses: z.boolean().optional(),
    excludedAddresses: z.array(z.string()).optional(),
    addressReuseGracePeriodSeconds: z.int().min(0).optional(),
  }),
  status,
});
export type InClusterIPPool = Typed<typeof addressSchema>;
export type GlobalInClusterIPPool = InClusterIPPool;
export type PoolSpec = InClusterIPPool["spec"];

const prefixSchema = z.object({
  spec: z.object({
    /** IPv6 networks, written with their first address. */
    prefixes: z.array(z.string()),
    allocationPrefixLength: z.int().min(1).max(128).default(64),
    gateway: z.string().optional(),
    /** Addresses, CIDRs or from-to ranges: a prefix that touches one is not given out. */
    excludedPrefixes: z.array(z.string()).optional(),
  }),
  status,
});
export type InClusterPrefixPool = Typed<typeof prefixSchema>;
export type GlobalInClusterPrefixPool = InClusterPrefixPool;
export type PrefixPoolSpec = InClusterPrefixPool["spec"];

const columns = (name: string, jsonPath: string) => [
  stringColumn(name, jsonPath),
  integerColumn("Total", ".status.ipAddresses.total"),
  integerColumn("Free", ".status.ipAddresses.free"),
  integerColumn("Used", ".status.ipAddresses.used"),
];
const shared = { group: ipamGroup, version: "v1alpha2", categories: ["cluster-api"] };
const addresses = {
  ...shared,
  printerColumns: columns("Addresses", ".spec.addresses"),
  schema: addressSchema,
};
const prefixes = { ...shared, printerColumns: columns("Prefixes", ".spec.prefixes"), schema: prefixSchema };

export const inClusterIPPool = kindFrom({
  ...addresses,
  kind: "InClusterIPPool",
  plural: "inclusterippools",
});
export const globalInClusterIPPool = kindFrom({
  ...addresses,
  kind: "GlobalInClusterIPPool",
  plural: "globalinclusterippools",
  namespaced: false,
});
export const inClusterPrefixPool = kindFrom({
  ...prefixes,
  kind: "InClusterPrefixPool",
  plural: "inclusterprefixpools",
});
export const globalInClusterPrefixPool = kindFrom({
  ...prefixes,
  kind: "GlobalInClusterPrefixPool",
  plural: "globalinclusterprefixpools",
  namespaced: false,
});
