import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  vsphereCluster,
  cluster,
  ipAddressClaim,
  kubeadmControlPlane,
  machine,
  secret,
  spectroCluster,
} from "#proto";
import { wish, World } from "../testing/world.ts";

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.close());

describe("a cluster on its way up", () => {
  it("goes from a wish to a running cluster that manages itself", async () => {
    await world.prepare();
    await world.want();
    await world.untilState("Running");
    const object = await world.spa();
    expect(object?.status?.milestones?.map((m) => `${m.title}: ${m.state}`)).toEqual([
      "Customizing Image: Done",
      "Creating Infrastructure: Done",
      "Adding Control Plane Node: Done",
      "Preparing Kubeconfig: Done",
      "Installing Agent: Done",
      "Transferring Management: Done",
      "Adding Control Plane Nodes: Done",
      "Adding Worker Nodes: Done",
    ]);
    expect(object?.status?.activeSide).toEqual({ side: "workload", epoch: 1 });
    expect(object?.status?.endpoint).toEqual({ host: "10.0.0.10", port: 6443 });
    expect((await world.gateway.list(cluster)).items).toEqual([]);
    expect((await world.workload.list(machine)).items.map((m) => m.metadata.name)).toEqual(["c1-cp-m0"]);
    expect(world.dc.made).toBe(1);
    expect(world.statuses.at(-1)).toMatchObject({ state: "Running", pivoted: true, clusterUid: "u1" });
    expect((await world.workload.list(spectroCluster)).items[0]?.spec).toMatchObject({
      counter: 1,
      desired: { clusterName: "c1" },
    });
    expect(JSON.stringify((await world.workload.list(spectroCluster)).items)).not.toContain("one-time");
  });

  it("leases nodes + 3 addresses from the parent pool, the first of them the API's", async () => {
    await world.prepare();
    await world.want();
    await world.untilMilestone("CloudInfrastructureReady");
    const leases = (await world.gateway.list(ipAddressClaim, { namespace: "default" })).items.map(
      (c) => c.metadata.name,
    );
    expect(leases).toEqual([
      "u1-lease-0",
      "u1-lease-1",
      "u1-lease-2",
      "u1-lease-3",
      "u1-lease-4",
      "u1-lease-5",
    ]);
    const [plane] = (await world.gateway.list(kubeadmControlPlane)).items;
    expect(plane?.spec.replicas).toBe(1);
  });
});

describe("a vCenter that is trusted by its certificate authority", () => {
  it("is pinned for CAPV, which knows no authorities, and for the agent", async () => {
    await world.prepare();
    world.knobs.thumbprint = "EE:FF";
    await world.want(
      wish({ cloud: { type: "vsphere", server: "vc.test", caCert: "PEM", credentialRef: { name: "lab" } } }),
    );
    await world.untilMilestone("CloudInfrastructureReady");
    expect((await world.gateway.list(vsphereCluster)).items[0]?.spec.thumbprint).toBe("EE:FF");
    await world.untilState("Running");
    expect((await world.workload.list(spectroCluster)).items[0]?.spec.desired.cloud.thumbprint).toBe("EE:FF");
  });
});

describe("a wish with mistakes", () => {
  it("hears of all of them at once", async () => {
    await world.prepare(4);
    world.knobs.cloudProblems = [
      { field: "placement.datacenter", message: 'there is no datacenter "DC9"; there are: DC0' },
    ];
    await world.want(wish({ network: { endpoint: { type: "DDNS" } } }));
    await world.untilState("Error");
    const { status } = (await world.spa())!;
    const valid = status?.conditions?.find((c) => c.type === "SpecValid");
    expect(valid).toMatchObject({ status: "False", reason: "ProblemsFound" });
    expect(valid?.message).toContain("network.endpoint.host: is needed with type DDNS");
    expect(valid?.message).toContain(
      'placement.ipPoolRef: pool "default/edge" has 4 free of 4 addresses, 6 are needed (3 nodes + 3 spare)',
    );
    expect(valid?.message).toContain('placement.datacenter: there is no datacenter "DC9"; there are: DC0');
    expect(status?.lastError).toMatchObject({
      code: "Invalid",
      object: "SpectroProvisioningAgent/c1",
      count: 1,
    });
    expect((await world.gateway.list(cluster)).items).toEqual([]);
    expect((await world.gateway.list(ipAddressClaim)).items).toEqual([]);
  });

  it("hears of a wrong password, and goes on when it is corrected", async () => {
    await world.prepare(8, "wrong");
    await world.want();
    await world.untilState("Error");
    const refused = (await world.spa())!.status?.conditions?.find((c) => c.type === "CredentialsValid");
    expect(refused).toMatchObject({ status: "False", reason: "Refused" });
    expect(refused?.message).toContain("vc.test refuses user jet@vsphere.local");
    expect(JSON.stringify((await world.spa())!.status)).not.toContain("wrong");
    await world.setPassword("right");
    await world.round();
    await world.untilState("Running");
    expect((await world.spa())!.status?.lastError).toBeUndefined();
  });

  it("is told which Secret is missing", async () => {
    await world.prepare();
    await world.gateway.delete(secret, { namespace: "pcg-system", name: "lab" });
    await world.want();
    await world.untilState("Error");
    const missing = (await world.spa())!.status?.conditions?.find((c) => c.type === "CredentialsValid");
    expect(missing).toMatchObject({ status: "False", reason: "SecretMissing" });
    expect(missing?.message).toContain("Secret pcg-system/lab does not exist");
  });

  it("is told that no template fits", async () => {
    await world.prepare();
    world.knobs.template = undefined;
    await world.want();
    await world.untilState("Error");
    const { status } = (await world.spa())!;
    expect(status?.lastError?.message).toBe(
      "vCenter has no template for Kubernetes v1.35.4; import one, or name it in image.template",
    );
    world.knobs.template = "/DC0/vm/t";
    await world.untilState("Running");
  });

  it("counts tries only when they are due, and asks vCenter no more often than announced", async () => {
    await world.prepare(8, "wrong");
    await world.want();
    await world.round();
    const first = (await world.spa())!.status?.milestones?.[0];
    const asked = world.asked;
    for (let at = 0; at < 20; at++) await world.round();
    expect(world.asked).toBe(asked);
    expect((await world.spa())!.status?.milestones?.[0]).toEqual(first);
    await world.clock.advance(Date.parse(first!.nextRetryAt!) - world.clock.now());
    await world.round();
    const second = (await world.spa())!.status?.milestones?.[0];
    expect([first?.attempt, second?.attempt]).toEqual([1, 2]);
    expect(world.asked).toBe(asked + 1);
  });
});

describe("a machine that cannot be made", () => {
  it("shows the deepest cause and its object, and recovers", async () => {
    await world.prepare();
    world.knobs.vmFailure = "the datastore ds0 is full";
    await world.want();
    await world.until("failed", async () => (await world.spa())?.status?.lastError !== undefined);
    expect((await world.spa())!.status?.lastError).toMatchObject({
      code: "CloningFailed",
      object: "VSphereVM/c1-cp-m0",
      message: "VirtualMachineProvisioned: the datastore ds0 is full",
    });
    world.knobs.vmFailure = undefined;
    await world.untilState("Running");
  });
});

describe("a cluster on its way down", () => {
  for (const milestone of [
    "ImageResolutionDone",
    "CloudInfrastructureReady",
    "BootstrappingDone",
    "KubeConfigReady",
    "ImagePullSecretPropagationDone",
    "PivotCompleted",
    "WorkerNodeAdditionDone",
  ]) {
    it(`leaves nothing behind when it is deleted after ${milestone}`, async () => {
      await world.prepare();
      await world.want();
      await world.untilMilestone(milestone);
      await world.want(wish({ action: "Delete", counter: 2 }));
      await world.untilGone();
      await world.clock.advance(1000);
      expect(await world.residue()).toEqual([]);
      expect(world.statuses.at(-1)).toMatchObject({ state: "Deleted", clusterUid: "u1" });
      expect(world.events.at(-1)).toMatchObject({ reason: "Deleted" });
    });
  }

  it("goes even where its wish was never valid", async () => {
    await world.prepare(2, "wrong");
    await world.want();
    await world.untilState("Error");
    await world.want(wish({ action: "Delete", counter: 2 }));
    await world.untilGone();
    expect(await world.residue()).toEqual([]);
  });

  it("names what blocks it, and takes corrected credentials up", async () => {
    await world.prepare();
    await world.want();
    await world.untilState("Running");
    await world.gateway.delete(secret, { namespace: "pcg-system", name: "lab" });
    await world.want(wish({ action: "Delete", counter: 2 }));
    const blocked = async () =>
      (await world.spa())?.status?.conditions?.find(
        (c) => c.type === "DeletionBlocked" && c.status === "True",
      );
    await world.until("blocked", async () => (await blocked()) !== undefined);
    expect((await blocked())?.message).toContain("Secret");
    await world.setPassword("right");
    await world.untilGone();
    expect(await world.residue()).toEqual([]);
  });

  it("says so when the API of a cluster that manages itself is dead, and ends when its VMs are gone", async () => {
    await world.prepare();
    await world.want();
    await world.untilState("Running");
    world.knobs.workloadUp = false;
    await world.want(wish({ action: "Delete", counter: 2 }));
    const condition = async () =>
      (await world.spa())?.status?.conditions?.find((c) => c.type === "DeletionBlocked");
    await world.until("blocked", async () => (await condition())?.status === "True");
    expect(await condition()).toMatchObject({ reason: "WorkloadUnreachable" });
    expect((await condition())?.message).toContain("1 of its VMs still exist");
    world.dc.vms.clear();
    await world.untilGone();
    expect(await world.residue()).toEqual([]);
  });

  it("leaves the machines alone when it is orphaned", async () => {
    await world.prepare();
    await world.want();
    await world.untilMilestone("BootstrappingDone");
    await world.want(wish({ action: "Delete", deletePolicy: "Orphan", counter: 2 }));
    await world.untilGone();
    expect(await world.residue()).toEqual([
      "VM/c1-cp-m0",
      ...["0", "1", "2", "3", "4", "5"].map((n) => `IPAddressClaim/u1-lease-${n}`),
    ]);
  });
});

describe("a running cluster that falls silent", () => {
  it("stays Running with unknown health, and keeps its milestones", async () => {
    await world.prepare();
    await world.want();
    await world.untilState("Running");
    const before = (await world.spa())!.status?.milestones;
    world.knobs.workloadUp = false;
    await world.round();
    const { status } = (await world.spa())!;
    expect(status?.state).toBe("Running");
    expect(status?.milestones).toEqual(before);
    expect(status?.conditions?.find((c) => c.type === "Healthy")).toMatchObject({ status: "Unknown" });
  });

  it("gets a changed password when it is back", async () => {
    await world.prepare();
    await world.want();
    await world.untilState("Running");
    world.knobs.password = "new";
    await world.setPassword("new");
    await world.round();
    const identity = await world.workload.get(secret, { namespace: "cluster-u1", name: "c1-identity" });
    expect(Buffer.from(identity?.data?.password ?? "", "base64").toString()).toBe("new");
    expect(await world.gateway.get(secret, { namespace: "cluster-u1", name: "c1-identity" })).toBeUndefined();
  });
});
