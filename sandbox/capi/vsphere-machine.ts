// CAPV's VSphereMachine controller: waits for its turn, makes a VSphereVM of the same name, and tells what becomes of it.
import { isDeleting, keyOf, ownerReference, type Controller, type Result } from "#core";
import {
  cluster as clusterKind,
  clusterNameLabel,
  controlPlaneLabel,
  isControlPlaneInitialized,
  isInfrastructureReady,
  machine as machineKind,
  vsphereMachine,
  vsphereVM,
  type Cluster,
  type Machine,
  type VSphereMachine,
  type VSphereVM,
} from "#proto";
import {
  no,
  oldNo,
  oldSummary,
  oldYes,
  part,
  summary,
  withConditions,
  withOldConditions,
  yes,
  type Draft,
  type OldDraft,
} from "./conditions.ts";
import {
  clusterOf,
  hasPausedAnnotation,
  inCluster,
  keyIn,
  machineOf,
  now,
  ownerKey,
  pausedCondition,
  type CapiDeps,
} from "./context.ts";
import { controllerOf, follow, later } from "./controller.ts";
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
import { infraClusterOf } from "./session.ts";
import { esxiHostLabel, finalizers, isControlPlane } from "./names.ts";

const order = ["Ready", "VirtualMachineProvisioned", "Paused"];

export function vsphereMachineController(deps: CapiDeps): Controller {
  const { store } = deps;
  return controllerOf(deps, {
    name: "capv-vspheremachine",
    kind: vsphereMachine,
    follows: [
      follow(vsphereVM, ownerKey(vsphereMachine)),
      follow(machineKind, (machine) =>
        machine.spec.infrastructureRef.kind === vsphereMachine.kind
          ? [keyIn(machine, machine.spec.infrastructureRef.name)]
          : [],
      ),
      follow(clusterKind, inCluster(deps, vsphereMachine)),
    ],
    async round(object) {
      const machine = await machineOf(deps, object);
      const cluster = await clusterOf(deps, object);
      if (!cluster) return {};
      const paused = pausedCondition("VSphereMachine", cluster, object);
      if (cluster.spec.paused || hasPausedAnnotation(object)) {
        await report(deps, object, { drafts: [paused], old: [] });
        return {};
      }
      if (isDeleting(object)) return removeMachine(deps, object);
      if (!machine) return {};
      await edit(store, vsphereMachine, object, (o) => addFinalizer(o, finalizers.vsphereMachine));
      await report(deps, object, { drafts: [paused], old: [] });
      return provision(deps, object, machine, cluster);
    },
  });
}

interface Said {
  readonly drafts: readonly Draft[];
  readonly old: readonly OldDraft[];
  readonly facts?: Partial<NonNullable<VSphereMachine["status"]>>;
}

async function report(deps: CapiDeps, object: VSphereMachine, said: Said): Promise<void> {
  const at = now(deps);
  await editStatus(deps.store, vsphereMachine, object, (o) => {
    const { generation } = o.metadata;
    const status = (o.status ??= {});
    Object.assign(status, said.facts);
    status.conditions = withConditions(status.conditions, said.drafts, order, generation, at);
    if (said.old.length === 0) return;
    const ready = summary("Ready", [part(status.conditions, "VirtualMachineProvisioned")]);
    status.conditions = withConditions(status.conditions, [ready], order, generation, at);
    const conditions = withOldConditions(
      status.deprecated?.v1beta1?.conditions,
      [oldSummary(said.old), ...said.old],
      at,
    );
    status.deprecated = { v1beta1: { conditions } };
  });
}

/** What keeps a machine from getting its VM, as CAPV words it in either contract. Pure. */
export function waitsFor(
  cluster: Cluster,
  machine: Machine,
): { readonly reason: string; readonly old: string } | undefined {
  if (!isInfrastructureReady(cluster))
    return { reason: "WaitingForClusterInfrastructureReady", old: "WaitingForClusterInfrastructure" };
  if (!isControlPlane(machine) && !isControlPlaneInitialized(cluster))
    return { reason: "WaitingForControlPlaneInitialized", old: "WaitingForControlPlaneAvailable" };
  if (!machine.spec.bootstrap.dataSecretName)
    return { reason: "WaitingForBootstrapData", old: "WaitingForBootstrapData" };
  return undefined;
}

async function provision(
  deps: CapiDeps,
  object: VSphereMachine,
  machine: Machine,
  cluster: Cluster,
): Promise<Result> {
  const { store } = deps;
  const waiting = waitsFor(cluster, machine);
  if (waiting) {
    await report(deps, object, {
      drafts: [no("VirtualMachineProvisioned", waiting.reason)],
      old: [oldNo("VMProvisioned", "Info", waiting.old)],
    });
    return {};
  }
  const vm = await vmOf(deps, object, machine, cluster);
  await edit(store, vsphereVM, vm, (o) => addOwner(o, vsphereMachine, object));
  const { biosUUID } = vm.spec;
  const { addresses = [], network = [], ready, host } = vm.status ?? {};
  if (!ready || !biosUUID) {
    await report(deps, object, fromVm(vm));
    return {};
  }
  if (host) await edit(store, machineKind, machine, (o) => addLabels(o, { [esxiHostLabel]: host }));
  await edit(store, vsphereMachine, object, (o) => (o.spec.providerID = `vsphere://${biosUUID}`));
  await report(deps, object, {
    drafts: [yes("VirtualMachineProvisioned", "Provisioned")],
    old: [oldYes("VMProvisioned")],
    facts: {
      network,
      addresses: [
        ...addresses.map((address) => ({ type: "ExternalIP" as const, address })),
        { type: "InternalDNS" as const, address: vm.metadata.name },
      ],
      initialization: { provisioned: true },
    },
  });
  return {};
}

/** The condition of a VM that is not ready yet, as its VSphereMachine repeats it. */
function fromVm(vm: VSphereVM): Said {
  const found = vm.status?.conditions?.find((c) => c.type === "VirtualMachineProvisioned");
  const available = vm.status?.conditions?.find((c) => c.type === "VCenterAvailable" && c.status === "False");
  const worst = available ?? found;
  const reason = worst?.reason ?? "NotProvisioned";
  const message = worst?.message ?? "";
  const old = vm.status?.deprecated?.v1beta1?.conditions?.find(
    (c) => c.type === "Ready" && c.status === "False",
  );
  const severity = old?.severity === "Error" || old?.severity === "Warning" ? old.severity : "Info";
  return {
    drafts: [no("VirtualMachineProvisioned", reason, message)],
    old: [oldNo("VMProvisioned", severity, old?.reason ?? reason, old?.message ?? message)],
  };
}

async function vmOf(
  deps: CapiDeps,
  object: VSphereMachine,
  machine: Machine,
  cluster: Cluster,
): Promise<VSphereVM> {
  const infra = await infraClusterOf(deps, cluster);
  const { namespace = "", name } = object.metadata;
  const { providerID: _providerID, failureDomain: _failureDomain, namingStrategy: _, ...spec } = object.spec;
  const { dataSecretName } = machine.spec.bootstrap;
  // What the machine is silent about is the VSphereCluster's, now as when the VM was made.
  const way = {
    server: spec.server ?? infra?.spec.server,
    thumbprint: spec.thumbprint ?? infra?.spec.thumbprint,
  };
  const vm = await ensure(deps.store, vsphereVM, {
    metadata: {
      name,
      namespace,
      labels: {
        [clusterNameLabel]: cluster.metadata.name,
        ...(isControlPlane(machine) ? { [controlPlaneLabel]: "" } : {}),
      },
      ownerReferences: [ownerReference(vsphereMachine, object)],
    },
    spec: {
      os: "Linux",
      ...spec,
      ...way,
      ...(dataSecretName ? { bootstrapRef: { name: dataSecretName } } : {}),
    },
  });
  return (await edit(deps.store, vsphereVM, vm, (o) => Object.assign(o.spec, way))) ?? vm;
}

async function removeMachine(deps: CapiDeps, object: VSphereMachine): Promise<Result> {
  const vm = await deps.store.get(vsphereVM, keyOf(object));
  await report(deps, object, {
    drafts: [no("VirtualMachineProvisioned", "Deleting", vm ? (fromVm(vm).drafts[0]?.message ?? "") : "")],
    old: [oldNo("VMProvisioned", "Info", "Deleting")],
  });
  if (vm) {
    await remove(deps.store, vsphereVM, vm);
    return later(deps.knobs.healthMs);
  }
  await edit(deps.store, vsphereMachine, object, (o) => dropFinalizer(o, finalizers.vsphereMachine));
  return {};
}
