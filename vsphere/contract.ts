// What our client relies on, as a suite that runs against any vCenter: the simulated one (npm test) and vcsim (npm run test:peers).
// It makes virtual machines named "contract-…" and deletes them again.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Fault, Secret, silentLogger, sleep, systemClock } from "#core";
import { census } from "./census.ts";
import { isCard } from "./cards.ts";
import { check } from "./check.ts";
import type { VsphereClient } from "./client.ts";
import { readObject, waitForProperties } from "./collector.ts";
import { connectVsphere, vsphereSessions } from "./sessions.ts";
import type { ServiceContent } from "./session.ts";
import { fetchThumbprint } from "./soap/certificate.ts";
import type { Read, Ref } from "./soap/types.ts";
import { VimFault } from "./soap/vim-fault.ts";

/** Names in the inventory of the server under test. */
export interface Vim25Facts {
  readonly datacenter: string;
  readonly cluster: string;
  /** A pool of the cluster: "DC0_C0/Resources". */
  readonly pool: string;
  readonly datastore: string;
  readonly network: string;
  readonly folder: string;
  /** A template, with a snapshot. */
  readonly template: string;
}

export interface Vim25UnderTest {
  readonly server: string;
  readonly username: string;
  readonly password: Secret;
  readonly thumbprint: string;
  readonly facts: Vim25Facts;
  close(): Promise<void>;
}

/** The names of vcsim's default inventory with one cluster. The template is made by `makeVcsimTemplate`. */
export const vcsimFacts: Vim25Facts = {
  datacenter: "DC0",
  cluster: "DC0_C0",
  pool: "DC0_C0/Resources",
  datastore: "LocalDS_0",
  network: "VM Network",
  folder: "vm",
  template: "DC0_C0_RP0_VM0",
};

/** Turns a machine of vcsim's default inventory into a template with a snapshot. Twice is once. */
export async function makeVcsimTemplate(
  options: Pick<Vim25UnderTest, "server" | "username" | "password" | "thumbprint">,
  path = "/DC0/vm/DC0_C0_RP0_VM0",
): Promise<void> {
  const client = connectVsphere({ ...options, clock: systemClock, log: silentLogger });
  try {
    const vm = await client.vms.findByInventoryPath(path);
    if (!vm) throw new Fault("NotFound", `there is no machine ${path}`);
    if ((await client.vms.get(vm))?.template) return;
    await client.vms.powerOff(vm);
    const args = { name: "base", memory: false, quiesce: false };
    await client.tasks.wait(await client.session.call(vm, "CreateSnapshot_Task", args), "taking a snapshot");
    await client.session.call(vm, "MarkAsTemplate", {});
  } finally {
    await client.close();
  }
}

export function vim25Contract(name: string, make: () => Promise<Vim25UnderTest>): void {
  describe(`vim25 on ${name}`, () => {
    let under: Vim25UnderTest;
    let client: VsphereClient;
    let content: ServiceContent;
    let serial = 0;

    beforeAll(async () => {
      under = await make();
      client = connect();
      content = await client.session.content();
    }, 120_000);

    afterAll(async () => {
      await client?.close();
      await under?.close();
    });

    function connect(over: { password?: Secret; thumbprint?: string } = {}): VsphereClient {
      const { server, username, password, thumbprint } = under;
      return connectVsphere({
        server,
        username,
        password,
        thumbprint,
        clock: systemClock,
        log: silentLogger,
        ...over,
      });
    }

    async function place() {
      const { facts } = under;
      const snapshot = await client.inventory.snapshot();
      const ref = (kind: Parameters<typeof snapshot.pick>[0], wanted: string): Ref => {
        const pick = snapshot.pick(kind, wanted, { datacenter: facts.datacenter });
        if (pick.kind !== "found") throw new Fault("NotFound", pick.message);
        return pick.entry.ref;
      };
      return {
        source: ref("template", facts.template),
        folder: ref("folder", facts.folder),
        pool: ref("pool", facts.pool),
        datastore: ref("datastore", facts.datastore),
        network: ref("network", facts.network),
      };
    }

    /** Runs `use` with a machine that is deleted afterwards. */
    async function withMachine(
      use: (vm: Ref, name: string) => Promise<void>,
      more: Partial<Parameters<VsphereClient["vms"]["clone"]>[0]> = {},
    ): Promise<void> {
      const machine = `contract-${++serial}`;
      const { network: _, ...where } = await place();
      const vm = await client.vms.clone({ name: machine, ...where, ...more });
      try {
        await use(vm, machine);
      } finally {
        await client.vms.destroy(vm);
      }
    }

    async function sessions(): Promise<readonly Read<"UserSession">[]> {
      const values = await readObject(client.session, "SessionManager", content.sessionManager!, [
        "sessionList",
      ]);
      return values?.sessionList ?? [];
    }

    test("it tells what it is before anybody logs in", async () => {
      const stranger = connect({ password: new Secret("not this one") });
      const about = await stranger.about();
      expect(about.fullName).toContain("vCenter");
      expect(about.apiVersion).toMatch(/^\d+\.\d+/);
      await stranger.close();
    });

    test("its certificate's thumbprint can be asked for, and pins it", async () => {
      expect(await fetchThumbprint(under.server)).toBe(under.thumbprint);
      const wrong = connect({
        thumbprint: under.thumbprint.replace(/^../, (byte) => (byte === "00" ? "01" : "00")),
      });
      await expect(wrong.checkLogin()).rejects.toMatchObject({
        code: "Unavailable",
        message: expect.stringContaining(under.thumbprint),
      });
      await wrong.close();
    });

    test("without a pin or an authority its self-made certificate is not trusted", async () => {
      const { server, username, password } = under;
      const trusting = connectVsphere({ server, username, password, clock: systemClock, log: silentLogger });
      await expect(trusting.checkLogin()).rejects.toMatchObject({
        code: "Unavailable",
        message: expect.stringContaining("certificate is not trusted"),
      });
      await trusting.close();
    });

    test("a wrong password is refused, and said to be", async () => {
      const wrong = connect({ password: new Secret("not this one") });
      await expect(wrong.checkLogin()).rejects.toMatchObject({
        code: "Unauthorized",
        type: "InvalidLogin",
        message: expect.stringContaining(under.username),
      });
      await wrong.close();
    });

    test("ten first calls at once make one session, and closing ends it", async () => {
      const before = (await sessions()).length;
      const shared = vsphereSessions({ clock: systemClock, log: silentLogger });
      const clients = Array.from({ length: 10 }, () => shared.connect(under));
      await Promise.all(clients.map((each) => each.checkLogin()));
      expect((await sessions()).length).toBe(before + 1);
      await shared.close();
      expect((await sessions()).length).toBe(before);
    });

    test("a session that was ended from outside is replaced without the caller noticing", async () => {
      const other = connect();
      await other.checkLogin();
      const values = await readObject(other.session, "SessionManager", content.sessionManager!, [
        "currentSession",
      ]);
      await client.session.call(content.sessionManager!, "TerminateSession", {
        sessionId: [values!.currentSession!.key],
      });
      await other.checkLogin();
      expect(other.session.epoch).toBe(2);
      expect(await other.inventory.list("datacenter")).not.toHaveLength(0);
      await other.close();
    });

    test("the inventory shows everything by its full path", async () => {
      const { facts } = under;
      const snapshot = await client.inventory.snapshot();
      const paths = (kind: Parameters<typeof snapshot.list>[0]) =>
        snapshot.list(kind).map((entry) => entry.path);
      expect(paths("datacenter")).toContain(`/${facts.datacenter}`);
      expect(paths("cluster")).toContain(`/${facts.datacenter}/host/${facts.cluster}`);
      expect(paths("pool")).toContain(`/${facts.datacenter}/host/${facts.cluster}/Resources`);
      expect(paths("datastore")).toContain(`/${facts.datacenter}/datastore/${facts.datastore}`);
      expect(paths("network")).toContain(`/${facts.datacenter}/network/${facts.network}`);
      expect(paths("folder")).toContain(`/${facts.datacenter}/vm`);
      expect(snapshot.pick("template", facts.template)).toMatchObject({ kind: "found" });
      expect(paths("host").length).toBeGreaterThan(0);
      const cluster = await client.inventory.find("cluster", facts.cluster);
      expect(cluster).toMatchObject({ datacenter: facts.datacenter, rootPool: { type: "ResourcePool" } });
    });

    test("a name that does not exist is answered with those that do", async () => {
      await expect(client.inventory.find("datacenter", "nowhere")).rejects.toMatchObject({
        code: "NotFound",
        message: expect.stringMatching(
          new RegExp(`datacenter 'nowhere' not found; there (is|are): .*${under.facts.datacenter}`),
        ),
      });
    });

    test("properties come in pages, all of them, each once", async () => {
      const { propertyCollector, rootFolder, viewManager } = content;
      const view = await client.session.call(viewManager!, "CreateContainerView", {
        container: rootFolder,
        type: ["ManagedEntity"],
        recursive: true,
      });
      const selectSet = [{ $type: "TraversalSpec", type: "ContainerView", path: "view" }] as const;
      const specSet = [
        {
          propSet: [{ type: "ManagedEntity", pathSet: ["name"] }],
          objectSet: [{ obj: view, skip: true, selectSet }],
        },
      ];
      const whole = await client.session.call(propertyCollector, "RetrievePropertiesEx", {
        specSet,
        options: {},
      });
      const seen: string[] = [];
      let pages = 0;
      let page = await client.session.call(propertyCollector, "RetrievePropertiesEx", {
        specSet,
        options: { maxObjects: 3 },
      });
      while (page) {
        pages++;
        seen.push(...page.objects.map((object) => object.obj.value));
        if (!page.token) break;
        page = await client.session.call(propertyCollector, "ContinueRetrievePropertiesEx", {
          token: page.token,
        });
      }
      expect(pages).toBeGreaterThan(2);
      expect(new Set(seen).size).toBe(seen.length);
      expect(seen.sort()).toEqual(whole!.objects.map((object) => object.obj.value).sort());
      await client.session.call(view, "DestroyView", {});
    });

    test("a clone is off, carries its settings, and is found by each of its names", async () => {
      await withMachine(
        async (vm, machine) => {
          const seen = await client.vms.get(vm);
          expect(seen).toMatchObject({ name: machine, power: "poweredOff", template: false });
          expect(seen!.biosUuid).toMatch(/^[0-9a-f]{8}-[0-9a-f-]{27}$/);
          expect(await client.vms.findByBiosUuid(seen!.biosUuid!)).toEqual(vm);
          expect(await client.vms.findByInstanceUuid(seen!.instanceUuid!)).toEqual(vm);
          const path = `/${under.facts.datacenter}/vm/${machine}`;
          expect(await client.vms.findByInventoryPath(path)).toEqual(vm);
          const settings = await client.vms.extraConfig(vm);
          expect(settings.get("guestinfo.metadata")).toBe("bWV0YQ==");
          const hardware = ["config.hardware.numCPU", "config.hardware.memoryMB"] as const;
          expect(await readObject(client.session, "VirtualMachine", vm, hardware)).toEqual({
            "config.hardware.numCPU": 3,
            "config.hardware.memoryMB": 1024,
          });
        },
        { numCPUs: 3, memoryMB: 1024, extraConfig: { "guestinfo.metadata": "bWV0YQ==" } },
      );
    });

    test("a clone's cards are plugged into the networks asked for", async () => {
      const { network } = await place();
      await withMachine(
        async (vm) => {
          const values = await readObject(client.session, "VirtualMachine", vm, [
            "config.hardware.device",
            "network",
          ]);
          expect(values!["config.hardware.device"]!.filter(isCard)).toHaveLength(2);
          expect(values!.network).toContainEqual(network); // vcsim lists it once for each card
          const [first, second] = await client.vms.cards(vm);
          expect(first).toMatchObject({ network: under.facts.network, addresses: [] });
          expect(first!.mac).toMatch(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
          expect(second!.mac).toBe("00:50:56:00:00:07");
        },
        { networks: [network, { network, mac: "00:50:56:00:00:07" }] },
      );
    });

    test("a clone bears the instance UUID that was asked for, so that it can be found when the answer was lost", async () => {
      const instanceUuid = "4a6f6ec1-7d0c-4a55-9d3f-0d8fb9a3a001";
      await withMachine(async (vm) => expect(await client.vms.findByInstanceUuid(instanceUuid)).toEqual(vm), {
        instanceUuid,
      });
    });

    test("a linked clone starts from the template's snapshot", async () => {
      await withMachine(
        async (vm) => expect(await client.vms.get(vm)).toMatchObject({ power: "poweredOff" }),
        {
          mode: "linked",
        },
      );
    });

    test("a name that is taken in the folder is refused", async () => {
      await withMachine(async (_, machine) => {
        const { network: _unused, ...where } = await place();
        await expect(client.vms.clone({ name: machine, ...where })).rejects.toMatchObject({
          code: "AlreadyExists",
          message: expect.stringContaining(machine),
        });
      });
    });

    test("machines are turned on and off, and asking twice is no error", async () => {
      await withMachine(async (vm) => {
        const power = async () => (await client.vms.get(vm))?.power;
        await client.vms.powerOn(vm);
        await client.vms.powerOn(vm);
        expect(await power()).toBe("poweredOn");
        await client.vms.powerOff(vm);
        await client.vms.powerOff(vm);
        expect(await power()).toBe("poweredOff");
      });
    });

    test("a soft power-off ends with the machine off, guest or no guest", async () => {
      await withMachine(async (vm) => {
        await client.vms.powerOn(vm);
        await client.vms.powerOff(vm, { mode: "soft", softMs: 3_000 });
        expect((await client.vms.get(vm))?.power).toBe("poweredOff");
      });
    });

    test("a reconfiguration changes what it names and nothing else", async () => {
      await withMachine(
        async (vm) => {
          await client.vms.reconfigure(vm, { numCPUs: 4, extraConfig: { "guestinfo.b": "2" } });
          const settings = await client.vms.extraConfig(vm);
          expect([settings.get("guestinfo.a"), settings.get("guestinfo.b")]).toEqual(["1", "2"]);
          const paths = ["config.hardware.numCPU", "config.hardware.memoryMB"] as const;
          expect(await readObject(client.session, "VirtualMachine", vm, paths)).toEqual({
            "config.hardware.numCPU": 4,
            "config.hardware.memoryMB": 2048,
          });
        },
        { numCPUs: 2, memoryMB: 2048, extraConfig: { "guestinfo.a": "1" } },
      );
    });

    test("a machine that is on is deleted all the same, and deleting it twice is no error", async () => {
      const { network: _, ...where } = await place();
      const vm = await client.vms.clone({ name: `contract-${++serial}`, ...where });
      await client.vms.powerOn(vm);
      await client.vms.destroy(vm);
      await client.vms.destroy(vm);
      expect(await client.vms.get(vm)).toBeUndefined();
    });

    test("what is done to a machine that is gone fails as NotFound, naming it", async () => {
      const ghost: Ref = { type: "VirtualMachine", value: "vm-999999" };
      const failure = await client.vms.reconfigure(ghost, { numCPUs: 1 }).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(VimFault);
      expect(failure).toMatchObject({
        code: "NotFound",
        type: "ManagedObjectNotFound",
        message: expect.stringContaining("vm-999999"),
      });
    });

    test("a change is seen by one who waits for it", async () => {
      await withMachine(async (vm) => {
        const seen = waitForProperties(
          client.session,
          { type: "VirtualMachine", ref: vm },
          ["runtime.powerState"],
          (values) => values["runtime.powerState"] === "poweredOn" || undefined,
        );
        await client.vms.powerOn(vm);
        expect(await seen).toBe(true);
      });
    });

    test("a wait that is aborted ends at once, and the session goes on", async () => {
      await withMachine(async (vm) => {
        const abort = new AbortController();
        const waiting = client.vms.waitForAddress(vm, abort.signal).catch((error: unknown) => error);
        await sleep(systemClock, 50);
        const from = Date.now();
        abort.abort();
        expect(await waiting).toMatchObject({ code: "Cancelled" });
        expect(Date.now() - from).toBeLessThan(2_000);
        await client.checkLogin();
      });
    });

    test("the census lists machines by prefix and by BIOS UUID, with the keys of their settings", async () => {
      await withMachine(
        async (vm, machine) => {
          const { datacenter } = under.facts;
          const [entry, ...others] = await census(client, { datacenter, namePrefix: machine });
          expect(others).toEqual([]);
          expect(entry).toMatchObject({ ref: vm, name: machine, power: "poweredOff" });
          expect(entry!.guestinfoKeys).toEqual(["guestinfo.userdata"]);
          expect(await census(client, { datacenter, biosUuids: [entry!.biosUuid!.toUpperCase()] })).toEqual([
            entry,
          ]);
          await expect(census(client, { datacenter: "nowhere" })).rejects.toMatchObject({ code: "NotFound" });
        },
        { extraConfig: { "guestinfo.userdata": "I2Nsb3VkLWNvbmZpZw==" } },
      );
    });

    test("a placement that exists has no mistakes, and a wrong one shows all of them", async () => {
      const { datacenter, cluster, pool, datastore, network, folder, template } = under.facts;
      const right = {
        datacenter,
        computeCluster: cluster,
        resourcePool: pool,
        datastore,
        folder,
        networkName: network,
        template,
      };
      expect(await check(client, right)).toEqual([]);
      const wrong = {
        ...right,
        resourcePool: "p9",
        datastore: "d9",
        folder: "f9",
        networkName: "n9",
        template: "t9",
      };
      const problems = await check(client, wrong, { prefix: "placement" });
      expect(problems.map((problem) => problem.field).sort()).toEqual([
        "placement.datastore",
        "placement.folder",
        "placement.networkName",
        "placement.resourcePool",
        "placement.template",
      ]);
      for (const { message } of problems) expect(message).toMatch(/not found.*there (is|are)/);
    });

    test("an administrator lacks no privilege", async () => {
      const folder = await client.inventory.find("folder", under.facts.folder, {
        datacenter: under.facts.datacenter,
      });
      expect(await client.privileges([{ role: "folder", ref: folder.ref, path: folder.path }])).toEqual([]);
    });

    test("the REST side lets the same account in", async () => {
      expect(["api", "rest"]).toContain(await client.rest.face());
      await client.rest.logout();
    });
  });
}
