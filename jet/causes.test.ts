import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import type { Kind, Resource } from "#core";
import {
  cluster,
  ipAddressClaim,
  kubeadmControlPlane,
  machine,
  vsphereCluster,
  vsphereDeploymentZone,
  vsphereMachine,
  vsphereVM,
} from "#proto";
import { withAdvice } from "./advice.ts";
import { deepestCause } from "./causes.ts";
import { wish } from "./testing/world.ts";

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

/** Objects as the real controllers wrote them. */
function recorded(url: URL): Resource[] {
  return parseAllDocuments(readFileSync(url, "utf8"))
    .map((document) => document.toJS() as Resource | null)
    .filter((object) => object !== null);
}

const failure = (name: string) => recorded(new URL(`testdata/failures/${name}.yaml`, import.meta.url));
const golden = (name: string) => recorded(new URL(`../test/golden/${name}.yaml`, import.meta.url));

describe("what Cluster API and CAPV really wrote", () => {
  const notFound = "VirtualMachineProvisioned: ";
  it.each<[string, string, string, string]>([
    [
      "wrong-password",
      "VSphereCluster/c1",
      "VCenterUnreachable",
      "VCenterAvailable: failed to create vCenter session: failed to create client: failed to login: " +
        "ServerFaultCode: Login failure; correct the password in Secret lab",
    ],
    [
      "wrong-thumbprint",
      "VSphereCluster/c1",
      "VCenterUnreachable",
      `VCenterAvailable: failed to create vCenter session: failed to create client: Post "https://vc.test:443/sdk": host ` +
        `"vc.test:443" thumbprint does not match "${Array<string>(32).fill("AB").join(":")}"; ` +
        "compare cloud.thumbprint with the certificate that vc.test shows now, and correct it",
    ],
    [
      "template-missing",
      "VSphereVM/c1-cp-7nb44",
      "CloningFailed",
      `${notFound}unable to find template by name "/DC0/vm/nothing": vm '/DC0/vm/nothing' not found; ` +
        "import the template, or name another one in image.template",
    ],
    [
      "datastore-missing",
      "VSphereVM/c1-cp-n8xdf",
      "CloningFailed",
      `${notFound}unable to get datastore none for "infrastructure.cluster.x-k8s.io/v1beta2, Kind=VSphereVM ` +
        `cluster-u1/c1-cp-n8xdf": datastore 'none' not found; correct the datastore of the placement`,
    ],
    [
      "network-missing",
      "VSphereVM/c1-cp-bf7gb",
      "CloningFailed",
      `${notFound}error getting network specs for "infrastructure.cluster.x-k8s.io/v1beta2, Kind=VSphereVM ` +
        `cluster-u1/c1-cp-bf7gb": unable to find network "none": network 'none' not found; correct the network of the placement`,
    ],
    [
      "resource-pool-missing",
      "VSphereVM/c1-cp-zdk5g",
      "CloningFailed",
      `${notFound}unable to get resource pool for "infrastructure.cluster.x-k8s.io/v1beta2, Kind=VSphereVM ` +
        `cluster-u1/c1-cp-zdk5g": resource pool 'DC0_C0/Resources/none' not found; correct the resource pool of the placement`,
    ],
  ])("%s is found where it is, and says what to do", (name, object, code, message) => {
    const cause = deepestCause(failure(name))!;
    expect(cause).toMatchObject({ object, code, failed: true });
    expect(withAdvice(cause, wish())).toMatchObject({ message, blocked: true });
  });

  it("a vCenter that is silent is a failure that only time can end", () => {
    const cause = deepestCause(failure("server-silent"))!;
    expect(cause).toMatchObject({ object: "VSphereCluster/c1", failed: true });
    expect(withAdvice(cause, wish()).blocked).toBeUndefined();
  });

  it("an address that has not come yet is waited for", () => {
    expect(deepestCause(failure("no-address"))).toMatchObject({
      object: "IPAddressClaim/c1-cp-7b9sd-0-0",
      code: "WaitingForAddress",
      failed: false,
    });
  });

  it("a cluster on its way has not failed, nor has one that runs", () => {
    const provisioning = golden("capi-provisioning").filter(({ kind }) => kind !== "IPAddressClaim"); // a stranger's
    expect(deepestCause(provisioning)).toMatchObject({
      object: "VSphereVM/c1-vv6bg",
      code: "WaitingForIPAllocation",
      failed: false,
    });
    expect(deepestCause(golden("capi-running"))?.failed).not.toBe(true);
  });
});

describe("a zone that vCenter's tags do not mark", () => {
  it("is the cause, below the VSphereCluster that waits for it", () => {
    const zone = object(vsphereDeploymentZone, "u1-a", [
      { type: "Ready", reason: "NotReady" },
      {
        type: "FailureDomainValidated",
        reason: "ZoneMisconfigured",
        message: "object ClusterComputeResource:domain-c1 @ /DC0/host/DC0_C0 does not have tag DC0_C0",
      },
    ]);
    const whole = object(vsphereCluster, "c1", [{ type: "FailureDomainsReady", reason: "NotReady" }]);
    const cause = deepestCause([whole, zone])!;
    expect(cause).toMatchObject({
      object: "VSphereDeploymentZone/u1-a",
      code: "ZoneMisconfigured",
      failed: true,
    });
    expect(withAdvice(cause, wish()).message).toMatch(/k8s-zone to the compute cluster/);
  });
});

describe("of causes that lie equally deep", () => {
  it("the one that began first is told", () => {
    const late = object(vsphereVM, "a", [
      {
        type: "VirtualMachineProvisioned",
        reason: "CloningFailed",
        message: "late",
        at: "2026-01-01T00:02:00Z",
      },
    ]);
    const early = object(vsphereVM, "b", [
      {
        type: "VirtualMachineProvisioned",
        reason: "CloningFailed",
        message: "early",
        at: "2026-01-01T00:01:00Z",
      },
    ]);
    for (const order of [
      [late, early],
      [early, late],
    ])
      expect(deepestCause(order)?.object).toBe("VSphereVM/b");
  });

  it("an object that keeps contract v1beta1 alone is read too", () => {
    const old = object(vsphereVM, "a", [], {});
    (old.status as { conditions: unknown }).conditions = [
      {
        type: "VMProvisioned",
        status: "False",
        severity: "Warning",
        reason: "CloningFailed",
        message: "no space",
        lastTransitionTime: "2026-01-01T00:00:00Z",
      },
    ];
    expect(deepestCause([old])).toMatchObject({
      code: "CloningFailed",
      message: "VMProvisioned: no space",
      failed: true,
    });
  });
});
