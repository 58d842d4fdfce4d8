// How a Cluster says it is. Pure. Conditions, reasons and messages as the golden objects show them (Cluster API 1.13).
import type { Resource } from "#core";
import {
  conditionsOf,
  isControlPlaneInitialized,
  isInfrastructureReady,
  replicaCounters,
  type Cluster,
  type KubeadmControlPlane,
  type Machine,
  type MachineDeployment,
  type VSphereCluster,
} from "#proto";
import {
  aggregate,
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
  type Part,
} from "./conditions.ts";
import { pausedCondition } from "./context.ts";

export interface ClusterSeen {
  readonly infra?: VSphereCluster;
  readonly controlPlane?: KubeadmControlPlane;
  readonly deployments: readonly MachineDeployment[];
  readonly controlPlaneMachines: readonly Machine[];
  readonly workers: readonly Machine[];
  /** The workload's API answered just now. */
  readonly reachable: boolean;
}

const order = [
  "Available",
  "RemoteConnectionProbe",
  "InfrastructureReady",
  "ControlPlaneInitialized",
  "ControlPlaneAvailable",
  "WorkersAvailable",
  "RollingOut",
  "Remediating",
  "ScalingDown",
  "ScalingUp",
  "ControlPlaneMachinesReady",
  "WorkerMachinesReady",
  "ControlPlaneMachinesUpToDate",
  "WorkerMachinesUpToDate",
  "Paused",
  "Deleting",
];

type Status = NonNullable<Cluster["status"]>;

export function clusterStatus(object: Cluster, seen: ClusterSeen, at: string): Status {
  const have: Status = object.status ?? {};
  const initialization = {
    ...have.initialization,
    ...(seen.infra && isInfrastructureReady(seen.infra) ? { infrastructureProvisioned: true } : {}),
    ...(seen.controlPlane && isControlPlaneInitialized(seen.controlPlane)
      ? { controlPlaneInitialized: true }
      : {}),
  };
  const { generation } = object.metadata;
  const drafts = statusDrafts(object, seen, initialization);
  const list = withConditions(have.conditions, drafts, order, generation, at);
  const available = summary(
    "Available",
    [
      ...(object.metadata.deletionTimestamp ? [deletingPart] : []),
      ...["RemoteConnectionProbe", "InfrastructureReady", "ControlPlaneAvailable", "WorkersAvailable"].map(
        (type) => part(list, type),
      ),
    ],
    { yes: "Available", no: "NotAvailable", unknown: "AvailableUnknown" },
  );
  const old = oldDrafts(seen, initialization);
  return {
    ...have,
    conditions: withConditions(list, [available], order, generation, at),
    controlPlane: counters(seen.controlPlane ? [seen.controlPlane] : []),
    workers: counters(seen.deployments),
    deprecated: { v1beta1: { conditions: withOldConditions(have.deprecated?.v1beta1?.conditions, old, at) } },
    ...(Object.keys(initialization).length > 0 ? { initialization } : {}),
    observedGeneration: generation,
    phase: phaseOf(object, initialization),
  };
}

const deletingPart: Part = {
  name: "Deleting",
  status: "False",
  reason: "Deleting",
  message: "Cluster deletion in progress",
};

interface Initialization {
  readonly infrastructureProvisioned?: boolean | undefined;
  readonly controlPlaneInitialized?: boolean | undefined;
}

function phaseOf(object: Cluster, initialization: Initialization): string {
  if (object.metadata.deletionTimestamp) return "Deleting";
  if (initialization.infrastructureProvisioned && object.spec.controlPlaneEndpoint?.host)
    return "Provisioned";
  return object.spec.infrastructureRef ? "Provisioning" : "Pending";
}

function counters(objects: readonly (KubeadmControlPlane | MachineDeployment)[]) {
  const all = objects.map((object) => replicaCounters(object));
  const sum = (of: (c: (typeof all)[number]) => number) => all.reduce((total, c) => total + of(c), 0);
  return {
    availableReplicas: sum((c) => c.available),
    desiredReplicas: sum((c) => c.desired),
    readyReplicas: sum((c) => c.ready),
    replicas: sum((c) => c.replicas),
    upToDateReplicas: sum((c) => c.upToDate),
  };
}

function statusDrafts(object: Cluster, seen: ClusterSeen, initialization: Initialization): Draft[] {
  const { infra, controlPlane, controlPlaneMachines, workers } = seen;
  const mirrored = (type: string, of: string, from: Resource | undefined, missing: string): Draft => {
    if (!from) return no(type, "DoesNotExist", missing);
    const { status, reason, message } = part(conditionsOf(from), of);
    return { type, status, reason, message };
  };
  const machines = (type: string, of: string, list: readonly Machine[]) =>
    aggregate(
      type,
      "Machine",
      list.map((m) => part(m.status?.conditions, of, m.metadata.name)),
      of === "Ready"
        ? { yes: "Ready", no: "NotReady", unknown: "ReadyUnknown", none: "NoReplicas" }
        : { yes: "UpToDate", no: "NotUpToDate", unknown: "UpToDateUnknown", none: "NoReplicas" },
    );
  return [
    seen.reachable
      ? yes("RemoteConnectionProbe", "ProbeSucceeded")
      : no("RemoteConnectionProbe", "ProbeFailed", "Remote connection not established yet"),
    mirrored("InfrastructureReady", "Ready", infra, "VSphereCluster does not exist"),
    initialization.controlPlaneInitialized
      ? yes("ControlPlaneInitialized", "Initialized")
      : no("ControlPlaneInitialized", "NotInitialized", "Control plane not yet initialized"),
    mirrored("ControlPlaneAvailable", "Available", controlPlane, "KubeadmControlPlane does not exist"),
    aggregate(
      "WorkersAvailable",
      "MachineDeployment",
      seen.deployments.map((md) => part(md.status?.conditions, "Available", md.metadata.name)),
      { yes: "Available", no: "NotAvailable", unknown: "AvailableUnknown", none: "NoWorkers" },
    ),
    ongoing("RollingOut", seen),
    ongoing("Remediating", seen),
    ongoing("ScalingDown", seen),
    ongoing("ScalingUp", seen),
    machines("ControlPlaneMachinesReady", "Ready", controlPlaneMachines),
    machines("WorkerMachinesReady", "Ready", workers),
    machines("ControlPlaneMachinesUpToDate", "UpToDate", controlPlaneMachines),
    machines("WorkerMachinesUpToDate", "UpToDate", workers),
    pausedCondition("Cluster", object, object),
    object.metadata.deletionTimestamp ? yes("Deleting", waitsFor(seen)) : no("Deleting", "NotDeleting"),
  ];
}

function waitsFor(seen: ClusterSeen): string {
  if (seen.workers.length > 0 || seen.deployments.length > 0) return "WaitingForWorkersDeletion";
  if (seen.controlPlane || seen.controlPlaneMachines.length > 0) return "WaitingForControlPlaneDeletion";
  return seen.infra ? "WaitingForInfrastructureDeletion" : "DeletionCompleted";
}

/** A condition that is True while something goes on in any part. */
function ongoing(type: string, { controlPlane, deployments }: ClusterSeen): Draft {
  const parts = [...(controlPlane ? [controlPlane] : []), ...deployments]
    .map((object) => ({ object, found: part(object.status?.conditions, type) }))
    .filter(({ found }) => found.status === "True");
  const message = parts.map(
    ({ object, found }) => `* ${object.kind} ${object.metadata.name}: ${found.message}`,
  );
  return parts.length > 0 ? yes(type, type, message.join("\n")) : no(type, `Not${type}`);
}

function oldDrafts({ infra, controlPlane }: ClusterSeen, initialization: Initialization): OldDraft[] {
  const infrastructure =
    infra && isInfrastructureReady(infra)
      ? oldYes("InfrastructureReady", { reason: "Ready" })
      : oldNo("InfrastructureReady", "Info", "WaitingForInfrastructure");
  const initialized = initialization.controlPlaneInitialized
    ? oldYes("ControlPlaneInitialized")
    : oldNo(
        "ControlPlaneInitialized",
        "Info",
        "WaitingForControlPlaneProviderInitialized",
        "Waiting for control plane provider to indicate the control plane has been initialized",
      );
  const ready =
    controlPlane && isControlPlaneInitialized(controlPlane)
      ? oldYes("ControlPlaneReady")
      : oldNo("ControlPlaneReady", "Info", "WaitingForControlPlane");
  return [oldSummary([ready, infrastructure]), initialized, ready, infrastructure];
}
