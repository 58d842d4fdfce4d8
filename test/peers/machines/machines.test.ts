// The path on real programs: Cluster API and CAPV clone machines of vcsim, our IPAM gives their addresses, the machines form a cluster.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { modify, systemClock } from "#core";
import { kubeStore } from "#core/store/kube-store.ts";
import { cluster, ipAddress, kubeadmControlPlane, machineDeployment, node, secret, secretText } from "#proto";
import { applyGolden, eventually, everything, machinesIn } from "#sandbox/capi/testing.ts";
import { settleGolden, startSite, type Site } from "./index.ts";

const dir = mkdtempSync(join(tmpdir(), "pcg-peers-"));
const endpoint = { host: "127.31.1.1", port: 6443 };
const key = { namespace: "cluster-1", name: "c1" };
let site: Site;

beforeAll(async () => {
  site = await startSite({ dir });
  const wish = await settleGolden(site, { endpoint });
  await applyGolden(site.store, { ...wish, workers: 0, serviceCidr: "127.89.0.0/16" });
}, 300_000);

afterAll(async () => {
  await site?.end();
  rmSync(dir, { recursive: true, force: true });
});

describe("a cluster by Cluster API and CAPV", { timeout: 240_000 }, () => {
  it("its first machine is Running with an address of our pool, and KCP's kubeconfig opens its API", async () => {
    const [first] = await machinesIn(site.store, "Running", 1, 200_000);
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
    await modify(site.store, kubeadmControlPlane, key, (o) => void (o.spec.replicas = 3));
    await machinesIn(site.store, "Running", 3, 200_000);
  });

  it("and gets two workers", async () => {
    await modify(site.store, machineDeployment, { ...key, name: "c1-w" }, (o) => void (o.spec.replicas = 2));
    await machinesIn(site.store, "Running", 5, 200_000);
    expect((await site.vcenter.machines()).length).toBe(5);
    const given = (await site.store.list(ipAddress)).items.map(({ spec }) => spec.address);
    expect(new Set(given).size).toBe(5);
  });

  it("deleted, nothing is left: no machine, no address, no object, no key in etcd", async () => {
    await site.store.delete(cluster, key);
    await eventually(
      "nothing is left",
      async () => (await everything(site.store, [ipAddress])).length === 0,
      200_000,
    );
    expect(await site.vcenter.machines()).toEqual([]);
    await eventually("the API is gone", () => site.machines.workloads().length === 0);
    expect(await site.etcd.count()).toBe(0);
  });
});
