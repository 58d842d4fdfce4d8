import { afterEach, describe, expect, it } from "vitest";
import { isTrue, modifyStatus } from "#core";
import { machine, machineHealthCheck, node, type Cluster, type Machine, type Node } from "#proto";
import { judge, remediationsAllowed } from "./machine-health.ts";
import { applyGolden, available, eventually, stage, type Stage } from "./testing.ts";

const t = (seconds: number) => new Date(Date.UTC(2026, 0, 1) + seconds * 1000).toISOString();
const now = (seconds: number) => Date.parse(t(seconds));
const condition = (type: string, status: string, seconds: number) => ({
  type,
  status,
  reason: "R",
  message: "",
  lastTransitionTime: t(seconds),
});

const cluster = {
  status: {
    conditions: [
      condition("InfrastructureReady", "True", 0),
      condition("ControlPlaneInitialized", "True", 5),
    ],
  },
} as unknown as Cluster;
const bare = {
  metadata: { name: "m", creationTimestamp: t(10) },
  status: { conditions: [condition("InfrastructureReady", "True", 30)] },
} as unknown as Machine;
const joined = { ...bare, status: { ...bare.status, nodeRef: { name: "m" } } } as Machine;
const withReady = (status: string, seconds: number) =>
  ({ status: { conditions: [condition("Ready", status, seconds)] } }) as unknown as Node;
const checks = {
  nodeStartupTimeoutSeconds: 1800,
  unhealthyNodeConditions: [{ type: "Ready", status: "Unknown" as const, timeoutSeconds: 600 }],
};

describe("health of a machine", () => {
  it.each([
    ["a node that is ready", joined, withReady("True", 0), 10_000, "healthy"],
    ["a node that is silent for a while", joined, withReady("Unknown", 100), 699, "ailing"],
    ["a node that is silent for too long", joined, withReady("Unknown", 100), 700, "unhealthy"],
    ["a node that was deleted", joined, undefined, 0, "unhealthy"],
    ["a machine that has time to start, counted from its VM", bare, undefined, 1829, "ailing"],
    ["a machine that did not start", bare, undefined, 1830, "unhealthy"],
  ])("%s", (_, m, n, seconds, want) => {
    expect(judge({ machine: m, cluster, ...(n ? { node: n } : {}) }, checks, now(seconds)).kind).toBe(want);
  });

  it("the limit is rounded down, and reached means that one more is too many", () => {
    expect(remediationsAllowed("50%", 3, 1)).toBe(0);
    expect(remediationsAllowed("50%", 3, 2)).toBe(0);
    expect(remediationsAllowed("100%", 3, 1)).toBe(2);
    expect(remediationsAllowed(2, 5, 1)).toBe(1);
    expect(remediationsAllowed(undefined, 3, 0)).toBe(3);
  });
});

let s: Stage | undefined;
afterEach(async () => {
  await s?.end();
  s = undefined;
});

async function checkAll(of: Stage): Promise<void> {
  await of.store.create(machineHealthCheck, {
    metadata: { name: "all", namespace: "cluster-1" },
    spec: {
      clusterName: "c1",
      selector: { matchLabels: { "cluster.x-k8s.io/cluster-name": "c1" } },
      checks: { unhealthyNodeConditions: [{ type: "Ready", status: "Unknown", timeoutSeconds: 0 }] },
      remediation: { triggerIf: { unhealthyLessThanOrEqualTo: "100%" } },
    },
  });
}

async function silence(of: Stage, which: (name: string) => boolean): Promise<string> {
  const [workload] = of.machines.workloads();
  const found = (await workload!.store.list(node)).items.find((n) => which(n.metadata.name))!;
  await modifyStatus(workload!.store, node, { name: found.metadata.name }, (n) => {
    n.status = { ...n.status, conditions: [{ type: "Ready", status: "Unknown", lastTransitionTime: t(0) }] };
  });
  return found.metadata.name;
}

describe("remediation", { timeout: 60_000 }, () => {
  it.each([
    ["a worker", (name: string) => name.startsWith("c1-w-")],
    ["one of three control planes", (name: string) => !name.startsWith("c1-w-")],
  ])("%s that falls silent is replaced, and the cluster is whole again", async (_, which) => {
    s = stage();
    await applyGolden(s.store, { replicas: 3, workers: 1, externalEtcd: false });
    await checkAll(s);
    await available(s.store);
    await eventually("the check counts them", async () => {
      const found = await s!.store.get(machineHealthCheck, { namespace: "cluster-1", name: "all" });
      return found?.status?.expectedMachines === 4 && found.status.currentHealthy === 4;
    });
    const lost = await silence(s, which);
    await eventually("it is gone", async () => {
      const { items } = await s!.store.list(machine);
      return !items.some((m) => m.metadata.name === lost);
    });
    await available(s.store);
    expect(s.vcenter.vms.size).toBe(4);
  });

  it("what is healthy is left alone while the cluster grows: nothing is cloned but what was wished for", async () => {
    s = stage({ knobs: { bootMs: 0, joinMs: 0, healthMs: 5 } });
    await applyGolden(s.store, { replicas: 3, workers: 3, externalEtcd: false });
    await checkAll(s);
    await available(s.store);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(s.vcenter.clones).toBe(6);
  });

  it("the only control plane is not given up", async () => {
    s = stage();
    await applyGolden(s.store, { replicas: 1, workers: 0, externalEtcd: false });
    await checkAll(s);
    await available(s.store);
    const lost = await silence(s, () => true);
    await eventually("it is marked", async () => {
      const found = await s!.store.get(machine, { namespace: "cluster-1", name: lost });
      const conditions = found?.status?.conditions;
      return conditions?.some((c) => c.type === "OwnerRemediated") && !isTrue(conditions, "Ready");
    });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect((await s.store.list(machine)).items.map((m) => m.metadata.name)).toEqual([lost]);
  });
});
