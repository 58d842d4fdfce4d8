// Which pools of addresses a cluster needs, and how many addresses from each. Pure; Jet leases them, the agent refers to them.
import type { Placement } from "../kinds/spa.ts";
import type { DesiredState } from "../kinds/spectro-cluster.ts";
import { largestSize } from "./pool-size.ts";
import { boundedName, contentHash } from "./shape.ts";

export interface PoolRef {
  readonly kind: "InClusterIPPool" | "GlobalInClusterIPPool";
  readonly name: string;
  /** Only for InClusterIPPool. */
  readonly namespace?: string;
}

/** Addresses that a cluster takes from one parent pool, kept in a child pool of its own. */
export interface AddressNeed {
  readonly parent: PoolRef;
  /** The child InClusterIPPool's name, in the cluster's namespace. */
  readonly child: string;
  /** How many addresses: for the control plane's pool nodes + 3 (a spare while bootstrapping, the API's address, one repave), nodes + 1 for others. */
  readonly count: number;
  /** With an autoscaler, the most that there may be. */
  readonly nodes: number;
  /** Whether the first address becomes the API's endpoint. */
  readonly vip: boolean;
  /** The field that names the pool, for messages. */
  readonly field: string;
}

export const spareAddresses = 3;

export function parentOf(placement: Placement): PoolRef | undefined {
  if (!placement.staticIp || !placement.ipPoolRef) return undefined;
  const { kind, name, namespace } = placement.ipPoolRef;
  return kind === "InClusterIPPool" ? { kind, name, namespace: namespace ?? "default" } : { kind, name };
}

export function poolText(ref: PoolRef): string {
  return ref.namespace ? `${ref.namespace}/${ref.name}` : ref.name;
}

function samePool(a: PoolRef, b: PoolRef): boolean {
  return a.kind === b.kind && a.name === b.name && a.namespace === b.namespace;
}

/** Whether the API's endpoint is an address that we take from the control plane's pool. */
export function takesVip(spec: DesiredState): boolean {
  const { type, host } = spec.network.endpoint;
  return type === "VIP" && !host && parentOf(controlPlanePlacement(spec)) !== undefined;
}

export function controlPlanePlacement(spec: DesiredState): Placement {
  const { failureDomains, placement } = spec.controlPlane;
  return failureDomains?.[0]?.placement ?? placement ?? spec.placement;
}

/** Where control-plane machines may go, with the field that says so. The first is the one that the rest goes by. */
export function controlPlanePlacements(
  spec: Pick<DesiredState, "controlPlane" | "placement">,
): { readonly field: string; readonly placement: Placement }[] {
  const { failureDomains, placement } = spec.controlPlane;
  if (failureDomains) {
    return failureDomains.map((domain, at) => ({
      field: `controlPlane.failureDomains[${at}].placement`,
      placement: domain.placement,
    }));
  }
  return [
    placement
      ? { field: "controlPlane.placement", placement }
      : { field: "placement", placement: spec.placement },
  ];
}

/** All needs of a cluster; the control plane's first. Placements that share a parent share a child. Empty without static addresses. */
export function addressNeeds(spec: DesiredState): AddressNeed[] {
  const users = [
    ...controlPlanePlacements(spec).map((at, _index, all) => ({
      ...at,
      nodes: Math.ceil(spec.controlPlane.replicas / all.length),
    })),
    ...spec.workerPools.map((pool, at) => ({
      placement: pool.placement ?? spec.placement,
      nodes: largestSize(pool),
      field: pool.placement ? `workerPools[${at}].placement` : "placement",
    })),
  ];
  const first = parentOf(users[0]!.placement);
  const needs: AddressNeed[] = [];
  for (const { placement, nodes, field } of users) {
    const parent = parentOf(placement);
    if (!parent) continue;
    const at = needs.findIndex((need) => samePool(need.parent, parent));
    const old = needs[at];
    if (old) {
      needs[at] = { ...old, nodes: old.nodes + nodes, count: old.count + nodes };
      continue;
    }
    const main = first !== undefined && samePool(first, parent);
    needs.push({
      parent,
      child: childPoolName(spec, parent),
      nodes,
      count: nodes + (main ? spareAddresses : 1),
      vip: main && takesVip(spec),
      field: `${field}.ipPoolRef`,
    });
  }
  return needs;
}

/** The control plane's child pool bears the cluster's name; a further one adds a hash of its parent. */
export function childPoolName(spec: DesiredState, parent: PoolRef): string {
  const main = parentOf(controlPlanePlacement(spec));
  if (main && samePool(main, parent)) return spec.clusterName;
  return boundedName(spec.clusterName, `-${contentHash(parent).slice(0, 6)}`, 63);
}

/** The child pool from which a placement's machines take their addresses; undefined with DHCP. */
export function poolFor(spec: DesiredState, placement: Placement): string | undefined {
  const parent = parentOf(placement);
  return parent && childPoolName(spec, parent);
}
