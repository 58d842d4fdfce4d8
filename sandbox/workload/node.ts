// The objects that a kubelet and kubeadm write into the API: the Node, the static pods, the namespaces, kubeadm-config. Pure.
import { stringify } from "yaml";
import type { Draft } from "#core";
import type { ConfigMap, Node, Pod } from "#proto";
import type { NodeSettings } from "./boot.ts";

export interface NodeFacts {
  readonly name: string;
  readonly biosUuid: string;
  readonly addresses: readonly string[];
  readonly version: string;
  readonly settings: NodeSettings;
  readonly controlPlane: boolean;
  /** As in the golden run: no pressure conditions, no taint. */
  readonly bare: boolean;
  /** RFC 3339. */
  readonly at: string;
}

export function nodeDraft(facts: NodeFacts): Draft<Node> {
  const taints = facts.bare ? [] : facts.settings.taints.map((taint) => ({ ...taint }));
  return {
    metadata: {
      name: facts.name,
      labels: {
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/os": "linux",
        "kubernetes.io/hostname": facts.name,
        ...facts.settings.labels,
      },
    },
    spec: {
      providerID: `vsphere://${facts.biosUuid}`,
      ...(taints.length > 0 ? { taints } : {}),
    },
  };
}

export function nodeStatus(facts: NodeFacts): NonNullable<Node["status"]> {
  const condition = (type: string, status: "True" | "False", reason: string, message: string) => ({
    type,
    status,
    reason,
    message,
    lastTransitionTime: facts.at,
    lastHeartbeatTime: facts.at,
  });
  const pressures = [
    condition(
      "MemoryPressure",
      "False",
      "KubeletHasSufficientMemory",
      "kubelet has sufficient memory available",
    ),
    condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
  ];
  return {
    addresses: [
      ...facts.addresses.map((address) => ({ type: "InternalIP", address })),
      { type: "Hostname", address: facts.name },
    ],
    conditions: [
      ...(facts.bare ? [] : pressures),
      condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ],
    nodeInfo: {
      architecture: "amd64",
      bootID: "",
      containerRuntimeVersion: "",
      kernelVersion: "",
      kubeProxyVersion: "",
      kubeletVersion: facts.version,
      machineID: "",
      operatingSystem: "linux",
      osImage: "",
      systemUUID: facts.biosUuid,
    },
  };
}

/** What the node controller makes of a Node whose kubelet is silent. */
export function silentStatus(status: Node["status"], at: string): NonNullable<Node["status"]> {
  return {
    ...status,
    conditions: (status?.conditions ?? []).map((condition) => ({
      ...condition,
      status: "Unknown" as const,
      reason: "NodeStatusUnknown",
      message: "Kubelet stopped posting node status.",
      lastTransitionTime: condition.status === "Unknown" ? condition.lastTransitionTime : at,
    })),
  };
}

/** The static pods of a control plane; no etcd where it is external. */
export function staticPods(node: string, externalEtcd: boolean): Draft<Pod>[] {
  const components = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    ...(externalEtcd ? [] : ["etcd"]),
  ];
  return components.map((component) => ({
    metadata: {
      name: `${component}-${node}`,
      namespace: "kube-system",
      labels: { component, tier: "control-plane" },
    },
    spec: { nodeName: node, containers: [{ name: component, image: `registry.k8s.io/${component}` }] },
  }));
}

/** The status of a Pod whose one container runs. `since` in RFC 3339. */
export function runningPod(container: string, since: string): NonNullable<Pod["status"]> {
  return {
    phase: "Running",
    startTime: since,
    conditions: ["Initialized", "Ready", "ContainersReady", "PodScheduled"].map((type) => ({
      type,
      status: "True",
    })),
    containerStatuses: [
      {
        name: container,
        ready: true,
        started: true,
        restartCount: 0,
        state: { running: { startedAt: since } },
      },
    ],
  };
}

/** kubeadm's own record of the cluster; that it exists is how KCP knows that the cluster is initialized. */
export function kubeadmConfigMap(configuration: Readonly<Record<string, unknown>>): Draft<ConfigMap> {
  return {
    metadata: { name: "kubeadm-config", namespace: "kube-system" },
    data: { ClusterConfiguration: stringify(configuration) },
  };
}
