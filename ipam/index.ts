// The door of ipam.
import { nearStore, type Clock, type Controller, type Kind, type Logger, type ResourceStore } from "#core";
import { Books } from "./books.ts";
import { isOver } from "./claim/counts.ts";
import { claimController } from "./claim/index.ts";
import { aheadControllers } from "./conflicts/ahead.ts";
import type { Prober } from "./conflicts/probe.ts";
import type { IpamGauges } from "./gauges.ts";
import { Looks } from "./looks.ts";
import { metal3AheadController } from "./metal3/ahead.ts";
import { metal3Controller } from "./metal3/index.ts";
import { isOver as isOverOnMetal3 } from "./metal3/left.ts";
import { PoolMemories } from "./metal3/memory.ts";
import { poolController } from "./pool/index.ts";
import { Reservations } from "./reservation.ts";
import { poolKinds } from "./words.ts";

export interface IpamDeps {
  /** Any store: the gateway's own, or a workload cluster's. */
  readonly store: ResourceStore;
  readonly clock: Clock;
  readonly log: Logger;
  /** In [0, 1), for pools that give out at random. */
  readonly random?: () => number;
  /** Where reservations of cluster-scoped pools lie; must exist, and be the same for all who compete. "kube-system" unless told. */
  readonly reservationNamespace?: string;
  /**
   * Nobody else gives out of these pools while these controllers run, since a lead says so: no reservations are needed, which saves two
   * writes an address. False unless told (docs/decisions/0029).
   */
  readonly exclusive?: boolean;
  /** Filled with figures, for metrics and for `openRoom`. */
  readonly gauges?: IpamGauges;
  /** Asks the wire before addresses are given, for pools that want it (conflicts/ahead.ts); absent: nobody is asked. */
  readonly prober?: Prober;
  /** Which kinds of pools the store has; all unless told. */
  readonly kinds?: readonly Kind[];
  /** Which claims and pools are served; all unless told. */
  readonly serves?: (object: { readonly metadata: { readonly labels?: Record<string, string> } }) => boolean;
}

/** The controllers that serve the pools of the in-cluster provider of Cluster API as it does. */
export function ipamControllers(deps: IpamDeps): Controller[] {
  const { store: truth, clock, log, random = Math.random, exclusive = false, serves = () => true } = deps;
  const store = nearStore(truth);
  const reservations = claimReservations(truth, deps.reservationNamespace);
  const names = deps.kinds?.map(({ kind }) => kind);
  const served = poolKinds.filter(({ kind }) => names?.includes(kind) ?? true);
  const books = new Books({ clock, random, kinds: served });
  const { gauges } = deps;
  if (gauges) {
    gauges.read = () => books.gauges();
    gauges.outlook = (place, pool) => books.outlook(place, pool);
  }
  const rivals = exclusive ? undefined : { reservations, looks: new Looks(truth) };
  const all = { store, truth, clock, log, books, reservations, rivals, serves, kinds: served, gauges };
  return [
    claimController(all),
    ...served.map((kind) => poolController(all, kind)),
    ...(deps.prober ? aheadControllers({ ...all, prober: deps.prober }) : []),
  ];
}

/** Reservations for IPAddressClaims on our pools. `store` answers from what was written. */
export function claimReservations(store: ResourceStore, globalNamespace = "kube-system"): Reservations {
  return new Reservations(store, globalNamespace, (reservation) => isOver(store, reservation));
}

/** The same for claims of either kind on Metal3's IPPools. */
export function metal3Reservations(store: ResourceStore, globalNamespace = "kube-system"): Reservations {
  return new Reservations(store, globalNamespace, (reservation) => isOverOnMetal3(store, reservation));
}

/** The controllers that serve Metal3's IPPools. They need its three kinds in the store: on an API server, its CRDs. */
export function metal3Controllers(deps: IpamDeps & { readonly random: () => number }): Controller[] {
  const reservations = metal3Reservations(deps.store, deps.reservationNamespace);
  const all = { ...deps, reservations, memories: new PoolMemories() };
  const { prober } = deps;
  return [metal3Controller(all), ...(prober ? [metal3AheadController({ ...all, prober })] : [])];
}

export * from "./capacity.ts";
export { openRoom, setAside, type OpenRoom } from "./set-aside.ts";
export { grownFor } from "./policy.ts";
export { IpamGauges, type Outlook, type PoolGauge } from "./gauges.ts";
export { formatAddress, parseAddress, type Address, type Family } from "./address.ts";
export { poolProblems, poolRanges, type PoolRanges } from "./ranges.ts";
export { poolTerms, type PoolTerms, type Terms } from "./terms.ts";
export * from "./allocator/index.ts";
export { protectAddress, protectPool, releaseAddress } from "./words.ts";
export { metal3PoolProblems, metal3Ranges, type Metal3Ranges } from "./metal3/ranges.ts";
export * from "./inventory/index.ts";
export {
  poolsForStatic,
  staticControllers,
  type StaticDeps,
  type VmPresence,
  type VmWitness,
} from "./static/index.ts";
export { growthController, growthKinds, type GrowthDeps } from "./growth/index.ts";
export { sayEvent, type Saying } from "./events.ts";
export * from "./conflicts/index.ts";
export * from "./history/index.ts";
export * from "./transfer/index.ts";
