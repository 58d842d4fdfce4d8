// The door of the simulated vCenter.
import { randomUUID } from "node:crypto";
import { Fault, type Clock, type Logger, type Secret } from "#core";
import { parseServer } from "#vsphere";
import { selfSigned, thumbprintOf, type Identity } from "./identity.ts";
import { defaultInventory, type InventoryModel } from "./inventory-model.ts";
import { knobsOver, knobState, type VcenterKnobs } from "./knobs.ts";
import { Rights } from "./rights.ts";
import { listen } from "./server.ts";
import { SimSessions } from "./sim-sessions.ts";
import { SimTasks } from "./sim-tasks.ts";
import type { MachineEntity, VcenterState } from "./entities.ts";
import { World } from "./world.ts";
import { worldOf } from "./build-world.ts";

export { defaultInventory } from "./inventory-model.ts";
export type {
  InventoryModel,
  DatacenterModel,
  ClusterModel,
  DatastoreModel,
  NetworkModel,
  MachineModel,
} from "./inventory-model.ts";
export type { Identity } from "./identity.ts";
export type { VcenterKnobs } from "./knobs.ts";
export type { Grant } from "./rights.ts";
export type { VcenterState } from "./entities.ts";

export interface VcenterOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** "127.0.0.1:0" takes a free port. */
  readonly listen: string;
  readonly username: string;
  readonly password: Secret;
  /** What to begin with; `defaultInventory()` unless told. Ignored beside `state`. */
  readonly inventory?: InventoryModel;
  /** What `snapshot()` gave before a restart. */
  readonly state?: VcenterState;
  /** The certificate of before a restart; a new one unless told. */
  readonly identity?: Identity;
  /** For UUIDs and keys; random unless told. */
  readonly uuid?: () => string;
}

/** A virtual machine, seen from outside the API. */
export interface SimVm {
  /** Managed object id, "vm-42". */
  readonly id: string;
  readonly name: string;
  /** Full inventory path. */
  readonly path: string;
  readonly template: boolean;
  readonly power: "poweredOn" | "poweredOff";
  /** Name of its host. */
  readonly host: string;
  readonly biosUuid: string;
  readonly instanceUuid: string;
  readonly numCPUs: number;
  readonly memoryMB: number;
  readonly extraConfig: Readonly<Record<string, string>>;
  readonly cards: readonly { readonly mac: string; readonly network: string }[];
  readonly ipAddress: string | undefined;
}

/** What the tools inside a machine report. */
export interface GuestReport {
  readonly ipAddress?: string;
  readonly hostName?: string;
  /** Addresses by MAC; the first card has `ipAddress` unless told. */
  readonly addresses?: Readonly<Record<string, readonly string[]>>;
}

export interface SimulatedVcenter {
  /** "127.0.0.1:port". */
  readonly server: string;
  /** SHA-256, colon hex. */
  readonly thumbprint: string;
  /** PEM; trusting it is the other way to trust the server. */
  readonly caCert: string;
  readonly identity: Identity;
  readonly knobs: VcenterKnobs;
  /** All machines, templates too, by name. */
  vms(): readonly SimVm[];
  vm(id: string): SimVm | undefined;
  /** Calls `listener` when a machine turns on. Machines that are on already are in `vms()`. Answers with the way to stop. */
  onPowerOn(listener: (vm: SimVm) => void): () => void;
  onPowerOff(listener: (vm: SimVm) => void): () => void;
  onDestroy(listener: (vm: SimVm) => void): () => void;
  /** Any change of anything: a moment to keep a snapshot. */
  onChange(listener: () => void): () => void;
  /** Tools come up (or change their report). Nothing happens when the machine is gone or off. */
  setGuest(id: string, report: GuestReport): void;
  /** A copy of everything a restart must bring back. Running tasks are not in it, as with the real one. */
  snapshot(): VcenterState;
  close(): Promise<void>;
}

/** Starts a simulated vCenter. Rejects with Fault when it cannot listen. */
export async function startVcenter(options: VcenterOptions): Promise<SimulatedVcenter> {
  const { clock, log, username, password, uuid = randomUUID } = options;
  const { host, port } = parseServer(
    options.listen.endsWith(":0") ? options.listen.slice(0, -2) : options.listen,
  );
  if (!/^127\.|^localhost$|^::1$/.test(host))
    throw new Fault("Invalid", `simulated vCenter: '${options.listen}' is not a loopback address`);
  const at = { host, port: options.listen.endsWith(":0") ? 0 : port };

  const worldOptions = { uuid, now: () => clock.now() };
  const world = options.state
    ? new World(structuredClone(options.state), worldOptions)
    : worldOf(options.inventory ?? defaultInventory(), worldOptions);
  const rights = new Rights(world);
  rights.set(username, password, "all");
  const state = knobState();
  const sessions = new SimSessions(clock, uuid);
  const tasks = new SimTasks({
    clock,
    knobs: state,
    nextId: () => world.nextId("task"),
    stirred: () => world.stirred(),
  });
  const hooks = {
    on: new Set<(vm: SimVm) => void>(),
    off: new Set<(vm: SimVm) => void>(),
    destroyed: new Set<(vm: SimVm) => void>(),
  };
  const onPower = (machine: MachineEntity, event: "on" | "off" | "destroyed") => {
    for (const listener of [...hooks[event]]) listener(simVm(world, machine));
  };
  const hook = (event: "on" | "off" | "destroyed") => (listener: (vm: SimVm) => void) => {
    hooks[event].add(listener);
    return () => void hooks[event].delete(listener);
  };

  const identity = options.identity ?? (await selfSigned(host, clock.now()));
  const listening = await listen(
    at,
    identity,
    { clock, world, rights, sessions, tasks, knobs: state, onPower },
    log,
  );
  let closing: Promise<void> | undefined;
  return {
    server: `${host}:${listening.port}`,
    thumbprint: thumbprintOf(identity.certificate),
    caCert: identity.certificate,
    identity,
    knobs: knobsOver({ world, state, accounts: rights, username, sessions, tasks }),
    vms: () =>
      world
        .all("VirtualMachine")
        .map((machine) => simVm(world, machine))
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
    vm: (id) => {
      const machine = world.as(id, "VirtualMachine");
      return machine && simVm(world, machine);
    },
    onPowerOn: hook("on"),
    onPowerOff: hook("off"),
    onDestroy: hook("destroyed"),
    onChange: (listener) => world.onChange(listener),
    setGuest: (id, report) => setGuest(world, id, report),
    snapshot: () => structuredClone(world.state),
    close: () =>
      (closing ??= (async () => {
        tasks.stop();
        sessions.expireAll();
        await listening.close();
      })()),
  };
}

function setGuest(world: World, id: string, { ipAddress, hostName, addresses }: GuestReport): void {
  const machine = world.as(id, "VirtualMachine");
  if (machine?.power !== "poweredOn") return;
  const first = machine.cards[0]?.mac;
  const defaults = first !== undefined && ipAddress !== undefined ? { [first]: [ipAddress] } : {};
  machine.guest = {
    tools: true,
    ...(ipAddress === undefined ? {} : { ipAddress }),
    ...(hostName === undefined ? {} : { hostName }),
    addresses: addresses ?? defaults,
  };
  world.changed();
}

function simVm(world: World, machine: MachineEntity): SimVm {
  const { id, name, template, power, numCPUs, memoryMB, instanceUuid } = machine;
  return {
    id,
    name,
    path: world.get(id) ? world.path(id) : name,
    template,
    power,
    host: world.get(machine.host)?.name ?? "",
    biosUuid: machine.uuid,
    instanceUuid,
    numCPUs,
    memoryMB,
    extraConfig: { ...machine.extraConfig },
    cards: machine.cards.map(({ mac, network }) => ({
      mac,
      network: (network && world.get(network)?.name) || "",
    })),
    ipAddress: machine.guest.ipAddress,
  };
}
