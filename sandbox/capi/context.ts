// What every controller of this folder is given, and the questions all of them ask.
import {
  keyOf,
  matchLabels,
  ownerOf,
  timestamp,
  type Clock,
  type Key,
  type Kind,
  type Logger,
  type Resource,
  type ResourceStore,
} from "#core";
import {
  cluster as clusterKind,
  clusterNameLabel,
  machine as machineKind,
  pausedAnnotation,
  secret as secretKind,
  type Cluster,
  type Machine,
} from "#proto";
import type { VcenterLogin } from "./vm-service.ts";
import { no, yes, type Draft } from "./conditions.ts";
import type { Knobs } from "../knobs.ts";

/** The API servers of workload clusters, by the address that a Cluster names. */
export interface Workloads {
  /** A store over the API at this address, or undefined while nothing answers there. */
  connect(endpoint: { readonly host: string; readonly port: number }): Promise<ResourceStore | undefined>;
}

export interface CapiDeps {
  readonly store: ResourceStore;
  readonly clock: Clock;
  readonly log: Logger;
  /** In [0, 1). */
  readonly random: () => number;
  readonly vcenter: VcenterLogin;
  readonly workloads: Workloads;
  readonly knobs: Knobs;
}

export function now(deps: CapiDeps): string {
  return timestamp(deps.clock);
}

/** The Cluster that an object belongs to by its label or spec.clusterName. */
export async function clusterOf(deps: CapiDeps, object: Resource): Promise<Cluster | undefined> {
  const name =
    object.metadata.labels?.[clusterNameLabel] ??
    (object.spec as { clusterName?: string } | undefined)?.clusterName ??
    ownerOf(object, clusterKind)?.name;
  const { namespace } = object.metadata;
  return name && namespace ? deps.store.get(clusterKind, { namespace, name }) : undefined;
}

export function keyIn(object: Resource, name: string): Key {
  return { namespace: object.metadata.namespace ?? "", name };
}

/** All objects of a kind that bear the cluster's label. */
export async function ofCluster<R extends Resource>(
  deps: CapiDeps,
  kind: Kind<R>,
  cluster: Resource,
): Promise<R[]> {
  const { namespace = "", name } = cluster.metadata;
  const { items } = await deps.store.list(kind, {
    namespace,
    labels: matchLabels({ [clusterNameLabel]: name }),
  });
  return items;
}

/** The Machine that controls a bootstrap or infrastructure object. */
export async function machineOf(deps: CapiDeps, object: Resource): Promise<Machine | undefined> {
  const owner = ownerOf(object, machineKind);
  if (!owner) return undefined;
  const machine = await deps.store.get(machineKind, keyIn(object, owner.name));
  return machine?.metadata.uid === owner.uid ? machine : undefined;
}

/** The Paused condition, with the message of CAPI's `EnsurePausedCondition`. */
export function pausedCondition(kind: string, cluster: Cluster | undefined, object: Resource): Draft {
  const why = [
    ...(cluster?.spec.paused ? ["Cluster spec.paused is set to true"] : []),
    ...(hasPausedAnnotation(object) ? [`${kind} has the ${pausedAnnotation} annotation`] : []),
  ];
  return why.length > 0 ? yes("Paused", "Paused", why.join(", ")) : no("Paused", "NotPaused");
}

export function hasPausedAnnotation(object: Resource): boolean {
  return object.metadata.annotations?.[pausedAnnotation] !== undefined;
}

/** The API of the workload cluster, once its kubeconfig Secret exists and something answers at its endpoint. */
export async function remoteOf(deps: CapiDeps, cluster: Cluster): Promise<ResourceStore | undefined> {
  const { host, port } = cluster.spec.controlPlaneEndpoint ?? {};
  if (!host || !port) return undefined;
  let known = reachable.get(deps);
  if (!known) reachable.set(deps, (known = new Set()));
  if (!known.has(cluster.metadata.uid)) {
    const name = `${cluster.metadata.name}-kubeconfig`;
    if (!(await deps.store.get(secretKind, keyIn(cluster, name)))) return undefined;
    known.add(cluster.metadata.uid);
  }
  return deps.workloads.connect({ host, port });
}

/** Clusters (by uid) whose kubeconfig Secret was seen once: Cluster API keeps its connections, too. */
const reachable = new WeakMap<CapiDeps, Set<string>>();

/** Keys of every object of `kind` that names this Cluster, labelled yet or not: for `follows` of Cluster. */
export function inCluster(deps: CapiDeps, kind: Kind) {
  return async (cluster: Resource): Promise<Key[]> => {
    const { namespace = "", name } = cluster.metadata;
    const { items } = await deps.store.list(kind, { namespace });
    return items
      .filter(
        (object) =>
          object.metadata.labels?.[clusterNameLabel] === name ||
          (object.spec as { clusterName?: string } | undefined)?.clusterName === name,
      )
      .map(keyOf);
  };
}

/** The key of the owner of this kind: for `follows`. */
export function ownerKey(kind: Kind) {
  return (object: Resource): Key[] => {
    const owner = ownerOf(object, kind);
    return owner ? [keyIn(object, owner.name)] : [];
  };
}
