// SpectroProvisioningAgent: what the plane wants of one cluster, and how far the gateway is. Our own kind; the words of states,
// conditions and titles are Palette's (see docs/ARCHITECTURE.md, glossary). It lives in the namespace cluster-<uid> on the gateway.
import { z } from "zod";

export const spaGroup = "jet.pcg.dev";

const name = z.string().min(1).max(253);
const k8sName = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, "lower case letters, digits and '-' only")
  .max(63);
const labels = z.record(z.string(), z.string());

/** Where machines go. Names are inventory names or full inventory paths. */
export const placementSchema = z.object({
  datacenter: name,
  folder: name.optional(),
  computeCluster: name,
  resourcePool: name.optional(),
  datastore: name.optional(),
  storagePolicyName: name.optional(),
  networkName: name,
  imageTemplateFolder: name.optional(),
  staticIp: z.boolean().default(true),
  /** The parent pool of addresses, on the gateway; required with staticIp. */
  ipPoolRef: z
    .object({
      kind: z.enum(["InClusterIPPool", "GlobalInClusterIPPool"]).default("InClusterIPPool"),
      name,
      /** For InClusterIPPool; "default" unless told. */
      namespace: name.optional(),
    })
    .optional(),
  nameservers: z.array(z.string()).max(3).optional(),
});

export const instanceSchema = z.object({
  numCPUs: z.number().int().min(2).max(128).default(2),
  memoryMiB: z.number().int().min(2048).multipleOf(4).default(4096),
  diskGiB: z.number().int().min(1).max(16_384).default(40),
});

const taint = z.object({
  key: name,
  value: z.string().optional(),
  effect: z.enum(["NoSchedule", "PreferNoSchedule", "NoExecute"]),
});

/** An etcd that is there already. Absent: one member on each control-plane machine. Never changed once the cluster exists. */
export const externalEtcdSchema = z.object({
  type: z.literal("external"),
  /** "https://10.0.0.5:2379"; one cluster an etcd, as kubeadm knows no prefix. */
  endpoints: z
    .array(z.string().regex(/^https:\/\/[^\s/?#@]+:\d{1,5}$/, "like https://10.0.0.5:2379"))
    .min(1)
    .max(50),
  /** A Secret in pcg-system on the gateway with ca.crt, and the API server's client certificate tls.crt and tls.key. */
  secretRef: z.object({ name }),
});
export type ExternalEtcd = z.infer<typeof externalEtcdSchema>;

/** One of several places for a control plane's machines. */
export const failureDomainSchema = z.object({
  name: k8sName.max(20),
  placement: placementSchema,
  /** The tag of category k8s-region on the datacenter; the datacenter's name unless told. */
  region: name.optional(),
  /** The tag of category k8s-zone on the compute cluster; its name unless told. */
  zone: name.optional(),
});
export type FailureDomain = z.infer<typeof failureDomainSchema>;

export const controlPlaneSchema = z.object({
  replicas: z.union([z.literal(1), z.literal(3), z.literal(5)]).default(1),
  etcd: externalEtcdSchema.optional(),
  instance: instanceSchema.prefault({}),
  placement: placementSchema.optional(),
  /** Several places, over which the machines are spread; go before `placement`. */
  failureDomains: z.array(failureDomainSchema).min(2).max(10).optional(),
  labels: labels.optional(),
  taints: z.array(taint).optional(),
  useControlPlaneAsWorker: z.boolean().default(false),
});

export const workerPoolSchema = z.object({
  name: k8sName,
  size: z.number().int().min(0).max(1000),
  /** With maxSize: the cluster's autoscaler chooses the size between the two; `size` is what it begins with. */
  minSize: z.number().int().min(0).max(1000).optional(),
  maxSize: z.number().int().min(0).max(1000).optional(),
  instance: instanceSchema.prefault({}),
  placement: placementSchema.optional(),
  labels: labels.optional(),
  taints: z.array(taint).optional(),
  updateStrategy: z
    .enum(["RollingUpdateScaleOut", "RollingUpdateScaleIn", "OverrideScaling"])
    .default("RollingUpdateScaleOut"),
});

export const spaSpecSchema = z.object({
  /** At most 55: its namespace, cluster-<uid>, has a name of at most 63. */
  clusterUid: k8sName.max(55),
  clusterName: k8sName,
  projectUid: z.string().optional(),
  tenantUid: z.string().optional(),
  tags: labels.optional(),
  /** Counts the plane's changes of this document; a lower one never overwrites a higher one. */
  counter: z.number().int().min(1).default(1),
  /** SHA-256 of the plane's document, hex. */
  desiredHash: z.string().optional(),
  action: z.enum(["Create", "Delete"]).default("Create"),
  /** Orphan leaves the machines and forgets them; Force goes by the ledger where anything is in the way, and tells what it could not verify. */
  deletePolicy: z.enum(["Graceful", "Force", "Orphan"]).default("Graceful"),
  pause: z.boolean().default(false),
  cloud: z.object({
    type: z.literal("vsphere"),
    /** Host, or host:port. */
    server: z.string().min(1),
    /** SHA-256 of the server's certificate, colon hex; or caCert. */
    thumbprint: z.string().optional(),
    caCert: z.string().optional(),
    /** A Secret in pcg-system on the gateway with username and password. */
    credentialRef: z.object({ name }),
  }),
  placement: placementSchema,
  network: z
    .object({
      endpoint: z
        .object({
          type: z.enum(["VIP", "DDNS", "External"]).default("VIP"),
          /** Absent with type VIP: an address is taken from the pool. */
          host: z.string().optional(),
          port: z.number().int().min(1).max(65_535).default(6443),
        })
        .prefault({}),
      podCidr: z.string().default("192.168.0.0/16"),
      serviceCidr: z.string().default("10.96.0.0/12"),
      certSANs: z.array(z.string()).optional(),
    })
    .prefault({}),
  access: z
    .object({
      sshKeys: z.array(z.string()).optional(),
      ntpServers: z.array(z.string()).optional(),
    })
    .prefault({}),
  /** "v1.35.4". */
  kubernetesVersion: z.string().regex(/^v\d+\.\d+\.\d+/, "like v1.35.4"),
  image: z
    .object({
      /** Inventory name or path of a template; absent: found by Kubernetes version in the image template folder. */
      template: name.optional(),
    })
    .prefault({}),
  /** Where the images of what runs in the cluster come from; absent: as the gateway is told, else from their own registries. */
  images: z
    .object({
      /** A registry, perhaps with a path, that mirrors registry.k8s.io and ghcr.io: "registry.example/mirror". */
      registry: z
        .string()
        .regex(
          /^[a-z0-9.-]+(:\d+)?(\/[a-z0-9._-]+)*$/i,
          "like registry.example or registry.example:5000/mirror",
        )
        .optional(),
      /** A Secret in pcg-system on the gateway, of type kubernetes.io/dockerconfigjson. */
      pullSecretRef: z.object({ name }).optional(),
    })
    .optional(),
  controlPlane: controlPlaneSchema.prefault({}),
  workerPools: z.array(workerPoolSchema).max(100).default([]),
  /** Absent: failed machines are replaced. */
  health: z.object({ autoRemediation: z.boolean().default(true) }).optional(),
  /**
   * How the cluster's agent enrols at the plane. The one-time token is there on the way from the plane only: the gateway keeps it in
   * a Secret of its own, never in the SPA.
   */
  agent: z
    .object({ planeUrl: z.string(), planeCa: z.string().optional(), enrolmentToken: z.string().optional() })
    .optional(),
});

export type SpaSpec = z.infer<typeof spaSpecSchema>;
export type Placement = z.infer<typeof placementSchema>;
export type WorkerPool = z.infer<typeof workerPoolSchema>;

/** Palette's words for a cluster's state. */
export const clusterStates = [
  "Pending",
  "Provisioning",
  "Running",
  "Deleting",
  "Deleted",
  "Error",
  "Unknown",
] as const;
export type ClusterState = (typeof clusterStates)[number];

const conditionSchema = z.object({
  type: z.string(),
  status: z.enum(["True", "False", "Unknown"]),
  reason: z.string().min(1),
  message: z.string(),
  lastTransitionTime: z.string(),
  observedGeneration: z.number().int().optional(),
});

const lastErrorSchema = z.object({
  code: z.string(),
  message: z.string(),
  /** "VSphereMachine/c1-abcde": where the error came from. */
  object: z.string().optional(),
  since: z.string(),
  count: z.number().int(),
});

export const milestoneSchema = z.object({
  /** The condition type: ImageResolutionDone, CloudInfrastructureReady, BootstrappingDone, KubeConfigReady, ... */
  key: z.string(),
  /** "Customizing Image", "Creating Infrastructure", "Adding Control Plane Node", ... */
  title: z.string(),
  state: z.enum(["Pending", "InProgress", "Blocked", "Done"]),
  startedAt: z.string().optional(),
  endedAt: z.string().optional(),
  attempt: z.number().int(),
  nextRetryAt: z.string().optional(),
  lastError: lastErrorSchema.optional(),
  progress: z.object({ done: z.number().int(), total: z.number().int() }).optional(),
});
export type Milestone = z.infer<typeof milestoneSchema>;

export const machineStatusSchema = z.object({
  name: z.string(),
  role: z.enum(["control-plane", "worker"]),
  pool: z.string().optional(),
  ip: z.string().optional(),
  host: z.string().optional(),
  biosUUID: z.string().optional(),
  phase: z.string(),
  reason: z.string().optional(),
});
export type MachineStatus = z.infer<typeof machineStatusSchema>;

/** What was ever made for a cluster in vCenter, so that its deletion can prove itself when the objects are gone. */
export const ledgerSchema = z.object({
  vms: z.array(
    z.object({
      name: z.string(),
      /** Lower case; absent until the clone is there. */
      biosUUID: z.string().optional(),
      controlPlane: z.boolean().optional(),
    }),
  ),
  /** Where machines were ever placed. */
  places: z.array(z.object({ datacenter: z.string(), folder: z.string().optional() })),
  /** How many of the oldest were left out to keep the list short. */
  dropped: z.number().int().optional(),
});
export type Ledger = z.infer<typeof ledgerSchema>;

/** What a deletion remembers from round to round. */
export const deletionSchema = z.object({
  /** Graceful: Cluster API deletes. ByLedger: its VMs are removed by the ledger, its objects forgotten; there is no way back from it. */
  way: z.enum(["Graceful", "ByLedger"]),
  /** Why not gracefully. */
  why: z.string().optional(),
  /** Since when the cluster's own API, and since when vCenter, has been silent. */
  apiSilentSince: z.string().optional(),
  cloudSilentSince: z.string().optional(),
  /** Since when vCenter has known none of its VMs, and when that was proved for good. */
  emptySince: z.string().optional(),
  provedAt: z.string().optional(),
});
export type DeletionMemory = z.infer<typeof deletionSchema>;
/** How many of something, and one hash over all of them. */
const tallySchema = z.object({ count: z.number().int(), digest: z.string() });

export const spaStatusSchema = z.object({
  state: z.enum(clusterStates).optional(),
  conditions: z.array(conditionSchema).optional(),
  milestones: z.array(milestoneSchema).optional(),
  pivot: z
    .object({
      /** ToPeer: to another gateway. */
      direction: z.enum(["ToWorkload", "ToGateway", "ToPeer"]),
      id: z.string(),
      epoch: z.number().int(),
      step: z.string(),
      stepStartedAt: z.string(),
      attempts: z.number().int(),
      snapshotDigest: z.string().optional(),
      objects: z.object({ done: z.number().int(), total: z.number().int() }).optional(),
      lastError: z.string().optional(),
      sourceFenced: z.boolean().optional(),
      committedAt: z.string().optional(),
      /** Counts the moves of this journal: whoever read an earlier one may not write. */
      turn: z.number().int().optional(),
      /** Counts the snapshots taken. */
      round: z.number().int().optional(),
      /** What there was when the snapshot was taken; the watch compares it. */
      census: z.object({ machines: tallySchema, vms: tallySchema, addresses: tallySchema }).optional(),
      /** References to owners that do not move, which the copies therefore lack. */
      dropped: z.array(z.string()).optional(),
      /** Why the watch paused the new side again; a person must look. */
      tripped: z.string().optional(),
      /** A person took what the watch had found for right. */
      accepted: z.boolean().optional(),
      /** A person vouches that the source is gone for good and its credential worthless. */
      sourceLost: z.boolean().optional(),
    })
    .optional(),
  activeSide: z.object({ side: z.enum(["gateway", "workload", "none"]), epoch: z.number().int() }).optional(),
  endpoint: z.object({ host: z.string(), port: z.number().int() }).optional(),
  /** The template that machines are cloned from. */
  template: z.string().optional(),
  machines: z.array(machineStatusSchema).optional(),
  ledger: ledgerSchema.optional(),
  deletion: deletionSchema.optional(),
  /** What the agent last said. */
  agent: z
    .object({ version: z.string(), lastHeartbeat: z.string(), observedCounter: z.number().int().optional() })
    .optional(),
  lastError: lastErrorSchema.optional(),
  observedGeneration: z.number().int().optional(),
  observedCounter: z.number().int().optional(),
});
export type SpaStatus = z.infer<typeof spaStatusSchema>;
