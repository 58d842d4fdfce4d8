// The kubeadm control-plane provider: certificates, one machine after the other, health of each, removal one by one.
//
//   P1. A machine is added or removed only when all others are there, joined and healthy: never two changes at once.
//   P2. The plan is made from the machines as they are (planReplicas, pure); nothing is remembered between rounds.
//   P3. A machine on its way out keeps its pre-terminate hook until its member has left etcd, here: at once.
import { Fault, isDeleting, keyOf, ownerOf, type Controller, type ResourceStore, type Result } from "#core";
import { parse, stringify } from "yaml";
import {
  cluster as clusterKind,
  configMap,
  isInfrastructureReady,
  kubeadmControlPlane,
  machine as machineKind,
  node as nodeKind,
  pod as podKind,
  vsphereMachineTemplate,
  type Cluster,
  type KubeadmControlPlane,
  type Machine,
  type Node,
  type Pod,
} from "#proto";
import { ensureClusterSecrets, isExternalEtcd } from "./cluster-secrets.ts";
import { withConditions, withOldConditions } from "./conditions.ts";
import {
  clusterOf,
  hasPausedAnnotation,
  keyIn,
  now,
  ofCluster,
  ownerKey,
  pausedCondition,
  remoteOf,
  type CapiDeps,
} from "./context.ts";
import { createControlPlaneMachine } from "./control-plane-machine.ts";
import { machineHealth, oldMachineHealth, type ControlPlaneSeen } from "./control-plane-health.ts";
import { planReplicas } from "./control-plane-plan.ts";
import { controlPlaneStatus } from "./control-plane-status.ts";
import { controllerOf, follow, later } from "./controller.ts";
import { addFinalizer, addOwner, dropFinalizer, edit, editStatus, remove } from "./edit.ts";
import { machineOrder } from "./machine-status.ts";
import { annotations, byAge, finalizers, isControlPlane } from "./names.ts";

export function controlPlaneController(deps: CapiDeps): Controller {
  const { store } = deps;
  return controllerOf(deps, {
    name: "kcp-kubeadmcontrolplane",
    kind: kubeadmControlPlane,
    follows: [
      follow(machineKind, ownerKey(kubeadmControlPlane)),
      follow(clusterKind, (cluster) => {
        const name = cluster.spec.controlPlaneRef?.name;
        return name ? [keyIn(cluster, name)] : [];
      }),
    ],
    async round(object) {
      const owner = ownerOf(object, clusterKind);
      const cluster = owner ? await clusterOf(deps, object) : undefined;
      if (!cluster) return {};
      const paused = pausedCondition("KubeadmControlPlane", cluster, object);
      if (cluster.spec.paused || hasPausedAnnotation(object)) {
        await editStatus(store, kubeadmControlPlane, object, (o) => {
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
      const seen = await observe(deps, object, cluster);
      if (isDeleting(object)) return removeControlPlane(deps, object, seen);
      await edit(store, kubeadmControlPlane, object, (o) => addFinalizer(o, finalizers.controlPlane));
      const template = object.spec.machineTemplate.spec.infrastructureRef.name;
      await edit(store, vsphereMachineTemplate, keyIn(object, template), (o) =>
        addOwner(o, clusterKind, cluster),
      );
      if (!isInfrastructureReady(cluster) || !cluster.spec.controlPlaneEndpoint?.host) return {};
      await ensureClusterSecrets(deps, object, cluster);
      await reportMachines(deps, seen);
      await report(deps, object, seen);
      return act(deps, object, seen);
    },
  });
}

async function observe(
  deps: CapiDeps,
  object: KubeadmControlPlane,
  cluster: Cluster,
): Promise<ControlPlaneSeen> {
  const all = await ofCluster(deps, machineKind, cluster);
  const own = all.filter(
    (m) => isControlPlane(m) && ownerOf(m, kubeadmControlPlane)?.uid === object.metadata.uid,
  );
  const remote = await remoteOf(deps, cluster);
  const world = remote ? await lookInside(remote) : undefined;
  const { infrastructureRef } = object.spec.machineTemplate.spec;
  const template = await deps.store.get(vsphereMachineTemplate, keyIn(object, infrastructureRef.name));
  return {
    cluster,
    machines: own.sort(byAge),
    others: all.filter((m) => !isControlPlane(m)).length,
    externalEtcd: isExternalEtcd(object),
    ...(world ? { world } : {}),
    ...(template ? {} : { blocked: `${infrastructureRef.kind} does not exist` }),
  };
}

async function lookInside(
  remote: ResourceStore,
): Promise<{ readonly initialized: boolean; readonly nodes: Node[]; readonly pods: Pod[] } | undefined> {
  try {
    const [config, nodes, pods] = await Promise.all([
      remote.get(configMap, { namespace: "kube-system", name: "kubeadm-config" }),
      remote.list(nodeKind),
      remote.list(podKind, { namespace: "kube-system" }),
    ]);
    return { initialized: config !== undefined, nodes: nodes.items, pods: pods.items };
  } catch (error) {
    if (Fault.from(error).code === "Cancelled") throw error;
    return undefined;
  }
}

async function act(deps: CapiDeps, object: KubeadmControlPlane, seen: ControlPlaneSeen): Promise<Result> {
  const { store, knobs } = deps;
  for (const machine of seen.machines.filter(isDeleting)) await dropHook(deps, machine); // P3
  const step = planReplicas(object, seen); // P2
  switch (step.do) {
    case "create":
      await tellVersion(deps, object, seen);
      await createControlPlaneMachine(deps, object, seen.cluster, step.first ? "init" : "join");
      return later(knobs.pollMs);
    case "delete":
      await remove(store, machineKind, step.machine);
      return later(knobs.pollMs);
    case "wait":
      return later(knobs.pollMs);
    case "nothing":
      return later(seen.world?.initialized ? knobs.healthMs : knobs.pollMs);
  }
}

/** kubeadm's record in the cluster follows the version before a machine of that version joins. */
async function tellVersion(
  deps: CapiDeps,
  object: KubeadmControlPlane,
  seen: ControlPlaneSeen,
): Promise<void> {
  const remote = seen.world?.initialized ? await remoteOf(deps, seen.cluster) : undefined;
  if (!remote) return;
  await edit(remote, configMap, { namespace: "kube-system", name: "kubeadm-config" }, (o) => {
    const have = parse(o.data?.ClusterConfiguration ?? "{}") as Record<string, unknown>;
    if (have.kubernetesVersion === object.spec.version) return;
    const next = { ...have, kubernetesVersion: object.spec.version };
    o.data = { ...o.data, ClusterConfiguration: stringify(next) };
  });
}

async function dropHook(deps: CapiDeps, machine: Machine): Promise<void> {
  await edit(deps.store, machineKind, machine, (o) => {
    const { [annotations.preTerminate]: _, ...rest } = o.metadata.annotations ?? {};
    if (Object.keys(rest).length > 0) o.metadata.annotations = rest;
    else delete o.metadata.annotations;
  });
}

/** What KCP says about each of its machines. */
async function reportMachines(deps: CapiDeps, seen: ControlPlaneSeen): Promise<void> {
  const at = now(deps);
  for (const machine of seen.machines)
    await editStatus(deps.store, machineKind, machine, (o) => {
      const status = (o.status ??= {});
      const { generation } = o.metadata;
      status.conditions = withConditions(
        status.conditions,
        machineHealth(o, seen),
        machineOrder,
        generation,
        at,
      );
      const old = oldMachineHealth(o, seen);
      if (old.length > 0)
        status.deprecated = {
          v1beta1: { conditions: withOldConditions(status.deprecated?.v1beta1?.conditions, old, at) },
        };
    });
}

async function report(deps: CapiDeps, object: KubeadmControlPlane, seen: ControlPlaneSeen): Promise<void> {
  const fresh = await observeMachines(deps, seen);
  await editStatus(deps.store, kubeadmControlPlane, object, (o) => {
    o.status = controlPlaneStatus(o, { ...seen, machines: fresh }, now(deps));
  });
}

/** The machines with the conditions just written. */
async function observeMachines(deps: CapiDeps, seen: ControlPlaneSeen): Promise<Machine[]> {
  const machines = await Promise.all(seen.machines.map((m) => deps.store.get(machineKind, keyOf(m))));
  return machines.filter((m) => m !== undefined);
}

/** Workers go first; then all control-plane machines, the hooks falling at once; then the finalizer. */
async function removeControlPlane(
  deps: CapiDeps,
  object: KubeadmControlPlane,
  seen: ControlPlaneSeen,
): Promise<Result> {
  await report(deps, object, seen);
  if (seen.others > 0) return later(deps.knobs.pollMs);
  for (const machine of seen.machines) {
    await dropHook(deps, machine);
    await remove(deps.store, machineKind, machine);
  }
  if (seen.machines.length > 0) return later(deps.knobs.pollMs);
  await edit(deps.store, kubeadmControlPlane, object, (o) => dropFinalizer(o, finalizers.controlPlane));
  return {};
}
