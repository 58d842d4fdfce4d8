import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cluster, ipAddressClaim, kubeadmControlPlane, machine, secret, spectroCluster } from "#proto";
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
