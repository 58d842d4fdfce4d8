// A simulated private datacenter in one piece: vCenter, the machines in it, and the Cluster API controllers that work on them.
//
//   D1. What runs in a workload cluster is there because somebody installed it: the providers' Deployments start their controllers,
//       other images come from `programs`.
//   D2. With a data directory everything but running programs survives a restart: inventory, machines, certificates, the API of each
//       workload cluster. A state that was being written is there wholly or not at all.
import { access, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault, runControllers, Secret, type Clock, type Logger, type ResourceStore } from "#core";
import { memoryStore } from "#core/store/memory-store.ts";
import { sqliteStore } from "#core/store/sqlite-store.ts";
import { capiControllers, providerControllers, providerNames, type CapiDeps } from "./capi/index.ts";
import { vcenters } from "./capi/vcenter-vms.ts";
import { knobs as knobsWith, type Knobs } from "./knobs.ts";
import {
  startVcenter,
  type InventoryModel,
  type SimulatedVcenter,
  type VcenterState,
} from "./vcenter/index.ts";
import type { Endpoint } from "./workload/boot.ts";
import type { Hypervisor } from "./workload/hypervisor.ts";
import { machineStandIn, type MachineStandIn } from "./workload/machines.ts";
import type { Program, Programs } from "./workload/programs.ts";
import { storeWorkloads } from "./workload/store-workloads.ts";

export interface DatacenterOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** In [0, 1). */
  readonly random: () => number;
  /** Where vCenter listens: "127.0.0.1:0" takes a free port, and after a restart the one of before. */
  readonly listen: string;
  readonly username: string;
  readonly password: Secret;
  /** State lives here (D2); absent: in memory. */
  readonly dataDir?: string;
  readonly inventory?: InventoryModel;
  /** What Deployments in workload clusters may run, besides the providers. */
  readonly programs?: Programs;
  readonly knobs?: Partial<Knobs>;
  /** False keeps the APIs of workload clusters inside the process; true unless told. */
  readonly serveWorkloads?: boolean;
}

export interface Datacenter {
  readonly vcenter: SimulatedVcenter;
  readonly machines: MachineStandIn;
  /** Turn them while things run. vCenter has its own: `vcenter.knobs`. */
  readonly knobs: Knobs;
  /** Lets the Cluster API controllers work on a management cluster's store, until told to stop. Several stores at once are fine. */
  manage(store: ResourceStore): { readonly ready: Promise<void>; stop(): Promise<void> };
  /** Ends everything, keeps the state. Twice is once. */
  close(): Promise<void>;
}

/** Starts it. Unavailable when an address is taken, Invalid when it is not a loopback address. */
export async function startDatacenter(options: DatacenterOptions): Promise<Datacenter> {
  const { clock, log, random, dataDir } = options;
  const knobs = knobsWith(options.knobs);
  const kept = dataDir ? await keeper(dataDir, log) : undefined;
  const before = kept?.before;
  const vcenter = await startVcenter({
    clock,
    log: log.child({ part: "vcenter" }),
    listen: before && options.listen.endsWith(":0") ? before.server : options.listen,
    username: options.username,
    password: options.password,
    ...(options.inventory ? { inventory: options.inventory } : {}),
    ...(before
      ? {
          state: before.state,
          identity: { certificate: before.certificate, key: new Secret(before.key) },
        }
      : {}),
  });
  const save = () => void kept?.save(vcenter);
  save();
  const unwatch = vcenter.onChange(save);
  const sessions = vcenters({ clock, log: log.child({ part: "capv" }) });

  const machines: MachineStandIn = machineStandIn({
    clock,
    log: log.child({ part: "machines" }),
    random,
    knobs,
    hypervisor: hypervisorOf(vcenter),
    workloads: storeWorkloads({
      clock,
      log: log.child({ part: "machines" }),
      listen: options.serveWorkloads ?? true,
      ...workloadStores(options),
    }),
    programs: () => programs,
  });
  const capi: Omit<CapiDeps, "store"> = {
    clock,
    log: log.child({ part: "capi" }),
    random,
    vcenter: sessions.login,
    workloads: machines,
    knobs,
  };
  const programs: Programs = { ...providerPrograms(capi), ...options.programs };
  const managed = new Set<() => Promise<void>>();
  let closing: Promise<void> | undefined;
  return {
    vcenter,
    machines,
    knobs,
    manage(store) {
      const stop = new AbortController();
      const running = runControllers(
        { store, clock, log: capi.log, random },
        capiControllers({ ...capi, store }),
        stop.signal,
      );
      const end = async () => {
        managed.delete(end);
        stop.abort();
        await running.stopped;
      };
      managed.add(end);
      return { ready: running.ready, stop: end };
    },
    close: () =>
      (closing ??= (async () => {
        await Promise.all([...managed].map((end) => end()));
        await machines.stop();
        await sessions.close();
        unwatch();
        await kept?.save(vcenter);
        await kept?.flush();
        await vcenter.close();
      })()),
  };
}

/** The providers as programs of a workload cluster: each runs its own controllers over that cluster's API. */
export function providerPrograms(deps: Omit<CapiDeps, "store">): Programs {
  const program =
    (name: (typeof providerNames)[number]): Program =>
    async (pod, signal) => {
      const { clock, random } = deps;
      const log = deps.log.child({ provider: name });
      const controllers = providerControllers(name, { ...deps, log, store: pod.store });
      await runControllers({ store: pod.store, clock, log, random }, controllers, signal).stopped;
    };
  return Object.fromEntries(providerNames.map((name) => [name, program(name)]));
}

/** The simulated vCenter, seen by the machines in it. */
export function hypervisorOf(vcenter: SimulatedVcenter): Hypervisor {
  const ids = new Map<string, string>();
  return {
    onPower(listener) {
      const tell =
        (state: "on" | "off" | "gone") =>
        (vm: ReturnType<SimulatedVcenter["vms"]>[number]): void => {
          ids.set(vm.biosUuid, vm.id);
          listener(
            {
              biosUuid: vm.biosUuid,
              name: vm.name,
              extraConfig: vm.extraConfig,
              macs: vm.cards.map((card) => card.mac),
            },
            state,
          );
        };
      const stops = [
        vcenter.onPowerOn(tell("on")),
        vcenter.onPowerOff(tell("off")),
        vcenter.onDestroy(tell("gone")),
      ];
      vcenter
        .vms()
        .filter((vm) => !vm.template && vm.power === "poweredOn")
        .forEach(tell("on"));
      return () => stops.forEach((stop) => stop());
    },
    async setGuest(biosUuid, { hostName, addresses }) {
      const id = ids.get(biosUuid);
      if (!id) return;
      const [ipAddress] = [...addresses.values()].flat();
      vcenter.setGuest(id, {
        hostName,
        addresses: Object.fromEntries(addresses),
        ...(ipAddress ? { ipAddress } : {}),
      });
    },
  };
}

function workloadStores({ dataDir, clock, log }: DatacenterOptions) {
  const file = ({ host, port }: Endpoint) =>
    join(dataDir ?? "", "workloads", `${host.replaceAll(":", "_")}_${port}.db`);
  const options = { clock, log, requireNamespaces: true };
  if (!dataDir)
    return { open: async () => memoryStore(options), has: async () => false, forget: async () => {} };
  return {
    has: (endpoint: Endpoint) =>
      access(file(endpoint)).then(
        () => true,
        () => false,
      ),
    async open(endpoint: Endpoint) {
      await mkdir(join(dataDir, "workloads"), { recursive: true, mode: 0o700 });
      return sqliteStore(file(endpoint), { ...options, pollMs: 0 });
    },
    async forget(endpoint: Endpoint) {
      for (const tail of ["", "-wal", "-shm"]) await rm(`${file(endpoint)}${tail}`, { force: true });
    },
  };
}

interface Kept {
  readonly state: VcenterState;
  readonly server: string;
  readonly certificate: string;
  readonly key: string;
}

/** Keeps vCenter's state in a file: changes of a moment share a write (D2). */
async function keeper(dataDir: string, log: Logger) {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const path = join(dataDir, "vcenter.json");
  let writing: Promise<void> | undefined;
  let dirty = false;
  const write = async (vcenter: SimulatedVcenter) => {
    while (dirty) {
      dirty = false;
      const { certificate, key } = vcenter.identity;
      const kept: Kept = {
        state: vcenter.snapshot(),
        server: vcenter.server,
        certificate,
        key: key.reveal(),
      };
      await writeFile(`${path}.new`, JSON.stringify(kept), { mode: 0o600 });
      await rename(`${path}.new`, path);
    }
  };
  return {
    before: await readKept(path),
    save(vcenter: SimulatedVcenter): Promise<void> {
      dirty = true;
      return (writing ??= Promise.resolve()
        .then(() => write(vcenter))
        .catch((error: unknown) =>
          log.error("keeping vCenter's state failed", { path, error: Fault.from(error) }),
        )
        .finally(() => (writing = undefined)));
    },
    async flush() {
      while (writing) await writing;
    },
  };
}

async function readKept(path: string): Promise<Kept | undefined> {
  try {
    return JSON.parse(await readFile(path, "utf8")) as Kept;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new Fault("Invalid", `${path} cannot be read; remove the folder to begin with a new datacenter`, {
      cause: error,
    });
  }
}
