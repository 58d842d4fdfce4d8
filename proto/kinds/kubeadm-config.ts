// KubeadmConfig and KubeadmConfigTemplate of the kubeadm bootstrap provider, v1beta2.
import { z } from "zod";
import {
  ageColumn,
  conditionColumn,
  conditionSchema,
  deprecatedSchema,
  stringColumn,
  templateMetaSchema,
} from "./common.ts";
import { kindFrom, type Typed } from "./define.ts";

export const bootstrapGroup = "bootstrap.cluster.x-k8s.io";

/** What kubeadm and cloud-init shall do on a machine. Only what we write or read is spelt out. */
export const kubeadmConfigSpecSchema = z.looseObject({
  clusterConfiguration: z
    .looseObject({
      controlPlaneEndpoint: z.string().optional(),
      featureGates: z.record(z.string(), z.boolean()).optional(),
    })
    .optional(),
  initConfiguration: z.looseObject({}).optional(),
  joinConfiguration: z
    .looseObject({
      controlPlane: z.looseObject({}).optional(),
      discovery: z
        .looseObject({
          bootstrapToken: z
            .looseObject({
              apiServerEndpoint: z.string().optional(),
              caCertHashes: z.array(z.string()).optional(),
              token: z.string().optional(),
            })
            .optional(),
        })
        .optional(),
      nodeRegistration: z
        .looseObject({
          name: z.string().optional(),
          taints: z
            .array(z.looseObject({ key: z.string(), value: z.string().optional(), effect: z.string() }))
            .optional(),
          kubeletExtraArgs: z.array(z.object({ name: z.string(), value: z.string() })).optional(),
        })
        .optional(),
    })
    .optional(),
  files: z.array(z.looseObject({ path: z.string() })).optional(),
  preKubeadmCommands: z.array(z.string()).optional(),
  postKubeadmCommands: z.array(z.string()).optional(),
  users: z.array(z.looseObject({ name: z.string() })).optional(),
  ntp: z.looseObject({}).optional(),
  format: z.enum(["cloud-config", "ignition"]).optional(),
});
export type KubeadmConfigSpec = z.output<typeof kubeadmConfigSpecSchema>;

const configSchema = z.object({
  spec: kubeadmConfigSpecSchema,
  status: z
    .looseObject({
      conditions: z.array(conditionSchema).optional(),
      initialization: z.looseObject({ dataSecretCreated: z.boolean().optional() }).optional(),
      dataSecretName: z.string().optional(),
      observedGeneration: z.int().optional(),
      deprecated: deprecatedSchema.optional(),
    })
    .optional(),
});
export type KubeadmConfig = Typed<typeof configSchema>;

export const kubeadmConfig = kindFrom({
  group: bootstrapGroup,
  version: "v1beta2",
  kind: "KubeadmConfig",
  plural: "kubeadmconfigs",
  categories: ["cluster-api"],
  printerColumns: [
    stringColumn("Cluster", ".metadata.labels['cluster\\.x-k8s\\.io/cluster-name']"),
    conditionColumn("Paused", "Paused", 10),
    stringColumn("Data secret created", ".status.initialization.dataSecretCreated"),
    ageColumn,
  ],
  schema: configSchema,
});

const templateSchema = z.object({
  spec: z.object({
    template: z.object({
      metadata: templateMetaSchema.optional(),
      spec: kubeadmConfigSpecSchema.default({}),
    }),
  }),
});
export type KubeadmConfigTemplate = Typed<typeof templateSchema>;

export const kubeadmConfigTemplate = kindFrom({
  group: bootstrapGroup,
  version: "v1beta2",
  kind: "KubeadmConfigTemplate",
  plural: "kubeadmconfigtemplates",
  categories: ["cluster-api"],
  hasStatus: false,
  printerColumns: [ageColumn],
  schema: templateSchema,
});
