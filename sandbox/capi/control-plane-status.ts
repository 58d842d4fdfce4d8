// How a control plane says it is, and what it does next about its machines. Pure.
import { isDeleting } from "#core";
import {
  isBootstrapReady,
  type Cluster,
  type KubeadmControlPlane,
  type Machine,
  type Node,
  type Pod,
} from "#proto";
import {
  aggregate,
  no,
  oldNo,
  oldSummary,
  oldYes,
  part,
  unknown,
  withConditions,
  withOldConditions,
  yes,
  type Draft,
  type OldDraft,
} from "./conditions.ts";
import { pausedCondition } from "./context.ts";
import { awaitsRemediation } from "./machine-health.ts";
import { annotations } from "./names.ts";

export interface ControlPlaneSeen {
  readonly cluster: Cluster;
  /** Oldest first. */
  readonly machines: readonly Machine[];
  /** How many machines of the cluster are not control planes. */
  readonly others: number;
  readonly externalEtcd: boolean;
  /** Why no machine can be made: "VSphereMachineTemplate does not exist". */
  readonly blocked?: string;
  /** The workload cluster from inside; absent while its API does not answer. */
  readonly world?: {
    readonly initialized: boolean;
    readonly nodes: readonly Node[];
    readonly pods: readonly Pod[];
  };
}

export type ReplicaStep =
  | { readonly do: "create"; readonly first: boolean }
  | { readonly do: "delete"; readonly machine: Machine }
  | { readonly do: "wait"; readonly why: string }
  | { readonly do: "nothing" };

/** The next change of the set of machines, if any is due and may be made now (P1). */
export function planReplicas(object: KubeadmControlPlane, seen: ControlPlaneSeen): ReplicaStep {
  const { machines } = seen;
  const desired = object.spec.replicas;
  if (seen.blocked && machines.length < desired) return { do: "wait", why: seen.blocked };
  if (machines.length === 0)
    return desired > 0 ? { do: "create", first: !seen.world?.initialized } : { do: "nothing" };
  const broken = machines.find(awaitsRemediation);
  if (broken && mayRemediate(broken, seen)) return { do: "delete", machine: broken };
  const outdated = machines.filter((m) => !isUpToDate(object, m));
  const surging = machines.length > desired && outdated.length > 0;
  const shrinking = machines.length > desired;
  const growing = machines.length < desired || (outdated.length > 0 && !surging);
  if (!growing && !shrinking) return { do: "nothing" };
  const why = notReadyForChange(seen);
  if (why) return { do: "wait", why };
  if (growing) return { do: "create", first: false };
  const [victim = machines[0]] = outdated;
  return victim ? { do: "delete", machine: victim } : { do: "nothing" };
}

/** KCP gives up on a machine only when others keep the quorum, and one at a time. */
function mayRemediate(broken: Machine, { machines, world }: ControlPlaneSeen): boolean {
  if (!world?.initialized || machines.length < 2 || machines.some(isDeleting)) return false;
  const healthy = machines.filter((m) => m !== broken && !awaitsRemediation(m) && m.status?.nodeRef).length;
  return healthy >= Math.floor((machines.length - 1) / 2) + 1;
}

/** Why no machine may be added or removed now. */
function notReadyForChange(seen: ControlPlaneSeen): string | undefined {
  if (!seen.world?.initialized) return "the control plane is not initialized";
  for (const machine of seen.machines) {
    if (isDeleting(machine)) return `Machine ${machine.metadata.name} is deleting`;
    const node = nodeOf(machine, seen);
    if (!node || !machine.status?.nodeRef) return `Machine ${machine.metadata.name} has no Node yet`;
    const broken = machineHealth(machine, seen).find(
      (c) => c.type.endsWith("Healthy") && c.status !== "True",
    );
    if (broken)
      return `Machine ${machine.metadata.name} reports ${broken.type} condition is ${broken.status}`;
  }
  return undefined;
}

export function isUpToDate(object: KubeadmControlPlane, machine: Machine): boolean {
  const template = machine.metadata.annotations?.[annotations.clonedFromName];
  return (
    machine.spec.version === object.spec.version &&
    (template === undefined || template === object.spec.machineTemplate.spec.infrastructureRef.name)
  );
}

function nodeOf(machine: Machine, { world }: ControlPlaneSeen): Node | undefined {
  const { providerID } = machine.spec;
  return providerID ? world?.nodes.find((node) => node.spec?.providerID === providerID) : undefined;
}

const waiting = "Waiting for Cluster control plane to be initialized";

const components = [
  ["APIServerPodHealthy", "kube-apiserver"],
  ["ControllerManagerPodHealthy", "kube-controller-manager"],
  ["SchedulerPodHealthy", "kube-scheduler"],
  ["EtcdPodHealthy", "etcd"],
] as const;

/** The conditions that KCP writes on a Machine. */
export function machineHealth(machine: Machine, seen: ControlPlaneSeen): Draft[] {
  const managed = components.filter(([, name]) => name !== "etcd" || !seen.externalEtcd);
  const types = [
    "NodeKubeadmLabelsAndTaintsSet",
    ...managed.map(([type]) => type),
    ...(seen.externalEtcd ? [] : ["EtcdMemberHealthy"]),
  ];
  const upToDate = yes("UpToDate", "UpToDate");
  if (!seen.world?.initialized)
    return [upToDate, ...types.map((type) => unknown(type, "InspectionFailed", waiting))];
  const node = nodeOf(machine, seen);
  if (!node) {
    const message = "Waiting for a Node with spec.providerID to exist";
    return [upToDate, ...types.map((type) => unknown(type, "InspectionFailed", message))];
  }
  const pods = managed.map(([type, name]) => podHealth(type, `${name}-${node.metadata.name}`, seen));
  const member = pods.every((p) => p.status === "True")
    ? yes("EtcdMemberHealthy", "Healthy")
    : unknown("EtcdMemberHealthy", "InspectionFailed", "Failed to connect to etcd");
  return [upToDate, labelsAndTaints(node), ...pods, ...(seen.externalEtcd ? [] : [member])];
}

function labelsAndTaints(node: Node): Draft {
  const type = "NodeKubeadmLabelsAndTaintsSet";
  const key = "node-role.kubernetes.io/control-plane";
  const name = node.metadata.name;
  if (node.metadata.labels?.[key] === undefined)
    return no(type, "NotSet", `Node ${name} does not have the ${key} label`);
  if (!node.spec?.taints?.some((t) => t.key === key && t.effect === "NoSchedule"))
    return no(type, "NotSet", `Node ${name} does not have the ${key}:NoSchedule taint`);
  return yes(type, "Set");
}

function podHealth(type: string, name: string, { world }: ControlPlaneSeen): Draft {
  const pod = world?.pods.find((p) => p.metadata.name === name);
  if (!pod) return no(type, "DoesNotExist", `Pod ${name} does not exist`);
  const ready = pod.status?.conditions?.some((c) => c.type === "Ready" && c.status === "True");
  return pod.status?.phase === "Running" && ready
    ? yes(type, "Running")
    : no(type, "Provisioning", `Pod ${name} is not running`);
}

/** The same, for contract v1beta1; nothing while the control plane is not initialized. */
export function oldMachineHealth(machine: Machine, seen: ControlPlaneSeen): OldDraft[] {
  if (!seen.world?.initialized) return [];
  return machineHealth(machine, seen)
    .filter((c) => c.type.endsWith("Healthy"))
    .map((c) =>
      c.status === "True"
        ? oldYes(c.type)
        : { type: c.type, status: c.status, reason: c.reason, ...(c.message ? { message: c.message } : {}) },
    );
}

const order = [
  "Available",
  "CertificatesAvailable",
  "Initialized",
  "EtcdClusterHealthy",
  "ControlPlaneComponentsHealthy",
  "RollingOut",
  "Remediating",
  "ScalingDown",
  "ScalingUp",
  "MachinesReady",
  "MachinesUpToDate",
  "Paused",
  "Deleting",
];

type Status = NonNullable<KubeadmControlPlane["status"]>;

export function controlPlaneStatus(object: KubeadmControlPlane, seen: ControlPlaneSeen, at: string): Status {
  const have: Status = object.status ?? {};
  const { machines } = seen;
  const desired = object.spec.replicas;
  const initialized =
    have.initialization?.controlPlaneInitialized === true || seen.world?.initialized === true;
  const count = (type: string) =>
    machines.filter((m) => m.status?.conditions?.some((c) => c.type === type && c.status === "True")).length;
  const counters = {
    replicas: machines.length,
    readyReplicas: count("Ready"),
    availableReplicas: count("Available"),
    upToDateReplicas: machines.filter((m) => isUpToDate(object, m)).length,
  };
  const drafts = statusDrafts(object, seen, initialized);
  const old = oldDrafts(object, seen, initialized, have);
  const joined = machines.filter((m) => m.status?.nodeRef).length;
  return {
    ...have,
    ...counters,
    conditions: withConditions(have.conditions, drafts, order, object.metadata.generation, at),
    deprecated: {
      v1beta1: {
        conditions: withOldConditions(have.deprecated?.v1beta1?.conditions, old, at),
        readyReplicas: joined,
        unavailableReplicas: Math.max(0, desired - joined),
        updatedReplicas: counters.upToDateReplicas,
      },
    },
    // Upstream moves it only at the end of a round that has nothing left to wait for.
    ...(initialized
      ? { initialization: { controlPlaneInitialized: true }, observedGeneration: object.metadata.generation }
      : {}),
    selector: `cluster.x-k8s.io/cluster-name=${seen.cluster.metadata.name},cluster.x-k8s.io/control-plane`,
    version: lowestVersion(machines) ?? object.spec.version,
  };
}

function lowestVersion(machines: readonly Machine[]): string | undefined {
  return machines
    .map((m) => m.spec.version)
    .filter((v) => v !== undefined)
    .sort((a, b) => a.localeCompare(b, "en", { numeric: true }))[0];
}

function statusDrafts(object: KubeadmControlPlane, seen: ControlPlaneSeen, initialized: boolean): Draft[] {
  const { machines, cluster } = seen;
  const desired = object.spec.replicas;
  const outdated = machines.filter((m) => !isUpToDate(object, m)).length;
  const scaling = `from ${machines.length} to ${desired} replicas`;
  const readyParts = machines.map((m) => part(m.status?.conditions, "Ready", m.metadata.name));
  const upToDateParts = machines.map((m) => part(m.status?.conditions, "UpToDate", m.metadata.name));
  const health = machines.flatMap((m) => machineHealth(m, seen));
  const sound = (suffix: RegExp) =>
    health.filter((c) => suffix.test(c.type)).every((c) => c.status === "True");
  return [
    availability(seen, initialized, machines.length),
    yes("CertificatesAvailable", "Available"),
    initialized ? yes("Initialized", "Initialized") : no("Initialized", "NotInitialized"),
    seen.externalEtcd || !initialized
      ? unknown("EtcdClusterHealthy", "InspectionFailed", waiting)
      : sound(/^Etcd/)
        ? yes("EtcdClusterHealthy", "Healthy")
        : unknown("EtcdClusterHealthy", "HealthUnknown"),
    !initialized
      ? unknown("ControlPlaneComponentsHealthy", "InspectionFailed", waiting)
      : sound(/^(APIServer|Controller|Scheduler|EtcdPod)/)
        ? yes("ControlPlaneComponentsHealthy", "Healthy")
        : unknown("ControlPlaneComponentsHealthy", "HealthUnknown"),
    outdated > 0
      ? yes("RollingOut", "RollingOut", `Rolling out ${outdated} not up-to-date replicas`)
      : no("RollingOut", "NotRollingOut"),
    remediating(machines),
    machines.length > desired
      ? yes("ScalingDown", "ScalingDown", `Scaling down ${scaling}`)
      : no("ScalingDown", "NotScalingDown"),
    machines.length < desired
      ? yes(
          "ScalingUp",
          "ScalingUp",
          `Scaling up ${scaling}${seen.blocked ? ` is blocked because ${seen.blocked}` : ""}`,
        )
      : no("ScalingUp", "NotScalingUp"),
    aggregate("MachinesReady", "Machine", readyParts),
    aggregate("MachinesUpToDate", "Machine", upToDateParts, {
      yes: "UpToDate",
      no: "NotUpToDate",
      unknown: "UpToDateUnknown",
      none: "NoReplicas",
    }),
    pausedCondition("KubeadmControlPlane", cluster, object),
    object.metadata.deletionTimestamp
      ? yes("Deleting", seen.others > 0 ? "WaitingForWorkersDeletion" : "WaitingForMachineDeletion")
      : no("Deleting", "NotDeleting"),
  ];
}

function remediating(machines: readonly Machine[]): Draft {
  const broken = machines.filter(awaitsRemediation).map((m) => m.metadata.name);
  if (broken.length === 0) return no("Remediating", "NotRemediating");
  return yes("Remediating", "Remediating", `* Machines ${broken.join(", ")}: OwnerRemediated is False`);
}

function availability(seen: ControlPlaneSeen, initialized: boolean, count: number): Draft {
  if (!initialized) return no("Available", "NotAvailable", "Control plane not yet initialized");
  if (count === 0) return no("Available", "NotAvailable", "There are no control plane Machines");
  if (!seen.world) return unknown("Available", "InspectionFailed", "Failed to reach the workload cluster");
  const sound = seen.machines.some((m) =>
    machineHealth(m, seen)
      .filter((c) => c.type.endsWith("PodHealthy") || c.type === "EtcdMemberHealthy")
      .every((c) => c.status === "True"),
  );
  return sound
    ? yes("Available", "Available")
    : no(
        "Available",
        "NotAvailable",
        "* There are no Machines with healthy control plane components, at least 1 required",
      );
}

function oldDrafts(
  object: KubeadmControlPlane,
  seen: ControlPlaneSeen,
  initialized: boolean,
  have: Status,
): OldDraft[] {
  const { machines } = seen;
  const desired = object.spec.replicas;
  const allReady =
    machines.length === desired &&
    machines.every((m) => m.status?.conditions?.some((c) => c.type === "Ready" && c.status === "True"));
  const before = have.deprecated?.v1beta1?.conditions?.find((c) => c.type === "Resized");
  const resized = allReady
    ? oldYes("Resized")
    : machines.length < desired
      ? oldNo(
          "Resized",
          "Warning",
          "ScalingUp",
          `Scaling up control plane to ${desired} replicas (actual ${machines.length})`,
        )
      : machines.length > desired
        ? oldNo(
            "Resized",
            "Warning",
            "ScalingDown",
            `Scaling down control plane to ${desired} replicas (actual ${machines.length})`,
          )
        : before && withoutTime(before);
  const available = initialized ? oldYes("Available") : oldNo("Available", "Info", "WaitingForKubeadmInit");
  const certificates = oldYes("CertificatesAvailable");
  const booted = machines.length > 0 && machines.every(isBootstrapReady);
  return [
    oldSummary([available, certificates, resized]),
    available,
    certificates,
    ...(machines.length > 0 ? [oldYes("MachinesCreated")] : []),
    ...(booted ? [oldYes("MachinesReady")] : []),
    ...(resized ? [resized] : []),
    ...(seen.world?.initialized && machines.length > 0
      ? [oldYes("ControlPlaneComponentsHealthy"), oldYes("EtcdClusterHealthy")]
      : []),
  ];
}

function withoutTime({
  lastTransitionTime: _,
  ...draft
}: OldDraft & { readonly lastTransitionTime: string }): OldDraft {
  return draft;
}
