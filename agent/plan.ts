// What the agent does about its own cluster, given everything it saw. Pure.
//
//   A1. It changes nothing unless the decision record says that this side owns the cluster, and nobody paused the Cluster.
//   A2. Templates are immutable: a change makes a new one; an old one goes when nothing refers to it any more.
//   A3. A pool that is not wanted any more goes with its health check; Cluster API drains and removes its machines.
//   A4. Only what bears our pool label is ever removed.
import type { ConditionDraft, Draft, Kind, Resource } from "#core";
import {
  cluster,
  kubeadmConfigTemplate,
  kubeadmControlPlane,
  machineDeployment,
  machineHealthCheck,
  machineSet,
  replicaCounters,
  vsphereMachineTemplate,
  type MachineStatus,
  type SpectroCluster,
  type WorkerPool,
} from "#proto";
import { machineStatuses } from "#proto/render/machines.ts";
import { words } from "#proto/render/names.ts";
import { sizeNow } from "#proto/render/pool-size.ts";
import { remediationBlocked } from "./remediation.ts";
import { healthCheck, holds, workerPool, type Wanted } from "./render/worker-pool.ts";

export interface AgentSeen {
  readonly spc: SpectroCluster;
  /** The decision record names this side, and is Active. */
  readonly owner: boolean;
  /** All Cluster API objects of the cluster. */
  readonly objects: readonly Resource[];
}

export type AgentAction =
  | {
      readonly do: "apply";
      readonly kind: Kind;
      readonly object: Draft<Resource> & { readonly metadata: { readonly name: string } };
    }
  | { readonly do: "scale control plane"; readonly name: string; readonly replicas: number }
  | { readonly do: "remove"; readonly kind: Kind; readonly name: string };

export interface AgentPlan {
  readonly actions: readonly AgentAction[];
  readonly conditions: readonly ConditionDraft[];
  readonly machines: readonly MachineStatus[];
  readonly active: boolean;
  readonly progress: { readonly controlPlane: Progress; readonly workers: Progress };
}

export interface Progress {
  readonly done: number;
  readonly total: number;
}

export function planAgent(seen: AgentSeen): AgentPlan {
  const active = isActive(seen);
  const controlPlane = controlPlaneProgress(seen);
  const workers = workerProgress(seen);
  return {
    actions: active ? [...controlPlaneActions(seen), ...poolActions(seen), ...removals(seen)] : [], // A1
    conditions: [
      ...(active
        ? [
            added("ControlPlaneNodeAdditionDone", controlPlane, "control-plane nodes"),
            added("WorkerNodeAdditionDone", workers, "worker nodes"),
          ]
        : [held("ControlPlaneNodeAdditionDone", seen), held("WorkerNodeAdditionDone", seen)]),
      ...(seen.owner ? [remediationBlocked(seen.spc.spec.desired, seen.objects)] : []),
    ],
    machines: machineStatuses(seen.objects),
    active,
    progress: { controlPlane, workers },
  };
}

function isActive({ owner, objects }: AgentSeen): boolean {
  const whole = objects.find((o) => o.kind === cluster.kind);
  if (!owner || !whole || whole.metadata.deletionTimestamp) return false;
  return (whole.spec as { paused?: boolean }).paused !== true;
}

function held(type: string, { owner }: AgentSeen): ConditionDraft {
  return owner
    ? { type, status: "Unknown", reason: "Paused", message: "the Cluster is paused" }
    : { type, status: "False", reason: "NotOwner", message: "this side does not own the cluster (yet)" };
}

function added(type: string, { done, total }: Progress, what: string): ConditionDraft {
  return done === total
    ? { type, status: "True", reason: "Added", message: `${total} ${what}` }
    : { type, status: "False", reason: "Adding", message: `${done} of ${total} ${what} are ready` };
}

function ofKind(objects: readonly Resource[], kind: Kind): Resource[] {
  return objects.filter((o) => o.kind === kind.kind);
}

// ---- control plane --------------------------------------------------------------------------------------------------------------

function controlPlaneActions({ spc, objects }: AgentSeen): AgentAction[] {
  const [plane] = ofKind(objects, kubeadmControlPlane);
  if (!plane) return [];
  const { desired } = spc.spec;
  const { name } = plane.metadata;
  const scale: AgentAction[] =
    replicaCounters(plane).desired === desired.controlPlane.replicas
      ? []
      : [{ do: "scale control plane", name, replicas: desired.controlPlane.replicas }];
  const labels = { [words.clusterName]: desired.clusterName, [words.clusterUid]: desired.clusterUid };
  const check = healthCheck(desired, name, labels, {
    [words.clusterName]: desired.clusterName,
    "cluster.x-k8s.io/control-plane": "",
  });
  return [...scale, ...missing(objects, { kind: machineHealthCheck, object: check })];
}

function controlPlaneProgress({ spc, objects }: AgentSeen): Progress {
  const total = spc.spec.desired.controlPlane.replicas as number;
  const [plane] = ofKind(objects, kubeadmControlPlane);
  return { done: plane ? settled(plane, total) : 0, total };
}

/** How many of the wanted replicas are ready and up to date; all of them only when there is none too many, and the counters are fresh. */
function settled(object: Resource, wanted: number): number {
  const { desired, replicas, ready, available, upToDate } = replicaCounters(object);
  const fresh = isFresh(object);
  const good = Math.min(ready, available, upToDate, wanted);
  return good === wanted && (desired !== wanted || replicas !== wanted || !fresh)
    ? Math.max(0, wanted - 1)
    : good;
}

function isFresh(object: Resource): boolean {
  const { observedGeneration } = (object.status ?? {}) as { observedGeneration?: number };
  return observedGeneration === undefined || observedGeneration >= object.metadata.generation;
}

// ---- workers --------------------------------------------------------------------------------------------------------------------

function poolActions(seen: AgentSeen): AgentAction[] {
  return wantedObjects(seen).flatMap((wanted) => missing(seen.objects, wanted));
}

function wantedObjects({ spc, objects }: AgentSeen): Wanted[] {
  const template = controlPlaneTemplate(objects);
  if (!template) return [];
  return spc.spec.desired.workerPools.flatMap((pool) =>
    workerPool(spc.spec.desired, { ...pool, size: sizeOf(pool, objects) }, template),
  );
}

/** What an autoscaler made of the pool stays, within its bounds. */
function sizeOf(pool: WorkerPool, objects: readonly Resource[]): number {
  const have = ofKind(objects, machineDeployment).find((d) => d.metadata.labels?.[words.pool] === pool.name);
  return sizeNow(pool, (have?.spec as { replicas?: number } | undefined)?.replicas);
}

/** What the control plane's machines are cloned from: what the gateway resolved, as the world has it. */
function controlPlaneTemplate(objects: readonly Resource[]): string | undefined {
  const [plane] = ofKind(objects, kubeadmControlPlane);
  const ref = (
    plane?.spec as { machineTemplate?: { spec?: { infrastructureRef?: { name?: string } } } } | undefined
  )?.machineTemplate?.spec?.infrastructureRef?.name;
  const object = ofKind(objects, vsphereMachineTemplate).find((o) => o.metadata.name === ref);
  return (object?.spec as { template?: { spec?: { template?: string } } } | undefined)?.template?.spec
    ?.template;
}

/** Nothing where the object is there and holds what is wanted. */
function missing(objects: readonly Resource[], { kind, object }: Wanted): AgentAction[] {
  const have = objects.find((o) => o.kind === kind.kind && o.metadata.name === object.metadata.name);
  const immutable = kind === vsphereMachineTemplate || kind === kubeadmConfigTemplate;
  if (have && (immutable || holds(have, object))) return [];
  return [{ do: "apply", kind, object }];
}

function workerProgress({ spc, objects }: AgentSeen): Progress {
  const deployments = ofKind(objects, machineDeployment);
  let done = 0;
  let total = 0;
  for (const pool of spc.spec.desired.workerPools) {
    const size = sizeOf(pool, objects);
    total += size;
    const object = deployments.find((d) => d.metadata.labels?.[words.pool] === pool.name);
    if (object) done += settled(object, size);
    else if (size === 0) continue;
  }
  // A pool on its way out counts as one thing left to do.
  const leaving = deployments.some((d) => isUnwanted(d, spc));
  return { done: leaving && done === total ? Math.max(0, done - 1) : done, total };
}

function isUnwanted(object: Resource, { spec }: SpectroCluster): boolean {
  const pool = object.metadata.labels?.[words.pool];
  return pool !== undefined && !spec.desired.workerPools.some((p) => p.name === pool);
}

/** A2 to A4 */
function removals(seen: AgentSeen): AgentAction[] {
  const { spc, objects } = seen;
  const pools = [machineDeployment, machineHealthCheck].flatMap((kind) =>
    ofKind(objects, kind)
      .filter((object) => isUnwanted(object, spc) && !object.metadata.deletionTimestamp)
      .map((object) => ({ do: "remove" as const, kind, name: object.metadata.name })),
  );
  const wanted = new Set(wantedObjects(seen).map(({ object }) => object.metadata.name));
  const referred = new Set(
    [...ofKind(objects, machineDeployment), ...ofKind(objects, machineSet)].flatMap(templateRefs),
  );
  const templates = [vsphereMachineTemplate, kubeadmConfigTemplate].flatMap((kind) =>
    ofKind(objects, kind)
      .filter(({ metadata }) => metadata.labels?.[words.pool] !== undefined && !metadata.deletionTimestamp)
      .filter(({ metadata }) => !wanted.has(metadata.name) && !referred.has(metadata.name))
      .map((object) => ({ do: "remove" as const, kind, name: object.metadata.name })),
  );
  return [...pools, ...templates];
}

function templateRefs(object: Resource): string[] {
  const spec = (
    object.spec as {
      template?: {
        spec?: { bootstrap?: { configRef?: { name?: string } }; infrastructureRef?: { name?: string } };
      };
    }
  ).template?.spec;
  return [spec?.bootstrap?.configRef?.name, spec?.infrastructureRef?.name].filter(
    (name) => name !== undefined,
  );
}
