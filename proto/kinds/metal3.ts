// IPPool, IPClaim and IPAddress of Metal3's IPAM, v1alpha1: the kinds that the older static-IP controllers of vSphere use as well.
// What a pool's text means, and which texts are wrong, is ipam's to say; the schema is upstream's.
import { z } from "zod";
import type { Resource } from "#core";
import { ageColumn, stringColumn } from "./common.ts";
import { kindFrom, type Typed } from "./define.ts";

export const metal3IpamGroup = "ipam.metal3.io";

const quad = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
const v4 = `${quad}(\\.${quad}){3}`;
const v6 = "[0-9a-fA-F:]*:[0-9a-fA-F:]*(:[0-9]{1,3}(\\.[0-9]{1,3}){3})?";
const address = z.string().regex(new RegExp(`^(${v4}|${v6})$`));
const subnet = z
  .string()
  .regex(new RegExp(`^(${v4}/([0-9]|[1-2][0-9]|3[0-2])|${v6}/([0-9]|[0-9][0-9]|1[0-1][0-9]|12[0-8]))$`));
const prefix = z.int().max(128).optional();

/** core/v1 ObjectReference; only name and namespace mean something here. */
const objectReference = z.object({
  apiVersion: z.string().optional(),
  kind: z.string().optional(),
  name: z.string().optional(),
  namespace: z.string().optional(),
  uid: z.string().optional(),
  resourceVersion: z.string().optional(),
  fieldPath: z.string().optional(),
});

const shared = { group: metal3IpamGroup, version: "v1alpha1" };
const shortNames = (short: string, word: string, metal3Plural: string) => [
  short,
  word,
  `m3${short}`,
  `m3${word}`,
  `m3${metal3Plural}`,
  `metal3${short}`,
  `metal3${word}`,
  `metal3${metal3Plural}`,
];

const poolSchema = z.object({
  spec: z.object({
    clusterName: z.string().min(1).optional(),
    pools: z
      .array(
        z.object({
          start: address.optional(),
          end: address.optional(),
          subnet: subnet.optional(),
          prefix,
          gateway: address.optional(),
          dnsServers: z.array(address).optional(),
        }),
      )
      .optional(),
    allocationStrategy: z.enum(["sequential", "random"]).default("sequential"),
    /** Claim name to the address that is kept for it. */
    preAllocations: z.record(z.string(), address).optional(),
    prefix,
    gateway: address.optional(),
    dnsServers: z.array(address).optional(),
    namePrefix: z.string().min(1),
  }),
  status: z
    .looseObject({
      /** Claim name to address, of what is given out. */
      indexes: z.record(z.string(), z.string()).optional(),
      lastUpdated: z.string().optional(),
    })
    .optional(),
});
export type Metal3IPPool = Typed<typeof poolSchema>;
export type Metal3PoolSpec = Metal3IPPool["spec"];

export const metal3IPPool = kindFrom({
  ...shared,
  kind: "IPPool",
  plural: "ippools",
  shortNames: shortNames("ipp", "ippool", "ippools"),
  categories: ["cluster-api"],
  printerColumns: [
    stringColumn("Cluster", ".metadata.labels['cluster\\.x-k8s\\.io/cluster-name']"),
    ageColumn,
  ],
  schema: poolSchema,
});

const claimSchema = z.object({
  spec: z.object({ pool: objectReference }),
  status: z
    .looseObject({ address: objectReference.optional(), errorMessage: z.string().optional() })
    .optional(),
});
export type Metal3IPClaim = Typed<typeof claimSchema>;

export const metal3IPClaim = kindFrom({
  ...shared,
  kind: "IPClaim",
  plural: "ipclaims",
  shortNames: shortNames("ipc", "ipclaim", "ipclaims"),
  categories: ["cluster-api"],
  printerColumns: [ageColumn],
  schema: claimSchema,
});

const addressSchema = z.object({
  spec: z.object({
    claim: objectReference,
    pool: objectReference,
    prefix,
    gateway: address.optional(),
    address,
    dnsServers: z.array(address).optional(),
  }),
});
export type Metal3IPAddress = Typed<typeof addressSchema> & Resource;

export const metal3IPAddress = kindFrom({
  ...shared,
  kind: "IPAddress",
  plural: "ipaddresses",
  shortNames: shortNames("ipa", "ipaddress", "ipaddresses"),
  categories: ["metal3"],
  hasStatus: false,
  printerColumns: [ageColumn],
  schema: addressSchema,
});
