import { describe, expect, it } from "vitest";
import type { Kind, Resource } from "#core";
import { cluster, desiredStateSchema, machine, machineHealthCheck, type DesiredState } from "#proto";
import { remediationBlocked } from "./remediation.ts";

function desired(change: object = {}): DesiredState {
  return desiredStateSchema.parse({
    clusterUid: "u1",
    clusterName: "c1",
    cloud: { type: "vsphere", server: "vc.test" },
    placement: { datacenter: "DC0", computeCluster: "C0", networkName: "n", ipPoolRef: { name: "edge" } },
    kubernetesVersion: "v1.35.4",
    controlPlane: { replicas: 3 },
    ...change,
  });
}

function object(
  kind: Kind,
  name: string,
  parts: { labels?: Record<string, string>; spec?: object; status?: object },
): Resource {
  const { labels, ...rest } = parts;
  const metadata = {
    name,
    namespace: "cluster-u1",
    uid: name,
    resourceVersion: "1",
    generation: 1,
    creationTimestamp: "",
  };
  return {
    apiVersion: `${kind.group}/${kind.version}`,
    kind: kind.kind,
    metadata: labels ? { ...metadata, labels } : metadata,
    ...rest,
  };
}

const said = (type: string, reason: string, message = "") => ({
  conditions: [{ type, status: "False", reason, message, lastTransitionTime: "2026-01-01T00:00:00Z" }],
});
const controlPlane = { "cluster.x-k8s.io/control-plane": "" };

const table: readonly (readonly [string, DesiredState, readonly Resource[], string, RegExp])[] = [
  ["three control planes and nothing wrong", desired(), [], "False Ready", /^$/],
  [
    "a single control plane",
    desired({ controlPlane: { replicas: 1 } }),
    [],
    "True SingleControlPlane",
    /only control-plane node cannot be replaced/,
  ],
  [
    "a paused Cluster",
    desired(),
    [object(cluster, "c1", { spec: { paused: true } })],
    "True Paused",
    /until it is un-paused/,
  ],
  [
    "switched off",
    desired({ health: { autoRemediation: false } }),
    [],
    "True AutoRemediationOff",
    /switched off/,
  ],
  [
    "more unhealthy than may be replaced",
    desired(),
    [
      object(machineHealthCheck, "c1-w", {
        labels: { "jet.pcg.dev/worker-pool": "w" },
        status: { expectedMachines: 5, currentHealthy: 2, ...said("RemediationAllowed", "TooManyUnhealthy") },
      }),
    ],
    "True LimitReached",
    /^3 of 5 machines of pool w are unhealthy/,
  ],
  [
    "a limit of nothing while all are well",
    desired(),
    [
      object(machineHealthCheck, "c1-w", {
        status: { expectedMachines: 2, currentHealthy: 2, ...said("RemediationAllowed", "TooManyUnhealthy") },
      }),
    ],
    "False Ready",
    /^$/,
  ],
  [
    "etcd's quorum in danger",
    desired(),
    [
      object(machine, "c1-cp-x", {
        labels: controlPlane,
        status: said(
          "OwnerRemediated",
          "CannotBeRemediated",
          "KubeadmControlPlane can't remediate this Machine because this could result in loosing Kubernetes control plane components or in etcd quorum loss",
        ),
      }),
    ],
    "True QuorumAtRisk",
    /^machine c1-cp-x is unhealthy and is not replaced: replacing it now could cost etcd its quorum$/,
  ],
  [
    "tried too often",
    desired(),
    [
      object(machine, "c1-cp-x", {
        labels: controlPlane,
        status: said("OwnerRemediated", "RemediationDeferred", "later"),
      }),
    ],
    "True Deferred",
    /not replaced: later$/,
  ],
  [
    "a replacement under way",
    desired(),
    [object(machine, "c1-w-x", { status: said("OwnerRemediated", "MachineDeleting") })],
    "False Ready",
    /^$/,
  ],
];

describe("RemediationBlocked", () => {
  it.each(table)("%s", (_name, wish, objects, outcome, message) => {
    const got = remediationBlocked(wish, objects);
    expect(`${got.status} ${got.reason}`).toBe(outcome);
    expect(got.message).toMatch(message);
  });

  it("names every reason, the gravest first", () => {
    const wish = desired({ controlPlane: { replicas: 1 }, health: { autoRemediation: false } });
    const got = remediationBlocked(wish, [object(cluster, "c1", { spec: { paused: true } })]);
    expect(got.reason).toBe("Paused");
    expect(got.message.split("; ").length).toBeGreaterThanOrEqual(3);
  });
});
