// The door of ipam.
import type { Clock, Controller, Logger, ResourceStore } from "#core";
import { claimController } from "./claim/index.ts";
import { metal3Controller } from "./metal3/index.ts";
import { poolController } from "./pool/index.ts";
import { Reservations } from "./reservation.ts";
import { poolKinds } from "./words.ts";

export interface IpamDeps {
  /** Any store: the gateway's own, or a workload cluster's. */
  readonly store: ResourceStore;
  readonly clock: Clock;
  readonly log: Logger;
  /** Where reservations of cluster-scoped pools lie; must exist, and be the same for all who compete. "kube-system" unless told. */
  readonly reservationNamespace?: string;
}

/** The controllers that serve InClusterIPPools and GlobalInClusterIPPools as the in-cluster provider of Cluster API does. */
export function ipamControllers(deps: IpamDeps): Controller[] {
  const reservations = new Reservations(deps.store, deps.reservationNamespace ?? "kube-system");
  const all = { ...deps, reservations };
  return [claimController(all), ...poolKinds.map((kind) => poolController(all, kind))];
}

/** The controllers that serve Metal3's IPPools. They need its three kinds in the store: on an API server, its CRDs. */
export function metal3Controllers(deps: IpamDeps & { readonly random: () => number }): Controller[] {
  const reservations = new Reservations(deps.store, deps.reservationNamespace ?? "kube-system");
  return [metal3Controller({ ...deps, reservations })];
}

export * from "./capacity.ts";
export { formatAddress, parseAddress, type Address, type Family } from "./address.ts";
export { poolProblems, poolRanges, type PoolRanges } from "./ranges.ts";
export * from "./allocator/index.ts";
export { protectAddress, protectPool, releaseAddress } from "./words.ts";
export { metal3PoolProblems, metal3Ranges, type Metal3Ranges } from "./metal3/ranges.ts";
export * from "./inventory/index.ts";
export { staticControllers, type StaticDeps, type VmPresence, type VmWitness } from "./static/index.ts";
export { sayEvent, type Saying } from "./events.ts";
