// The path on real programs: Cluster API and CAPV clone machines of vcsim, our IPAM gives their addresses, the machines form a cluster.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { modify, systemClock } from "#core";
import { kubeStore } from "#core/store/kube-store.ts";
import {
  cluster,
  inClusterIPPool,
  ipAddress,
  kubeadmControlPlane,
  machine,
  machineDeployment,
  namespace,
  node,
  secret,
  secretText,
} from "#proto";
import { applyGolden, eventually, everything, machinesIn } from "#sandbox/capi/testing.ts";
import { startSite, type Site } from "./index.ts";

const dir = mkdtempSync(join(tmpdir(), "pcg-peers-"));
const endpoint = { host: "127.31.1.1", port: 6443 };
const key = { namespace: "cluster-1", name: "c1" };
let site: Site;

beforeAll(async () => {
  site = await startSite({ dir });
  const { store, vcenter, etcd } = site;
  await store.create(namespace, { metadata: { name: "cluster-1" } });
  await store.create(inClusterIPPool, {
    metadata: { namespace: "cluster-1", name: "nodes" },
    spec: { addresses: ["10.1.0.10-10.1.0.40"], prefix: 24, gateway: "10.1.0.1" },
  });
  await applyGolden(store, {
    endpoint,
    workers: 0,
    serviceCidr: "127.89.0.0/16",
    etcd: { ...etcd, key: etcd.key.reveal(), caKey: "" },
    credential: { username: vcenter.user, password: vcenter.password.reveal() },
    machine: { server: vcenter.server, thumbprint: vcenter.thumbprint },
  });
}, 300_000);

afterAll(async () => {
  await site?.end();
  rmSync(dir, { recursive: true, force: true });
});

describe("a cluster by Cluster API and CAPV", { timeout: 240_000 }, () => {
  const { now } = { now: () => Date.now() };
  let began = now();
  const took = (what: string) => {
    console.log(`${what}: ${Math.round((now() - began) / 100) / 10} s`);
    began = now();
  };

  it("its first machine is Running with an address of our pool, and KCP's kubeconfig opens its API", async () => {
    const [first] = await machinesIn(site.store, "Running", 1, 200_000);
    took("first machine Running");
    const addresses = first?.status?.addresses?.map(({ address }) => address);
    expect(addresses).toContain((await site.store.list(ipAddress)).items[0]?.spec.address);
    const held = await site.store.get(secret, { ...key, name: "c1-kubeconfig" });
    const inside = await kubeStore(secretText(held, "value")!, { clock: systemClock });
    try {
      const { items } = await inside.list(node);
      expect(items.map(({ spec }) => spec?.providerID)).toEqual([first?.spec.providerID]);
    } finally {
      await inside.close();
    }
  });

  it("grows to three control planes", async () => {
    began = now();
    await modify(site.store, kubeadmControlPlane, key, (o) => void (o.spec.replicas = 3));
    await machinesIn(site.store, "Running", 3, 200_000);
    took("three control planes");
  });

  it("and gets two workers", async () => {
    began = now();
    await modify(site.store, machineDeployment, { ...key, name: "c1-w" }, (o) => void (o.spec.replicas = 2));
    await machinesIn(site.store, "Running", 5, 200_000);
    took("two workers");
    expect((await site.vcenter.machines()).length).toBe(5);
    const given = (await site.store.list(ipAddress)).items.map(({ spec }) => spec.address);
    expect(new Set(given).size).toBe(5);
  });

  it("deleted, nothing is left: no machine, no address, no object, no key in etcd", async () => {
    began = now();
    await site.store.delete(cluster, key);
    await eventually("no machine", async () => (await site.store.list(machine)).items.length === 0, 200_000);
    await eventually(
      "nothing is left",
      async () => (await everything(site.store, [ipAddress])).filter((o) => o.kind !== "Secret").length <= 2,
      60_000,
    ).catch(() => {});
    took("deleted");
    console.log((await everything(site.store, [ipAddress])).map((o) => `${o.kind}/${o.metadata.name}`));
    expect(await site.vcenter.machines()).toEqual([]);
    expect(await site.etcd.count()).toBe(0);
  });
});
