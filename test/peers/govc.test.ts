// An unmodified govc on the simulated vCenter: its reading of the interface is not ours, so a mistake that our client and our server
// share shows here. It trusts the server by its certificate.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Secret, silentLogger, systemClock } from "#core";
import { startVcenter, type SimulatedVcenter } from "#sandbox/vcenter/index.ts";
import { binaries } from "./harness/build.ts";
import { run } from "./harness/vsphere.ts";

const username = "administrator@vsphere.local";
const password = new Secret(`pw-${process.pid}`);
const template = "ubuntu-2204-kube-v1.35.4";
const dir = mkdtempSync(join(tmpdir(), "pcg-peers-"));
let sim: SimulatedVcenter;
let govc: (...args: string[]) => Promise<string>;
let env: Record<string, string>;

beforeAll(async () => {
  const program = (await binaries("vsphere"))("govc");
  sim = await startVcenter({
    clock: systemClock,
    log: silentLogger,
    listen: "127.0.0.1:0",
    username,
    password,
  });
  writeFileSync(join(dir, "ca.pem"), sim.caCert);
  env = {
    GOVC_URL: `https://${sim.server}/sdk`,
    GOVC_USERNAME: username,
    GOVC_PASSWORD: password.reveal(),
    GOVC_TLS_CA_CERTS: join(dir, "ca.pem"),
    GOVC_PERSIST_SESSION: "false", // a kept session is keyed without the password
  };
  govc = async (...args) => (await run(program, args, env)).trim();
});

afterAll(async () => {
  await sim?.close();
  rmSync(dir, { recursive: true, force: true });
});

const lines = (text: string) => text.split("\n").sort();
const json = async <T>(...args: string[]) => JSON.parse(await govc(...args)) as T;

describe("govc sees", () => {
  it("a vCenter", async () => {
    expect(await govc("about")).toMatch(/API type: +VirtualCenter/);
  });

  it("the inventory, by listing and by finding", async () => {
    expect(lines(await govc("ls"))).toEqual(["/DC0/datastore", "/DC0/host", "/DC0/network", "/DC0/vm"]);
    expect(lines(await govc("find", "/", "-type", "m"))).toEqual([`/DC0/vm/spectro-templates/${template}`]);
    expect(lines(await govc("find", "/", "-type", "h"))).toHaveLength(4);
    expect(lines(await govc("find", "/", "-type", "p"))).toContain("/DC0/host/C0/Resources/pcg");
    expect(await govc("datacenter.info")).toMatch(/Hosts: +4/);
    expect(await govc("datastore.info", "LocalDS_0")).toMatch(/Capacity: +10240.0 GB/);
    expect(await govc("host.info", "C0-H0")).toMatch(/State: +connected/);
    expect(await govc("snapshot.tree", "-vm", template)).toContain("base");
  });

  it("its own session, and none left of those before", async () => {
    expect((await govc("session.ls")).split("\n")).toHaveLength(2);
  });

  it("that a wrong password is refused", async () => {
    const wrong = run((await binaries("vsphere"))("govc"), ["ls"], { ...env, GOVC_PASSWORD: "wrong" });
    await expect(wrong).rejects.toThrow(/incorrect user name or password/);
  });
});

describe("govc works on a machine:", () => {
  type Info = {
    virtualMachines: {
      config: {
        uuid: string;
        hardware: { numCPU: number; memoryMB: number };
        extraConfig: { key: string; value: string }[];
      };
      runtime: { powerState: string };
    }[];
  };
  const info = async () => (await json<Info>("vm.info", "-json", "node")).virtualMachines[0]!;

  it("clones it onto a port group", async () => {
    const where = ["-pool", "C0/Resources", "-ds", "LocalDS_0", "-folder", "pcg", "-net", "DC0_DVPG0"];
    await govc("vm.clone", "-vm", template, "-on=false", "-c", "4", "-m", "2048", ...where, "node");
    expect(await info()).toMatchObject({
      config: { hardware: { numCPU: 4, memoryMB: 2048 } },
      runtime: { powerState: "poweredOff" },
    });
    expect(lines(await govc("device.ls", "-vm", "node")).join("\n")).toMatch(
      /ethernet-0 +VirtualVmxnet3 +DC0_DVPG0/,
    );
  });

  it("changes settings, network and disk", async () => {
    await govc("vm.change", "-vm", "node", "-e", "guestinfo.metadata=bWV0YQ==");
    await govc("vm.network.change", "-vm", "node", "-net", "VM Network", "ethernet-0");
    await govc("vm.disk.change", "-vm", "node", "-size", "30G");
    expect((await info()).config.extraConfig).toContainEqual({
      key: "guestinfo.metadata",
      value: "bWV0YQ==",
    });
    expect(await govc("device.info", "-vm", "node", "ethernet-0")).toMatch(/Summary: +VM Network/);
    expect(await govc("device.info", "-vm", "node", "disk-1000-0")).toMatch(/Summary: +31457280 KB/);
  });

  it("turns it on, waits for its address, finds it by that, turns it off", async () => {
    const stop = sim.onPowerOn((vm) => sim.setGuest(vm.id, { ipAddress: "10.9.8.7", hostName: "node" }));
    await govc("vm.power", "-on", "node");
    expect(await govc("vm.ip", "node")).toBe("10.9.8.7");
    expect(await govc("vm.info", "-vm.ip", "10.9.8.7")).toContain("/DC0/vm/pcg/node");
    expect(await govc("object.collect", "-s", "vm/pcg/node", "runtime.powerState")).toBe("poweredOn");
    await govc("vm.power", "-off", "node");
    stop();
  });

  it("hears of a change while it waits, and not before", async () => {
    const before = sim.knobs.calls("WaitForUpdatesEx");
    let heard = false;
    const match = ["vm/pcg/node", "-runtime.powerState", "poweredOn"];
    const waiting = govc("object.collect", "-wait", "20s", "-s", ...match).then(() => (heard = true));
    await expect.poll(() => sim.knobs.calls("WaitForUpdatesEx") - before, { timeout: 10_000 }).toBe(2);
    expect(heard).toBe(false);
    await govc("vm.power", "-on", "node");
    await waiting;
    await govc("vm.power", "-off", "node");
  });

  it("finds it by UUID, makes it a template and a machine again, and deletes it", async () => {
    const { uuid } = (await info()).config;
    expect(await govc("vm.info", "-vm.uuid", uuid)).toContain("/DC0/vm/pcg/node");
    await govc("vm.markastemplate", "node");
    await expect(govc("vm.power", "-on", "node")).rejects.toThrow();
    await govc("vm.markasvm", "-pool", "C0/Resources", "node");
    await govc("vm.destroy", "node");
    expect(await govc("find", "/", "-type", "m", "-name", "node")).toBe("");
  });

  it("makes and removes a folder, but not one that holds something", async () => {
    await govc("folder.create", "/DC0/vm/shelf");
    await govc(
      "vm.clone",
      "-vm",
      template,
      "-on=false",
      "-pool",
      "C0/Resources",
      "-ds",
      "LocalDS_0",
      "-folder",
      "shelf",
      "book",
    );
    await expect(govc("object.destroy", "/DC0/vm/shelf")).rejects.toThrow(/not empty/);
    await govc("vm.destroy", "book");
    await govc("object.destroy", "/DC0/vm/shelf");
    expect(await govc("ls", "/DC0/vm")).not.toContain("shelf");
  });
});
