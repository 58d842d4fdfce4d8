import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Fault, runControllers, silentLogger, type Key, type Kind, type OwnedStore } from "#core";
import {
  encode64,
  inClusterIPPool,
  ipAddressClaim,
  secret,
  secretText,
  spa,
  spectroCluster,
  vsphereCluster,
  vsphereMachineTemplate,
  vsphereVM,
  type SpaSpec,
} from "#proto";
import { modify } from "#core/store/helpers.ts";
import { jetControllers } from "../index.ts";
import { wish, World } from "../testing/world.ts";

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.close());

const pool = async () =>
  (await world.workload.get(inClusterIPPool, { namespace: "cluster-u1", name: "c1" }))?.spec.addresses;
const counter = async () => (await world.workload.list(spectroCluster)).items[0]?.spec.counter;
const workers = (size: number) => ({ workerPools: [{ name: "w", size }], counter: size });

async function running(addresses: number): Promise<void> {
  await world.prepare(addresses);
  await world.want();
  await world.untilState("Running");
}

describe("a larger wish for a running cluster", () => {
  it("leases more addresses, widens the cluster's own pool where it lives now, and is delivered", async () => {
    await running(10);
    expect(await pool()).toHaveLength(5);
    await world.want(wish(workers(4)));
    await world.until("delivered", async () => (await counter()) === 4);
    await world.until("widened", async () => (await pool())?.length === 7);
    expect((await world.gateway.list(ipAddressClaim, { namespace: "default" })).items).toHaveLength(8);
    expect((await world.spa())?.status?.state).toBe("Running");
    expect(await world.gateway.get(inClusterIPPool, { namespace: "cluster-u1", name: "c1" })).toBeUndefined();
  });

  it("waits for addresses without taking back what the cluster has behind it", async () => {
    await running(6);
    await world.want(wish(workers(4)));
    await world.until(
      "short of addresses",
      async () => (await world.spa())?.status?.lastError?.code === "PoolExhausted",
    );
    const { status } = (await world.spa())!;
    expect(status?.state).toBe("Running");
    expect(status?.lastError?.message).toContain('pool "default/edge" has no free address left');
    expect(status?.milestones?.map((m) => m.state)).toEqual([
      "Done",
      "InProgress",
      "Done",
      "Done",
      "Done",
      "Done",
      "Done",
      "Done",
    ]);
    expect(await counter()).toBe(1);
    const edge = (await world.gateway.get(inClusterIPPool, { namespace: "default", name: "edge" }))!;
    await world.gateway.update(inClusterIPPool, {
      ...edge,
      spec: { ...edge.spec, addresses: [...edge.spec.addresses, "10.0.0.90", "10.0.0.91"] },
    });
    await world.until("delivered", async () => (await counter()) === 4);
  });

  it("and a smaller one afterwards gives no address back: machines may still have it", async () => {
    await running(10);
    await world.want(wish(workers(4)));
    await world.until("widened", async () => (await pool())?.length === 7);
    await world.want(wish({ workerPools: [], counter: 9 }));
    await world.until("delivered", async () => (await counter()) === 9);
    expect(await pool()).toHaveLength(7);
  });
});

describe("the gateway's own API", () => {
  it("is met again within half a minute, however long it was away: a hand-over may stand where nobody manages the cluster", async () => {
    await running(8);
    let away = true;
    let met = 0;
    const store: OwnedStore = Object.assign(Object.create(world.gateway) as OwnedStore, {
      get: (kind: Kind, key: Key) => {
        if (away) return Promise.reject(new Fault("Unavailable", "connection refused"));
        met++;
        return world.gateway.get(kind, key);
      },
    });
    const stop = new AbortController();
    const deps = { ...world.deps(), store };
    const [controller] = jetControllers(deps);
    // What it follows is read past the cut, so that nothing but its patience brings the next round.
    const runner = { store: world.gateway, clock: world.clock, log: silentLogger, random: () => 1 };
    const { stopped } = runControllers(runner, [controller!], stop.signal);
    for (let minute = 0; minute < 15; minute++) await world.clock.advance(60_000);
    away = false;
    await world.clock.advance(31_000);
    expect(met).toBeGreaterThan(0);
    stop.abort();
    await world.clock.advance(1_000);
    await stopped;
  });
});

describe("the health of a running cluster", () => {
  it("is in doubt after two minutes without a heartbeat, and bad after ten", async () => {
    await running(8);
    world.knobs.playAgent = false;
    const healthy = async () => (await world.spa())?.status?.conditions?.find((c) => c.type === "Healthy");
    const beat = Date.parse((await world.spa())!.status!.agent!.lastHeartbeat);
    for (const [afterMs, status] of [
      [119_000, "True"],
      [121_000, "Unknown"],
      [601_000, "False"],
    ] as const) {
      await world.clock.advance(Math.max(0, beat + afterMs - world.clock.now()));
      await world.round();
      expect(await healthy()).toMatchObject({ status });
    }
    expect((await world.spa())?.status?.state).toBe("Running");
  });
});

describe("the gateway's copy of the kubeconfig", () => {
  it("follows the cluster's own, whose certificate is renewed there", async () => {
    await running(8);
    const key = { namespace: "cluster-u1", name: "c1-kubeconfig" };
    const own = (await world.workload.get(secret, key))!;
    await world.workload.update(secret, { ...own, data: { value: encode64("renewed") } });
    await world.round();
    const kept = await world.gateway.get(secret, {
      namespace: "cluster-u1",
      name: "pcg-workload-kubeconfig",
    });
    expect(secretText(kept, "value")).toBe("renewed");
  });
});

describe("vCenter under another name, or with another certificate", () => {
  const key = { namespace: "cluster-u1", name: "c1" };
  const account = (change: Partial<SpaSpec["cloud"]>) =>
    modify(world.gateway, spa, key, (have) => ({
      ...have,
      spec: { ...have.spec, cloud: { ...have.spec.cloud, ...change } },
    }));
  const told = async (side: "gateway" | "workload") => (await world[side].get(vsphereCluster, key))?.spec;
  const vms = async (side: "gateway" | "workload") =>
    (await world[side].list(vsphereVM)).items.map((vm) => vm.spec.thumbprint);

  it("reaches a cluster whose first machine waits for it, without making anything anew", async () => {
    await world.prepare(8);
    world.knobs.vmFailure = "thumbprint does not match";
    await world.want();
    await world.until("objects", async () => (await told("gateway"))?.thumbprint === "AA:BB");
    const templates = async () =>
      (await world.gateway.list(vsphereMachineTemplate)).items.map((one) => one.metadata.name);
    const before = await templates();
    await account({ thumbprint: "CC:DD", server: "vcenter.test" });
    await world.until("corrected", async () => (await told("gateway"))?.thumbprint === "CC:DD");
    expect(await told("gateway")).toMatchObject({ server: "vcenter.test" });
    await world.until("at the VM too", async () => [...new Set(await vms("gateway"))].join() === "CC:DD");
    expect(await templates()).toEqual(before);
    world.knobs.vmFailure = undefined;
    await world.untilState("Running");
  });

  it("reaches a cluster that manages itself, its VMs and what the agent knows, while the plane's counter stays", async () => {
    await running(8);
    const templates = async () =>
      (await world.workload.list(vsphereMachineTemplate)).items.map((one) => one.metadata.name).sort();
    const before = await templates();
    await account({ thumbprint: "CC:DD", server: "vcenter.test" });
    await world.until("corrected", async () => (await told("workload"))?.thumbprint === "CC:DD");
    await world.until("at the VMs too", async () => [...new Set(await vms("workload"))].join() === "CC:DD");
    expect(await told("workload")).toMatchObject({ server: "vcenter.test" });
    await world.until("the agent knows", async () => {
      const spec = (await world.workload.get(spectroCluster, key))?.spec;
      return spec?.counter === 1 && spec.desired.cloud.server === "vcenter.test";
    });
    expect(await templates()).toEqual(before);
    expect(await told("gateway")).toBeUndefined(); // the gateway's own side is not asked to act
  });

  it("where an authority vouches for it, a renewed certificate is found out and reaches the cluster by itself", async () => {
    await world.prepare(8);
    world.knobs.thumbprint = "EE:01";
    await world.want(
      wish({ cloud: { type: "vsphere", server: "vc.test", caCert: "PEM", credentialRef: { name: "lab" } } }),
    );
    await world.untilState("Running");
    expect(await told("workload")).toMatchObject({ thumbprint: "EE:01" });
    world.knobs.thumbprint = "EE:02";
    await world.clock.advance(61_000);
    await world.until("found out", async () => (await told("workload"))?.thumbprint === "EE:02");
    world.knobs.thumbprint = undefined; // vCenter is silent: what was found out stays
    await world.clock.advance(61_000);
    await world.round();
    await world.round();
    expect(await told("workload")).toMatchObject({ thumbprint: "EE:02" });
  });
});
