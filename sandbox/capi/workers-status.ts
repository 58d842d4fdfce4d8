// How MachineSets and MachineDeployments say they are. Pure. Reasons and messages as the golden objects show them.
import { formatSelector, matchLabels } from "#core";
import {
  isBootstrapReady,
  type Cluster,
  type Machine,
  type MachineDeployment,
  type MachineSet,
} from "#proto";
import {
  aggregate,
  no,
  oldNo,
  oldYes,
  part,
  withConditions,
  withOldConditions,
  yes,
  type Draft,
} from "./conditions.ts";
import { pausedCondition } from "./context.ts";

const order = [
  "Available",
  "RollingOut",
  "Remediating",
  "ScalingDown",
  "ScalingUp",
  "MachinesReady",
  "MachinesUpToDate",
  "Paused",
  "Deleting",
];

function isTrue(machine: Machine, type: string): boolean {
  return machine.status?.conditions?.some((c) => c.type === type && c.status === "True") ?? false;
}

/** "KubeadmConfigTemplate and VSphereMachineTemplate do not exist", as upstream words it; undefined when both are there. */
export function missingTemplates(kinds: readonly string[]): string | undefined {
  if (kinds.length === 0) return undefined;
  return `${kinds.join(" and ")} ${kinds.length > 1 ? "do" : "does"} not exist`;
}

function scalingDrafts(have: number, desired: number, blocked: string | undefined): Draft[] {
  const because = blocked ? ` is blocked because ${blocked}` : "";
  return [
    no("Remediating", "NotRemediating"),
    have > desired
      ? yes("ScalingDown", "ScalingDown", `Scaling down from ${have} to ${desired} replicas`)
      : no("ScalingDown", "NotScalingDown"),
    have < desired
      ? yes("ScalingUp", "ScalingUp", `Scaling up from ${have} to ${desired} replicas${because}`)
      : no("ScalingUp", "NotScalingUp"),
  ];
}

function machineDrafts(machines: readonly Machine[]): Draft[] {
  const of = (type: string) => machines.map((m) => part(m.status?.conditions, type, m.metadata.name));
  return [
    aggregate("MachinesReady", "Machine", of("Ready")),
    aggregate("MachinesUpToDate", "Machine", of("UpToDate"), {
      yes: "UpToDate",
      no: "NotUpToDate",
      unknown: "UpToDateUnknown",
      none: "NoReplicas",
    }),
  ];
}

function deletingDraft(object: MachineSet | MachineDeployment, machines: number): Draft {
  if (!object.metadata.deletionTimestamp) return no("Deleting", "NotDeleting");
  return yes("Deleting", "Deleting", `Deleting ${machines} Machine${machines === 1 ? "" : "s"}`);
}

function selectorText(labels: Readonly<Record<string, string>> = {}): string {
  return formatSelector(matchLabels(Object.fromEntries(Object.entries(labels).sort())));
}

/** Nodes that the old contract counts as ready. */
function joined(machines: readonly Machine[]): number {
  return machines.filter((m) => m.status?.nodeRef).length;
}

type SetStatus = NonNullable<MachineSet["status"]>;

export function machineSetStatus(
  object: MachineSet,
  cluster: Cluster,
  machines: readonly Machine[],
  blocked: string | undefined,
  at: string,
): SetStatus {
  const have: SetStatus = object.status ?? {};
  const desired = object.spec.replicas;
  const drafts = [
    ...scalingDrafts(machines.length, desired, blocked),
    ...machineDrafts(machines),
    pausedCondition("MachineSet", cluster, object),
    deletingDraft(object, machines.length),
  ];
  const ready = joined(machines);
  const scaling = oldNo(
    "Resized",
    "Warning",
    "ScalingUp",
    `Scaling up MachineSet to ${desired} replicas (actual ${ready})`,
  );
  const booted = machines.filter(isBootstrapReady).length;
  const unready = machines.find((m) => !isBootstrapReady(m))?.metadata.name;
  const resized = ready === desired ? oldYes("Resized") : scaling;
  const old = [
    { ...resized, type: "Ready" },
    oldYes("MachinesCreated"),
    booted === machines.length
      ? oldYes("MachinesReady")
      : oldNo(
          "MachinesReady",
          undefined,
          `NotReady @ Machine/${unready}`,
          `${booted} of ${machines.length} completed`,
        ),
    resized,
  ];
  return {
    ...have,
    replicas: machines.length,
    readyReplicas: machines.filter((m) => isTrue(m, "Ready")).length,
    availableReplicas: machines.filter((m) => isTrue(m, "Available")).length,
    upToDateReplicas: machines.length,
    conditions: withConditions(have.conditions, drafts, order, object.metadata.generation, at),
    deprecated: {
      v1beta1: {
        conditions: withOldConditions(have.deprecated?.v1beta1?.conditions, old, at),
        availableReplicas: ready,
        fullyLabeledReplicas: machines.length,
        readyReplicas: ready,
      },
    },
    observedGeneration: object.metadata.generation,
    selector: selectorText(object.spec.selector.matchLabels),
  };
}

type DeploymentStatus = NonNullable<MachineDeployment["status"]>;

export function machineDeploymentStatus(
  object: MachineDeployment,
  cluster: Cluster,
  machines: readonly Machine[],
  upToDate: number,
  blocked: string | undefined,
  at: string,
): DeploymentStatus {
  const have: DeploymentStatus = object.status ?? {};
  const desired = object.spec.replicas;
  const outdated = machines.length - upToDate;
  const drafts = [
    availability(object, machines),
    outdated > 0
      ? yes("RollingOut", "RollingOut", `Rolling out ${outdated} not up-to-date replicas`)
      : no("RollingOut", "NotRollingOut"),
    ...scalingDrafts(machines.length, desired, blocked),
    ...machineDrafts(machines),
    pausedCondition("MachineDeployment", cluster, object),
    deletingDraft(object, machines.length),
  ];
  const ready = joined(machines);
  const enough = ready >= desired - unavailableAllowed(object);
  const message = `Minimum availability requires ${desired} replicas, current ${ready} available`;
  const available = enough
    ? oldYes("Available")
    : oldNo("Available", "Warning", "WaitingForAvailableMachines", message);
  const setReady =
    ready === desired
      ? oldYes("MachineSetReady")
      : oldNo(
          "MachineSetReady",
          "Warning",
          "ScalingUp",
          `Scaling up MachineSet to ${desired} replicas (actual ${ready})`,
        );
  const old = [{ ...available, type: "Ready" }, available, setReady];
  return {
    ...have,
    replicas: machines.length,
    readyReplicas: machines.filter((m) => isTrue(m, "Ready")).length,
    availableReplicas: machines.filter((m) => isTrue(m, "Available")).length,
    upToDateReplicas: upToDate,
    conditions: withConditions(have.conditions, drafts, order, object.metadata.generation, at),
    deprecated: {
      v1beta1: {
        availableReplicas: ready,
        conditions: withOldConditions(have.deprecated?.v1beta1?.conditions, old, at),
        readyReplicas: ready,
        unavailableReplicas: Math.max(0, desired - ready),
        updatedReplicas: upToDate,
      },
    },
    observedGeneration: object.metadata.generation,
    phase: phaseOf(object, machines.length, desired),
    selector: selectorText(object.spec.selector.matchLabels),
  };
}

function phaseOf(object: MachineDeployment, have: number, desired: number): string {
  if (object.metadata.deletionTimestamp) return "Deleting";
  if (have < desired) return "ScalingUp";
  return have > desired ? "ScalingDown" : "Running";
}

function unavailableAllowed(object: MachineDeployment): number {
  const value = object.spec.rollout?.strategy?.rollingUpdate?.maxUnavailable ?? 0;
  return typeof value === "number"
    ? value
    : Math.floor((Number.parseInt(value, 10) / 100) * object.spec.replicas);
}

function availability(object: MachineDeployment, machines: readonly Machine[]): Draft {
  const desired = object.spec.replicas;
  const allowed = unavailableAllowed(object);
  const least = desired - allowed;
  const have = machines.filter((m) => isTrue(m, "Available")).length;
  if (have >= least) return yes("Available", "Available");
  return no(
    "Available",
    "NotAvailable",
    `${have} available replicas, at least ${least} required ` +
      `(spec.strategy.rollout.maxUnavailable is ${allowed}, spec.replicas is ${desired})`,
  );
}
