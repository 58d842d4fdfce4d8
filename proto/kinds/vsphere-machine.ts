// VSphereMachine, VSphereMachineTemplate and VSphereVM of CAPV, v1beta2: one clone spec, three places.
import { z } from "zod";
import {
  ageColumn,
  conditionColumn,
  conditionSchema,
  deprecatedSchema,
  dnsName,
  machineAddressSchema,
  stringColumn,
  templateMetaSchema,
} from "./common.ts";
import { kindFrom, type Typed } from "./define.ts";
import { infrastructureGroup } from "./vsphere-cluster.ts";

const routeSchema = z.looseObject({ to: z.string(), via: z.string(), metric: z.int().optional() });

export const poolRefSchema = z.object({ apiGroup: dnsName, kind: z.string().min(1).max(63), name: dnsName });
export type PoolRef = z.output<typeof poolRefSchema>;

export const networkDeviceSchema = z.looseObject({
  networkName: z.string().min(1),
  deviceName: z.string().optional(),
  dhcp4: z.boolean().optional(),
  dhcp6: z.boolean().optional(),
  /** CIDRs, "10.1.0.5/24". */
  ipAddrs: z.array(z.string().max(39)).max(128).optional(),
  gateway4: z.string().optional(),
  gateway6: z.string().optional(),
  mtu: z.int().optional(),
  macAddr: z.string().optional(),
  nameservers: z.array(z.string()).optional(),
  routes: z.array(routeSchema).optional(),
  searchDomains: z.array(z.string()).optional(),
  addressesFromPools: z.array(poolRefSchema).max(128).optional(),
  skipIPAllocation: z.boolean().optional(),
});
export type NetworkDevice = z.output<typeof networkDeviceSchema>;

/** How a VM is cloned. Names are inventory names or full inventory paths. */
export const cloneSpecSchema = z.looseObject({
  template: z.string().min(1),
  cloneMode: z.enum(["fullClone", "linkedClone"]).optional(),
  snapshot: z.string().optional(),
  server: z.string().optional(),
  thumbprint: z.string().optional(),
  datacenter: z.string().optional(),
  folder: z.string().optional(),
  datastore: z.string().optional(),
  storagePolicyName: z.string().optional(),
  resourcePool: z.string().optional(),
  network: z.looseObject({
    devices: z.array(networkDeviceSchema),
    routes: z.array(routeSchema).optional(),
    preferredAPIServerCidr: z.string().optional(),
  }),
  numCPUs: z.int().optional(),
  numCoresPerSocket: z.int().optional(),
  memoryMiB: z.int().optional(),
  diskGiB: z.int().min(1).optional(),
  additionalDisksGiB: z.array(z.int()).optional(),
  customVMXKeys: z.record(z.string(), z.string()).optional(),
  tagIDs: z.array(z.string()).optional(),
  hardwareVersion: z.string().optional(),
  os: z.string().optional(),
});
export type CloneSpec = z.output<typeof cloneSpecSchema>;

const machineSpecSchema = cloneSpecSchema.extend({
  /** "vsphere://<BIOS UUID>". */
  providerID: z.string().optional(),
  failureDomain: z.string().optional(),
  powerOffMode: z.enum(["hard", "soft", "trySoft"]).optional(),
  guestSoftPowerOffTimeoutSeconds: z.int().optional(),
});

const networkStatusSchema = z.looseObject({
  connected: z.boolean().optional(),
  ipAddrs: z.array(z.string()).optional(),
  macAddr: z.string(),
  networkName: z.string().optional(),
});
export type NetworkStatus = z.output<typeof networkStatusSchema>;

const machineSchema = z.object({
  spec: machineSpecSchema,
  status: z
    .looseObject({
      conditions: z.array(conditionSchema).optional(),
      initialization: z.looseObject({ provisioned: z.boolean().optional() }).optional(),
      addresses: z.array(machineAddressSchema).optional(),
      network: z.array(networkStatusSchema).optional(),
      deprecated: deprecatedSchema.optional(),
    })
    .optional(),
});
export type VSphereMachine = Typed<typeof machineSchema>;

const clusterColumn = stringColumn("Cluster", ".metadata.labels['cluster\\.x-k8s\\.io/cluster-name']");

export const vsphereMachine = kindFrom({
  group: infrastructureGroup,
  version: "v1beta2",
  kind: "VSphereMachine",
  plural: "vspheremachines",
  categories: ["cluster-api"],
  printerColumns: [
    clusterColumn,
    stringColumn("Machine", ".metadata.ownerReferences[?(@.kind=='Machine')].name"),
    conditionColumn("Ready", "Ready"),
    conditionColumn("Paused", "Paused", 10),
    stringColumn("ProviderID", ".spec.providerID"),
    ageColumn,
  ],
  schema: machineSchema,
});

const templateSchema = z.object({
  spec: z.object({
    template: z.object({ metadata: templateMetaSchema.optional(), spec: machineSpecSchema }),
  }),
});
export type VSphereMachineTemplate = Typed<typeof templateSchema>;

export const vsphereMachineTemplate = kindFrom({
  group: infrastructureGroup,
  version: "v1beta2",
  kind: "VSphereMachineTemplate",
  plural: "vspheremachinetemplates",
  categories: ["cluster-api"],
  hasStatus: false,
  printerColumns: [ageColumn],
  schema: templateSchema,
  check: (object) =>
    object.spec.template.spec.network.devices.flatMap((device, index) =>
      device.ipAddrs?.length
        ? [
            {
              field: `spec.template.spec.network.devices[${index}].ipAddrs`,
              message: "cannot be set in templates; use addressesFromPools",
            },
          ]
        : [],
    ),
});

const vmSchema = z.object({
  spec: cloneSpecSchema.extend({
    bootstrapRef: z.looseObject({ name: dnsName }).optional(),
    biosUUID: z.string().optional(),
    powerOffMode: z.enum(["hard", "soft", "trySoft"]).optional(),
    guestSoftPowerOffTimeoutSeconds: z.int().optional(),
  }),
  status: z
    .looseObject({
      conditions: z.array(conditionSchema).optional(),
      ready: z.boolean().optional(),
      addresses: z.array(z.string()).optional(),
      cloneMode: z.string().optional(),
      snapshot: z.string().optional(),
      host: z.string().optional(),
      vmRef: z.string().optional(),
      taskRef: z.string().optional(),
      network: z.array(networkStatusSchema).optional(),
      deprecated: deprecatedSchema.optional(),
    })
    .optional(),
});
export type VSphereVM = Typed<typeof vmSchema>;

export const vsphereVM = kindFrom({
  group: infrastructureGroup,
  version: "v1beta2",
  kind: "VSphereVM",
  plural: "vspherevms",
  categories: ["cluster-api"],
  printerColumns: [
    clusterColumn,
    conditionColumn("Ready", "Ready"),
    conditionColumn("Paused", "Paused", 10),
    stringColumn("BIOS UUID", ".spec.biosUUID", 1),
    stringColumn("Host", ".status.host", 1),
    ageColumn,
  ],
  schema: vmSchema,
});
