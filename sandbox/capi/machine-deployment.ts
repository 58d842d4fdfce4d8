// Cluster API's MachineDeployment controller: one MachineSet for each state of the template, the newest grows as the others shrink.
import { isDeleting, isTrue, ownerOf, ownerReference, sameJson, type Controller, type Result } from "#core";
import {
  cluster as clusterKind,
  clusterNameLabel,
  deploymentNameLabel,
  kubeadmConfigTemplate,
  machineDeployment,
  machineSet,
  vsphereMachineTemplate,
  type Cluster,
  type MachineDeployment,
  type MachineSet,
} from "#proto";
import { withConditions } from "./conditions.ts";
import {
  clusterOf,
  hasPausedAnnotation,
  inCluster,
  keyIn,
  now,
  ofCluster,
  ownerKey,
  pausedCondition,
  type CapiDeps,
} from "./context.ts";
import { controllerOf, follow } from "./controller.ts";
import {
  addFinalizer,
  addLabels,
  addOwner,
  dropFinalizer,
  edit,
  editStatus,
  ensure,
  remove,
} from "./edit.ts";
import { machinesOf, missingFor } from "./machine-set.ts";
import { annotations, byAge, finalizers, suffix, templateHash, templateHashLabel } from "./names.ts";
import { machineDeploymentStatus } from "./workers-status.ts";

export function machineDeploymentController(deps: CapiDeps): Controller {
  const { store } = deps;
  return controllerOf(deps, {
    name: "capi-machinedeployment",
    kind: machineDeployment,
    follows: [
      follow(machineSet, ownerKey(machineDeployment)),
      follow(clusterKind, inCluster(deps, machineDeployment)),
    ],
    async round(object) {
      const cluster = await clusterOf(deps, object);
      if (!cluster) return isDeleting(object) ? letGo(deps, object) : {};
      if (cluster.spec.paused || hasPausedAnnotation(object)) {
        const paused = pausedCondition("MachineDeployment", cluster, object);
        await editStatus(store, machineDeployment, object, (o) => {
          const status = (o.status ??= {});
          status.conditions = withConditions(
            status.conditions,
            [paused],
            [],
            o.metadata.generation,
            now(deps),
          );
        });
        return {};
      }
      const sets = await setsOf(deps, object, cluster);
      if (isDeleting(object)) {
        for (const set of sets) await remove(store, machineSet, set);
        await report(deps, object, cluster);
        return sets.length > 0 ? {} : letGo(deps, object);
      }
      const current = await own(deps, object, cluster);
      await rollOut(deps, current, cluster, sets);
      await report(deps, current, cluster);
      return {};
    },
  });
}

/** Finalizer, revision and owners: the Cluster owns the deployment and the templates it names. */
async function own(deps: CapiDeps, object: MachineDeployment, cluster: Cluster): Promise<MachineDeployment> {
  const { store } = deps;
  const { bootstrap, infrastructureRef } = object.spec.template.spec;
  const adopt = (o: Parameters<typeof addOwner>[0]) => addOwner(o, clusterKind, cluster);
  if (bootstrap.configRef)
    await edit(store, kubeadmConfigTemplate, keyIn(object, bootstrap.configRef.name), adopt);
  await edit(store, vsphereMachineTemplate, keyIn(object, infrastructureRef.name), adopt);
  const owned = await edit(store, machineDeployment, object, (o) => {
    addFinalizer(o, finalizers.machineDeployment);
    addLabels(o, { [clusterNameLabel]: cluster.metadata.name });
    adopt(o);
    o.metadata.annotations = { [annotations.revision]: "1", ...o.metadata.annotations };
  });
  return owned ?? object;
}

async function setsOf(deps: CapiDeps, object: MachineDeployment, cluster: Cluster): Promise<MachineSet[]> {
  const all = await ofCluster(deps, machineSet, cluster);
  return all.filter((s) => ownerOf(s, machineDeployment)?.uid === object.metadata.uid).sort(byAge);
}

/** Whether a set was made from the template as it is now. */
function isCurrent(object: MachineDeployment, set: MachineSet): boolean {
  const { [templateHashLabel]: _, ...labels } = set.spec.template.metadata?.labels ?? {};
  return (
    sameJson(labels, object.spec.template.metadata?.labels ?? {}) &&
    sameJson(set.spec.template.spec, object.spec.template.spec)
  );
}

async function rollOut(
  deps: CapiDeps,
  object: MachineDeployment,
  cluster: Cluster,
  sets: readonly MachineSet[],
): Promise<void> {
  const current = sets.find((set) => isCurrent(object, set)) ?? (await createSet(deps, object, sets.length));
  const older = sets.filter((set) => set.metadata.uid !== current.metadata.uid);
  const counts = await Promise.all(
    [current, ...older].map(async (set) => {
      const machines = await machinesOf(deps, set, cluster);
      const living = machines.filter((m) => !isDeleting(m));
      return {
        machines: machines.length,
        living: living.length,
        available: living.filter((m) => isTrue(m.status?.conditions, "Available")).length,
      };
    }),
  );
  const want = planRollout({
    desired: object.spec.replicas,
    ...strategy(object),
    current: { replicas: current.spec.replicas, ...counts[0]! },
    older: older.map((set, i) => ({ replicas: set.spec.replicas, ...counts[i + 1]! })),
  });
  const replicas = [want.current, ...want.older];
  const max = object.spec.replicas + strategy(object).maxSurge;
  for (const [i, set] of [current, ...older].entries())
    await edit(deps.store, machineSet, set, (o) => {
      o.spec.replicas = replicas[i] ?? o.spec.replicas;
      o.metadata.annotations = {
        ...o.metadata.annotations,
        [annotations.desiredReplicas]: String(object.spec.replicas),
        [annotations.maxReplicas]: String(max),
      };
    });
}

function strategy(object: MachineDeployment): { maxSurge: number; maxUnavailable: number } {
  const { maxSurge = 1, maxUnavailable = 0 } = object.spec.rollout?.strategy?.rollingUpdate ?? {};
  const share = (value: number | string) =>
    typeof value === "number" ? value : Math.ceil((Number.parseInt(value, 10) / 100) * object.spec.replicas);
  return { maxSurge: share(maxSurge), maxUnavailable: share(maxUnavailable) };
}

interface SetCounts {
  /** Wanted. */
  readonly replicas: number;
  /** There, those that are being deleted too. */
  readonly machines: number;
  /** There and not being deleted. */
  readonly living: number;
  readonly available: number;
}

/** How many machines each set shall have next. Pure. */
export function planRollout(seen: {
  readonly desired: number;
  readonly maxSurge: number;
  readonly maxUnavailable: number;
  readonly current: SetCounts;
  readonly older: readonly SetCounts[];
}): { readonly current: number; readonly older: readonly number[] } {
  const { desired, maxSurge, maxUnavailable, current } = seen;
  if (seen.older.every((set) => set.replicas === 0 && set.machines === 0))
    return { current: desired, older: seen.older.map(() => 0) };
  const total = [current, ...seen.older].reduce((sum, set) => sum + Math.max(set.replicas, set.machines), 0);
  const room = Math.max(0, desired + maxSurge - total);
  const next = Math.min(desired, current.replicas + room);
  const available = [current, ...seen.older].reduce((sum, set) => sum + set.available, 0);
  let spare = Math.max(0, available - (desired - maxUnavailable));
  const older = seen.older.map((set) => {
    const cut = Math.min(set.replicas, Math.max(spare, set.living - set.available)); // what is broken goes first
    spare = Math.max(0, spare - cut);
    return set.replicas - cut;
  });
  return { current: next, older };
}

async function createSet(deps: CapiDeps, object: MachineDeployment, revision: number): Promise<MachineSet> {
  const { template } = object.spec;
  const random = suffix(deps.random);
  const hash = `${templateHash(template)}-${random}`;
  const labels = { ...template.metadata?.labels, [templateHashLabel]: hash };
  return ensure(deps.store, machineSet, {
    metadata: {
      name: `${object.metadata.name}-${random}`,
      namespace: object.metadata.namespace ?? "",
      labels: {
        ...labels,
        [deploymentNameLabel]: object.metadata.name,
        [clusterNameLabel]: object.spec.clusterName,
      },
      annotations: {
        [annotations.disableMachineCreate]: "false",
        [annotations.desiredReplicas]: String(object.spec.replicas),
        [annotations.maxReplicas]: String(object.spec.replicas + strategy(object).maxSurge),
        [annotations.revision]: String(revision + 1),
      },
      finalizers: [finalizers.machineSet],
      ownerReferences: [
        ownerReference(machineDeployment, object, { controller: true, blockOwnerDeletion: true }),
      ],
    },
    spec: {
      clusterName: object.spec.clusterName,
      replicas: revision === 0 ? object.spec.replicas : 0,
      selector: { matchLabels: { ...object.spec.selector.matchLabels, [templateHashLabel]: hash } },
      template: { metadata: { ...template.metadata, labels }, spec: template.spec },
    },
  });
}

async function report(deps: CapiDeps, object: MachineDeployment, cluster: Cluster): Promise<void> {
  const sets = await setsOf(deps, object, cluster);
  const machines = (await Promise.all(sets.map((set) => machinesOf(deps, set, cluster)))).flat();
  const current = sets.find((set) => isCurrent(object, set));
  const upToDate = current ? (await machinesOf(deps, current, cluster)).length : 0;
  const at = now(deps);
  const blocked = await missingFor(deps, object);
  await editStatus(deps.store, machineDeployment, object, (o) => {
    o.status = machineDeploymentStatus(o, cluster, machines, upToDate, blocked, at);
  });
}

async function letGo(deps: CapiDeps, object: MachineDeployment): Promise<Result> {
  await edit(deps.store, machineDeployment, object, (o) => dropFinalizer(o, finalizers.machineDeployment));
  return {};
}
