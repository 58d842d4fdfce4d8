// The entity's names for places in an SPA's spec: whoever wrote the entity never saw the spec. Pure.
import { annotations } from "./annotations.ts";

const top: Readonly<Record<string, string>> = {
  clusterName: "metadata.name",
  tags: "metadata.labels",
  kubernetesVersion: `metadata.annotations["${annotations.kubernetesVersion}"]`,
  image: `metadata.annotations["${annotations.imageTemplate}"]`,
};
const renamed: Readonly<Record<string, string>> = {
  computeCluster: "cluster",
  networkName: "network.networkName",
  ipPoolRef: "network.parentPoolUid",
  staticIp: "network.staticIp",
};

/** Where the parts of the spec came from. */
export interface Origins {
  readonly controlPlane: string | undefined;
  readonly placement: string;
  readonly workers: readonly string[];
}

/** The entity's name for a place in the spec. */
export function entityField(path: readonly PropertyKey[], origins: Origins): string {
  const [first = "", ...rest] = path.map(String);
  if (first === "placement") return placeField(origins.placement, rest);
  if (first === "controlPlane" && rest[0] === "etcd")
    return `metadata.annotations["${rest[1] === "secretRef" ? annotations.etcdSecret : annotations.etcdEndpoints}"]`;
  if (first === "controlPlane" && rest[0] === "failureDomains") {
    const [, at = "0", part, ...inside] = rest;
    const base = `${origins.controlPlane ?? "spec.machinepoolconfig"}.cloudConfig.placements[${at}]`;
    return part === "placement" ? placeField(base, inside) : [base, ...(part ? [part] : [])].join(".");
  }
  if (first === "controlPlane") return poolField(origins.controlPlane ?? "spec.machinepoolconfig", rest);
  if (first === "workerPools") {
    const [index = "", ...inside] = rest;
    return poolField(origins.workers[Number(index)] ?? "spec.machinepoolconfig", inside);
  }
  if (first === "network") return ["spec.cloudConfig.controlPlaneEndpoint", ...rest.slice(1)].join(".");
  if (first === "access") return ["spec.cloudConfig", ...rest].join(".");
  return top[first] ?? `spec.${[first, ...rest].join(".")}`;
}

function poolField(pool: string, [first = "", ...rest]: readonly string[]): string {
  if (first === "instance") return [`${pool}.cloudConfig.instanceType`, ...rest].join(".");
  if (first === "placement") return placeField(`${pool}.cloudConfig.placements[0]`, rest);
  return [`${pool}.poolConfig`, first === "replicas" ? "size" : first, ...rest].join(".");
}

function placeField(base: string, [first = "", ...rest]: readonly string[]): string {
  return [base, renamed[first] ?? first, ...(renamed[first] ? [] : rest)].join(".");
}
