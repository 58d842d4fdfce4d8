// The providers that Jet puts into a workload cluster, on a real kube-apiserver: it takes every object, the managers run on nothing but
// what is in them (flags, Secret, ServiceAccount), their webhooks are reached through their Services, and they judge what we render.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { connect as tls } from "node:tls";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bundledProviders, openBundle } from "#controlplane";
import { apiVersionOf, systemClock, type Clock, type OwnedStore } from "#core";
import { kubeStore } from "#core/store/kube-store.ts";
import {
  encode64,
  inClusterIPPool,
  kubeadmControlPlane,
  machine,
  namespace,
  service,
  vsphereCluster,
  vsphereDeploymentZone,
  vsphereVM,
} from "#proto";
import { crdOf } from "#proto/generate-crds.ts";
import { clusterNamespace } from "#proto/render/names.ts";
import { ensureExists } from "../../jet/ensure.ts";
import { zonesIn } from "../../jet/spa/zones.ts";
import { renderedObjects, wishes } from "../../jet/testing/rendered.ts";
import { applied } from "./harness/applied.ts";
import { asker, type Asker } from "./harness/ask.ts";
import { wish } from "../../jet/testing/world.ts";
import { peerBundle } from "./harness/bundle.ts";
import { applyCrds } from "./harness/crds.ts";
import { startKube, type Kube } from "./harness/kube.ts";
import { startManagers, type Managers } from "./harness/managers.ts";
import { startVcsim, type Vcsim } from "./harness/vsphere.ts";

const never = new AbortController().signal;

let dir: string;
let kube: Kube;
let store: OwnedStore;
let ask: Asker;
let managers: Managers | undefined;
/** The first certificate is made so long ago that it is due. */
let ahead = -300 * 86_400_000;
const clock: Clock = { ...systemClock, now: () => systemClock.now() + ahead };
let providers: ReturnType<typeof bundledProviders>;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "pcg-peers-"));
  const bundle = await openBundle(await peerBundle());
  providers = bundledProviders(bundle.providers, clock);
  kube = await startKube({ dir, serviceCidr: `127.${64 + (process.pid % 128)}.0.0/16` });
  ask = asker(kube);
  store = await kubeStore(kube.kubeconfig, { clock: systemClock });
});

afterAll(async () => {
  await managers?.stop();
  ask?.close();
  await store?.close();
  await kube?.stop();
  rmSync(dir, { recursive: true, force: true });
});

it("an API server takes every object, and changes none when they come again", async () => {
  const began = Date.now();
  await providers.install(store, {}, never);
  console.log(`installed in ${Date.now() - began} ms`);
  const before = await applied(store);
  expect(before.size).toBeGreaterThan(50);
  ahead -= 86_400_000; // not due yet
  await providers.install(store, {}, never);
  ahead += 86_400_000;
  const after = await applied(store);
  expect([...after].filter(([name, revision]) => before.get(name) !== revision)).toEqual([]);
});

it("while nobody serves the webhooks, that is said", async () => {
  expect(await providers.silent(store, never)).toMatch(
    /^Cluster \(cluster\.x-k8s\.io\/v1beta2\) cannot be written yet: .*webhook/,
  );
});

it("the CRDs that the gateway brings besides are none of the providers'", async () => {
  const own = crdOf(inClusterIPPool) as { metadata: { name: string } };
  expect(providers.crds).not.toContain(own.metadata.name);
  expect(providers.crds).toContain("ipaddressclaims.ipam.cluster.x-k8s.io");
  await applyCrds(kube, [own]);
});

it("the managers become ready with what the objects give them, and every webhook answers", async () => {
  managers = await startManagers(kube, store, "capi-system", dir);
  await expect.poll(() => providers.silent(store, never), { timeout: 20_000, interval: 250 }).toBeUndefined();
});

describe.each(Object.entries(wishes))("what Jet writes for %s", (_name, spec) => {
  const here = clusterNamespace(spec.clusterUid);
  it("is taken by schemas and webhooks as it is", async () => {
    await ensureExists(store, namespace, { metadata: { name: here } });
    const refused: string[] = [];
    for (const { kind, object } of renderedObjects(spec)) {
      const root = kind.group ? `/apis/${apiVersionOf(kind)}` : `/api/${kind.version}`;
      const path = `${root}${kind.namespaced ? `/namespaces/${here}` : ""}/${kind.plural}`;
      const whole = { ...object, apiVersion: apiVersionOf(kind), kind: kind.kind };
      const { status, body } = await ask("POST", `${path}?dryRun=All&fieldValidation=Strict`, whole);
      if (status !== 201) refused.push(`${kind.kind}: ${String(body["message"])}`);
    }
    expect(refused).toEqual([]);
  });
});

it("a renewed certificate is noticed by nobody", async () => {
  const former = await served();
  ahead = 0; // the first one was made long ago
  const { renewAt } = await providers.install(store, {}, never);
  expect(renewAt).toBeGreaterThan(Date.now() + 200 * 86_400_000);
  expect(await providers.silent(store, never)).toBeUndefined(); // served with the former one, trusted by the new bundle
  await managers!.remount();
  await expect.poll(served, { timeout: 30_000, interval: 250 }).not.toBe(former);
  expect(await providers.silent(store, never)).toBeUndefined();
});

/** The fingerprint of the certificate that the core provider's Service shows. */
async function served(): Promise<string> {
  const key = { namespace: "capi-system", name: "capi-webhook-service" };
  const { clusterIP } = (await store.get(service, key))!.spec as { clusterIP: string };
  return new Promise((resolve, reject) => {
    const socket = tls({ host: clusterIP, port: 443, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerX509Certificate()!.fingerprint256);
      socket.destroy();
    });
    socket.once("error", reject);
  });
}

describe("a cluster that Jet wrote, on a real vCenter's likeness", () => {
  let vcsim: Vcsim;
  const template = "/DC0/vm/DC0_C0_RP0_VM0";
  beforeAll(async () => {
    vcsim = await startVcsim({ dir, size: { cluster: 2 } });
    await vcsim.govc(["vm.power", "-off", template]);
    await vcsim.govc(["snapshot.create", "-vm", template, "root"]);
    await vcsim.govc(["vm.markastemplate", template]);
  });
  afterAll(() => vcsim?.stop());

  it("is taken up at once, since its Cluster came last, and nobody lacks a right", async () => {
    const server = new URL(vcsim.url).host;
    const spec = wish({
      clusterUid: "real",
      cloud: { type: "vsphere", server, thumbprint: vcsim.thumbprint, credentialRef: { name: "lab" } },
      placement: {
        datacenter: "DC0",
        computeCluster: "DC0_C0",
        datastore: "LocalDS_0",
        networkName: "VM Network",
        folder: "vm",
        staticIp: false,
      },
      network: { endpoint: { type: "External", host: "127.0.0.1" } },
    });
    const here = { namespace: clusterNamespace(spec.clusterUid) };
    await ensureExists(store, namespace, { metadata: { name: here.namespace } });
    const credential = { username: encode64(vcsim.user), password: encode64(vcsim.password.reveal()) };
    const began = Date.now();
    for (const { kind, object } of renderedObjects(spec, { template, credential })) {
      await ensureExists(store, kind, object);
    }
    const owned = async () =>
      (await store.get(kubeadmControlPlane, { ...here, name: "c1-cp" }))?.metadata.ownerReferences;
    await expect.poll(owned, { timeout: 20_000, interval: 100 }).toHaveLength(1);
    console.log(`the control plane was taken up after ${Date.now() - began} ms`);
    const vms = async () => (await store.list(vsphereVM, here)).items.map(({ spec: vm }) => vm.biosUUID);
    await expect
      .poll(vms, { timeout: 40_000, interval: 250 })
      .toEqual([expect.stringMatching(/^[0-9a-f-]{36}$/)]);
    console.log(`its first VM was there after ${Date.now() - began} ms`);
    for (const [name, log] of managers!.logs()) expect(log, name).not.toMatch(/is forbidden/i);
  });

  it("in several places is spread over them by tags, and its zones go without a trace", async () => {
    await vcsim.govc(["tags.category.create", "-t", "Datacenter", "k8s-region"]);
    await vcsim.govc(["tags.category.create", "-t", "ClusterComputeResource", "k8s-zone"]);
    for (const [category, tag, path] of [
      ["k8s-region", "DC0", "/DC0"],
      ["k8s-zone", "DC0_C0", "/DC0/host/DC0_C0"],
      ["k8s-zone", "DC0_C1", "/DC0/host/DC0_C1"],
    ] as const) {
      await vcsim.govc(["tags.create", "-c", category, tag]);
      await vcsim.govc(["tags.attach", "-c", category, tag, path]);
    }
    const place = { datacenter: "DC0", datastore: "LocalDS_0", networkName: "VM Network", staticIp: false };
    const spec = wish({
      clusterUid: "spread",
      cloud: {
        type: "vsphere",
        server: new URL(vcsim.url).host,
        thumbprint: vcsim.thumbprint,
        credentialRef: { name: "lab" },
      },
      network: { endpoint: { type: "External", host: "127.0.0.1" } },
      controlPlane: {
        failureDomains: [
          { name: "a", placement: { ...place, computeCluster: "DC0_C0" } },
          { name: "b", placement: { ...place, computeCluster: "DC0_C1" } },
        ],
      },
    });
    const here = { namespace: clusterNamespace(spec.clusterUid) };
    await ensureExists(store, namespace, { metadata: { name: here.namespace } });
    const credential = { username: encode64(vcsim.user), password: encode64(vcsim.password.reveal()) };
    for (const { kind, object } of renderedObjects(spec, { template, credential })) {
      await ensureExists(store, kind, object);
    }
    const domains = async () =>
      (await store.get(vsphereCluster, { ...here, name: "c1" }))?.status?.failureDomains?.map(
        ({ name }) => name,
      );
    await expect.poll(domains, { timeout: 30_000, interval: 250 }).toEqual(["spread-a", "spread-b"]);
    const placed = async () =>
      (await store.list(vsphereVM, here)).items.map(({ spec: vm }) => [
        vm.biosUUID !== undefined,
        vm.resourcePool,
      ]);
    await expect
      .poll(placed, { timeout: 40_000, interval: 250 })
      .toEqual([[true, expect.stringMatching(/^DC0_C[01]\/Resources$/)]]);

    // A zone that a machine is in stays as long as the machine; without one, both objects go.
    const [machine_] = (await store.list(machine, here)).items;
    const free = ["spread-a", "spread-b"].find((name) => name !== machine_?.spec.failureDomain)!;
    await store.delete(vsphereDeploymentZone, { name: free });
    const left = async () => (await zonesIn(store, "spread")).map((o) => `${o.kind}/${o.metadata.name}`);
    await expect.poll(left, { timeout: 20_000, interval: 250 }).not.toContain(`VSphereFailureDomain/${free}`);
    for (const [name, log] of managers!.logs()) expect(log, name).not.toMatch(/is forbidden/i);
  });
});
