// Virtual machines: clone, reconfigure, power, destroy, find.
import { Fault, isFault, sleep } from "#core";
import { readAll, readObject, readObjects, waitForProperties } from "./collector.ts";
import { cardsOf, type MachineCard } from "./cards.ts";
import { cloneSpec, configSpec, type CloneRequest, type Reconfiguration } from "./clone-spec.ts";
import type { Session } from "./session.ts";
import type { Property, Ref } from "./soap/types.ts";
import { isVimFault } from "./soap/vim-fault.ts";
import { tasksOf, type TaskWait } from "./tasks.ts";

export type PowerState = Property<"VirtualMachine", "runtime.powerState">;

export interface Machine {
  readonly ref: Ref;
  readonly name: string;
  /** SMBIOS UUID, lower case: vsphere://<this> is the provider id. */
  readonly biosUuid: string | undefined;
  readonly instanceUuid: string | undefined;
  readonly template: boolean;
  readonly power: PowerState;
  /** Reference of the host it runs on. */
  readonly host: Ref | undefined;
  /** As VMware Tools report it. */
  readonly ipAddress: string | undefined;
  readonly hostName: string | undefined;
  /** All addresses of all cards, as VMware Tools report them. */
  readonly ipAddresses: readonly string[];
}

export interface Vms {
  /** Starts a clone; the answer is its Task. */
  startClone(request: CloneRequest, signal?: AbortSignal): Promise<Ref>;
  /** Clones and waits. AlreadyExists when the folder has the name. */
  clone(request: CloneRequest, wait?: TaskWait): Promise<Ref>;
  reconfigure(vm: Ref, change: Reconfiguration, wait?: TaskWait): Promise<void>;
  /** Waits until it is on; one that is on already is no error. */
  powerOn(vm: Ref, wait?: TaskWait): Promise<void>;
  /** "soft" asks the guest and turns it off hard after `softMs` (60 s unless told) or where no guest listens. Off already is no error. */
  powerOff(
    vm: Ref,
    options?: TaskWait & { readonly mode?: "hard" | "soft"; readonly softMs?: number },
  ): Promise<void>;
  /** Turns it off hard and deletes it with its disks. One that is gone already is no error. */
  destroy(vm: Ref, wait?: TaskWait): Promise<void>;
  findByBiosUuid(uuid: string, signal?: AbortSignal): Promise<Ref | undefined>;
  findByInstanceUuid(uuid: string, signal?: AbortSignal): Promise<Ref | undefined>;
  /** "/DC0/vm/folder/name", with or without the first slash. */
  findByInventoryPath(path: string, signal?: AbortSignal): Promise<Ref | undefined>;
  /** Undefined when it is gone. */
  get(vm: Ref, signal?: AbortSignal): Promise<Machine | undefined>;
  /** Every machine below a folder, templates too; the whole inventory unless told. */
  list(below?: Ref, signal?: AbortSignal): Promise<Machine[]>;
  /** Its cards in the order of the hardware; NotFound when it is gone. */
  cards(vm: Ref, signal?: AbortSignal): Promise<readonly MachineCard[]>;
  /** Settings by key. */
  extraConfig(vm: Ref, signal?: AbortSignal): Promise<ReadonlyMap<string, string>>;
  /** Waits until VMware Tools report an address. */
  waitForAddress(vm: Ref, signal?: AbortSignal): Promise<string>;
}

const machinePaths = [
  "name",
  "config.uuid",
  "config.instanceUuid",
  "config.template",
  "runtime.powerState",
  "runtime.host",
  "guest.ipAddress",
  "guest.hostName",
  "guest.net",
] as const;
type MachineValues = { readonly [K in (typeof machinePaths)[number]]?: Property<"VirtualMachine", K> };

export function vmsOf(session: Session): Vms {
  const tasks = tasksOf(session);
  const powerOf = async (vm: Ref, signal?: AbortSignal) =>
    (await readObject(session, "VirtualMachine", vm, ["runtime.powerState"], signal))?.["runtime.powerState"];

  async function find(uuid: string, instanceUuid: boolean, signal?: AbortSignal): Promise<Ref | undefined> {
    const { searchIndex } = await session.content(signal);
    const args = { uuid, vmSearch: true, instanceUuid };
    return session.call(searchIndex!, "FindByUuid", args, {
      signal,
      doing: `looking for the machine ${uuid}`,
    });
  }

  async function startClone(request: CloneRequest, signal?: AbortSignal): Promise<Ref> {
    const doing = `cloning '${request.name}'`;
    const spec = await cloneSpec(session, request, signal);
    return session.call(
      request.source,
      "CloneVM_Task",
      { folder: request.folder, name: request.name, spec },
      { signal, doing },
    );
  }

  async function powerOffHard(vm: Ref, wait: TaskWait): Promise<void> {
    const doing = `turning off ${vm.value}`;
    try {
      const task = await session.call(vm, "PowerOffVM_Task", {}, { signal: wait.signal, doing });
      await tasks.wait(task, doing, wait);
    } catch (error) {
      if (!isVimFault(error, "InvalidPowerState") || (await powerOf(vm, wait.signal)) !== "poweredOff")
        throw error;
    }
  }

  async function waitUntilOff(vm: Ref, withinMs: number, signal: AbortSignal | undefined): Promise<boolean> {
    for (const end = session.clock.now() + withinMs; session.clock.now() < end;) {
      if ((await powerOf(vm, signal)) === "poweredOff") return true;
      await sleep(session.clock, Math.min(1_000, withinMs), signal);
    }
    return false;
  }

  return {
    startClone,
    async clone(request, wait = {}) {
      const task = await startClone(request, wait.signal);
      return (await tasks.wait(task, `cloning '${request.name}'`, wait)) as Ref;
    },

    async reconfigure(vm, change, wait = {}) {
      const doing = `reconfiguring ${vm.value}`;
      const task = await session.call(
        vm,
        "ReconfigVM_Task",
        { spec: configSpec(change) },
        { signal: wait.signal, doing },
      );
      await tasks.wait(task, doing, wait);
    },

    async powerOn(vm, wait = {}) {
      const doing = `turning on ${vm.value}`;
      try {
        const task = await session.call(vm, "PowerOnVM_Task", {}, { signal: wait.signal, doing });
        await tasks.wait(task, doing, wait);
      } catch (error) {
        if (!isVimFault(error, "InvalidPowerState") || (await powerOf(vm, wait.signal)) !== "poweredOn")
          throw error;
      }
    },

    async powerOff(vm, { mode = "hard", softMs = 60_000, ...wait } = {}) {
      if (mode === "soft") {
        const asked = await session.call(vm, "ShutdownGuest", {}, { signal: wait.signal }).then(
          () => true,
          (error: unknown) => {
            if (isFault(error, "Cancelled", "Unauthorized", "NotFound")) throw error;
            return false; // no tools, not running, not allowed: the hard way says what is wrong
          },
        );
        if (asked && (await waitUntilOff(vm, softMs, wait.signal))) return;
      }
      await powerOffHard(vm, wait);
    },

    async destroy(vm, wait = {}) {
      const doing = `deleting ${vm.value}`;
      try {
        if ((await powerOf(vm, wait.signal)) === "poweredOn") await powerOffHard(vm, wait);
        const task = await session.call(vm, "Destroy_Task", {}, { signal: wait.signal, doing });
        await tasks.wait(task, doing, wait);
      } catch (error) {
        const gone =
          isVimFault(error, "ManagedObjectNotFound") && (await powerOf(vm, wait.signal)) === undefined;
        if (!gone) throw error;
      }
    },

    findByBiosUuid: (uuid, signal) => find(uuid, false, signal),
    findByInstanceUuid: (uuid, signal) => find(uuid, true, signal),

    async findByInventoryPath(path, signal) {
      const { searchIndex } = await session.content(signal);
      const inventoryPath = path.replace(/^\/+/, "");
      return session.call(
        searchIndex!,
        "FindByInventoryPath",
        { inventoryPath },
        { signal, doing: `looking for ${path}` },
      );
    },

    async get(vm, signal) {
      const values = await readObject(session, "VirtualMachine", vm, machinePaths, signal);
      return values && machineOf(vm, values);
    },

    async list(below, signal) {
      const container = below ?? (await session.content(signal)).rootFolder;
      const found = await readAll(session, container, "VirtualMachine", machinePaths, signal);
      return found.map(({ ref, values }) => machineOf(ref, values));
    },

    async cards(vm, signal) {
      const paths = ["config.hardware.device", "guest.net", "network"] as const;
      const values = await readObject(session, "VirtualMachine", vm, paths, signal);
      if (!values) throw new Fault("NotFound", `${vm.type} ${vm.value} is gone`);
      const networks = await readObjects(session, "Network", values.network ?? [], ["name"], signal);
      return cardsOf(values["config.hardware.device"] ?? [], values["guest.net"] ?? [], networks);
    },

    async extraConfig(vm, signal) {
      const values = await readObject(session, "VirtualMachine", vm, ["config.extraConfig"], signal);
      if (!values) throw new Fault("NotFound", `${vm.type} ${vm.value} is gone`);
      return new Map((values["config.extraConfig"] ?? []).map(({ key, value }) => [key, String(value)]));
    },

    waitForAddress(vm, signal) {
      const watched = { type: "VirtualMachine", ref: vm } as const;
      return waitForProperties(
        session,
        watched,
        ["guest.ipAddress"],
        (now) => now["guest.ipAddress"] || undefined,
        signal,
      );
    },
  };
}

function machineOf(ref: Ref, values: MachineValues): Machine {
  return {
    ref,
    name: values.name ?? ref.value,
    biosUuid: values["config.uuid"]?.toLowerCase(),
    instanceUuid: values["config.instanceUuid"]?.toLowerCase(),
    template: values["config.template"] === true,
    power: values["runtime.powerState"] ?? "poweredOff",
    host: values["runtime.host"],
    ipAddress: values["guest.ipAddress"] || undefined,
    hostName: values["guest.hostName"] || undefined,
    ipAddresses: (values["guest.net"] ?? []).flatMap((card) => card.ipAddress),
  };
}
