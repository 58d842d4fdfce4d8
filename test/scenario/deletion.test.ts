// Deletions that something stands in the way of, over real sockets: what it is stands at the plane, and what a person does about it is
// taken up without starting over. The whole table is in jet/spa/deletion/deletion.test.ts.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Secret, systemClock } from "#core";
import { modify } from "#core/store/helpers.ts";
import { encode64, ipAddressClaim, namespace, secret } from "#proto";
import { words } from "#proto/render/names.ts";
import { connectVsphere } from "#vsphere";
import { testAccount, testDeps, testSite, until, untilState, type TestSite } from "./site.ts";

describe("a deletion", { timeout: 180_000 }, () => {
  const end = new AbortController();
  const uids = new Map<string, string>();
  let site: TestSite;

  beforeAll(async () => {
    site = await testSite(end.signal, { jet: { deadAfter: "2s" } });
    await site.pairUp();
    for (const name of ["silent", "dark"]) await ask(name);
    for (const uid of uids.values()) await untilState(site.client, uid, "Running", 120_000);
  }, 180_000);
  afterAll(() => site?.close(), 60_000);

  async function ask(name: string): Promise<void> {
    const small = (text: string) =>
      text.replaceAll("shop-1", name).replace("size: 3", "size: 1").replace("size: 2", "size: 1");
    uids.set(name, await site.applySample(small));
  }

  const uidOf = (name: string) => uids.get(name) ?? "";

  async function untilBlocked(name: string, said: RegExp): Promise<void> {
    await until(`the plane tells of ${said}`, async () => {
      const { conditions } = await site.client.clusterStatus(uidOf(name));
      const blocked = conditions.find((c) => c.type === "DeletionBlocked");
      return blocked?.status === "True" && said.test(blocked.message);
    });
  }

  async function untilNothingIsLeft(name: string): Promise<void> {
    const uid = uidOf(name);
    await untilState(site.client, uid, "Deleted");
    expect(site.datacenter.vcenter.vms().filter((vm) => vm.name.startsWith(name))).toEqual([]);
    const { store } = site.gateway;
    await until(
      "its namespace is gone",
      async () => (await store.get(namespace, { name: `cluster-${uid}` })) === undefined,
    );
    const labels = [{ key: words.clusterUid, op: "=" as const, value: uid }];
    expect((await store.list(ipAddressClaim, { labels })).items).toEqual([]);
    expect((await store.list(secret, { namespace: `cluster-${uid}` })).items).toEqual([]);
  }

  it("of a cluster whose API is dead goes by the ledger, and says so", async () => {
    const { machines } = await site.client.clusterStatus(uidOf("silent"));
    const { log } = testDeps([]);
    const { server, thumbprint } = site.datacenter.vcenter;
    const vsphere = connectVsphere({
      server,
      thumbprint,
      ...testAccount,
      clock: systemClock,
      log: log("sandbox"),
    });
    for (const vm of site.datacenter.vcenter.vms()) {
      const machine = machines.find((m) => m.name === vm.name);
      if (machine?.role === "control-plane")
        await vsphere.vms.powerOff({ type: "VirtualMachine", value: vm.id });
    }
    await vsphere.close();
    await site.client.deleteCluster(uidOf("silent"));
    await untilBlocked("silent", /API.*does not answer.*--force/s);
    await untilNothingIsLeft("silent");
    const { items } = await site.client.clusterEvents(uidOf("silent"), { limit: 100 });
    const told = items.map((event) => `${event.reason}: ${event.message}`).join("\n");
    expect(told).toMatch(/DeletionByLedger: .*has not answered since/);
    expect(told).toMatch(
      /Deleted: cluster silent is deleted .*knows none of the 2 VMs that were made for it/,
    );
  });

  it("waits for a vCenter that is away, then names a password that it refuses, and goes on with the right one", async () => {
    const { knobs } = site.datacenter.vcenter;
    knobs.cutNext("*", 1_000_000);
    await site.client.deleteCluster(uidOf("dark"));
    await untilBlocked("dark", /vCenter|connection|hang up|reset/i);
    knobs.setPassword(new Secret("changed"));
    knobs.expireSessions();
    knobs.cutNext("*", 0);
    await untilBlocked("dark", /password.*correct Secret vcenter/s);
    const password = encode64("changed");
    await modify(site.gateway.store, secret, { namespace: "pcg-system", name: "vcenter" }, (account) => ({
      ...account,
      data: { ...account.data, password },
    }));
    await untilNothingIsLeft("dark");
  });

  it("that is forced goes on where Cluster API's controllers have stopped, also in the middle of provisioning", async () => {
    await ask("stuck");
    const within = { namespace: `cluster-${uidOf("stuck")}` };
    const claims = async () => (await site.gateway.store.list(ipAddressClaim, within)).items;
    await until("a machine has its address", async () => (await claims()).some((c) => c.status?.addressRef));
    site.datacenter.knobs.controllerMs = 3_600_000;
    await site.client.deleteCluster(uidOf("stuck"), { force: true });
    await untilNothingIsLeft("stuck");
  });
});
