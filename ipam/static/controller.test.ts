import { afterEach, describe, expect, test } from "vitest";
import type { Draft } from "#core";
import { modify, ownerReference } from "#core";
import { stage, type Stage } from "#core/controller/testing.ts";
import {
  cluster,
  event,
  inClusterIPPool,
  ipAddress,
  ipAddressClaim,
  metal3IPAddress,
  metal3IPClaim,
  metal3IPPool,
  vsphereCluster,
  vsphereMachine,
  vsphereMachineTemplate,
  type Cluster,
  type NetworkDevice,
  type VSphereCluster,
  type VSphereMachine,
} from "#proto";
import { ipamControllers, metal3Controllers, staticControllers, type VmPresence } from "../index.ts";
import { metal3PoolDraft } from "../metal3/testing.ts";
import { poolDraft } from "../testing.ts";

const stages: Stage[] = [];
afterEach(async () => {
  for (const open of stages.splice(0)) await open.stop();
});

async function staged() {
  let vm: VmPresence = "there";
  const asked: string[][] = [];
  const made = await stage((deps) => [
    ...ipamControllers(deps),
    ...metal3Controllers({ ...deps, random: () => 0 }),
    ...staticControllers({
      ...deps,
      witness: {
        presence: async ({ name, addresses }) => {
          asked.push([name, ...addresses]);
          return vm;
        },
      },
    }),
  ]);
  stages.push(made);
  const { store, quiet } = made;
  const template = async (metadata: {
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
  }) => {
    await store.create(vsphereMachineTemplate, {
      metadata: { namespace: "c", name: "nodes", ...metadata },
      spec: { template: { spec: { template: "ubuntu", network: { devices: [] } } } },
    });
    await quiet();
  };
  const shop = async (annotations: Record<string, string> = {}, paused = false) => {
    await store.create(cluster, {
      metadata: { namespace: "c", name: "shop", annotations },
      spec: { paused },
    } as Draft<Cluster>);
    await quiet();
  };
  const machine = async (devices: Partial<NetworkDevice>[], name = "vm", failureDomain?: string) => {
    await store.create(vsphereMachine, machineDraft(devices, name, failureDomain));
    await quiet();
  };
  const devices = async (name = "vm") =>
    (await store.get(vsphereMachine, { namespace: "c", name }))!.spec.network.devices.map(
      ({ networkName: _n, ...rest }) => rest,
    );
  const events = async () =>
    (await store.list(event)).items.map(({ reason, message }) => `${reason}: ${message}`);
  return {
    ...made,
    template,
    shop,
    machine,
    devices,
    events,
    asked,
    vmIs: (now: VmPresence) => void (vm = now),
  };
}

function machineDraft(
  devices: Partial<NetworkDevice>[],
  name: string,
  failureDomain?: string,
): Draft<VSphereMachine> {
  return {
    metadata: {
      namespace: "c",
      name,
      labels: { "cluster.x-k8s.io/cluster-name": "shop" },
      annotations: { "cluster.x-k8s.io/cloned-from-name": "nodes" },
    },
    spec: {
      template: "ubuntu",
      ...(failureDomain ? { failureDomain } : {}),
      network: { devices: devices.map((device) => ({ networkName: "net", ...device })) },
    },
  };
}

const byName = { labels: { "cluster.x-k8s.io/ip-pool-name": "m3" } };

describe("a machine's cards", () => {
  test("all get their addresses by one write, with gateway, name servers and search domains of the pool", async () => {
    const { store, shop, template, machine, devices } = await staged();
    await shop();
    await template(byName);
    await store.create(
      metal3IPPool,
      metal3PoolDraft(
        { dnsServers: ["10.0.0.2"] },
        { annotations: { "cluster.x-k8s.io/dns-search-domains": "a.lan, b.lan" } },
      ),
    );
    await machine([{}, { dhcp4: true }, { nameservers: ["9.9.9.9"] }]);
    const given = { gateway4: "10.0.0.1", nameservers: ["10.0.0.2"], searchDomains: ["a.lan", "b.lan"] };
    expect(await devices()).toEqual([
      { ipAddrs: ["10.0.0.10/24"], ...given },
      { dhcp4: true },
      { ipAddrs: ["10.0.0.11/24"], ...given },
    ]);
    const { metadata } = (await store.get(vsphereMachine, { namespace: "c", name: "vm" }))!;
    expect(metadata.generation).toBe(2); // one write
    const claim = await store.get(metal3IPClaim, { namespace: "c", name: "vm-0" });
    expect(claim?.metadata.ownerReferences?.map(({ kind, name }) => `${kind}/${name}`)).toEqual([
      "VSphereMachine/vm",
    ]);
    expect(claim?.spec.pool).toEqual({
      apiVersion: "ipam.metal3.io/v1alpha1",
      kind: "IPPool",
      name: "m3",
      namespace: "c",
    });
  });

  test("from an in-cluster pool, IPv6, with name servers from its annotation", async () => {
    const { store, shop, template, machine, devices } = await staged();
    await shop();
    await template({ labels: { "cluster.x-k8s.io/ip-pool-group": "x" } });
    const pool = poolDraft({ addresses: ["fd00::/64"], prefix: 64, gateway: "fd00::1" });
    await store.create(inClusterIPPool, {
      ...pool,
      metadata: {
        ...pool.metadata,
        labels: { "cluster.x-k8s.io/ip-pool-group": "x" },
        annotations: { "ipam.pcg.dev/dns-servers": "fd00::53" },
      },
    });
    await machine([{}]);
    expect(await devices()).toEqual([
      { ipAddrs: ["fd00::2/64"], gateway6: "fd00::1", nameservers: ["fd00::53"] },
    ]);
  });

  test("that CAPV, DHCP or the user provides for are left alone", async () => {
    const { store, shop, template, machine, devices } = await staged();
    await shop();
    await template(byName);
    await store.create(metal3IPPool, metal3PoolDraft());
    const cards = [
      { addressesFromPools: [{ apiGroup: "ipam.cluster.x-k8s.io", kind: "InClusterIPPool", name: "p" }] },
      { dhcp6: true },
      { ipAddrs: ["10.9.9.9/24"] },
      { skipIPAllocation: true },
    ];
    await machine(cards);
    expect(await devices()).toEqual(cards);
    expect((await store.list(metal3IPClaim)).items).toEqual([]);
  });

  test("without labels nothing is taken, whatever pools there are", async () => {
    const { store, shop, template, machine, devices } = await staged();
    await shop();
    await template({});
    await store.create(metal3IPPool, metal3PoolDraft());
    await machine([{}]);
    expect(await devices()).toEqual([{}]);
  });

  test.each(["pool", "template", "cluster"])("wait for what comes late: the %s", async (late) => {
    const { store, quiet, shop, template, machine, devices } = await staged();
    const make = {
      cluster: () => shop(),
      template: () => template(byName),
      pool: () => store.create(metal3IPPool, metal3PoolDraft()),
    };
    for (const [what, run] of Object.entries(make)) if (what !== late) await run();
    await machine([{}]);
    expect(await devices()).toEqual([{}]);
    await make[late as keyof typeof make]();
    await quiet();
    expect((await devices())[0]?.ipAddrs).toEqual(["10.0.0.10/24"]);
  });

  test("of a paused cluster wait until it goes on", async () => {
    const { store, quiet, shop, template, machine, devices } = await staged();
    await shop({}, true);
    await template(byName);
    await store.create(metal3IPPool, metal3PoolDraft());
    await machine([{}]);
    expect(await devices()).toEqual([{}]);
    await modify(
      store,
      cluster,
      { namespace: "c", name: "shop" },
      (object) => void (object.spec.paused = false),
    );
    await quiet();
    expect((await devices())[0]?.ipAddrs).toEqual(["10.0.0.10/24"]);
  });

  test("no pool fits: an event says which labels", async () => {
    const { shop, template, machine, events } = await staged();
    await shop();
    await template({ labels: { "cluster.x-k8s.io/network-name": "blue" } });
    await machine([{}]);
    expect(await events()).toEqual(["NoPool: no pool in namespace c has cluster.x-k8s.io/network-name=blue"]);
  });

  test("an exhausted pool of an ordered list: the next with room, also later", async () => {
    const { store, quiet, shop, template, machine, devices } = await staged();
    await shop();
    await template({ annotations: { "ipam.pcg.dev/ip-pools": "small,large" } });
    await store.create(inClusterIPPool, poolDraft({ addresses: ["10.0.0.10"] }, "small"));
    await machine([{}, {}]);
    expect(await devices()).toEqual([{}, {}]); // one is served, the other waits
    await store.create(inClusterIPPool, poolDraft({ addresses: ["10.0.0.50-10.0.0.60"] }, "large"));
    await quiet();
    expect((await devices()).map(({ ipAddrs }) => ipAddrs?.[0])).toEqual(["10.0.0.10/24", "10.0.0.50/24"]);
  });

  test("pools in the namespace that the cluster names; claims there bear no owner of another namespace", async () => {
    const { store, quiet, run, shop, template, machine, devices, vmIs } = await staged();
    await shop({ "cluster.x-k8s.io/ip-pool-namespace": "infra" });
    await template({ labels: { "cluster.x-k8s.io/ip-pool-group": "x" } });
    await store.create(
      metal3IPPool,
      metal3PoolDraft({}, { namespace: "infra", labels: { "cluster.x-k8s.io/ip-pool-group": "x" } }),
    );
    await machine([{}]);
    expect((await devices())[0]?.ipAddrs).toEqual(["10.0.0.10/24"]);
    const claim = await store.get(metal3IPClaim, { namespace: "infra", name: "vm-0" });
    expect(claim?.metadata.ownerReferences).toBeUndefined();
    vmIs("gone");
    await store.delete(vsphereMachine, { namespace: "c", name: "vm" });
    await quiet();
    await run(16_000);
    expect((await store.list(metal3IPClaim)).items).toEqual([]);
    expect((await store.list(metal3IPAddress)).items).toEqual([]);
  });

  test("claims that the static-IP controller made are taken over with their addresses", async () => {
    const { store, quiet, shop, template, devices } = await staged();
    await shop();
    await template(byName);
    await store.create(metal3IPPool, metal3PoolDraft());
    const vm = await store.create(vsphereMachine, {
      ...machineDraft([{}], "vm"),
      metadata: { ...machineDraft([{}], "vm").metadata, labels: {} },
    });
    await store.create(metal3IPClaim, {
      metadata: {
        namespace: "c",
        name: "vm-0",
        annotations: { ipAddress: "10.0.0.12" },
        ownerReferences: [ownerReference(vsphereMachine, vm)],
      },
      spec: { pool: { name: "m3", namespace: "c" } },
    });
    await modify(store, vsphereMachine, { namespace: "c", name: "vm" }, (object) => {
      object.metadata.labels = { "cluster.x-k8s.io/cluster-name": "shop" };
    });
    await quiet();
    expect((await devices())[0]?.ipAddrs).toEqual(["10.0.0.12/24"]);
    const claim = await store.get(metal3IPClaim, { namespace: "c", name: "vm-0" });
    expect(claim?.metadata.finalizers).toContain("ipam.pcg.dev/HoldAddress");
  });

  test("a stranger's claim of that name is not touched", async () => {
    const { store, shop, template, machine, devices, events } = await staged();
    await shop();
    await template(byName);
    await store.create(metal3IPPool, metal3PoolDraft());
    await store.create(metal3IPClaim, {
      metadata: { namespace: "c", name: "vm-0" },
      spec: { pool: { name: "m3" } },
    });
    await machine([{}]);
    expect(await devices()).toEqual([{}]);
    expect(await events()).toEqual([
      "ClaimNameTaken: claim c/vm-0 is another's; delete it, or give it another name",
    ]);
  });
});

describe("release", () => {
  test.each(["m3", "in-cluster"])(
    "of an address (%s) comes after vCenter says that the VM is gone",
    async (flavour) => {
      const { store, quiet, run, shop, template, machine, devices, events, vmIs, asked } = await staged();
      await shop();
      await template({ labels: { "cluster.x-k8s.io/ip-pool-name": flavour } });
      if (flavour === "m3") await store.create(metal3IPPool, metal3PoolDraft());
      else await store.create(inClusterIPPool, poolDraft({}, flavour));
      const kind = flavour === "m3" ? metal3IPAddress : ipAddress;
      await machine([{}]);
      expect((await devices())[0]?.ipAddrs).toEqual(["10.0.0.10/24"]);
      await store.delete(vsphereMachine, { namespace: "c", name: "vm" });
      await quiet();
      await run(40_000);
      expect((await store.list(kind as never)).items).toHaveLength(1);
      expect(asked.at(-1)).toEqual(["vm", "10.0.0.10"]);
      expect((await events())[0]).toContain("MachineStillThere: VSphereMachine c/vm is gone, but its VM");
      vmIs("gone");
      await run(16_000);
      expect((await store.list(kind as never)).items).toEqual([]);
      expect((await store.list(metal3IPClaim)).items).toEqual([]);
      expect((await store.list(ipAddressClaim)).items).toEqual([]);
    },
  );
});

describe("a cluster's endpoint", () => {
  const draft = (host?: string): Draft<VSphereCluster> => ({
    metadata: {
      namespace: "c",
      name: "shop",
      labels: { "cluster.x-k8s.io/cluster-name": "shop", "cluster.x-k8s.io/ip-pool-name": "m3" },
    },
    spec: { controlPlaneEndpoint: { port: 6443, ...(host ? { host } : {}) } },
  });

  test("gets an address when it has none, and keeps its port", async () => {
    const { store, quiet, shop } = await staged();
    await store.create(vsphereCluster, draft());
    await store.create(metal3IPPool, metal3PoolDraft());
    await quiet();
    await shop();
    const made = await store.get(vsphereCluster, { namespace: "c", name: "shop" });
    expect(made?.spec.controlPlaneEndpoint).toEqual({ host: "10.0.0.10", port: 6443 });
    await store.delete(vsphereCluster, { namespace: "c", name: "shop" });
    await quiet();
    expect((await store.list(metal3IPAddress)).items).toEqual([]);
  });

  test("without a port gets the cluster's, or the usual one", async () => {
    const { store, quiet, shop } = await staged();
    const { metadata } = draft();
    await store.create(vsphereCluster, { metadata, spec: {} });
    await store.create(metal3IPPool, metal3PoolDraft());
    await shop();
    await quiet();
    const made = await store.get(vsphereCluster, { namespace: "c", name: "shop" });
    expect(made?.spec.controlPlaneEndpoint).toEqual({ host: "10.0.0.10", port: 6443 });
  });

  test("is never overwritten", async () => {
    const { store, quiet, shop } = await staged();
    await shop();
    await store.create(metal3IPPool, metal3PoolDraft());
    await store.create(vsphereCluster, draft("10.7.7.7"));
    await quiet();
    expect((await store.list(metal3IPClaim)).items).toEqual([]);
  });
});
