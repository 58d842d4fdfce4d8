// Where machines go: Palette's placements and pools, as the SPA writes them. Pure.
import type { Problem } from "#core";
import { filled, present } from "./absent.ts";
import { annotations } from "./annotations.ts";
import type { ClusterEntity, PlacementEntity } from "./rest/shapes.ts";

export interface ReportedPool {
  readonly name: string;
  /** Absent: a GlobalInClusterIPPool. */
  readonly namespace?: string | undefined;
}

/**
 * "namespace/pool" → a reference; "/pool" is the global pool, and so is a bare name where the gateway has one of that name; else the
 * namespace is "default".
 */
export function poolReference(parentPoolUid: string, pools: readonly ReportedPool[]) {
  const slash = parentPoolUid.indexOf("/");
  const namespace = slash < 0 ? undefined : parentPoolUid.slice(0, slash);
  const name = parentPoolUid.slice(slash + 1);
  const isGlobal =
    namespace === "" ||
    (namespace === undefined && pools.some((p) => p.name === name && p.namespace === undefined));
  if (isGlobal) return { kind: "GlobalInClusterIPPool", name };
  return { kind: "InClusterIPPool", name, namespace: namespace ?? "default" };
}

export function merged(
  base: PlacementEntity | null | undefined,
  own: PlacementEntity | undefined,
): PlacementEntity {
  return {
    ...filled(base ?? {}),
    ...filled(own ?? {}),
    network: { ...filled(base?.network ?? {}), ...filled(own?.network ?? {}) },
  }; // D2
}

export function placement(from: PlacementEntity, entity: ClusterEntity, reported: readonly ReportedPool[]) {
  const { network } = from;
  const staticIp = network?.staticIp ?? entity.spec.cloudConfig?.staticIp ?? Boolean(network?.parentPoolUid);
  const nameservers = entity.metadata.annotations?.[annotations.nameservers]?.split(",").map((s) => s.trim());
  return present({
    datacenter: from.datacenter ?? undefined,
    folder: from.folder ?? undefined,
    computeCluster: from.cluster ?? undefined,
    resourcePool: from.resourcePool ?? undefined,
    datastore: from.datastore ?? undefined,
    storagePolicyName: from.storagePolicyName ?? undefined,
    networkName: network?.networkName ?? undefined,
    imageTemplateFolder: from.imageTemplateFolder ?? undefined,
    staticIp,
    ipPoolRef:
      staticIp && network?.parentPoolUid ? poolReference(network.parentPoolUid, reported) : undefined,
    nameservers,
  });
}

export function placementProblems(
  place: ReturnType<typeof placement>,
  field: string,
  reported: readonly ReportedPool[],
): Problem[] {
  const names = [
    [place.datacenter, "datacenter"],
    [place.computeCluster, "cluster"],
    [place.networkName, "network.networkName"],
  ] as const;
  const problems = names
    .filter(([value]) => !value)
    .map(([, name]) => ({
      field: `${field}.${name}`,
      message: "is missing, here and in spec.cloudConfig.placement",
    }));
  if (!place.staticIp) return problems;
  const known = reported.map((p) => (p.namespace === undefined ? p.name : `${p.namespace}/${p.name}`));
  const choice =
    known.length > 0 ? `the gateway has: ${known.join(", ")}` : "the gateway has reported no pool yet";
  // Whether the pool named is there is for the gateway to say: what it last reported may be older than the pool.
  if (!place.ipPoolRef) {
    problems.push({
      field: `${field}.network.parentPoolUid`,
      message: `is missing; static addresses need a pool; ${choice}`,
    });
  }
  return problems;
}
