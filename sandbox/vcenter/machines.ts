// What happens to virtual machines: clone, reconfigure, power, snapshot, delete. Each function is the effect of a task: it checks,
// then changes the world in one step, or throws the fault that vCenter would give.
import type { Ref } from "#vsphere";
import { isA } from "#vsphere/soap/table.ts";
import type { ParamsRead, Read } from "#vsphere/soap/types.ts";
import { gone, invalidArgument, SimFault } from "./fault.ts";
import type { Card, Disk, HostEntity, MachineEntity } from "./entities.ts";
import { macAddress, type World } from "./world.ts";

type ConfigSpec = Read<"VirtualMachineConfigSpec">;

export function refOf(entity: { readonly type: string; readonly id: string }): Ref {
  return { type: entity.type, value: entity.id };
}

/** The machine, or the fault for one that is gone. */
export function machineAt(world: World, ref: Ref): MachineEntity {
  const machine = world.as(ref.value, "VirtualMachine");
  if (!machine) throw gone(ref);
  return machine;
}

export function clone(
  world: World,
  source: Ref,
  { folder, name, spec }: ParamsRead<"CloneVM_Task">,
): MachineEntity {
  const from = machineAt(world, source);
  const parent = world.as(folder.value, "Folder");
  if (!parent) throw gone(folder);
  const pool = world.as(spec.location.pool?.value ?? from.pool, "ResourcePool");
  if (!pool) throw invalidArgument("spec.location.pool");
  const datastore = world.as(spec.location.datastore?.value ?? from.datastore, "Datastore");
  if (!datastore) throw invalidArgument("spec.location.datastore");
  const taken = world.children(parent.id).find((child) => child.name === name);
  if (taken)
    throw new SimFault(`The name '${name}' already exists.`, {
      $type: "DuplicateName",
      name,
      object: refOf(taken),
    });

  const linked = spec.location.diskMoveType === "createNewChildDiskBacking";
  if (linked && !from.snapshots.some((snapshot) => snapshot.id === spec.snapshot?.value))
    throw invalidArgument("spec.snapshot");
  const host = hostFor(world, pool.owner);
  if (!datastore.hosts.includes(host.id))
    throw new SimFault("The datastore is not reachable from any host.", {
      $type: "InvalidDatastore",
      datastore: refOf(datastore),
      name: datastore.name,
    });
  const disks = from.disks.map((disk): Disk => ({ ...disk, used: linked ? 0 : disk.capacityKB * 1024 }));
  const machine: MachineEntity = {
    ...from,
    id: world.nextId("vm"),
    name,
    parent: parent.id,
    template: false,
    power: "poweredOff",
    host: host.id,
    pool: pool.id,
    datastore: datastore.id,
    uuid: spec.config?.uuid ?? world.uuid(),
    instanceUuid: spec.config?.instanceUuid ?? world.uuid(),
    extraConfig: { ...from.extraConfig },
    cards: from.cards.map((card) => ({ ...card, mac: macAddress(world) })),
    disks,
    snapshots: [],
    guest: { tools: false },
    bootedMs: undefined,
    changes: 1,
  };
  if (spec.config) apply(world, machine, spec.config);
  for (const change of spec.location.deviceChange) applyDevice(world, machine, change);
  takeSpace(
    world,
    machine,
    machine.disks.reduce((sum, disk) => sum + disk.used, 0),
  );
  world.add(machine);
  if (spec.template) markAsTemplate(world, refOf(machine));
  else if (spec.powerOn) powerOn(world, refOf(machine));
  world.changed();
  return machine;
}

/** The connected host of a cluster with the fewest machines. */
export function hostFor(world: World, owner: string): HostEntity {
  const load = new Map<string, number>();
  for (const machine of world.all("VirtualMachine"))
    if (!machine.template) load.set(machine.host, (load.get(machine.host) ?? 0) + 1);
  const able = world
    .all("HostSystem")
    .filter((host) => host.parent === owner && host.connected && !host.maintenance)
    .sort((a, b) => (load.get(a.id) ?? 0) - (load.get(b.id) ?? 0) || (a.name < b.name ? -1 : 1));
  if (!able[0])
    throw new SimFault("No host is compatible with the virtual machine.", {
      $type: "NoCompatibleHost",
      host: [],
      error: [],
    });
  return able[0];
}

function takeSpace(world: World, machine: MachineEntity, bytes: number): void {
  const datastore = world.as(machine.datastore, "Datastore")!;
  if (datastore.free < bytes)
    throw new SimFault(`Insufficient disk space on datastore '${datastore.name}'.`, {
      $type: "NoDiskSpace",
      datastore: datastore.name,
      file: `[${datastore.name}] ${machine.name}/${machine.name}.vmdk`,
    });
  datastore.free -= bytes;
}

export function reconfigure(world: World, vm: Ref, spec: ConfigSpec): void {
  const machine = machineAt(world, vm);
  if (
    machine.power === "poweredOn" &&
    (differs(spec.numCPUs, machine.numCPUs) || differs(spec.memoryMB, machine.memoryMB))
  )
    throw powerFault(machine, "poweredOff");
  const before = machine.disks.reduce((sum, disk) => sum + disk.used, 0);
  apply(world, machine, spec);
  takeSpace(world, machine, machine.disks.reduce((sum, disk) => sum + disk.used, 0) - before);
  machine.changes++;
  world.changed();
}

function differs(wanted: number | undefined, have: number): boolean {
  return wanted !== undefined && wanted !== have;
}

function apply(world: World, machine: MachineEntity, spec: ConfigSpec): void {
  if (spec.name !== undefined) machine.name = spec.name;
  if (spec.numCPUs !== undefined) machine.numCPUs = spec.numCPUs;
  if (spec.memoryMB !== undefined) machine.memoryMB = spec.memoryMB;
  if (spec.annotation !== undefined) machine.annotation = spec.annotation;
  for (const { key, value } of spec.extraConfig) {
    if (value === undefined || value === "") delete machine.extraConfig[key];
    else machine.extraConfig[key] = String(value);
  }
  for (const change of spec.deviceChange) applyDevice(world, machine, change);
}

function applyDevice(
  world: World,
  machine: MachineEntity,
  { operation, device }: Read<"VirtualDeviceConfigSpec">,
): void {
  const type = device.$type ?? "";
  if (isA(type, "VirtualEthernetCard")) {
    const card = device as Extract<typeof device, { readonly $type: "VirtualVmxnet3" }>;
    if (operation !== "add" && !machine.cards.some((each) => each.key === card.key))
      throw invalidArgument("deviceChange");
    const others = machine.cards.filter((each) => each.key !== card.key || operation === "add");
    machine.cards = operation === "remove" ? others : [...others, cardOf(world, machine, card, type)];
  } else if (type === "VirtualDisk") {
    const disk = device as Extract<typeof device, { readonly $type: "VirtualDisk" }>;
    applyDisk(machine, operation, disk);
  }
}

function applyDisk(
  machine: MachineEntity,
  operation: Read<"VirtualDeviceConfigSpec">["operation"],
  disk: {
    readonly key: number;
    readonly capacityInKB: number;
    readonly capacityInBytes?: number | undefined;
  },
): void {
  const known = machine.disks.find(({ key }) => key === disk.key);
  if (operation === "add") {
    const key = Math.max(1999, ...machine.disks.map((each) => each.key)) + 1;
    const capacityKB = sizeKB(disk, 0);
    machine.disks = [...machine.disks, { key, capacityKB, used: capacityKB * 1024 }];
    return;
  }
  if (!known) throw invalidArgument("deviceChange");
  const capacityKB = sizeKB(disk, known.capacityKB);
  if (operation === "remove") machine.disks = machine.disks.filter((each) => each !== known);
  else if (capacityKB < known.capacityKB) throw invalidArgument("deviceChange.device.capacityInKB");
  else {
    if (known.used > 0) known.used = capacityKB * 1024;
    known.capacityKB = capacityKB;
  }
}

/** A size is told twice, in KB and in bytes; clients change one of them, and the one that differs from before counts. */
function sizeKB(
  {
    capacityInKB,
    capacityInBytes = 0,
  }: { readonly capacityInKB: number; readonly capacityInBytes?: number | undefined },
  beforeKB: number,
): number {
  const fromBytes = Math.ceil(capacityInBytes / 1024);
  return capacityInBytes > 0 && fromBytes !== beforeKB ? fromBytes : capacityInKB;
}

function cardOf(
  world: World,
  machine: MachineEntity,
  card: Extract<Read<"VirtualDevice">, { readonly $type: "VirtualVmxnet3" }>,
  model: string,
): Card {
  const { backing } = card;
  const nextKey = Math.max(3999, ...machine.cards.map((each) => each.key)) + 1;
  const network =
    backing?.$type === "VirtualEthernetCardDistributedVirtualPortBackingInfo"
      ? world.as(backing.port.portgroupKey, "DistributedVirtualPortgroup")
      : backing?.$type === "VirtualEthernetCardNetworkBackingInfo"
        ? (world.as(backing.network?.value, "Network") ??
          world.all("Network").find((each) => each.name === backing.deviceName))
        : undefined;
  if (!network)
    throw new SimFault("Invalid configuration for device '0'.", {
      $type: "InvalidDeviceBacking",
      deviceIndex: 0,
    });
  const mac = card.macAddress ? card.macAddress.toLowerCase() : macAddress(world);
  return { key: card.key > 0 ? card.key : nextKey, model, mac, network: network.id };
}

export function powerOn(world: World, vm: Ref): MachineEntity {
  const machine = machineAt(world, vm);
  if (machine.template)
    throw new SimFault("The operation is not allowed on a template.", { $type: "InvalidState" });
  if (machine.power === "poweredOn") throw powerFault(machine, "poweredOff");
  const host = world.as(machine.host, "HostSystem");
  const owner = world.as(machine.pool, "ResourcePool")?.owner ?? host?.parent ?? "";
  if (!host?.connected || host.maintenance) machine.host = hostFor(world, owner).id;
  machine.power = "poweredOn";
  machine.bootedMs = world.now();
  world.changed();
  return machine;
}

export function powerOff(world: World, vm: Ref): MachineEntity {
  const machine = machineAt(world, vm);
  if (machine.power === "poweredOff") throw powerFault(machine, "poweredOn");
  machine.power = "poweredOff";
  machine.bootedMs = undefined;
  machine.guest = { tools: false };
  world.changed();
  return machine;
}

function powerFault(machine: MachineEntity, requestedState: "poweredOn" | "poweredOff"): SimFault {
  return new SimFault("The attempted operation cannot be performed in the current state.", {
    $type: "InvalidPowerState",
    requestedState,
    existingState: machine.power,
  });
}

export function destroy(world: World, vm: Ref): MachineEntity {
  const machine = machineAt(world, vm);
  if (machine.power === "poweredOn") throw powerFault(machine, "poweredOff");
  const datastore = world.as(machine.datastore, "Datastore");
  if (datastore)
    datastore.free = Math.min(
      datastore.capacity,
      datastore.free + machine.disks.reduce((sum, disk) => sum + disk.used, 0),
    );
  world.remove(machine.id);
  world.changed();
  return machine;
}

export function markAsTemplate(world: World, vm: Ref): void {
  const machine = machineAt(world, vm);
  if (machine.power === "poweredOn") throw powerFault(machine, "poweredOff");
  machine.template = true;
  machine.pool = undefined;
  world.changed();
}

export function markAsMachine(world: World, vm: Ref, pool: Ref): void {
  const machine = machineAt(world, vm);
  const into = world.as(pool.value, "ResourcePool");
  if (!into) throw gone(pool);
  machine.template = false;
  machine.pool = into.id;
  machine.host = hostFor(world, into.owner).id;
  world.changed();
}

export function takeSnapshot(world: World, vm: Ref, name: string, description: string): Ref {
  const machine = machineAt(world, vm);
  const id = world.nextId("snapshot");
  machine.snapshots = [...machine.snapshots, { id, name, description, createdMs: world.now() }];
  world.changed();
  return { type: "VirtualMachineSnapshot", value: id };
}

/** Undefined `which` removes all. */
export function removeSnapshots(world: World, vm: Ref, which?: string): void {
  const machine = machineAt(world, vm);
  machine.snapshots =
    which === undefined ? [] : machine.snapshots.filter((snapshot) => snapshot.id !== which);
  world.changed();
}
