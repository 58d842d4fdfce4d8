// The embedded control plane loses its etcd disk: etcd from the last snapshot, which is from before the hand-over, on the real programs.
// What the snapshot brings back must be gone before Cluster API's managers look, though their webhooks judge every write.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import {
  openBundle,
  restoreControlPlane,
  startControlPlane,
  type Bundle,
  type ControlPlane,
} from "#controlplane";
import {
  openDatabase,
  silentLogger,
  systemClock,
  type Database,
  type OwnedStore,
  type Resource,
} from "#core";
import { kubeStore } from "#core/store/kube-store.ts";
import {
  cluster,
  clusterApiKinds,
  encode64,
  inClusterIPPool,
  ipAddress,
  ipAddressClaim,
  kubeadmControlPlane,
  machineHealthCheck,
  namespace,
  secret,
  spa,
  vsphereCluster,
  vsphereMachineTemplate,
} from "#proto";
import { machineTemplate } from "#proto/render/machine-template.ts";
import { readMembers } from "#proto/render/membership.ts";
import { establish, managementKinds } from "../../gateway/crds.ts";
import { gatewayRecovery, lineageMigration, type GatewayRecovery } from "../../gateway/recovery.ts";
import { memoryMirrors } from "../../jet/mirror/testing.ts";
import { newJournal } from "../../jet/pivot/journal.ts";
import {
  childPool,
  clusterNamespaceObject,
  clusterObject,
  identitySecret,
  vsphereClusterObject,
} from "../../jet/render/cluster.ts";
import { controlPlane as controlPlaneObject } from "../../jet/render/control-plane.ts";
import { wish } from "../../jet/testing/world.ts";
import { desiredToSpa } from "../../jet/desired.ts";
import { mirrorDigest, desiredStateSchema } from "#proto";
import { peerBundle } from "./harness/bundle.ts";

const deps = { clock: systemClock, log: silentLogger, random: Math.random };
const never = new AbortController().signal;
const spec = wish();
const ns = "cluster-u1";
const here = { namespace: ns };
const resolved = { endpoint: { host: "10.0.0.10", port: 6443 }, template: "/DC0/vm/t" };
const leases = ["10.0.0.11", "10.0.0.12", "10.0.0.13"].map((address) => ({
  address,
  prefix: 24,
  gateway: "10.0.0.1",
}));

let dir: string;
let dataDir: string;
let bundle: Bundle;
let running: ControlPlane | undefined;
let store: OwnedStore;
let db: Database;
let recovery: GatewayRecovery;
const mirrors = memoryMirrors();

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "pcg-recovery-"));
  dataDir = join(dir, "control-plane");
  bundle = await openBundle(await peerBundle());
  db = await openDatabase(join(dir, "gateway.db"), { migrations: [lineageMigration] });
  recovery = gatewayRecovery({ db, mirrors, cloud: () => spec.cloud, clock: systemClock, log: silentLogger });
}, 600_000);

afterAll(async () => {
  await stop();
  await db?.close();
  rmSync(dir, { recursive: true, force: true });
});

async function start(before?: () => Promise<void>): Promise<void> {
  running = await startControlPlane(
    {
      dataDir,
      bundle,
      fsync: false,
      beforeManagers: async ({ kubeconfig, withoutWebhooks }, signal) => {
        await before?.();
        await recovery.fence(kubeconfig, withoutWebhooks, signal);
      },
    },
    deps,
    never,
  );
  store = await kubeStore(running.kubeconfig, { clock: systemClock });
  await establish(store, managementKinds, systemClock, never);
}

async function stop(): Promise<void> {
  await store?.close();
  await running?.close();
  running = undefined;
}

const identity = () => store.get(secret, { ...here, name: "c1-identity" });

async function objects(): Promise<string[]> {
  const found: string[] = [];
  for (const kind of clusterApiKinds)
    for (const o of (await store.list(kind, here)).items) found.push(`${kind.kind}/${o.metadata.name}`);
  return found.sort();
}

async function makeCluster(): Promise<void> {
  await store.create(namespace, clusterNamespaceObject(spec) as never);
  await store.create(spa, desiredToSpa({ clusterUid: "u1", gatewayUid: "g", counter: 1, spec }));
  const machine = machineTemplate(vsphereMachineTemplate, spec, ns, "c1-cp", {
    placement: spec.placement,
    instance: spec.controlPlane.instance,
    template: resolved.template,
  });
  const login = { username: encode64("u"), password: encode64("p") };
  await store.create(secret, identitySecret(spec, login) as never);
  await store.create(
    inClusterIPPool,
    childPool(spec, "c1", leases, { address: "10.0.0.10", prefix: 24 }) as never,
  );
  await store.create(vsphereMachineTemplate, machine as never);
  await store.create(
    kubeadmControlPlane,
    controlPlaneObject(spec, resolved, machine.metadata.name, 1) as never,
  );
  await store.create(vsphereCluster, vsphereClusterObject(spec, resolved) as never);
  await store.create(cluster, clusterObject(spec, resolved) as never);
}

it("is restored from before the hand-over: nothing acts on what came back, and every lease has its address", async () => {
  await start();
  await recovery.recover(store, never);
  await makeCluster();
  // The real managers have laid their hands on it: finalizers, owners, certificates.
  await expect
    .poll(
      async () => (await store.get(kubeadmControlPlane, { ...here, name: "c1-cp" }))?.metadata.finalizers,
      { timeout: 30_000 },
    )
    .toContain("kubeadm.controlplane.cluster.x-k8s.io");
  await expect
    .poll(
      async () => (await store.get(vsphereCluster, { ...here, name: "c1" }))?.metadata.finalizers?.length,
      { timeout: 30_000 },
    )
    .toBeGreaterThan(0);
  const before = await objects();
  expect(before).toContain("Cluster/c1");
  const began = await store.get(spa, { ...here, name: "c1" });
  await store.updateStatus(spa, {
    ...began!,
    status: { pivot: newJournal("ToWorkload", "p1", 1, Date.now()) },
  });
  await running!.snapshot();

  // What happened then, as the mirror tells it.
  const members = await readMembers(store, ns, "c1");
  const { agent: _agent, ...wanted } = spec;
  await mirrors.keep({
    clusterUid: "u1",
    clusterName: "c1",
    takenAt: "2026-01-01T00:00:00Z",
    decision: { id: "p1", epoch: 1 },
    counter: 3,
    desired: desiredStateSchema.parse({
      ...wanted,
      network: { ...spec.network, endpoint: { ...spec.network.endpoint, host: "10.0.0.10" } },
    }),
    digest: mirrorDigest(members),
    objects: members,
  });
  await recovery.recover(store, never);
  await stop();
  rmSync(join(dataDir, "etcd"), { recursive: true, force: true });
  await restoreControlPlane({ dataDir, bundle }, deps, never);

  const startedAt = Date.now();
  await start();
  const readyMs = Date.now() - startedAt;
  expect(await identity()).toBeUndefined();
  expect(await objects()).toEqual([]);
  await recovery.recover(store, never);
  const object = (await store.get(spa, { ...here, name: "c1" }))!;
  expect(object.status).toMatchObject({
    pivot: { step: "Done", epoch: 1 },
    activeSide: { side: "workload" },
  });
  expect(object.spec).toMatchObject({ counter: 3, cloud: spec.cloud });
  expect(object.spec.network.endpoint.host).toBeUndefined();
  expect(object.metadata.annotations?.["jet.pcg.dev/held"]).toBeUndefined();
  const claims = (await store.list(ipAddressClaim, { namespace: "default" })).items
    .map((c) => c.metadata.name)
    .sort();
  const addresses = (await store.list(ipAddress, { namespace: "default" })).items;
  expect(claims.map((name) => addresses.find((a) => a.metadata.name === name)?.spec.address)).toEqual([
    "10.0.0.10",
    "10.0.0.11",
    "10.0.0.12",
    "10.0.0.13",
  ]);

  // Nobody makes anything of it afterwards, and the webhooks judge again.
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  expect(await objects()).toEqual([]);
  expect(await identity()).toBeUndefined();
  const bad = {
    metadata: { ...here, name: "bad" },
    spec: { clusterName: "c1", selector: {}, checks: { nodeStartupTimeoutSeconds: 1 } },
  };
  await expect(store.create(machineHealthCheck, bad as never)).rejects.toThrow(/selector|nodeStartupTimeout/);
  console.log(`restored and ready in ${readyMs} ms`);
}, 240_000);

it("an ordinary start takes nothing away, and webhooks stay", async () => {
  await stop();
  await start();
  const names = (await store.list(spa)).items.map((one: Resource) => one.metadata.name);
  expect(names).toEqual(["c1"]);
}, 120_000);
