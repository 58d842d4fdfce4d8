// The agent on a real API: kube-apiserver with the CRDs, webhooks and controllers of Cluster API and CAPV. What it writes is taken as
// it is, a round that finds nothing to do writes nothing, and what the controllers add is not fought over.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { apiVersionOf, silentLogger, systemClock, type Kind, type OwnedStore, type Resource } from "#core";
import { kubeStore } from "#core/store/kube-store.ts";
import { startAgent, type RunningAgent } from "#agent";
import {
  cluster,
  configMap,
  desiredStateSchema,
  kubeadmConfigTemplate,
  kubeadmControlPlane,
  machineDeployment,
  machineHealthCheck,
  namespace,
  spectroCluster,
  vsphereCluster,
  vsphereMachineTemplate,
  type ClusterStatus,
} from "#proto";
import { crdOf } from "#proto/generate-crds.ts";
import { machineTemplate } from "#proto/render/machine-template.ts";
import { includes } from "#proto/render/shape.ts";
import { healthCheck, workerPool } from "../../agent/render/worker-pool.ts";
import { clusterObject, vsphereClusterObject } from "../../jet/render/cluster.ts";
import { controlPlane } from "../../jet/render/control-plane.ts";
import { wish } from "../../jet/testing/world.ts";
import { asker } from "./harness/ask.ts";
import { applyCrds } from "./harness/crds.ts";
import { startKube, type Kube } from "./harness/kube.ts";
import { startManagers, type Managers } from "./harness/admission.ts";

const spec = wish({
  access: { sshKeys: ["ssh-ed25519 AAAA op@desk"], ntpServers: ["10.0.0.2"] },
  controlPlane: { replicas: 3 },
  workerPools: [
    { name: "plain", size: 2 },
    {
      name: "gpu",
      size: 1,
      labels: { "example.test/gpu": "yes" },
      taints: [{ key: "gpu", effect: "NoSchedule" }],
      updateStrategy: "RollingUpdateScaleIn",
    },
  ],
});
const { agent: _agent, ...wanted } = spec;
const desired = desiredStateSchema.parse(wanted);
const uid = spec.clusterUid;
const ns = `cluster-${uid}`;
const here = { namespace: ns };
const template = "/DC0/vm/templates/u-v1.35.4";
const resolved = { endpoint: { host: "10.0.0.10", port: 6443 }, template };

let dir: string;
let kube: Kube;
let managers: Managers;
let real: OwnedStore;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "pcg-peers-"));
  kube = await startKube({ dir });
  managers = await startManagers(kube);
  await applyCrds(kube, [crdOf(spectroCluster)]);
  real = await kubeStore(kube.kubeconfig, { clock: systemClock });
  await real.create(namespace, { metadata: { name: ns } });
}, 600_000);

afterAll(async () => {
  await real?.close();
  await managers?.stop();
  await kube?.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** What is written through it, but for the heartbeat's and the report's status. */
function counting(store: OwnedStore): OwnedStore & { readonly writes: string[] } {
  const writes: string[] = [];
  const note = (verb: string, kind: Kind, name = "") => writes.push(`${verb} ${kind.kind}/${name}`);
  return Object.assign(Object.create(store) as OwnedStore, {
    writes,
    create: ((kind, draft) => (
      note("create", kind, draft.metadata.name),
      store.create(kind, draft)
    )) as OwnedStore["create"],
    update: ((kind, object) => (
      note("update", kind, object.metadata.name),
      store.update(kind, object)
    )) as OwnedStore["update"],
    updateStatus: ((kind, object) => (
      note("status", kind, object.metadata.name),
      store.updateStatus(kind, object)
    )) as OwnedStore["updateStatus"],
    delete: ((kind, key, options) => (
      note("delete", kind, key.name),
      store.delete(kind, key, options)
    )) as OwnedStore["delete"],
    get: ((kind, key, signal) => store.get(kind, key, signal)) as OwnedStore["get"],
    list: ((kind, options, signal) => store.list(kind, options, signal)) as OwnedStore["list"],
    watch: ((kind, options, signal) => store.watch(kind, options, signal)) as OwnedStore["watch"],
  });
}

const statuses: ClusterStatus[] = [];
function run(store: OwnedStore, signal: AbortSignal): RunningAgent {
  return startAgent(
    {
      store,
      clock: systemClock,
      log: silentLogger,
      random: Math.random,
      outlet: {
        status: async (status) => void statuses.push(status),
        event: async () => {},
        heartbeat: async () => {},
      },
    },
    { clusterUid: uid, namespace: ns, version: "1", heartbeatMs: 3_600_000 },
    signal,
  );
}

const all = async (kind: Kind) => (await real.list(kind, here)).items;
const spc = () => real.get(spectroCluster, { ...here, name: spec.clusterName });

describe("the agent on a real API", () => {
  it("writes nothing that the API server does not know, or a webhook refuses", async () => {
    const ask = asker(kube);
    const pools = desired.workerPools.flatMap((pool) => workerPool(desired, pool, template));
    const check = healthCheck(
      desired,
      `${spec.clusterName}-cp`,
      {},
      { "cluster.x-k8s.io/control-plane": "" },
    );
    for (const { kind, object } of [...pools, { kind: machineHealthCheck, object: check }]) {
      const path = `/apis/${apiVersionOf(kind)}/namespaces/${ns}/${kind.plural}?dryRun=All&fieldValidation=Strict`;
      const { status, body } = await ask("POST", path, {
        ...object,
        apiVersion: apiVersionOf(kind),
        kind: kind.kind,
      });
      expect(status, `${kind.kind}: ${String(body["message"])}`).toBe(201);
      expect(includes(body["spec"], object.spec), `${kind.kind} as it was written`).toBe(true);
    }
    const off = healthCheck({ ...desired, health: { autoRemediation: false } }, "off", {}, { a: "b" });
    const path = `/apis/${apiVersionOf(machineHealthCheck)}/namespaces/${ns}/machinehealthchecks?dryRun=All&fieldValidation=Strict`;
    const { status, body } = await ask("POST", path, {
      ...off,
      apiVersion: apiVersionOf(machineHealthCheck),
      kind: machineHealthCheck.kind,
    });
    expect(status, String(body["message"])).toBe(201);
    ask.close();
  });

  it("raises the control plane, makes the pools and their checks, and is then silent", async () => {
    const machine = machineTemplate(vsphereMachineTemplate, spec, ns, `${spec.clusterName}-cp`, {
      placement: spec.placement,
      instance: spec.controlPlane.instance,
      template,
    });
    await real.create(vsphereMachineTemplate, machine as never);
    await real.create(kubeadmControlPlane, controlPlane(spec, resolved, machine.metadata.name, 1) as never);
    await real.create(vsphereCluster, vsphereClusterObject(spec, resolved) as never);
    await real.create(cluster, clusterObject(spec, resolved) as never);
    await real.create(spectroCluster, {
      metadata: { ...here, name: spec.clusterName },
      spec: { desired, counter: 1 },
    });
    await real.create(configMap, {
      metadata: { ...here, name: "pcg-pivot" },
      data: { id: "p", epoch: "1", state: "Active" },
    });

    const store = counting(real);
    const stop = new AbortController();
    const agent = run(store, stop.signal);
    await expect.poll(async () => (await all(machineHealthCheck)).length, { timeout: 30_000 }).toBe(3);
    await expect
      .poll(async () => (await all(kubeadmControlPlane))[0]?.spec, { timeout: 10_000 })
      .toMatchObject({ replicas: 3 });
    await expect.poll(() => statuses.length, { timeout: 10_000 }).toBeGreaterThan(0);
    expect((await all(machineDeployment)).map((d) => d.metadata.name).sort()).toEqual(["c1-gpu", "c1-plain"]);
    expect(await all(kubeadmConfigTemplate)).toHaveLength(2);
    expect((await all(vsphereMachineTemplate)).length).toBe(3);
    const made = store.writes.filter((w) => w.startsWith("create"));
    expect(new Set(made).size).toBe(made.length);
    expect(statuses.at(-1)).toMatchObject({ clusterUid: uid, state: "Provisioning", pivoted: true });

    // Rounds are woken by touching what it follows; it must answer none of them with a write.
    await quiet(store.writes);
    store.writes.length = 0;
    for (let round = 0; round < 5; round++) {
      const record = (await real.get(configMap, { ...here, name: "pcg-pivot" }))!;
      await real.update(configMap, {
        ...record,
        data: { ...record.data, committedAt: String(round) },
      } as never);
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    expect(store.writes.filter((w) => !w.startsWith("status SpectroCluster"))).toEqual([]);
    await quiet(store.writes);
    expect((await spc())?.status?.conditions?.map((c) => c.type)).toContain("RemediationBlocked");

    stop.abort();
    await agent.stopped;
  }, 120_000);

  it("another process finds all done, and writes nothing at all", async () => {
    const store = counting(real);
    const stop = new AbortController();
    const agent = run(store, stop.signal);
    await agent.ready;
    await quiet(store.writes);
    expect(store.writes.filter((w) => w !== `status SpectroCluster/${spec.clusterName}`)).toEqual([]);
    expect(store.writes.length).toBeLessThanOrEqual(1); // its first heartbeat
    stop.abort();
    await agent.stopped;
  }, 60_000);

  it("rolls a pool over to other templates, and takes one away that is not wanted any more", async () => {
    const before = (await all(machineDeployment)).find((d) => d.metadata.name === "c1-plain")!;
    const [plain] = desired.workerPools;
    const next = {
      ...desired,
      workerPools: [{ ...plain!, size: 4, instance: { ...plain!.instance, numCPUs: 4 } }],
    };
    const object = (await spc())!;
    await real.update(spectroCluster, { ...object, spec: { ...object.spec, desired: next, counter: 2 } });
    const stop = new AbortController();
    const agent = run(real, stop.signal);
    await expect
      .poll(async () => (await all(machineDeployment)).map((d) => d.metadata.name), { timeout: 30_000 })
      .toEqual(["c1-plain"]);
    await expect
      .poll(async () => (await all(machineDeployment))[0]?.spec, { timeout: 30_000 })
      .toMatchObject({ replicas: 4 });
    const after = (await all(machineDeployment))[0] as Resource & {
      spec: { template: { spec: { infrastructureRef: { name: string } } } };
    };
    expect(after.spec.template.spec.infrastructureRef.name).not.toBe(
      (before as typeof after).spec.template.spec.infrastructureRef.name,
    );
    await expect
      .poll(async () => (await all(machineHealthCheck)).map((m) => m.metadata.name).sort(), {
        timeout: 10_000,
      })
      .toEqual(["c1-cp", "c1-plain"]);
    stop.abort();
    await agent.stopped;
  }, 60_000);
});

/** Waits until nothing was written for a while. */
async function quiet(writes: readonly string[]): Promise<void> {
  for (let last = -1; last !== writes.length;) {
    last = writes.length;
    await new Promise((resolve) => setTimeout(resolve, 1_500));
  }
}
