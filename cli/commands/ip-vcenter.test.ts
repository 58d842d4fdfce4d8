// What pcg ip asks a vCenter, on the simulated one: which addresses are in use, and whether a machine is gone.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { Secret, silentLogger, systemClock } from "#core";
import { recordingLogger } from "#core/controller/testing.ts";
import { memoryStore } from "#core/store/memory-store.ts";
import { serveStore } from "#core/store/serve.ts";
import { witnessOf } from "#ipam/program/eyes.ts";
import { ipamOptions } from "#ipam/program/index.ts";
import { allKinds, inClusterIPPool } from "#proto";
import { eventually, stage, type Stage } from "#sandbox/vcenter/testing.ts";
import { settingsOf } from "../settings.ts";
import { followVcenter, openVcenter, type AccountSettings } from "../vcenter.ts";
import type { World } from "../world.ts";
import { ipImport, ipSetAside } from "./ip-change.ts";

let vcenter: Stage;
let dir: string;
const signal = new AbortController().signal;
const deps = { clock: systemClock, log: silentLogger };

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "pcg-ip-"));
  vcenter = await stage();
});
afterEach(async () => {
  await vcenter.close();
  rmSync(dir, { recursive: true, force: true });
});

/** A machine that is on; its tools report the address. */
async function machine(name: string, ipAddress: string): Promise<{ remove(): Promise<void> }> {
  const client = vcenter.client();
  const vm = await client.vms.clone({ ...(await vcenter.cloneOf(client, name)), powerOn: true });
  await eventually(() => vcenter.sim.vm(vm.value)?.power).toBe("poweredOn");
  vcenter.sim.setGuest(vm.value, { ipAddress });
  return {
    async remove() {
      await client.vms.powerOff(vm);
      await client.vms.destroy(vm);
    },
  };
}

const account = () => ({
  server: { text: vcenter.account.server },
  username: vcenter.account.username,
  password: vcenter.account.password,
  thumbprint: vcenter.account.thumbprint,
});

describe("whether a machine is gone", () => {
  it("is told by its name or its address, and unknown where vCenter does not answer", async () => {
    const web = await machine("web-1", "10.0.0.11");
    const eyes = await openVcenter(account(), deps);
    const ask = (name: string, ...addresses: string[]) =>
      eyes.witness.presence({ name, namespace: "c", addresses }, signal);
    expect(await ask("web-1")).toBe("there");
    expect(await ask("renamed", "10.0.0.11")).toBe("there");
    expect(await ask("other", "10.0.0.12")).toBe("gone");
    await web.remove();
    expect(await ask("web-1", "10.0.0.11")).toBe("gone");
    await eyes.close();
    const refused = await openVcenter({ ...account(), password: new Secret("wrong") }, deps);
    expect(await refused.witness.presence({ name: "x", namespace: "c", addresses: [] }, signal)).toBe(
      "unknown",
    );
    await refused.close();
  });

  it("needs a whole account, or none", async () => {
    const follow = (settings: AccountSettings) => followVcenter(async () => settings, deps);
    expect(await follow({})).toBeUndefined();
    await expect(follow({ username: "x" })).rejects.toThrow(/vcenter.username is given, but/);
    await expect(follow({ server: { text: "h" } })).rejects.toThrow(/vcenter.username is missing/);
    const bare = { server: { text: "h" }, username: "x" };
    await expect(follow(bare)).rejects.toThrow(/password is missing/);
    await expect(follow({ ...bare, accountDir: dir })).rejects.toThrow(
      /accountDir and vcenter.server are both/,
    );
  });
});

describe("an account that changes while the program runs", () => {
  const never = new AbortController().signal;
  const store = memoryStore({ clock: systemClock });
  const write = (files: Record<string, string>) =>
    Object.entries(files).forEach(([name, text]) => writeFileSync(join(dir, name), text));

  async function program(read: () => Promise<AccountSettings>) {
    const log = recordingLogger();
    const eyes = await followVcenter(read, { clock: systemClock, log });
    onTestFinished(() => eyes?.close());
    const witness = witnessOf(eyes!, { store, log });
    const ask = (name = "nobody") => witness.presence({ name, namespace: "c", addresses: [] }, never);
    return { ask, log, eyes: eyes! };
  }

  it("is followed: the password's file is read again, and no secret is told", async () => {
    write({ pw: "wrong horse" });
    const { server, username, thumbprint } = account();
    const argv = [
      ...["--vcenter-server", server.text, "--vcenter-username", username],
      ...["--vcenter-password-file", join(dir, "pw"), "--vcenter-thumbprint", thumbprint],
    ];
    const world = { env: {}, cwd: dir };
    const { ask, log } = await program(async () => (await settingsOf(ipamOptions, argv, world)).vcenter);
    expect(await ask()).toBe("unknown");
    write({ pw: `${vcenter.account.password.reveal()}\n` });
    expect(await ask()).toBe("gone");
    const rotated = new Secret("battery staple");
    vcenter.sim.knobs.setPassword(rotated);
    vcenter.sim.knobs.expireSessions();
    expect(await ask()).toBe("unknown");
    write({ pw: rotated.reveal() });
    expect(await ask()).toBe("gone");
    rmSync(join(dir, "pw")); // in the middle of being replaced
    expect(await ask()).toBe("gone");
    const told = JSON.stringify(log.lines);
    expect(told).toContain("the last one stays in use");
    for (const secret of ["wrong horse", "battery staple", vcenter.account.password.reveal()])
      expect(told).not.toContain(secret);
  });

  it("may be named later, by a folder: until then CAPV's objects are believed; taken away, it stays in use", async () => {
    const folder = join(dir, "account");
    const { ask, eyes } = await program(async () => ({ accountDir: folder }));
    expect(await eyes.eyes()).toBeUndefined();
    const web = await machine("web-1", "10.0.0.11");
    expect(await ask("web-1")).toBe("gone"); // no VSphereVM of that name
    mkdirSync(folder);
    const { server, username, thumbprint } = account();
    write({ "account/SERVER": server.text, "account/USERNAME": username });
    expect(await ask("web-1")).toBe("unknown"); // not whole yet
    write({ "account/PASSWORD": vcenter.account.password.reveal(), "account/THUMBPRINT": thumbprint });
    expect(await ask("web-1")).toBe("there");
    rmSync(folder, { recursive: true });
    expect(await ask("web-1")).toBe("there");
    await web.remove();
    expect(await ask("web-1")).toBe("gone");
  });
});

describe("with a cluster", () => {
  const lines: string[] = [];
  const closers: (() => Promise<unknown>)[] = [];
  let world: World;
  let options: { context: string; kubeconfig: string; output: "table" };

  beforeEach(async () => {
    lines.length = 0;
    const store = memoryStore({ clock: systemClock });
    const served = await serveStore(store, {
      kinds: allKinds,
      listen: { host: "127.0.0.1", port: 0 },
      token: new Secret("token"),
      ...deps,
    });
    closers.push(
      () => served.close(),
      () => store.close(),
    );
    const kubeconfig = join(dir, "kubeconfig");
    const named = <T>(of: T) => [{ name: "x", ...of }];
    writeFileSync(
      kubeconfig,
      JSON.stringify({
        clusters: named({ cluster: { server: served.url } }),
        users: named({ user: { token: "token" } }),
        contexts: named({ context: { cluster: "x", user: "x" } }),
        "current-context": "x",
      }),
    );
    options = { context: "none", kubeconfig, output: "table" };
    const output = { line: (text = "") => void lines.push(...text.split("\n")) };
    world = { ...deps, signal, output } as unknown as World;
    await store.create(inClusterIPPool, {
      metadata: { namespace: "default", name: "nodes" },
      spec: { addresses: ["10.0.0.10-10.0.0.19"], prefix: 24 },
    });
  });
  afterEach(async () => {
    for (const close of closers.splice(0)) await close();
  });

  it("import takes the addresses that VMs report, as far as the pool gives them out", async () => {
    await machine("web-1", "10.0.0.11");
    await machine("elsewhere", "192.168.7.1");
    const passwordFile = join(dir, "password");
    writeFileSync(passwordFile, `${vcenter.account.password.reveal()}\n`);
    const from = { ...options, pool: "nodes", dryRun: true, fromVcenter: vcenter.account.server };
    await ipImport(world, {
      ...from,
      vcenterUsername: vcenter.account.username,
      vcenterPasswordFile: passwordFile,
      vcenterThumbprint: vcenter.account.thumbprint,
    });
    expect(lines.map((line) => line.replace(/ {2,}/g, " | ").trimEnd())).toEqual([
      "ADDRESS | CLAIM | CLUSTER | FROM",
      "10.0.0.11 | web-1 | VM web-1",
      "1 would be imported",
    ]);
    await expect(ipImport(world, from)).rejects.toThrow(
      /needs --vcenter-username and --vcenter-password-file/,
    );
  });

  it("room is set aside for a cluster, and given back", async () => {
    await ipSetAside(world, "shop", "4", { ...options, pool: "nodes" });
    await ipSetAside(world, "default/shop", "0", { ...options, pool: "nodes" });
    expect(lines).toEqual([
      "InClusterIPPool default/nodes keeps 4 addresses for cluster default/shop, those that it holds included; newcomers find 6 of 10",
      "InClusterIPPool default/nodes keeps nothing for cluster default/shop any more; newcomers find 10 of 10",
    ]);
    await expect(ipSetAside(world, "shop", "few", { ...options, pool: "nodes" })).rejects.toThrow(
      /whole number/,
    );
    await expect(ipSetAside(world, "shop", "1", { ...options, pool: "nodez" })).rejects.toThrow(
      /no pool nodez/,
    );
  });
});
