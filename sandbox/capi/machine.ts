// Cluster API's Machine controller: owns the bootstrap and infrastructure objects, follows them, finds the Node, says how things are.
import { isDeleting, type Controller, type Key, type Resource, type Result } from "#core";
import {
  cluster as clusterKind,
  clusterNameLabel,
  isBootstrapReady,
  isInfrastructureReady,
  kubeadmConfig,
  machine as machineKind,
  node as nodeKind,
  vsphereMachine,
  type Cluster,
  type KubeadmConfig,
  type Machine,
  type Node,
  type VSphereMachine,
} from "#proto";
import { withOldConditions } from "./conditions.ts";
import {
  clusterOf,
  hasPausedAnnotation,
  inCluster,
  keyIn,
  now,
  ownerKey,
  pausedCondition,
  remoteOf,
  type CapiDeps,
} from "./context.ts";
import { controllerOf, follow, later } from "./controller.ts";
import { addFinalizer, addLabels, addOwner, dropFinalizer, edit, editStatus, remove } from "./edit.ts";
import { machineConditions, oldMachineConditions, phaseOf, type MachineSeen } from "./machine-status.ts";
import { annotations, finalizers } from "./names.ts";

export function machineController(deps: CapiDeps): Controller {
  return controllerOf(deps, {
    name: "capi-machine",
    kind: machineKind,
    follows: [
      follow(kubeadmConfig, ownerKey(machineKind)),
      follow(vsphereMachine, ownerKey(machineKind)),
      follow(clusterKind, inCluster(deps, machineKind)),
    ],
    async round(object) {
      const cluster = await clusterOf(deps, object);
      if (!cluster) return isDeleting(object) ? letGo(deps, object) : {};
      if (cluster.spec.paused || hasPausedAnnotation(object)) {
        await report(deps, object, { cluster, paused: true });
        return {};
      }
      if (isDeleting(object)) return removeMachine(deps, object, cluster);
      await edit(deps.store, machineKind, object, (o) => {
        addFinalizer(o, finalizers.machine);
        addLabels(o, { [clusterNameLabel]: cluster.metadata.name });
      });
      const below = await look(deps, object, cluster);
      const { providerID } = (await learn(deps, object, below)).spec;
      const node = providerID ? await findNode(deps, cluster, providerID) : undefined;
      const seen = { ...below, ...(node ? { node } : {}) };
      if (node) await tellNode(deps, object, cluster, node);
      await report(deps, object, seen);
      const { infra } = seen;
      if (!infra || !isInfrastructureReady(infra)) return {};
      return later(node && isNodeReady(node) ? deps.knobs.healthMs : deps.knobs.pollMs);
    },
  });
}

/** The bootstrap and infrastructure objects, with this Machine as their controller. */
async function look(deps: CapiDeps, object: Machine, cluster: Cluster): Promise<MachineSeen> {
  const { bootstrap, infrastructureRef } = object.spec;
  const { configRef } = bootstrap;
  const adopt = (o: Resource) => {
    o.metadata.ownerReferences = (o.metadata.ownerReferences ?? []).filter((ref) => ref.kind === "Machine");
    addOwner(o, machineKind, object, { controller: true, blockOwnerDeletion: true });
    addLabels(o, { [clusterNameLabel]: cluster.metadata.name });
  };
  const config = configRef
    ? await edit(deps.store, kubeadmConfig, keyIn(object, configRef.name), adopt)
    : undefined;
  const infra = await edit(deps.store, vsphereMachine, keyIn(object, infrastructureRef.name), adopt);
  return { cluster, ...(config ? { config } : {}), ...(infra ? { infra } : {}) };
}

async function findNode(deps: CapiDeps, cluster: Cluster, providerID: string): Promise<Node | undefined> {
  const remote = await remoteOf(deps, cluster);
  if (!remote) return undefined;
  const { items } = await remote.list(nodeKind);
  return items.find((node) => node.spec?.providerID === providerID);
}

function isNodeReady(node: Node): boolean {
  return node.status?.conditions?.some((c) => c.type === "Ready" && c.status === "True") ?? false;
}

/** What the spec learns from the objects below, each when it is ready: two changes, as upstream makes them. */
async function learn(deps: CapiDeps, object: Machine, { config, infra }: MachineSeen): Promise<Machine> {
  await edit(deps.store, machineKind, object, (o) => {
    if (config && isBootstrapReady(config) && config.status?.dataSecretName)
      o.spec.bootstrap.dataSecretName = config.status.dataSecretName;
  });
  const learnt = await edit(deps.store, machineKind, object, (o) => {
    if (infra && isInfrastructureReady(infra) && infra.spec.providerID)
      o.spec.providerID = infra.spec.providerID;
  });
  return learnt ?? object;
}

/** What the Node is told of its Machine. */
async function tellNode(deps: CapiDeps, object: Machine, cluster: Cluster, node: Node): Promise<void> {
  const remote = await remoteOf(deps, cluster);
  if (!remote) return;
  const owner = object.metadata.ownerReferences?.find((ref) => ref.controller);
  await edit(remote, nodeKind, node, (o) => {
    o.metadata.annotations = {
      ...o.metadata.annotations,
      "cluster.x-k8s.io/cluster-name": cluster.metadata.name,
      "cluster.x-k8s.io/cluster-namespace": cluster.metadata.namespace ?? "",
      "cluster.x-k8s.io/machine": object.metadata.name,
      ...(owner
        ? { "cluster.x-k8s.io/owner-kind": owner.kind, "cluster.x-k8s.io/owner-name": owner.name }
        : {}),
    };
    const taints = o.spec?.taints?.filter((t) => t.key !== "node.cluster.x-k8s.io/uninitialized");
    if (o.spec && taints && taints.length !== o.spec.taints?.length) o.spec.taints = taints;
  });
}

async function report(deps: CapiDeps, object: Machine, seen: MachineSeen): Promise<void> {
  const at = now(deps);
  await editStatus(deps.store, machineKind, object, (o) => {
    const paused = pausedCondition("Machine", seen.cluster, o);
    const status = (o.status ??= {});
    status.conditions = machineConditions(o, seen, paused, at);
    if (seen.paused) return;
    const { config, infra, node } = seen;
    const init = {
      ...status.initialization,
      ...(config && isBootstrapReady(config) ? { bootstrapDataSecretCreated: true } : {}),
      ...(infra && isInfrastructureReady(infra) ? { infrastructureProvisioned: true } : {}),
    };
    if (Object.keys(init).length > 0) status.initialization = init;
    if (infra?.status?.addresses) status.addresses = infra.status.addresses;
    if (node) {
      status.nodeRef = { name: node.metadata.name };
      if (node.status?.nodeInfo) status.nodeInfo = node.status.nodeInfo;
    }
    status.observedGeneration = o.metadata.generation;
    const phase = phaseOf(o);
    if (status.phase !== phase) {
      status.phase = phase;
      status.lastUpdated = at;
    }
    const old = oldMachineConditions(o, seen);
    status.deprecated = {
      v1beta1: { conditions: withOldConditions(status.deprecated?.v1beta1?.conditions, old, at) },
    };
  });
}

/** Hooks first, then the VM, then the bootstrap config, then the Node, then the Machine itself. */
async function removeMachine(deps: CapiDeps, object: Machine, cluster: Cluster): Promise<Result> {
  const { store, knobs } = deps;
  const { infra, config } = await references(deps, object);
  const hooked = annotations.preTerminate in (object.metadata.annotations ?? {});
  const doing = hooked
    ? "WaitingForPreTerminateHook"
    : infra
      ? "WaitingForInfrastructureDeletion"
      : "WaitingForBootstrapDeletion";
  await report(deps, object, {
    cluster,
    deleting: doing,
    ...(infra ? { infra } : {}),
    ...(config ? { config } : {}),
  });
  if (hooked) return {};
  if (infra) {
    await remove(store, vsphereMachine, infra);
    return later(knobs.healthMs);
  }
  if (config) {
    await remove(store, kubeadmConfig, config);
    return later(knobs.pollMs);
  }
  if (!isDeleting(cluster)) {
    const remote = await remoteOf(deps, cluster);
    const name = object.status?.nodeRef?.name;
    const node = name && remote ? await remote.get(nodeKind, { name }) : undefined;
    if (remote && node) await remove(remote, nodeKind, node);
  }
  return letGo(deps, object);
}

async function references(
  deps: CapiDeps,
  object: Machine,
): Promise<{ infra: VSphereMachine | undefined; config: KubeadmConfig | undefined }> {
  const { bootstrap, infrastructureRef } = object.spec;
  const key = (name: string): Key => keyIn(object, name);
  return {
    infra: await deps.store.get(vsphereMachine, key(infrastructureRef.name)),
    config: bootstrap.configRef
      ? await deps.store.get(kubeadmConfig, key(bootstrap.configRef.name))
      : undefined,
  };
}

async function letGo(deps: CapiDeps, object: Machine): Promise<Result> {
  await edit(deps.store, machineKind, object, (o) => dropFinalizer(o, finalizers.machine));
  return {};
}
