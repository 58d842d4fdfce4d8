// The whole simulated datacenter: SOAP over HTTPS to vCenter, TLS to the workload's API, providers as Deployments inside it.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  isTrue,
  modify,
  runControllers,
  Secret,
  silentLogger,
  systemClock,
  type Kind,
  type OwnedStore,
  type ResourceStore,
} from "#core";
import { kubeStore } from "#core/store/kube-store.ts";
import {
  cluster,
  deployment,
  ipAddressClaim,
  kubeadmControlPlane,
  machine,
  machineDeployment,
  namespace,
  node,
  secret,
  secretText,
  vsphereCluster,
  vsphereVM,
} from "#proto";
import { applyGolden, available, eventually, machinesIn, newStore, smallIpam } from "./capi/testing.ts";
import { startDatacenter, type Datacenter, type DatacenterOptions } from "./datacenter.ts";

const password = "sesame";
const endpoint = { host: "127.20.7.1", port: 6443 };
const key = { namespace: "cluster-1", name: "c1" };

let closers: (() => Promise<unknown>)[] = [];
let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "pcg-datacenter-"));
});
afterEach(async () => {
  for (const close of closers.reverse()) await close();
  closers = [];
  await rm(dataDir, { recursive: true, force: true });
});

async function datacenter(more: Partial<DatacenterOptions> = {}): Promise<Datacenter> {
  const made = await startDatacenter({
    clock: systemClock,
    log: silentLogger,
    random: Math.random,
    listen: "127.0.0.1:0",
    username: "admin",
    password: new Secret(password),
    knobs: { pollMs: 10, bootMs: 5, joinMs: 5, healthMs: 200 },
    ...more,
  });
  closers.push(() => made.close());
  return made;
}

function store(): OwnedStore {
  const made = newStore();
  closers.push(() => made.close());
  return made;
}

function ipam(over: ResourceStore): () => Promise<void> {
  const stop = new AbortController();
  const deps = { store: over, clock: systemClock, log: silentLogger, random: Math.random };
  const running = runControllers(deps, [smallIpam(over)], stop.signal);
  const end = async () => {
    stop.abort();
    await running.stopped;
  };
  closers.push(end);
  return end;
}

/** The golden wish, with the names of the simulated inventory. */
async function wish(over: ResourceStore, made: Datacenter, more: Parameters<typeof applyGolden>[1] = {}) {
  const { server, thumbprint } = made.vcenter;
  await applyGolden(over, {
    endpoint,
    externalEtcd: false,
    credential: { username: "admin", password },
    machine: {
      server,
      thumbprint,
      template: "ubuntu-2204-kube-v1.35.4",
      resourcePool: "C0/Resources",
    },
    ...more,
  });
}

async function remoteOf(over: ResourceStore): Promise<OwnedStore> {
  const held = await over.get(secret, { ...key, name: "c1-kubeconfig" });
  const remote = await kubeStore(secretText(held, "value") ?? "", { clock: systemClock });
  closers.push(() => remote.close());
  return remote;
}

describe("the simulated datacenter", { timeout: 60_000 }, () => {
  it("brings a cluster to Running, whose kubeconfig works over TLS, and leaves nothing behind when it is deleted", async () => {
    const dc = await datacenter();
    const over = store();
    ipam(over);
    dc.manage(over);
    await wish(over, dc, { replicas: 3, workers: 2 });
    await available(over);

    const remote = await remoteOf(over);
    const { items: nodes } = await remote.list(node);
    const { items: machines } = await over.list(machine);
    expect(nodes.map((n) => n.metadata.name).sort()).toEqual(machines.map((m) => m.metadata.name).sort());
    expect(nodes.every((n) => isTrue(n.status?.conditions as never, "Ready"))).toBe(true);
    const vms = dc.vcenter.vms().filter((vm) => !vm.template);
    expect(vms).toHaveLength(5);
    expect(new Set(nodes.map((n) => n.spec?.providerID))).toEqual(
      new Set(vms.map((vm) => `vsphere://${vm.biosUuid}`)),
    );

    const kinds: Kind[] = [cluster, machine, vsphereVM, ipAddressClaim, secret];
    await over.delete(cluster, key);
    await eventually("everything is gone", async () => {
      const left = await Promise.all(kinds.map((kind) => over.list(kind)));
      return left.every((list) => list.items.length === 0);
    });
    expect(dc.vcenter.vms().filter((vm) => !vm.template)).toEqual([]);
    expect(dc.machines.workloads()).toEqual([]);
    await expect(remote.list(node)).rejects.toMatchObject({ code: "Unavailable" });
  });

  it("providers installed in the workload cluster raise workers there, by their own controllers", async () => {
    const dc = await datacenter();
    const over = store();
    ipam(over);
    const managed = dc.manage(over);
    await wish(over, dc, { replicas: 1, workers: 0 });
    await machinesIn(over, "Running", 1);
    await managed.stop();

    const remote = await remoteOf(over);
    await installProviders(remote);
    await eventually("the providers are Available", async () => {
      const { items } = await remote.list(deployment);
      return items.length === 4 && items.every((d) => d.status?.availableReplicas === 1);
    });
    ipam(remote);
    await wish(remote, dc, {
      replicas: 1,
      workers: 1,
      name: "c2",
      namespace: "cluster-2",
      endpoint: { host: "127.20.7.2", port: 6443 },
    });
    const machines = await machinesIn(remote, "Running", 2);
    expect(machines.every((m) => m.spec.clusterName === "c2")).toBe(true);
  });

  it("a datacenter that starts again finds its machines and clusters, and clones nothing twice", async () => {
    const first = await datacenter({ dataDir });
    const over = store();
    ipam(over);
    const managed = first.manage(over);
    await wish(over, first, { replicas: 1, workers: 1 });
    await available(over);
    const before = first.vcenter.vms().map((vm) => [vm.name, vm.biosUuid]);
    await managed.stop();
    await first.close();

    const second = await datacenter({ dataDir });
    expect(second.vcenter.server).toBe(first.vcenter.server);
    expect(second.vcenter.thumbprint).toBe(first.vcenter.thumbprint);
    second.manage(over);
    await modify(over, machineDeployment, { ...key, name: "c1-w" }, (md) => void (md.spec.replicas = 2));
    await machinesIn(over, "Running", 3);
    await available(over);
    expect(second.vcenter.vms().map((vm) => [vm.name, vm.biosUuid])).toEqual(expect.arrayContaining(before));
    expect(second.vcenter.vms()).toHaveLength(before.length + 1);
    const remote = await remoteOf(over);
    expect((await remote.list(node)).items).toHaveLength(3);
  });

  it("a cluster whose first control plane was replaced comes back after a restart, too", async () => {
    const first = await datacenter({ dataDir });
    const over = store();
    ipam(over);
    const managed = first.manage(over);
    await wish(over, first, { replicas: 1, workers: 0 });
    const [original] = await machinesIn(over, "Running", 1);
    await modify(over, kubeadmControlPlane, key, (kcp) => void (kcp.spec.version = "v1.36.0"));
    await eventually("it is replaced", async () => {
      const { items } = await over.list(machine);
      return (
        items.length === 1 && items[0]?.metadata.uid !== original?.metadata.uid && items[0]?.status?.nodeRef
      );
    });
    await managed.stop();
    await first.close();

    const second = await datacenter({ dataDir });
    const remote = await remoteOf(over);
    const [only] = await eventually("the API answers", () =>
      remote.list(node).then(
        (list) => list.items.length === 1 && list.items,
        () => false as const,
      ),
    );
    expect(only?.status?.nodeInfo?.kubeletVersion).toBe("v1.36.0");
    expect(second.machines.workloads()).toHaveLength(1);
  });

  it("a wrong password is told in vCenter's words on the VSphereCluster and cured by a right one", async () => {
    const dc = await datacenter();
    const over = store();
    ipam(over);
    dc.manage(over);
    await wish(over, dc, { workers: 0, credential: { username: "admin", password: "wrong" } });
    const message = await eventually("the refusal", async () => {
      const found = await over.get(vsphereCluster, key);
      const condition = found?.status?.conditions?.find((c) => c.type === "VCenterAvailable");
      return condition?.status === "False" && condition.message;
    });
    expect(message).toMatch(/user name or password/);
    await modify(over, secret, { ...key, name: "creds" }, (s) => {
      s.data = { ...s.data, password: Buffer.from(password).toString("base64") };
    });
    await machinesIn(over, "Running", 1);
  });

  it("a control plane is scaled from one to three only one machine after the other", async () => {
    const dc = await datacenter();
    const over = store();
    ipam(over);
    dc.manage(over);
    await wish(over, dc, { replicas: 1, workers: 0 });
    await machinesIn(over, "Running", 1);
    const stop = new AbortController();
    const unready: number[] = [];
    const watching = (async () => {
      const { revision } = await over.list(machine);
      for await (const event of over.watch(machine, { after: revision }, stop.signal)) {
        if (event.type === "Bookmark") continue;
        const { items } = await over.list(machine);
        unready.push(items.filter((m) => !m.status?.nodeRef).length);
      }
    })();
    await modify(over, kubeadmControlPlane, key, (kcp) => void (kcp.spec.replicas = 3));
    await machinesIn(over, "Running", 3);
    await available(over);
    stop.abort();
    await watching;
    expect(Math.max(...unready)).toBe(1);
  });
});

async function installProviders(remote: ResourceStore): Promise<void> {
  await remote.create(namespace, { metadata: { name: "capi-system" } });
  for (const image of [
    "cluster-api-controller",
    "kubeadm-bootstrap-controller",
    "kubeadm-control-plane-controller",
    "cluster-api-vsphere-controller",
  ])
    await remote.create(deployment, {
      metadata: { name: image, namespace: "capi-system" },
      spec: {
        replicas: 1,
        selector: { matchLabels: { app: image } },
        template: {
          metadata: { labels: { app: image } },
          spec: {
            containers: [{ name: "manager", image: `registry.example:5000/capi/${image}:v1` }],
            tolerations: [{ key: "node-role.kubernetes.io/control-plane", operator: "Exists" }],
          },
        },
      },
    });
}
