import { describe, expect, it } from "vitest";
import type { Resource } from "#core";
import { golden } from "#test/golden/read.ts";
import {
  conditionsOf,
  isBootstrapReady,
  isControlPlaneInitialized,
  isInfrastructureReady,
  isPausedNow,
  nodeNameOf,
  replicaCounters,
  terminalFailure,
  v1beta1Conditions,
} from "./contract.ts";

function object(kind: string, status: unknown, spec: unknown = {}): Resource {
  const metadata = {
    name: "c1",
    uid: "u",
    resourceVersion: "1",
    generation: 2,
    creationTimestamp: "2026-01-01T00:00:00Z",
  };
  return { apiVersion: "x/v1", kind, metadata, spec, status };
}

/** The same moments, as contract v1beta1 (CAPI 1.10, CAPV 1.13) writes them. */
const old = {
  cluster: object("Cluster", {
    infrastructureReady: true,
    controlPlaneReady: true,
    conditions: [
      { type: "Ready", status: "True", lastTransitionTime: "2026-01-01T00:00:00Z" },
      { type: "ControlPlaneInitialized", status: "True", lastTransitionTime: "2026-01-01T00:00:00Z" },
    ],
    v1beta2: {
      conditions: [
        {
          type: "Available",
          status: "True",
          reason: "Available",
          message: "",
          lastTransitionTime: "2026-01-01T00:00:00Z",
        },
      ],
    },
  }),
  controlPlane: object(
    "KubeadmControlPlane",
    {
      initialized: true,
      ready: true,
      replicas: 3,
      readyReplicas: 3,
      unavailableReplicas: 1,
      updatedReplicas: 2,
    },
    { replicas: 3 },
  ),
  machine: object("VSphereMachine", { ready: true }),
  config: object("KubeadmConfig", { ready: true, dataSecretName: "x" }),
  failing: object("VSphereMachine", {
    ready: false,
    failureReason: "CreateError",
    failureMessage: "no template",
    conditions: [
      {
        type: "VMProvisioned",
        status: "False",
        severity: "Warning",
        reason: "CloningFailed",
        message: "no template",
        lastTransitionTime: "2026-01-01T00:00:00Z",
      },
    ],
  }),
};

describe("contract", () => {
  it("readiness is read from objects of contract v1beta2", async () => {
    const running = await golden("capi-running");
    const waiting = await golden("capi-provisioning");
    const of = (objects: Resource[], kind: string) => objects.filter((o) => o.kind === kind);

    expect(
      of(running, "Cluster").map((o) => [isInfrastructureReady(o), isControlPlaneInitialized(o)]),
    ).toEqual([[true, true]]);
    expect(
      of(waiting, "Cluster").map((o) => [isInfrastructureReady(o), isControlPlaneInitialized(o)]),
    ).toEqual([[true, false]]);
    expect(of(running, "KubeadmControlPlane").map(isControlPlaneInitialized)).toEqual([true]);
    expect(of(waiting, "KubeadmControlPlane").map(isControlPlaneInitialized)).toEqual([false]);
    expect(of(running, "VSphereMachine").map(isInfrastructureReady)).toEqual([true, true, true]);
    expect(of(waiting, "VSphereMachine").map(isInfrastructureReady)).toEqual([false, false, false]);
    expect(of(running, "KubeadmConfig").every(isBootstrapReady)).toBe(true);
    expect(of(waiting, "KubeadmConfig").filter(isBootstrapReady)).toHaveLength(1);
    expect(of(running, "Machine").map(nodeNameOf)).toEqual(
      of(running, "Machine").map((o) => o.metadata.name),
    );
    expect(of(waiting, "Machine").map(nodeNameOf)).toEqual([undefined, undefined, undefined]);
  });

  it("conditions and counters are read from objects of contract v1beta2", async () => {
    const running = await golden("capi-running");
    const deployment = running.find((o) => o.kind === "MachineDeployment")!;
    expect(replicaCounters(deployment)).toEqual({
      desired: 2,
      replicas: 2,
      ready: 0,
      available: 0,
      upToDate: 2,
    });
    const cluster = running.find((o) => o.kind === "Cluster")!;
    expect(conditionsOf(cluster).map((c) => c.type)).toContain("RemoteConnectionProbe");
    expect(v1beta1Conditions(cluster).map((c) => c.type)).toEqual([
      "Ready",
      "ControlPlaneInitialized",
      "ControlPlaneReady",
      "InfrastructureReady",
    ]);
  });

  it("the same is read from objects of contract v1beta1", () => {
    expect(isInfrastructureReady(old.cluster)).toBe(true);
    expect(isControlPlaneInitialized(old.cluster)).toBe(true);
    expect(isControlPlaneInitialized(old.controlPlane)).toBe(true);
    expect(isInfrastructureReady(old.machine)).toBe(true);
    expect(isBootstrapReady(old.config)).toBe(true);
    expect(replicaCounters(old.controlPlane)).toEqual({
      desired: 3,
      replicas: 3,
      ready: 3,
      available: 2,
      upToDate: 2,
    });
    expect(conditionsOf(old.cluster).map((c) => c.type)).toEqual(["Available"]);
    expect(conditionsOf(old.failing)).toMatchObject([
      { type: "VMProvisioned", status: "False", reason: "CloningFailed" },
    ]);
    expect(terminalFailure(old.failing)).toBe("CreateError: no template");
  });

  it("an object without status is ready for nothing", () => {
    const bare = object("Cluster", undefined);
    expect([isInfrastructureReady(bare), isControlPlaneInitialized(bare), isBootstrapReady(bare)]).toEqual([
      false,
      false,
      false,
    ]);
    expect(conditionsOf(bare)).toEqual([]);
    expect(nodeNameOf(bare)).toBeUndefined();
    expect(terminalFailure(bare)).toBeUndefined();
  });

  it("a Paused condition counts only for the generation that is stored now", () => {
    const paused = (observedGeneration: number) =>
      object("Cluster", {
        conditions: [
          {
            type: "Paused",
            status: "True",
            reason: "Paused",
            message: "",
            lastTransitionTime: "2026-01-01T00:00:00Z",
            observedGeneration,
          },
        ],
      });
    expect(isPausedNow(paused(1))).toBe(false);
    expect(isPausedNow(paused(2))).toBe(true);
  });
});
