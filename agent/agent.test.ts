import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { silentLogger, type Kind, type OwnedStore } from "#core";
import { memoryStore } from "#core/store/memory-store.ts";
import { fakeClock } from "#core/time/fake-clock.ts";
import {
  cluster,
  configMap,
  desiredStateSchema,
  kubeadmControlPlane,
  machineDeployment,
  spaSpecSchema,
  spectroCluster,
  vsphereMachineTemplate,
  type ClusterEvent,
  type ClusterStatus,
  type DesiredCluster,
  type Heartbeat,
} from "#proto";
import { startAgent, type RunningAgent } from "./index.ts";

const ns = "cluster-u1";
const spec = spaSpecSchema.parse({
  clusterUid: "u1",
  clusterName: "c1",
  cloud: { type: "vsphere", server: "vc.site", thumbprint: "AA", credentialRef: { name: "lab" } },
  placement: {
    datacenter: "DC0",
    computeCluster: "C0",
    networkName: "VM Network",
    ipPoolRef: { name: "edge" },
  },
  kubernetesVersion: "v1.35.4",
  image: { template: "/DC0/vm/t" },
  controlPlane: { replicas: 3 },
  workerPools: [{ name: "w", size: 2 }],
});

let store: OwnedStore;
let stop: AbortController;
let agent: RunningAgent;
const clock = fakeClock();
const told = { statuses: [] as ClusterStatus[], events: [] as ClusterEvent[], beats: [] as Heartbeat[] };

beforeEach(async () => {
  store = memoryStore({ clock });
  stop = new AbortController();
  told.statuses = [];
  told.events = [];
  told.beats = [];
  await store.create(cluster, { metadata: { name: "c1", namespace: ns }, spec: {} });
  await store.create(vsphereMachineTemplate, {
    metadata: { name: "c1-cp-1", namespace: ns },
    spec: { template: { spec: { template: "/DC0/vm/t", network: { devices: [] } } } },
  } as never);
  await store.create(kubeadmControlPlane, {
    metadata: { name: "c1-cp", namespace: ns },
    spec: {
      replicas: 1,
      version: "v1.35.4",
      machineTemplate: {
        spec: { infrastructureRef: { apiGroup: "i", kind: "VSphereMachineTemplate", name: "c1-cp-1" } },
      },
    },
  } as never);
  await store.create(spectroCluster, {
    metadata: { name: "c1", namespace: ns },
    spec: { desired: desiredStateSchema.parse(spec), counter: 1 },
  });
  agent = startAgent(
    {
      store,
      clock,
      log: silentLogger,
      random: () => 0.5,
      outlet: {
        status: async (status) => void told.statuses.push(status),
        event: async (event) => void told.events.push(event),
        heartbeat: async (beat) => void told.beats.push(beat),
      },
    },
    { clusterUid: "u1", namespace: ns, version: "1.2.3" },
    stop.signal,
  );
  await agent.ready;
});
afterEach(async () => {
  stop.abort();
  await clock.advance(2_000);
  await agent.stopped;
  await store.close();
});

async function eventually(what: string, check: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    if (await check()) return;
    await clock.advance(200);
  }
  throw new Error(`never: ${what}`);
}

const spc = async () => (await store.get(spectroCluster, { namespace: ns, name: "c1" }))!;
const replicas = async () =>
  (await store.get(kubeadmControlPlane, { namespace: ns, name: "c1-cp" }))!.spec.replicas;
const decide = (state: string) =>
  store.create(configMap, {
    metadata: { name: "pcg-pivot", namespace: ns },
    data: { id: "p", epoch: "1", state },
  });

function newer(counter: number, change: object): DesiredCluster {
  return { clusterUid: "u1", gatewayUid: "g", counter, spec: spaSpecSchema.parse({ ...spec, ...change }) };
}
const accept = (desired: DesiredCluster) =>
  agent.accept(
    { document: JSON.stringify(desired), signature: "sig" },
    (signed) => JSON.parse(signed.document) as DesiredCluster,
  );

describe("the agent", () => {
  it("beats at once and every 30 s, and waits for the decision before it acts", async () => {
    await eventually("a heartbeat", async () => (await spc()).status?.heartbeat !== undefined);
    expect((await spc()).status?.heartbeat?.version).toBe("1.2.3");
    const beats = told.beats.length;
    await clock.advance(90_000);
    expect(told.beats.length - beats).toBe(3);
    expect(await replicas()).toBe(1);
    expect(told.statuses).toEqual([]);
    await decide("Active");
    await eventually("scaled", async () => (await replicas()) === 3);
    await eventually("a pool", async () => (await store.list(machineDeployment)).items.length === 1);
    await eventually("told", async () => told.statuses.length > 0);
    expect(told.statuses.at(-1)).toMatchObject({ clusterUid: "u1", state: "Provisioning", pivoted: true });
  });

  it("stays Running once it ran, and tells what it adds later as events", async () => {
    await decide("Active");
    await eventually("scaled", async () => (await replicas()) === 3);
    await settle();
    await eventually("Running", async () => told.statuses.at(-1)?.state === "Running");
    expect(told.events.map((e) => e.reason).sort()).toEqual([
      "ControlPlaneNodeAdditionDone",
      "WorkerNodeAdditionDone",
    ]);
    await accept(newer(2, { workerPools: [{ name: "w", size: 5 }] }));
    await eventually(
      "asked for more",
      async () => (await store.list(machineDeployment)).items[0]?.spec.replicas === 5,
    );
    expect(told.statuses.at(-1)).toMatchObject({ state: "Running" });
    await settle();
    await eventually("told again", async () => told.events.length === 3);
    expect(new Set(told.events.map((e) => e.id)).size).toBe(3);
  });

  it("takes a newer wish from the plane, but not how this site reaches its vCenter", async () => {
    expect(
      await accept(newer(3, { cloud: { ...spec.cloud, server: "vc.plane" }, image: {}, workerPools: [] })),
    ).toBe("accepted");
    const { counter, desired, signature } = (await spc()).spec;
    expect({
      counter,
      signature,
      server: desired.cloud.server,
      template: desired.image.template,
      pools: desired.workerPools,
    }).toEqual({
      counter: 3,
      signature: "sig",
      server: "vc.site",
      template: "/DC0/vm/t",
      pools: [],
    });
    expect(await accept(newer(3, {}))).toBe("old");
    expect(await accept(newer(2, {}))).toBe("old");
    expect(await accept({ ...newer(9, {}), clusterUid: "other" })).toBe("not mine");
    expect(await accept(newer(9, { action: "Delete" }))).toBe("not mine");
    expect((await spc()).spec.counter).toBe(3);
  });

  it("does not take a document whose signature does not hold", async () => {
    const refuse = () => {
      throw new Error("bad signature");
    };
    await expect(agent.accept({ document: "{}", signature: "x" }, refuse)).rejects.toThrow("bad signature");
    expect((await spc()).spec.counter).toBe(1);
  });
});

/** Cluster API's answer to whatever is asked for. */
async function settle(): Promise<void> {
  await eventually("a deployment", async () => (await store.list(machineDeployment)).items.length > 0);
  for (const kind of [kubeadmControlPlane, machineDeployment] as readonly Kind[]) {
    for (const object of (await store.list(kind)).items) {
      const n = (object.spec as { replicas: number }).replicas;
      const status = {
        replicas: n,
        readyReplicas: n,
        availableReplicas: n,
        upToDateReplicas: n,
        observedGeneration: object.metadata.generation,
      };
      await store.updateStatus(kind, { ...object, status });
    }
  }
}
