// Cluster API's MachineSet controller: keeps the wanted number of equal Machines, each with its bootstrap and infrastructure object.
import { isDeleting, ownerOf, ownerReference, type Controller, type Result } from "#core";
import {
  cluster as clusterKind,
  clusterNameLabel,
  deploymentNameLabel,
  kubeadmConfig,
  kubeadmConfigTemplate,
  machine as machineKind,
  machineSet,
  setNameLabel,
  vsphereMachine,
  vsphereMachineTemplate,
  type Cluster,
  type Machine,
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
import { controllerOf, follow, later } from "./controller.ts";
import { addFinalizer, addLabels, dropFinalizer, edit, editStatus, remove } from "./edit.ts";
import { awaitsRemediation } from "./machine-health.ts";
import { machineOrder } from "./machine-status.ts";
import { annotations, byAge, finalizers, withSuffix } from "./names.ts";
import { machineSetStatus, missingTemplates } from "./workers-status.ts";

export function machineSetController(deps: CapiDeps): Controller {
  const { store } = deps;
  return controllerOf(deps, {
    name: "capi-machineset",
    kind: machineSet,
    follows: [follow(machineKind, ownerKey(machineSet)), follow(clusterKind, inCluster(deps, machineSet))],
    async round(object) {
      const cluster = await clusterOf(deps, object);
      if (!cluster) return isDeleting(object) ? letGo(deps, object) : {};
      if (cluster.spec.paused || hasPausedAnnotation(object)) {
        const paused = pausedCondition("MachineSet", cluster, object);
        await editStatus(store, machineSet, object, (o) => {
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
      const machines = await machinesOf(deps, object, cluster);
      if (isDeleting(object)) {
        for (const machine of machines) await remove(store, machineKind, machine);
        await report(deps, object, cluster, machines);
        return machines.length > 0 ? {} : letGo(deps, object);
      }
      await edit(store, machineSet, object, (o) => {
        addFinalizer(o, finalizers.machineSet);
        addLabels(o, { [clusterNameLabel]: cluster.metadata.name });
      });
      await scale(deps, object, cluster, machines);
      const after = await machinesOf(deps, object, cluster);
      await report(deps, object, cluster, after);
      return after.length < object.spec.replicas ? later(deps.knobs.healthMs) : {};
    },
  });
}

export async function machinesOf(deps: CapiDeps, object: MachineSet, cluster: Cluster): Promise<Machine[]> {
  const all = await ofCluster(deps, machineKind, cluster);
  return all.filter((m) => ownerOf(m, machineSet)?.uid === object.metadata.uid).sort(byAge);
}

async function report(
  deps: CapiDeps,
  object: MachineSet,
  cluster: Cluster,
  machines: readonly Machine[],
): Promise<void> {
  const at = now(deps);
  const blocked = await missingFor(deps, object);
  await editStatus(deps.store, machineSet, object, (o) => {
    o.status = machineSetStatus(o, cluster, machines, blocked, at);
  });
  for (const machine of machines)
    await editStatus(deps.store, machineKind, machine, (o) => {
      const status = (o.status ??= {});
      const draft = { type: "UpToDate", status: "True" as const, reason: "UpToDate" };
      status.conditions = withConditions(status.conditions, [draft], machineOrder, o.metadata.generation, at);
    });
}

async function scale(
  deps: CapiDeps,
  object: MachineSet,
  cluster: Cluster,
  machines: readonly Machine[],
): Promise<Result> {
  for (const broken of machines.filter(awaitsRemediation)) await remove(deps.store, machineKind, broken);
  const living = machines.filter((m) => !isDeleting(m) && !awaitsRemediation(m));
  const missing = object.spec.replicas - living.length;
  for (let i = 0; i < missing; i++) await createWorker(deps, object, cluster);
  for (const victim of victims(living, -missing)) await remove(deps.store, machineKind, victim);
  return later(deps.knobs.pollMs);
}

/** Whom to remove first: what is not Ready, then the newest. Pure. */
export function victims(machines: readonly Machine[], count: number): Machine[] {
  const ready = (m: Machine) => m.status?.conditions?.some((c) => c.type === "Ready" && c.status === "True");
  return machines
    .toSorted((a, b) => Number(ready(a) ?? false) - Number(ready(b) ?? false) || byAge(b, a))
    .slice(0, Math.max(0, count));
}

/** Which templates that new machines would be made from do not exist. */
export async function missingFor(
  deps: CapiDeps,
  object: MachineSet | MachineDeployment,
): Promise<string | undefined> {
  const { bootstrap, infrastructureRef } = object.spec.template.spec;
  const { configRef } = bootstrap;
  const [config, infra] = await Promise.all([
    configRef ? deps.store.get(kubeadmConfigTemplate, keyIn(object, configRef.name)) : true,
    deps.store.get(vsphereMachineTemplate, keyIn(object, infrastructureRef.name)),
  ]);
  return missingTemplates([
    ...(config ? [] : [kubeadmConfigTemplate.kind]),
    ...(infra ? [] : [vsphereMachineTemplate.kind]),
  ]);
}

async function createWorker(deps: CapiDeps, object: MachineSet, cluster: Cluster): Promise<void> {
  const { store } = deps;
  const { template } = object.spec;
  const { configRef } = template.spec.bootstrap;
  const { infrastructureRef } = template.spec;
  const [configTemplate, infraTemplate] = await Promise.all([
    configRef ? store.get(kubeadmConfigTemplate, keyIn(object, configRef.name)) : undefined,
    store.get(vsphereMachineTemplate, keyIn(object, infrastructureRef.name)),
  ]);
  if (!infraTemplate || (configRef && !configTemplate)) return; // the deployment says what is missing
  const name = withSuffix(object.metadata.name, deps.random);
  const { namespace = "" } = object.metadata;
  const deployment = object.metadata.labels?.[deploymentNameLabel];
  const labels = {
    ...template.metadata?.labels,
    [clusterNameLabel]: cluster.metadata.name,
    [setNameLabel]: object.metadata.name,
    ...(deployment ? { [deploymentNameLabel]: deployment } : {}),
  };
  const meta = { name, namespace, labels, ownerReferences: [ownerReference(machineSet, object)] };
  const clonedFrom = (kind: { kind: string; group: string }, from: string) => ({
    ...template.metadata?.annotations,
    [annotations.clonedFromName]: from,
    [annotations.clonedFromGroupKind]: `${kind.kind}.${kind.group}`,
  });
  if (configRef && configTemplate)
    await store.create(kubeadmConfig, {
      metadata: { ...meta, annotations: clonedFrom(kubeadmConfigTemplate, configRef.name) },
      spec: configTemplate.spec.template.spec,
    });
  await store.create(vsphereMachine, {
    metadata: { ...meta, annotations: clonedFrom(vsphereMachineTemplate, infrastructureRef.name) },
    spec: infraTemplate.spec.template.spec,
  });
  await store.create(machineKind, {
    metadata: {
      ...meta,
      ...(template.metadata?.annotations ? { annotations: template.metadata.annotations } : {}),
      ownerReferences: [ownerReference(machineSet, object, { controller: true, blockOwnerDeletion: true })],
    },
    spec: {
      ...template.spec,
      bootstrap: configRef
        ? { configRef: { apiGroup: kubeadmConfig.group, kind: kubeadmConfig.kind, name } }
        : template.spec.bootstrap,
      infrastructureRef: { apiGroup: vsphereMachine.group, kind: vsphereMachine.kind, name },
    },
  });
}

async function letGo(deps: CapiDeps, object: MachineSet): Promise<Result> {
  await edit(deps.store, machineSet, object, (o) => dropFinalizer(o, finalizers.machineSet));
  return {};
}
