// Pieces that many kinds share. Names and limits as in CAPI 1.13 and CAPV 1.16 (v1beta2).
import { z } from "zod";

export const dnsName = z.string().min(1).max(253);
export const labelsSchema = z.record(z.string(), z.string());

/** metav1.Condition. */
export const conditionSchema = z.object({
  type: z.string().min(1),
  status: z.enum(["True", "False", "Unknown"]),
  reason: z.string().min(1),
  message: z.string(),
  lastTransitionTime: z.string(),
  observedGeneration: z.int().optional(),
});

/** A condition of contract v1beta1: with a severity; reason and message only where it is not True. */
export const oldConditionSchema = z.object({
  type: z.string().min(1),
  status: z.enum(["True", "False", "Unknown"]),
  severity: z.string().optional(),
  reason: z.string().optional(),
  message: z.string().optional(),
  lastTransitionTime: z.string(),
});
export type OldCondition = z.output<typeof oldConditionSchema>;

/** status.deprecated of v1beta2 objects: conditions (and counters) as v1beta1 had them. */
export const deprecatedSchema = z.looseObject({
  v1beta1: z.looseObject({ conditions: z.array(oldConditionSchema).optional() }).optional(),
});

/** A reference within the namespace, by contract: the version is found by the CRD's label. */
export const contractRefSchema = z.object({
  apiGroup: dnsName,
  kind: z.string().min(1).max(63),
  name: dnsName,
});
export type ContractRef = z.output<typeof contractRefSchema>;

/** Labels and annotations that a template gives to what is made from it. */
export const templateMetaSchema = z.object({
  labels: labelsSchema.optional(),
  annotations: labelsSchema.optional(),
});

export const endpointSchema = z.object({
  host: z.string().min(1).max(512).optional(),
  port: z.int().min(1).max(65_535).optional(),
});

export const machineAddressSchema = z.object({
  type: z.enum(["Hostname", "ExternalIP", "InternalIP", "ExternalDNS", "InternalDNS"]),
  address: z.string(),
});
export type MachineAddress = z.output<typeof machineAddressSchema>;

export const selectorSchema = z.looseObject({ matchLabels: labelsSchema.optional() });

/** Counters of contract v1beta2. */
export const replicaStatusSchema = {
  replicas: z.int().optional(),
  readyReplicas: z.int().optional(),
  availableReplicas: z.int().optional(),
  upToDateReplicas: z.int().optional(),
};

/** The label that every object of a cluster bears. */
export const clusterNameLabel = "cluster.x-k8s.io/cluster-name";
export const controlPlaneLabel = "cluster.x-k8s.io/control-plane";
export const controlPlaneNameLabel = "cluster.x-k8s.io/control-plane-name";
export const deploymentNameLabel = "cluster.x-k8s.io/deployment-name";
export const setNameLabel = "cluster.x-k8s.io/set-name";
/** What the cluster autoscaler reads from a MachineDeployment. It acts where both are there, and numbers. */
export const minSizeAnnotation = "cluster.x-k8s.io/cluster-api-autoscaler-node-group-min-size";
export const maxSizeAnnotation = "cluster.x-k8s.io/cluster-api-autoscaler-node-group-max-size";
export const pausedAnnotation = "cluster.x-k8s.io/paused";

/** The columns that every kind ends with. */
export const ageColumn = { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" } as const;

export function stringColumn(name: string, jsonPath: string, priority?: number) {
  return { name, type: "string", jsonPath, ...(priority === undefined ? {} : { priority }) } as const;
}

export function integerColumn(name: string, jsonPath: string, priority?: number) {
  return { name, type: "integer", jsonPath, ...(priority === undefined ? {} : { priority }) } as const;
}

export function conditionColumn(name: string, type: string, priority?: number) {
  return stringColumn(name, `.status.conditions[?(@.type=='${type}')].status`, priority);
}
