import { describe, expect, it } from "vitest";
import type { Kind, Resource } from "#core";
import { cluster, ipAddressClaim, kubeadmControlPlane, machine, vsphereMachine, vsphereVM } from "#proto";
import { deepestCause } from "./causes.ts";

interface Said {
  readonly type: string;
  readonly status?: "True" | "False" | "Unknown";
  readonly reason?: string;
  readonly message?: string;
  readonly at?: string;
}

function object(kind: Kind, name: string, said: readonly Said[], status: object = {}): Resource {
  return {
    apiVersion: `${kind.group}/${kind.version}`,
    kind: kind.kind,
    metadata: { name, namespace: "n", uid: name, resourceVersion: "1", generation: 1, creationTimestamp: "" },
    spec: {},
    status: {
      ...status,
      conditions: said.map(
        ({ type, status: is = "False", reason = "Waiting", message = "", at = "2026-01-01T00:00:00Z" }) => ({
          type,
          status: is,
          reason,
          message,
          lastTransitionTime: at,
        }),
      ),
    },
  };
}

describe("the deepest cause", () => {
  it("is what lies lowest, as everything above repeats it", () => {
    const cause = deepestCause([
      object(cluster, "c1", [{ type: "Available", reason: "NotAvailable", message: "* ..." }]),
      object(kubeadmControlPlane, "c1-cp", [{ type: "MachinesReady", reason: "NotReady" }]),
      object(machine, "c1-cp-x", [{ type: "InfrastructureReady", reason: "NotReady" }]),
      object(vsphereVM, "c1-cp-x", [
        { type: "VirtualMachineProvisioned", reason: "CloningFailed", message: "no space" },
      ]),
    ]);
    expect(cause).toMatchObject({
      object: "VSphereVM/c1-cp-x",
      code: "CloningFailed",
      message: "VirtualMachineProvisioned: no space",
      failed: true,
    });
  });

  it("prefers a failure above to a wait below", () => {
    const cause = deepestCause([
      object(vsphereVM, "a", [{ type: "VirtualMachineProvisioned", reason: "WaitingForIPAllocation" }]),
      object(machine, "b", [{ type: "BootstrapConfigReady", reason: "InternalError", message: "boom" }]),
    ]);
    expect(cause).toMatchObject({ object: "Machine/b", failed: true });
  });

  it("is a claim without an address, where there is one", () => {
    const claim = object(ipAddressClaim, "a-0-0", [
      { type: "Ready", reason: "PoolExhausted", message: "pool c1 is full" },
    ]);
    expect(
      deepestCause([object(vsphereVM, "a", [{ type: "IPAddressClaimsFulfilled" }]), claim]),
    ).toMatchObject({
      object: "IPAddressClaim/a-0-0",
      code: "PoolExhausted",
      failed: true,
    });
    expect(
      deepestCause([object(ipAddressClaim, "b-0-0", [], { addressRef: { name: "b-0-0" } })]),
    ).toBeUndefined();
  });

  it("takes the earliest of an object's own, and no summary where something telling is said", () => {
    const cause = deepestCause([
      object(vsphereMachine, "a", [
        { type: "Ready", reason: "NotReady", at: "2026-01-01T00:00:00Z" },
        { type: "Later", reason: "Failed", message: "second", at: "2026-01-01T00:02:00Z" },
        { type: "Earlier", reason: "Failed", message: "first", at: "2026-01-01T00:01:00Z" },
      ]),
    ]);
    expect(cause?.message).toBe("Earlier: first");
  });

  it("believes contract v1beta1's severity over the look of a reason", () => {
    const harmless = object(vsphereVM, "a", [{ type: "VCenterAvailable", reason: "Unreachable" }], {
      deprecated: {
        v1beta1: { conditions: [{ type: "VCenterAvailable", status: "False", severity: "Info" }] },
      },
    });
    expect(deepestCause([harmless])?.failed).toBe(false);
  });

  it("does not take conditions for causes that are good when False", () => {
    expect(
      deepestCause([object(machine, "a", [{ type: "Paused" }, { type: "Deleting" }, { type: "Updating" }])]),
    ).toBeUndefined();
    expect(deepestCause([])).toBeUndefined();
  });
});
