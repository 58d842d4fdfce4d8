// The bodies of the REST face, in Palette's words (misspellings included) where Palette has them. Requests are read generously:
// unknown fields are dropped and null counts as absent, since its Go clients send null for empty lists.
import { z } from "zod";
import { clusterStates, machineStatusSchema, milestoneSchema } from "#proto/kinds/spa.ts";

const strings = z.record(z.string(), z.string());
const text = z.string().nullish();
const flag = z.boolean().nullish();
const list = <T extends z.ZodType>(of: T) => z.array(of).nullish();

export const uidSchema = z.object({ uid: z.string() }).meta({ id: "Uid" });
export const uidParams = z.object({ uid: z.string().min(1).max(128) });
export const nothing = z.null().describe("No content");

export const errorSchema = z
  .object({
    code: z
      .string()
      .describe("A word for programs: ResourceNotFound, ValidationFailed, PairingCodeExpired, ..."),
    message: z.string(),
    ref: z.string().describe("Names this answer in the plane's log."),
    details: z
      .object({ problems: z.array(z.object({ field: z.string(), message: z.string() })) })
      .optional()
      .describe("All mistakes found in what was sent."),
  })
  .meta({ id: "Error" });

export const objectMetaSchema = z
  .object({
    name: z.string().optional(),
    uid: z.string().optional(),
    labels: strings.optional(),
    annotations: strings.optional(),
    creationTimestamp: z.string().optional(),
    lastModifiedTimestamp: z.string().optional(),
    deletionTimestamp: z.string().optional(),
  })
  .meta({ id: "ObjectMeta" });

const metaInput = z.object({ name: text, labels: strings.nullish(), annotations: strings.nullish() });

export const listMetaSchema = z
  .object({ continue: z.string().optional(), count: z.number().int(), limit: z.number().int() })
  .meta({ id: "ListMeta" });

// Gateways ("overlords")

const poolSpec = z.object({
  start: z.string().optional(),
  end: z.string().optional(),
  prefix: z.number().int().optional(),
  gateway: z.string().optional(),
});
export const ipPoolSchema = z
  .object({
    metadata: objectMetaSchema,
    spec: z.object({
      pool: poolSpec.optional(),
      priavetGatewayUid: z.string(),
      restrictToSingleCluster: z.boolean().optional(),
    }),
    status: z.object({
      inUse: z.boolean(),
      free: z.number().int().describe("Addresses free, as the gateway last said. Ours, not Palette's."),
      used: z.number().int().describe("Addresses in use. Ours, not Palette's."),
    }),
  })
  .meta({ id: "IpPoolEntity" });

export const overlordSchema = z
  .object({
    kind: z.string(),
    metadata: objectMetaSchema,
    spec: z.object({
      cloudAccountUid: z.string().optional(),
      ipPools: z.array(ipPoolSchema),
      isSelfHosted: z.boolean(),
      isSystem: z.boolean(),
      tenantUid: z.string(),
    }),
    status: z.object({
      isActive: z.boolean().describe("Its link to the plane is up now."),
      isReady: z.boolean().describe("Running, and it reaches its vCenter."),
      state: z.enum(["Pending", "Running", "Unreachable", "Revoked"]),
      health: z.object({
        state: z.enum(["healthy", "unhealthy", "unknown"]),
        agentVersion: z.string().optional(),
        lastHeartBeatTimestamp: z.string().optional(),
        conditions: z.array(z.object({ type: z.string(), message: z.string() })),
      }),
    }),
  })
  .meta({ id: "Overlord" });
export type OverlordBody = z.infer<typeof overlordSchema>;
export type IpPoolBody = z.infer<typeof ipPoolSchema>;

export const metadataInputSchema = z.object({ metadata: metaInput }).meta({ id: "ObjectMetaEntity" });

export const vsphereAccountSchema = z
  .object({
    apiVersion: z.string(),
    kind: z.string(),
    metadata: objectMetaSchema,
    spec: z
      .object({ vcenterServer: z.string() })
      .describe("Credentials never leave the gateway; they are not here."),
    status: z.object({ state: z.enum(["Running", "Error"]), message: z.string().optional() }),
  })
  .meta({ id: "VsphereAccount" });
export type VsphereAccountBody = z.infer<typeof vsphereAccountSchema>;

// Clusters: what is asked for

export const placementSchema = z
  .object({
    uid: text,
    datacenter: text,
    cluster: text,
    datastore: text,
    storagePolicyName: text,
    folder: text,
    resourcePool: text,
    imageTemplateFolder: text,
    network: z
      .object({
        networkName: text,
        parentPoolUid: text.describe("The gateway's pool: its name, or namespace/name."),
        staticIp: flag,
      })
      .nullish(),
    region: text.describe(
      "With several placements: the datacenter's tag of category k8s-region; its name when absent. Ours, not Palette's.",
    ),
    zone: text.describe(
      "With several placements: the cluster's tag of category k8s-zone; its name when absent. Ours, not Palette's.",
    ),
  })
  .meta({ id: "VspherePlacementConfig" });
export type PlacementEntity = z.infer<typeof placementSchema>;

export const machinePoolSchema = z
  .object({
    cloudConfig: z
      .object({
        instanceType: z
          .object({
            numCPUs: z.number().nullish(),
            memoryMiB: z.number().nullish(),
            diskGiB: z.number().nullish(),
          })
          .nullish(),
        placements: list(placementSchema),
      })
      .nullish(),
    poolConfig: z
      .object({
        name: text,
        size: z.number().nullish(),
        labels: z
          .union([strings, z.array(z.string())])
          .nullish()
          .describe("A map; a list of words is Palette's role labels and is ignored."),
        additionalLabels: strings.nullish(),
        isControlPlane: flag,
        useControlPlaneAsWorker: flag,
        minSize: z.number().nullish(),
        maxSize: z.number().nullish(),
        taints: list(
          z.object({
            key: z.string(),
            value: text,
            effect: z.enum(["NoSchedule", "PreferNoSchedule", "NoExecute"]),
          }),
        ),
        updateStrategy: z
          .object({
            type: z.enum(["RollingUpdateScaleOut", "RollingUpdateScaleIn", "OverrideScaling"]).nullish(),
          })
          .nullish(),
      })
      .nullish(),
  })
  .meta({ id: "VsphereMachinePoolConfigEntity" });
export type MachinePoolEntity = z.infer<typeof machinePoolSchema>;

export const clusterConfigSchema = z
  .object({
    placement: placementSchema.nullish(),
    controlPlaneEndpoint: z
      .object({ host: text, type: z.enum(["VIP", "External", "DDNS"]).nullish(), ddnsSearchDomain: text })
      .nullish(),
    ntpServers: list(z.string()),
    sshKeys: list(z.string()),
    staticIp: flag,
  })
  .meta({ id: "VsphereClusterConfigEntity" });

export const clusterEntitySchema = z
  .object({
    metadata: metaInput,
    spec: z.object({
      cloudAccountUid: text.describe("The gateway's vCenter account, from /v1/cloudaccounts/vsphere."),
      cloudConfig: clusterConfigSchema.nullish(),
      machinepoolconfig: list(machinePoolSchema),
      profiles: list(
        z.object({
          uid: text,
          packValues: list(z.object({ name: text, tag: text })),
        }),
      ),
    }),
  })
  .meta({ id: "SpectroVsphereClusterEntity" });
export type ClusterEntity = z.infer<typeof clusterEntitySchema>;

// Clusters: what is said of them

export const conditionSchema = z
  .object({
    type: z.string(),
    status: z.enum(["True", "False", "Unknown"]),
    reason: z.string(),
    message: z.string(),
    lastTransitionTime: z.string(),
  })
  .meta({ id: "ClusterCondition" });

const endpointSchema = z.object({ host: z.string(), port: z.number().int() });
const healthSchema = z.object({
  state: z.enum(["healthy", "unhealthy", "unknown"]),
  agentVersion: z.string().optional(),
  lastHeartBeatTimestamp: z.string().optional(),
  message: z.string().optional(),
});

export const spectroClusterSchema = z
  .object({
    apiVersion: z.string(),
    kind: z.string(),
    metadata: objectMetaSchema,
    spec: z.object({
      cloudType: z.string(),
      cloudConfigRef: z.object({ kind: z.string(), uid: z.string() }),
      cloudAccountUid: z.string().optional(),
      cloudConfig: clusterConfigSchema.optional(),
      machinepoolconfig: z.array(machinePoolSchema),
    }),
    status: z.object({
      state: z.enum(clusterStates),
      conditions: z.array(conditionSchema),
      apiEndpoints: z.array(endpointSchema),
      health: healthSchema,
    }),
  })
  .meta({ id: "SpectroCluster" });
export type SpectroClusterBody = z.infer<typeof spectroClusterSchema>;

export const clusterStatusBodySchema = z
  .object({
    uid: z.string(),
    name: z.string(),
    state: z.enum(clusterStates),
    pivoted: z.boolean(),
    conditions: z.array(conditionSchema),
    milestones: z.array(milestoneSchema),
    machines: z.array(machineStatusSchema),
    endpoint: endpointSchema.optional(),
    health: healthSchema,
    counter: z.number().int().describe("The plane's last change of what it wants."),
    observedCounter: z.number().int().optional().describe("The change that the status speaks of."),
    agentVersion: z.string().optional(),
  })
  .meta({ id: "SpectroClusterStatus" });
export type ClusterStatusBody = z.infer<typeof clusterStatusBodySchema>;

export const eventBodySchema = z
  .object({
    metadata: objectMetaSchema,
    sequence: z.number().int().describe("Rises with every event the plane received. Ours, not Palette's."),
    severity: z.enum(["Info", "Warn", "Error"]),
    reason: z.string(),
    message: z.string(),
    source: z.object({ component: z.string(), host: z.string().optional() }),
    involvedObject: z
      .object({ kind: z.string(), name: z.string(), namespace: z.string().optional() })
      .optional(),
    relatedObject: z.object({ kind: z.enum(["spectrocluster", "overlord"]), uid: z.string() }),
    milestone: z.string().optional(),
    attempt: z.number().int().optional(),
  })
  .meta({ id: "Event" });
export type EventBody = z.infer<typeof eventBodySchema>;
