// How a Machine says it is. Pure: from what was seen to conditions of both contracts and a phase.
// Names, reasons and messages: Cluster API 1.13, internal/controllers/machine, as the golden objects show them.
import type { Condition } from "#core";
import {
  isBootstrapReady,
  isControlPlaneInitialized,
  isInfrastructureReady,
  type Cluster,
  type KubeadmConfig,
  type Machine,
  type Node,
  type VSphereMachine,
} from "#proto";
import {
  no,
  oldNo,
  oldYes,
  part,
  summary,
  unknown,
  withConditions,
  withoutConditions,
  yes,
  type Draft,
  type OldDraft,
  type Part,
} from "./conditions.ts";
import { isControlPlane } from "./names.ts";

export interface MachineSeen {
  readonly cluster: Cluster;
  readonly config?: KubeadmConfig;
  readonly infra?: VSphereMachine;
  readonly node?: Node;
  /** Only the Paused condition is written. */
  readonly paused?: boolean;
  /** What the deletion waits for; absent while not deleting. */
  readonly deleting?: string;
}

/** The order of a Machine's conditions, whoever writes them. */
export const machineOrder = [
  "Available",
  "Ready",
  "UpToDate",
  "BootstrapConfigReady",
  "InfrastructureReady",
  "NodeHealthy",
  "NodeReady",
  "NodeKubeadmLabelsAndTaintsSet",
  "APIServerPodHealthy",
  "ControllerManagerPodHealthy",
  "SchedulerPodHealthy",
  "EtcdPodHealthy",
  "EtcdMemberHealthy",
  "HealthCheckSucceeded",
  "OwnerRemediated",
  "Updating",
  "Paused",
  "Deleting",
];

const componentConditions = [
  "APIServerPodHealthy",
  "ControllerManagerPodHealthy",
  "SchedulerPodHealthy",
  "EtcdPodHealthy",
  "EtcdMemberHealthy",
];

export function machineConditions(
  object: Machine,
  seen: MachineSeen,
  paused: Draft,
  at: string,
): Condition[] {
  const { generation } = object.metadata;
  const have = object.status?.conditions;
  if (seen.paused) return withConditions(have, [paused], machineOrder, generation, at);
  const nodeDrafts = nodeConditions(object, seen);
  const parts: Draft[] = [
    bootstrapCondition(seen),
    infrastructureCondition(seen),
    ...nodeDrafts,
    no("Updating", "NotUpdating"),
    paused,
    seen.deleting ? yes("Deleting", seen.deleting) : no("Deleting", "NotDeleting"),
  ];
  const list = withConditions(withoutConditions(have, []), parts, machineOrder, generation, at);
  const ready = readyCondition(object, list, seen);
  const available = ready.status === "True" ? yes("Available", "Available") : no("Available", "NotReady");
  const withReady = withConditions(list, [available, ready], machineOrder, generation, at);
  return withReady.map((condition) => movedBack(condition, seen.node));
}

/** NodeReady keeps the Node's own transition time. */
function movedBack(condition: Condition, node: Node | undefined): Condition {
  if (condition.type !== "NodeReady" || !node) return condition;
  const at = node.status?.conditions?.find((c) => c.type === "Ready")?.lastTransitionTime;
  return at ? { ...condition, lastTransitionTime: at } : condition;
}

function bootstrapCondition({ config }: MachineSeen): Draft {
  if (!config) return no("BootstrapConfigReady", "DoesNotExist", "KubeadmConfig does not exist");
  return mirrored("BootstrapConfigReady", config.status?.conditions);
}

function infrastructureCondition({ infra, deleting }: MachineSeen): Draft {
  if (!infra && deleting) return no("InfrastructureReady", "Deleted", "VSphereMachine has been deleted");
  if (!infra) return no("InfrastructureReady", "DoesNotExist", "VSphereMachine does not exist");
  return mirrored("InfrastructureReady", infra.status?.conditions);
}

/** The Ready condition of an object below, under another name. */
function mirrored(type: string, conditions: readonly Condition[] | undefined): Draft {
  const { status, reason, message } = part(conditions, "Ready");
  return { type, status, reason, message };
}

const waitingForControlPlane = "Waiting for Cluster control plane to be initialized";

function nodeConditions(object: Machine, { cluster, node, infra }: MachineSeen): Draft[] {
  if (!isControlPlaneInitialized(cluster))
    return ["NodeHealthy", "NodeReady"].map((type) =>
      unknown(type, "InspectionFailed", waitingForControlPlane),
    );
  if (!node) {
    const providerID = infra?.spec.providerID ?? object.spec.providerID;
    const lost = object.status?.nodeRef !== undefined;
    const message = lost
      ? `Node ${object.status?.nodeRef?.name} has been deleted while the Machine still exists`
      : providerID
        ? `Waiting for a Node with spec.providerID ${providerID} to exist`
        : `Waiting for VSphereMachine to report spec.providerID`;
    const reason = lost ? "NodeDeleted" : "InspectionFailed";
    return ["NodeHealthy", "NodeReady"].map((type) =>
      lost ? no(type, reason, message) : unknown(type, reason, message),
    );
  }
  return [nodeHealthy(node), nodeReady(node)];
}

/** Ready as it is, the three pressures as they should not be. */
function nodeHealthy(node: Node): Draft {
  const conditions = node.status?.conditions ?? [];
  const issues: Part[] = [];
  for (const [type, wanted] of [
    ["Ready", "True"],
    ["MemoryPressure", "False"],
    ["DiskPressure", "False"],
    ["PIDPressure", "False"],
  ] as const) {
    const found = conditions.find((c) => c.type === type);
    const name = `Node.${type}`;
    if (!found)
      issues.push({
        name,
        status: "Unknown",
        reason: "NotYetReported",
        message: "Condition not yet reported",
      });
    else if (found.status !== wanted)
      issues.push({
        name,
        status: found.status === "Unknown" ? "Unknown" : "False",
        reason: found.reason ?? "NotReady",
        message: `${type} is ${found.status}${found.message ? `: ${found.message}` : ""}`,
      });
  }
  const words = { yes: "NodeHealthy", no: "NodeNotHealthy", unknown: "NodeHealthyUnknown" };
  return summary("NodeHealthy", issues, words);
}

function nodeReady(node: Node): Draft {
  const found = node.status?.conditions?.find((c) => c.type === "Ready");
  if (!found) return unknown("NodeReady", "NodeReadyUnknown", "Condition not yet reported");
  if (found.status === "True") return yes("NodeReady", "NodeReady");
  const message = found.message ? `* Node.Ready: ${found.message}` : "";
  return found.status === "False"
    ? no("NodeReady", "NodeNotReady", message)
    : unknown("NodeReady", "NodeReadyUnknown", message);
}

function readyCondition(object: Machine, list: readonly Condition[], { deleting }: MachineSeen): Draft {
  const gates = (object.spec.readinessGates ?? []).map((gate) => gate.conditionType);
  const deletingPart: Part[] = deleting
    ? [{ name: "Deleting", status: "False", reason: deleting, message: "Machine deletion in progress" }]
    : [];
  const parts = ["BootstrapConfigReady", "InfrastructureReady", "NodeHealthy"].map((type) =>
    part(list, type),
  );
  const checked = list.some((c) => c.type === "HealthCheckSucceeded")
    ? [part(list, "HealthCheckSucceeded")]
    : [];
  const controlPlane = gates
    .filter((type) => !componentConditions.includes(type))
    .map((type) => part(list, type));
  const components = gates
    .filter((type) => componentConditions.includes(type))
    .map((type) => part(list, type));
  return summary("Ready", [...deletingPart, ...parts, ...checked, ...controlPlane, ...together(components)]);
}

/** Components that all say the same are told as one. */
function together(parts: readonly Part[]): readonly Part[] {
  const [first] = parts;
  const same =
    first && parts.length > 1 && parts.every((p) => p.status === first.status && p.message === first.message);
  return same && first.status !== "True" ? [{ ...first, name: "Control plane components" }] : parts;
}

export function phaseOf(object: Machine): string {
  if (object.metadata.deletionTimestamp) return "Deleting";
  if (object.status?.nodeRef) return "Running";
  if (object.status?.initialization?.infrastructureProvisioned && object.spec.providerID)
    return "Provisioned";
  return object.status?.initialization?.bootstrapDataSecretCreated ? "Provisioning" : "Pending";
}

/** The conditions of contract v1beta1 that the Machine controller writes. */
export function oldMachineConditions(
  object: Machine,
  { config, infra, node, deleting }: MachineSeen,
): OldDraft[] {
  const bootstrap =
    config && isBootstrapReady(config)
      ? oldYes("BootstrapReady")
      : oldNo("BootstrapReady", undefined, "NotReady", part(config?.status?.conditions, "Ready").message);
  const infrastructure =
    infra && isInfrastructureReady(infra)
      ? oldYes("InfrastructureReady", { reason: "Ready" })
      : oldNo("InfrastructureReady", undefined, "NotReady", part(infra?.status?.conditions, "Ready").message);
  const healthy = node
    ? oldYes("NodeHealthy")
    : oldNo("NodeHealthy", "Info", deleting ? "Deleting" : "WaitingForNodeRef");
  const done = [bootstrap, infrastructure].filter((c) => c.status === "True").length;
  const ready =
    done === 2 || (isControlPlane(object) && bootstrap.status === "True")
      ? oldYes("Ready")
      : oldNo("Ready", undefined, "NotReady", `${done} of 2 completed`);
  return [ready, bootstrap, infrastructure, healthy];
}
