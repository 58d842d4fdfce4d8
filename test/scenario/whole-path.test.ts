// The product's main job, from a request at the plane to a cluster that manages itself, and back to nothing.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { inClusterIPPool, ipAddress, ipAddressClaim, namespace, secret } from "#proto";
import type { ClusterStatusBody } from "#plane";
import { testAccount, testSite, until, untilState, type TestSite } from "./site.ts";

describe("a cluster's whole life", { timeout: 180_000 }, () => {
  const end = new AbortController();
  let site: TestSite;
  let uid: string;
  let running: ClusterStatusBody;

  beforeAll(async () => {
    site = await testSite(end.signal);
    await site.pairUp();
    uid = await site.applySample();
    running = await untilState(site.client, uid, "Running").catch((error: Error) => {
      throw new Error([error.message, "the last words:", ...site.lines.slice(-60)].join("\n"));
    });
  }, 120_000);
  afterAll(() => site.close());

  it("ends with a running cluster that manages itself", () => {
    expect(running.pivoted).toBe(true);
    expect(running.milestones.map((m) => [m.title, m.state])).toEqual(
      running.milestones.map((m) => [m.title, "Done"]),
    );
    expect(running.milestones.length).toBeGreaterThanOrEqual(8);
  });

  it("has three control-plane and two worker machines, with distinct addresses of the pool, on hosts", () => {
    const roles = running.machines.map((m) => m.role).sort();
    expect(roles).toEqual(["control-plane", "control-plane", "control-plane", "worker", "worker"]);
    const addresses = running.machines.map((m) => m.ip ?? "");
    expect(new Set(addresses).size).toBe(5);
    for (const address of addresses) expect(address.startsWith(site.subnet.prefix)).toBe(true);
    for (const machine of running.machines) expect(machine.host).toMatch(/^C\d-H\d$/);
  });

  it("has exactly the machines' VMs in vCenter", () => {
    const vms = site.datacenter.vcenter.vms().filter((vm) => !vm.template && vm.name.startsWith("shop-1"));
    expect(vms.map((vm) => vm.name).sort()).toEqual(running.machines.map((m) => m.name).sort());
  });

  it("left no Cluster API object and no credential of the cluster on the gateway", async () => {
    const namespaced = { namespace: `cluster-${uid}` };
    const { items } = await site.gateway.store.list(secret, namespaced);
    const withPassword = items.filter((s) => "password" in ((s as { data?: object }).data ?? {}));
    expect(withPassword.map((s) => s.metadata.name)).toEqual([]);
  });

  it("told the plane its story: events in order, each once", async () => {
    const { items } = await site.client.clusterEvents(uid, { limit: 500 });
    const sequences = items.map((event) => event.sequence);
    expect(sequences.length).toBeGreaterThan(5);
    expect([...sequences].sort((a, b) => b - a)).toEqual(sequences);
    expect(new Set(items.map((event) => event.metadata.uid)).size).toBe(items.length);
  });

  it("never said the password, and keeps it sealed at rest", async () => {
    const password = testAccount.password.reveal();
    const encoded = Buffer.from(password).toString("base64");
    expect(site.lines.filter((line) => line.includes(password) || line.includes(encoded))).toEqual([]);
    const files = await readdir(site.folder, { recursive: true, withFileTypes: true });
    const kept = files.filter((f) => f.isFile() && /(plane|gateway)$/.test(f.parentPath));
    expect(kept.length).toBeGreaterThan(5);
    for (const file of kept) {
      const bytes = await readFile(join(file.parentPath, file.name));
      expect(bytes.includes(password) || bytes.includes(encoded), file.name).toBe(false);
    }
  });

  it("leaves nothing behind when it is deleted", async () => {
    await site.client.deleteCluster(uid);
    await untilState(site.client, uid, "Deleted");
    const { store } = site.gateway;
    expect(site.datacenter.vcenter.vms().filter((vm) => vm.name.startsWith("shop-1"))).toEqual([]);
    await until(
      "the namespace is gone",
      async () => (await store.get(namespace, { name: `cluster-${uid}` })) === undefined,
    );
    expect((await store.list(ipAddressClaim)).items).toEqual([]);
    expect((await store.list(ipAddress)).items).toEqual([]);
    const pools = (await store.list(inClusterIPPool)).items;
    expect(pools.map((p) => p.metadata.name)).toEqual(["nodes"]);
    await until("the pool counts nothing used", async () => {
      const pool = await store.get(inClusterIPPool, { namespace: "default", name: "nodes" });
      return pool?.status?.ipAddresses?.used === 0;
    });
    const secrets = (await store.list(secret)).items.map((s) => `${s.metadata.namespace}/${s.metadata.name}`);
    expect(secrets).toEqual(["pcg-system/vcenter"]);
    expect(site.datacenter.machines.workloads()).toEqual([]);
  });
});
