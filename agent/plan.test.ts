import { describe, expect, it } from "vitest";
import type { Kind, Resource } from "#core";
import {
  cluster,
  desiredStateSchema,
  kubeadmConfigTemplate,
  kubeadmControlPlane,
  machineDeployment,
  machineHealthCheck,
  vsphereMachineTemplate,
  type SpectroCluster,
} from "#proto";
import type { z } from "zod";
import { planAgent, type AgentAction, type AgentSeen } from "./plan.ts";
import { laidOver, workerPool } from "./render/worker-pool.ts";

const ns = "cluster-u1";

function desired(change: Partial<z.input<typeof desiredStateSchema>> = {}) {
  return desiredStateSchema.parse({
    clusterUid: "u1",
    clusterName: "c1",
    cloud: { type: "vsphere", server: "vc.test", thumbprint: "AA" },
    placement: {
      datacenter: "DC0",
      computeCluster: "C0",
      networkName: "VM Network",
      ipPoolRef: { name: "edge" },
    },
    kubernetesVersion: "v1.35.4",
    controlPlane: { replicas: 3 },
    workerPools: [{ name: "w", size: 2 }],
    ...change,
  });
}

function object(
  kind: Kind,
  name: string,
  spec: object,
  more: Partial<Resource> & { labels?: Record<string, string> } = {},
): Resource {
  const { labels, ...rest } = more;
  return {
    apiVersion: `${kind.group}/${kind.version}`,
    kind: kind.kind,
    metadata: {
      name,
      namespace: ns,
      uid: name,
      resourceVersion: "1",
      generation: 1,
      creationTimestamp: "2026-01-01T00:00:00Z",
      ...(labels ? { labels } : {}),
    },
    spec,
    ...rest,
  };
}

const control = (replicas: number, status: object = {}) => [
  object(cluster, "c1", {}),
  object(
    kubeadmControlPlane,
    "c1-cp",
    { replicas, machineTemplate: { spec: { infrastructureRef: { name: "c1-cp-1" } } } },
    { status },
  ),
  object(vsphereMachineTemplate, "c1-cp-1", { template: { spec: { template: "/DC0/vm/t" } } }),
];

function seen(objects: readonly Resource[], want = desired(), owner = true): AgentSeen {
  const spc = object({ group: "g", version: "v", kind: "SpectroCluster" } as Kind, "c1", {
    desired: want,
    counter: 1,
  }) as SpectroCluster;
  return { spc, owner, objects };
}

function text(action: AgentAction): string {
  switch (action.do) {
    case "apply":
      return `apply ${action.kind.kind}/${action.object.metadata.name}`;
    case "scale control plane":
      return `scale ${action.name} to ${action.replicas}`;
    case "remove":
      return `remove ${action.kind.kind}/${action.name}`;
  }
}

const settledCounters = (n: number) => ({
  replicas: n,
  readyReplicas: n,
  availableReplicas: n,
  upToDateReplicas: n,
  observedGeneration: 1,
});

/** What the agent would have made of a wish. */
function made(want = desired()): Resource[] {
  return want.workerPools.flatMap((pool) =>
    workerPool(want, pool, "/DC0/vm/t").map(({ kind, object: o }) =>
      object(kind, o.metadata.name, o.spec as object, {
        labels: o.metadata.labels ?? {},
        ...(kind === machineDeployment ? { status: settledCounters(pool.size) } : {}),
      }),
    ),
  );
}

describe("planAgent", () => {
  it("raises the control plane and makes the pools of a cluster it owns", () => {
    const plan = planAgent(seen(control(1, settledCounters(1))));
    expect(plan.actions.map(text)).toEqual([
      "scale c1-cp to 3",
      "apply MachineHealthCheck/c1-cp",
      expect.stringMatching(/^apply VSphereMachineTemplate\/c1-w-[0-9a-f]{8}$/),
      expect.stringMatching(/^apply KubeadmConfigTemplate\/c1-w-[0-9a-f]{8}$/),
      "apply MachineDeployment/c1-w",
      "apply MachineHealthCheck/c1-w",
    ]);
    expect(plan.conditions.map((c) => `${c.type} ${c.status}: ${c.message}`)).toEqual([
      "ControlPlaneNodeAdditionDone False: 1 of 3 control-plane nodes are ready",
      "WorkerNodeAdditionDone False: 0 of 2 worker nodes are ready",
      "RemediationBlocked False: ",
    ]);
  });

  it("changes nothing while another side owns the cluster", () => {
    const plan = planAgent(seen(control(1), desired(), false));
    expect(plan.actions).toEqual([]);
    expect(plan.conditions.map((c) => c.reason)).toEqual(["NotOwner", "NotOwner"]);
  });

  it("changes nothing while the Cluster is paused", () => {
    const [whole, ...rest] = control(1);
    const plan = planAgent(seen([{ ...whole!, spec: { paused: true } }, ...rest]));
    expect(plan.actions).toEqual([]);
    expect(plan.conditions.map((c) => c.reason)).toEqual(["Paused", "Paused", "Paused"]);
  });

  it("has nothing to do, and says so, when everything is as wished", () => {
    const check = planAgent(seen(control(3))).actions.find(
      (a) => a.do === "apply" && a.kind === machineHealthCheck,
    );
    const own =
      check?.do === "apply" ? [object(machineHealthCheck, "c1-cp", check.object.spec as object)] : [];
    const plan = planAgent(seen([...control(3, settledCounters(3)), ...made(), ...own]));
    expect(plan.actions).toEqual([]);
    expect(plan.conditions.map((c) => c.status)).toEqual(["True", "True", "False"]);
  });

  it("does not take counters of an earlier generation for an answer", () => {
    const objects = control(3, { ...settledCounters(3), observedGeneration: 0 });
    expect(planAgent(seen(objects)).conditions[0]).toMatchObject({ status: "False" });
  });

  it("gives a changed pool a new template, and removes the old one when nothing refers to it", () => {
    const larger = desired({ workerPools: [{ name: "w", size: 2, instance: { memoryMiB: 8192 } }] });
    const rolling = planAgent(seen([...control(3, settledCounters(3)), ...made()], larger)).actions.map(text);
    expect(rolling.filter((line) => line.startsWith("apply") && !line.includes("HealthCheck"))).toEqual([
      expect.stringMatching(/VSphereMachineTemplate/),
      "apply MachineDeployment/c1-w",
    ]);
    const [old] = made().filter((o) => o.kind === vsphereMachineTemplate.kind);
    const after = planAgent(
      seen([...control(3, settledCounters(3)), ...made(larger), old!], larger),
    ).actions.map(text);
    expect(after).toContain(`remove VSphereMachineTemplate/${old!.metadata.name}`);
  });

  it("removes a pool that is not wanted any more, and nothing that is not its own", () => {
    const stranger = object(machineDeployment, "by-hand", { replicas: 1, template: {} });
    const none = desired({ workerPools: [] });
    const lines = planAgent(seen([...control(3, settledCounters(3)), ...made(), stranger], none)).actions.map(
      text,
    );
    expect(lines).toContain("remove MachineDeployment/c1-w");
    expect(lines).toContain("remove MachineHealthCheck/c1-w");
    expect(lines.join()).not.toContain("by-hand");
    expect(lines.some((line) => line.includes(kubeadmConfigTemplate.kind))).toBe(false); // still referred to
  });

  describe("with an autoscaler's bounds", () => {
    const bounds = { name: "w", size: 2, minSize: 1, maxSize: 5 };
    const low = "cluster.x-k8s.io/cluster-api-autoscaler-node-group-min-size";
    const high = "cluster.x-k8s.io/cluster-api-autoscaler-node-group-max-size";
    const grown = (replicas: number, annotations?: Record<string, string>) =>
      made(desired({ workerPools: [bounds] })).map((each) =>
        each.kind === machineDeployment.kind
          ? {
              ...each,
              metadata: { ...each.metadata, ...(annotations ? { annotations } : {}) },
              spec: { ...(each.spec as object), replicas },
              status: settledCounters(replicas),
            }
          : each,
      );
    const deployment = (objects: readonly Resource[], pool: object) =>
      planAgent(
        seen(
          [...control(3, settledCounters(3)), ...objects],
          desired({ workerPools: [pool as typeof bounds] }),
        ),
      ).actions.find((a) => a.do === "apply" && a.kind === machineDeployment);

    it("tells them on the MachineDeployment, which begins with its size", () => {
      const action = deployment([], bounds);
      expect(action?.do === "apply" && action.object).toMatchObject({
        metadata: { annotations: { [low]: "1", [high]: "5" } },
        spec: { replicas: 2 },
      });
    });

    it("leaves what the autoscaler made of it, within them", () => {
      expect(deployment(grown(4, { [low]: "1", [high]: "5" }), bounds)).toBeUndefined();
      const lower = deployment(grown(4, { [low]: "1", [high]: "5" }), { ...bounds, maxSize: 3 });
      expect(lower?.do === "apply" && lower.object).toMatchObject({
        metadata: { annotations: { [high]: "3" } },
        spec: { replicas: 3 },
      });
      const plan = planAgent(
        seen(
          [...control(3, settledCounters(3)), ...grown(4, { [low]: "1", [high]: "5" })],
          desired({ workerPools: [bounds] }),
        ),
      );
      expect(plan.conditions[1]).toMatchObject({ status: "True", message: "4 worker nodes" });
    });

    it("takes them off where they are not wanted any more, and what others wrote stays", () => {
      const have = grown(4, { [low]: "1", [high]: "5", "deployment.kubernetes.io/revision": "7" });
      const action = deployment(have, { name: "w", size: 2 });
      const before = have.find((each) => each.kind === machineDeployment.kind)!;
      expect(action?.do === "apply" && laidOver(before, action.object)).toMatchObject({
        metadata: { annotations: { "deployment.kubernetes.io/revision": "7" } },
        spec: { replicas: 2 },
      });
      expect(
        action?.do === "apply" && laidOver(before, action.object).metadata.annotations,
      ).not.toHaveProperty([high]);
    });
  });

  it("frees a machine first where the pool asks for it", () => {
    const [deployment] = made(
      desired({ workerPools: [{ name: "w", size: 1, updateStrategy: "RollingUpdateScaleIn" }] }),
    ).filter((o) => o.kind === machineDeployment.kind);
    expect(deployment?.spec).toMatchObject({
      rollout: { strategy: { rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } } },
    });
  });
});
