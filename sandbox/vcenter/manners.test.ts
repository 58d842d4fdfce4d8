// Our client at a vCenter with bad manners, and the simulated datacenter's own rules.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Secret, silentLogger, systemClock } from "#core";
import { fakeClock } from "#core/time/fake-clock.ts";
import { census, check, connectVsphere, type VsphereClient } from "#vsphere";
import { eventually, stage, type Stage } from "./testing.ts";

let at: Stage;
let client: VsphereClient;
beforeEach(async () => {
  at = await stage();
  client = at.client();
});
afterEach(() => at.close());

const placement = {
  datacenter: "DC0",
  computeCluster: "C0",
  networkName: "VM Network",
  datastore: "LocalDS_0",
};

describe("a connection that breaks", () => {
  test("is made anew for a read, and the caller notices nothing", async () => {
    await client.checkLogin();
    at.sim.knobs.cutNext("RetrievePropertiesEx");
    expect(await client.vms.list()).toHaveLength(1);
  });

  test("twice is an error that says so", async () => {
    await client.checkLogin();
    at.sim.knobs.cutNext("RetrievePropertiesEx", 2);
    await expect(client.vms.list()).rejects.toMatchObject({
      code: "Unavailable",
      message: expect.stringContaining("the connection broke"),
    });
  });

  test("is not made anew for a clone, which might then happen twice", async () => {
    const request = await at.cloneOf(client, "once");
    at.sim.knobs.cutNext("CloneVM_Task");
    await expect(client.vms.clone(request)).rejects.toMatchObject({ code: "Unavailable" });
    expect(at.sim.knobs.calls("CloneVM_Task")).toBe(1);
  });
});

describe("a server that is slow", () => {
  test("is given up on after two minutes", async () => {
    const clock = fakeClock();
    const patient = at.client({ clock });
    await patient.checkLogin();
    at.sim.knobs.latency("CreateContainerView", 3_600_000);
    const reading = patient.vms.list().catch((error: unknown) => error);
    await eventually(() => at.sim.knobs.calls("CreateContainerView")).toBe(1);
    await clock.advance(120_000);
    expect(await reading).toMatchObject({ code: "TimedOut", message: expect.stringContaining("120 s") });
  });

  test("does not hold one who has given up", async () => {
    await client.checkLogin();
    at.sim.knobs.latency("CreateContainerView", 3_600_000);
    const abort = new AbortController();
    const reading = client.vms.list(undefined, abort.signal).catch((error: unknown) => error);
    await eventually(() => at.sim.knobs.calls("CreateContainerView")).toBe(1);
    abort.abort();
    expect(await reading).toMatchObject({ code: "Cancelled" });
  });
});

describe("a task", () => {
  test("that never ends can be waited for, given up, and waited for again", async () => {
    at.sim.knobs.hangTasks("CloneVM_Task", true);
    const task = await client.vms.startClone(await at.cloneOf(client, "late"));
    const abort = new AbortController();
    const waiting = client.tasks
      .wait(task, "cloning", { signal: abort.signal })
      .catch((error: unknown) => error);
    await eventually(() => at.sim.knobs.calls("WaitForUpdatesEx")).toBeGreaterThan(0);
    abort.abort();
    expect(await waiting).toMatchObject({ code: "Cancelled" });
    await eventually(() => at.sim.knobs.calls("CancelWaitForUpdates")).toBe(1);
    at.sim.knobs.hangTasks("CloneVM_Task", false);
    expect(await client.tasks.wait(task, "cloning")).toMatchObject({ type: "VirtualMachine" });
  });

  test("tells its progress", async () => {
    const clock = fakeClock(Date.now());
    const slow = await stage({ clock });
    const watching = slow.client();
    slow.sim.knobs.taskTime("CloneVM_Task", 60_000);
    const seen: number[] = [];
    const request = await slow.cloneOf(watching, "watched");
    const done = watching.vms.clone(request, { onProgress: (percent) => seen.push(percent) });
    await eventually(() => slow.sim.knobs.calls("WaitForUpdatesEx")).toBe(2); // "queued" was told, and it waits
    await clock.advance(30_000);
    await eventually(() => seen).toEqual([0, 50]);
    await clock.advance(30_000);
    expect(await done).toMatchObject({ type: "VirtualMachine" });
    await slow.close();
  });

  test("is asked after by polling where the long poll is not allowed", async () => {
    const clock = fakeClock();
    const polling = at.client({ clock });
    const request = await at.cloneOf(polling, "polled");
    at.sim.knobs.failNext("CreateFilter", "NotSupported");
    at.sim.knobs.taskTime("CloneVM_Task", 50);
    const moving = setInterval(() => void clock.advance(2_000), 5);
    expect(await polling.vms.clone(request)).toMatchObject({ type: "VirtualMachine" });
    clearInterval(moving);
    expect(at.sim.knobs.calls("WaitForUpdatesEx")).toBe(0);
  });

  test("that fails says what was being done, to what, and why", async () => {
    at.sim.knobs.setFreeSpace("LocalDS_0", 1);
    await expect(client.vms.clone(await at.cloneOf(client, "big"))).rejects.toMatchObject({
      code: "Unavailable",
      type: "NoDiskSpace",
      message: "cloning 'big': datastore 'LocalDS_0' has no room left",
    });
    expect(at.sim.vms().map((vm) => vm.name)).not.toContain("big");
  });
});

describe("rights", () => {
  const limited = { username: "limited@vsphere.local", password: new Secret("limited") };
  const vmRights = ["VirtualMachine.Inventory.CreateFromExisting", "VirtualMachine.Inventory.Delete"];

  test("that are missing are listed by object, with what to do", async () => {
    at.sim.knobs.setUser(limited.username, limited.password, [
      { path: "/", propagate: true, privileges: [] },
      { path: "/DC0/vm", propagate: true, privileges: vmRights },
    ]);
    const gateway = at.client(limited);
    const problems = await check(gateway, placement, { privileges: true });
    expect(problems.find(({ field }) => field === "networkName")!.message).toBe(
      "the account lacks Network.Assign on /DC0/network/VM Network; give 'limited@vsphere.local' a role with Network.Assign on /DC0/network/VM Network",
    );
    const folder = await gateway.inventory.find("folder", "vm");
    const [gap] = await gateway.privileges([{ role: "folder", ref: folder.ref, path: folder.path }]);
    expect(gap!.missing).toContain("VirtualMachine.Interact.PowerOn");
    expect(gap!.missing).not.toContain("VirtualMachine.Inventory.Delete");
    expect(gap!.remedy).toContain("on /DC0/vm, with propagation to children");
  });

  test("that are missing stop the work, and the error names privilege and object", async () => {
    at.sim.knobs.setUser(limited.username, limited.password, [
      { path: "/", propagate: true, privileges: ["VirtualMachine.Provisioning.DeployTemplate"] },
    ]);
    const gateway = at.client(limited);
    const request = await at.cloneOf(gateway, "denied");
    await expect(gateway.vms.clone(request)).rejects.toMatchObject({
      code: "Forbidden",
      type: "NoPermission",
      message: expect.stringContaining(
        `VirtualMachine.Inventory.CreateFromExisting on Folder ${request.folder.value}`,
      ),
    });
  });

  test("what an account may not see does not exist for it, and a census does not call that empty", async () => {
    at.sim.knobs.setUser(limited.username, limited.password, []);
    const gateway = at.client(limited);
    expect(await gateway.inventory.list("datacenter")).toEqual([]);
    await expect(census(gateway, { datacenter: "DC0" })).rejects.toMatchObject({
      code: "NotFound",
      message: "datacenter 'DC0' not found; there is none that this account can see",
    });
  });
});

describe("the datacenter", () => {
  test("spreads machines over the hosts of the cluster", async () => {
    for (const name of ["a", "b", "c"]) await client.vms.clone(await at.cloneOf(client, name));
    const hosts = at.sim.vms().filter((vm) => !vm.template);
    expect(hosts.map((vm) => vm.host)).toEqual(["C0-H0", "C0-H1", "C0-H2"]);
  });

  test("takes many clones at once, each once, and one of two with the same name", async () => {
    const request = await at.cloneOf(client, "twin");
    const many = Array.from({ length: 30 }, (_, index) =>
      client.vms.clone({ ...request, name: `many-${index}` }),
    );
    const twins = await Promise.allSettled([client.vms.clone(request), client.vms.clone(request)]);
    await Promise.all(many);
    expect(twins.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(twins.find(({ status }) => status === "rejected")).toMatchObject({
      reason: { code: "AlreadyExists" },
    });
    const machines = at.sim.vms().filter((vm) => !vm.template);
    expect(machines).toHaveLength(31);
    expect(new Set(machines.map((vm) => vm.biosUuid)).size).toBe(31);
    expect(new Set(machines.flatMap((vm) => vm.cards.map((card) => card.mac))).size).toBe(31);
    const load = ["C0-H0", "C0-H1", "C0-H2"].map((host) => machines.filter((vm) => vm.host === host).length);
    expect(Math.max(...load) - Math.min(...load)).toBeLessThanOrEqual(1);
    expect(at.sim.knobs.calls("Login")).toBe(1);
  });

  test("places nothing on a host that is down or in maintenance", async () => {
    at.sim.knobs.setHost("C0-H0", "down");
    at.sim.knobs.setHost("C0-H1", "maintenance");
    for (const name of ["a", "b"]) await client.vms.clone(await at.cloneOf(client, name));
    expect(
      new Set(
        at.sim
          .vms()
          .filter((vm) => !vm.template)
          .map((vm) => vm.host),
      ),
    ).toEqual(new Set(["C0-H2"]));
    expect(await check(client, placement)).toEqual([]);
    at.sim.knobs.setHost("C0-H2", "down");
    expect(await check(client, placement)).toEqual([
      {
        field: "computeCluster",
        message: "compute cluster 'C0' has no host that is connected and out of maintenance",
      },
    ]);
  });

  test("gives a machine's space back when it is deleted", async () => {
    const free = async () => (await client.inventory.find("datastore", "LocalDS_0")).space!.free;
    const before = await free();
    const vm = await client.vms.clone(await at.cloneOf(client, "heavy"));
    expect(before - (await free())).toBe(20 * 2 ** 30);
    await client.vms.destroy(vm);
    expect(await free()).toBe(before);
  });

  test("says what a placement needs and a datastore lacks", async () => {
    at.sim.knobs.setFreeSpace("LocalDS_0", 100);
    expect(await check(client, placement, { diskGiB: 200 })).toEqual([
      { field: "datastore", message: "datastore 'LocalDS_0' has 100 GiB free, 200 GiB are needed" },
    ]);
    expect(await check(client, { ...placement, datastore: "LocalDS_1" })).toEqual([
      { field: "datastore", message: "datastore 'LocalDS_1' is not mounted in compute cluster 'C0'" },
    ]);
  });

  test("tells who listens when a machine turns on, and shows what its tools then report", async () => {
    const heard: string[] = [];
    at.sim.onPowerOn((vm) => {
      heard.push(`${vm.name} on, ${vm.extraConfig["guestinfo.userdata"]}`);
      at.sim.setGuest(vm.id, { ipAddress: "10.0.0.7", hostName: "node-1" });
    });
    at.sim.onPowerOff((vm) => heard.push(`${vm.name} off`));
    at.sim.onDestroy((vm) => heard.push(`${vm.name} gone`));
    const request = { ...(await at.cloneOf(client, "node")), extraConfig: { "guestinfo.userdata": "aGk=" } };
    const vm = await client.vms.clone(request);
    const address = client.vms.waitForAddress(vm);
    await client.vms.powerOn(vm);
    expect(await address).toBe("10.0.0.7");
    expect(await client.vms.get(vm)).toMatchObject({ hostName: "node-1", ipAddresses: ["10.0.0.7"] });
    expect(await client.vms.cards(vm)).toMatchObject([{ connected: true, addresses: ["10.0.0.7"] }]);
    await client.vms.powerOff(vm, { mode: "soft" });
    expect(await client.vms.get(vm)).toMatchObject({ power: "poweredOff", ipAddress: undefined });
    await client.vms.destroy(vm);
    expect(heard).toEqual(["node on, aGk=", "node off", "node gone"]);
  });

  test("of a restarted sandbox still has its machines, and its certificate is the one that was pinned", async () => {
    const vm = await client.vms.clone(await at.cloneOf(client, "survivor"));
    await client.vms.powerOn(vm);
    const state = JSON.parse(JSON.stringify(at.sim.snapshot())) as ReturnType<typeof at.sim.snapshot>;
    const again = await stage({ state, identity: at.sim.identity });
    expect(again.sim.thumbprint).toBe(at.sim.thumbprint);
    const seen = await again.client().vms.get(vm);
    expect(seen).toMatchObject({ name: "survivor", power: "poweredOn" });
    const next = await again.client().vms.clone(await again.cloneOf(again.client(), "next"));
    expect(next.value).not.toBe(vm.value);
    await again.close();
  });

  test("may also be trusted by its certificate instead of a pin", async () => {
    const { thumbprint: _, ...account } = at.account;
    const ca = at.sim.caCert;
    const trusting = connectVsphere({ ...account, ca, clock: systemClock, log: silentLogger });
    await trusting.checkLogin();
    await trusting.close();
  });
});
