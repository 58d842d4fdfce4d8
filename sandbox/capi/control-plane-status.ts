// How a control plane says it is. Pure. Conditions, reasons and messages as the golden objects show them (Cluster API 1.13).
import { isBootstrapReady, type KubeadmControlPlane, type Machine } from "#proto";
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
import { machineHealth, waiting, type ControlPlaneSeen } from "./control-plane-health.ts";
import { isUpToDate } from "./control-plane-plan.ts";
import { awaitsRemediation } from "./machine-health.ts";

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
