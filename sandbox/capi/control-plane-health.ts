// What was seen of a control plane, and how each of its machines is. Pure.
import type { Cluster, Machine, Node, Pod } from "#proto";
import { no, oldYes, unknown, yes, type Draft, type OldDraft } from "./conditions.ts";

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

export function nodeOf(machine: Machine, { world }: ControlPlaneSeen): Node | undefined {
  const { providerID } = machine.spec;
  return providerID ? world?.nodes.find((node) => node.spec?.providerID === providerID) : undefined;
}

/** What everything says of itself before the control plane has answered once. */
export const waiting = "Waiting for Cluster control plane to be initialized";

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
