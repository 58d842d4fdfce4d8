// The pure decisions: how many machines next, which one goes, what a machine waits for.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Cluster, KubeadmControlPlane, Machine, Node } from "#proto";
import type { ControlPlaneSeen } from "./control-plane-health.ts";
import { planReplicas } from "./control-plane-plan.ts";
import { planRollout } from "./machine-deployment.ts";
import { victims } from "./machine-set.ts";
import { waitsFor } from "./vsphere-machine.ts";

const condition = (type: string, status: string) => ({
  type,
  status,
  reason: "R",
  message: "",
  lastTransitionTime: "",
});

function member(index: number, more: Record<string, unknown> = {}): Machine {
  const { deleting, version = "v1.35.4", conditions = [], joined = true } = more;
  return {
    metadata: {
      name: `m${index}`,
      creationTimestamp: `2026-01-01T00:00:0${index}Z`,
      ...(deleting ? { deletionTimestamp: "2026-01-02T00:00:00Z" } : {}),
    },
    spec: { version, providerID: `vsphere://${index}` },
    status: { conditions, ...(joined ? { nodeRef: { name: `m${index}` } } : {}) },
  } as unknown as Machine;
}

function seen(machines: readonly Machine[], healthy = true): ControlPlaneSeen {
  const nodes = machines.map((m) => ({
    metadata: { name: m.metadata.name, labels: { "node-role.kubernetes.io/control-plane": "" } },
    spec: { providerID: m.spec.providerID },
  })) as unknown as Node[];
  const running = { phase: "Running", conditions: [{ type: "Ready", status: "True" }] };
  const components = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"];
  const pods = machines.flatMap((m) =>
    components.map((name) => ({
      metadata: { name: `${name}-${m.metadata.name}` },
      status: healthy ? running : {},
    })),
  );
  return {
    cluster: {} as Cluster,
    machines,
    others: 0,
    externalEtcd: false,
    world: { initialized: true, nodes, pods: pods as never },
  };
}

const kcp = (replicas: number, version = "v1.35.4") =>
  ({
    metadata: {},
    spec: { replicas, version, machineTemplate: { spec: { infrastructureRef: { name: "t" } } } },
  }) as unknown as KubeadmControlPlane;
const members = (count: number, more = {}) => Array.from({ length: count }, (_, i) => member(i, more));
const given = [condition("HealthCheckSucceeded", "False"), condition("OwnerRemediated", "False")];

describe("what a control plane does next", () => {
  it.each<[string, KubeadmControlPlane, ControlPlaneSeen, object]>([
    [
      "none: the first, which initialises",
      kcp(3),
      { ...seen([]), world: { initialized: false, nodes: [], pods: [] } },
      { do: "create", first: true },
    ],
    ["none of a cluster that lives: one that joins", kcp(3), seen([]), { do: "create", first: false }],
    ["fewer than wanted: one more", kcp(3), seen(members(1)), { do: "create", first: false }],
    ["fewer, but one is not healthy: waits", kcp(3), seen(members(1), false), { do: "wait" }],
    [
      "fewer, but one has no Node: waits",
      kcp(3),
      seen([member(0), member(1, { joined: false })]),
      { do: "wait" },
    ],
    [
      "fewer, but one is going: waits",
      kcp(3),
      seen([member(0), member(1, { deleting: true })]),
      { do: "wait" },
    ],
    ["as many as wanted: nothing", kcp(3), seen(members(3)), { do: "nothing" }],
    [
      "more than wanted: the oldest goes",
      kcp(1),
      seen(members(3)),
      { do: "delete", machine: { metadata: { name: "m0" } } },
    ],
    ["an older version: one more first", kcp(3, "v1.36.0"), seen(members(3)), { do: "create", first: false }],
    [
      "an older version and one more: the oldest of the old goes",
      kcp(3, "v1.36.0"),
      seen([member(0, { version: "v1.36.0" }), member(1), member(2), member(3)]),
      { do: "delete", machine: { metadata: { name: "m1" } } },
    ],
    [
      "one of three is given up: it goes",
      kcp(3),
      seen([member(0), member(1, { conditions: given }), member(2)]),
      { do: "delete", machine: { metadata: { name: "m1" } } },
    ],
    [
      "the only one is given up: it stays",
      kcp(1),
      seen(members(1, { conditions: given })),
      { do: "nothing" },
    ],
    [
      "an API that is silent: waits",
      kcp(3),
      { ...seen(members(1)), world: { initialized: false, nodes: [], pods: [] } },
      { do: "wait" },
    ],
  ])("%s", (_, object, world, want) => {
    expect(planReplicas(object, world)).toMatchObject(want);
  });
});

describe("a rollout of workers", () => {
  const set = (replicas: number, available = replicas) => ({
    replicas,
    machines: replicas,
    living: replicas,
    available,
  });

  it.each([
    [
      "one more of the new first",
      { desired: 2, maxSurge: 1, maxUnavailable: 0, current: set(0), older: [set(2)] },
      { current: 1, older: [2] },
    ],
    [
      "an old one goes for a new one that is there",
      { desired: 2, maxSurge: 1, maxUnavailable: 0, current: set(1), older: [set(2)] },
      { current: 1, older: [1] },
    ],
    [
      "without surge the old one goes first",
      { desired: 2, maxSurge: 0, maxUnavailable: 1, current: set(0), older: [set(2)] },
      { current: 0, older: [1] },
    ],
    [
      "what is broken goes at once",
      { desired: 2, maxSurge: 1, maxUnavailable: 0, current: set(1, 0), older: [set(2, 1)] },
      { current: 1, older: [1] },
    ],
    [
      "done",
      { desired: 2, maxSurge: 1, maxUnavailable: 0, current: set(2), older: [set(0)] },
      { current: 2, older: [0] },
    ],
  ])("%s", (_, given_, want) => {
    expect(planRollout(given_)).toEqual(want);
  });

  it("never wants more than the surge allows, never takes what is needed, and always ends", () => {
    const counts = fc.record({
      desired: fc.integer({ min: 1, max: 9 }),
      maxSurge: fc.integer({ min: 0, max: 3 }),
      maxUnavailable: fc.integer({ min: 0, max: 3 }),
      old: fc.integer({ min: 0, max: 9 }),
    });
    fc.assert(
      fc.property(
        counts.filter((c) => c.maxSurge + c.maxUnavailable > 0),
        ({ desired, maxSurge, maxUnavailable, old }) => {
          let current = 0;
          let older = old;
          for (let step = 0; step < 60; step++) {
            const next = planRollout({
              desired,
              maxSurge,
              maxUnavailable,
              current: set(current),
              older: [set(older)],
            });
            const left = next.older[0] ?? 0;
            expect(next.current + left).toBeLessThanOrEqual(Math.max(desired + maxSurge, current + older));
            if (left < older) expect(current + left).toBeGreaterThanOrEqual(desired - maxUnavailable);
            if (next.current === current && left === older) break;
            current = next.current;
            older = left;
          }
          expect([current, older]).toEqual([desired, 0]);
        },
      ),
    );
  });
});

describe("who goes first of equal machines", () => {
  it("what is not ready, then the newest", () => {
    const ready = [condition("Ready", "True")];
    const list = [
      member(0, { conditions: ready }),
      member(1, { conditions: ready }),
      member(2),
      member(3, { conditions: ready }),
    ];
    expect(victims(list, 2).map((m) => m.metadata.name)).toEqual(["m2", "m3"]);
    expect(victims(list, 0)).toEqual([]);
    expect(victims(list, -1)).toEqual([]);
  });
});

describe("what a machine's VM waits for", () => {
  const cluster = (infrastructureProvisioned: boolean, controlPlaneInitialized: boolean) =>
    ({
      kind: "Cluster",
      status: { initialization: { infrastructureProvisioned, controlPlaneInitialized } },
    }) as unknown as Cluster;
  const machine = (controlPlane: boolean, dataSecretName?: string) =>
    ({
      metadata: { labels: controlPlane ? { "cluster.x-k8s.io/control-plane": "" } : {} },
      spec: { bootstrap: { dataSecretName } },
    }) as unknown as Machine;
  it.each([
    ["the infrastructure", cluster(false, false), machine(true, "s"), "WaitingForClusterInfrastructureReady"],
    [
      "the control plane, for a worker",
      cluster(true, false),
      machine(false, "s"),
      "WaitingForControlPlaneInitialized",
    ],
    ["bootstrap data", cluster(true, true), machine(false), "WaitingForBootstrapData"],
    ["nothing, for the first control plane", cluster(true, false), machine(true, "s"), undefined],
  ])("%s", (_, c, m, want) => {
    expect(waitsFor(c, m)?.reason).toBe(want);
  });
});
