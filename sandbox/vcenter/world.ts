// The state of the simulated datacenter: entities by reference, all plain JSON, and who wants to hear of changes.
//   V1. Everything that outlives a restart is in `state`; what belongs to a session or a running task is not.
//   V2. Whoever changes an entity calls `changed()` afterwards; waiting collectors look again then. What is no part of the state (a
//       task's progress) only `stirs`: collectors look, but there is nothing to keep.
import type { InventoryModel, MachineModel } from "./inventory-model.ts";

interface Base<T extends string> {
  readonly type: T;
  readonly id: string;
  name: string;
  parent: string | undefined;
}

export interface FolderEntity extends Base<"Folder"> {
  readonly childType: readonly string[];
}
export interface DatacenterEntity extends Base<"Datacenter"> {
  readonly vmFolder: string;
  readonly hostFolder: string;
  readonly datastoreFolder: string;
  readonly networkFolder: string;
}
export interface ClusterEntity extends Base<"ClusterComputeResource"> {
  readonly pool: string;
}
export interface HostEntity extends Base<"HostSystem"> {
  connected: boolean;
  maintenance: boolean;
}
export interface PoolEntity extends Base<"ResourcePool"> {
  readonly owner: string;
}
export interface DatastoreEntity extends Base<"Datastore"> {
  readonly capacity: number;
  free: number;
  accessible: boolean;
  readonly hosts: readonly string[];
}
export interface NetworkEntity extends Base<"Network"> {
  readonly hosts: readonly string[];
}
export interface PortgroupEntity extends Base<"DistributedVirtualPortgroup"> {
  readonly hosts: readonly string[];
  readonly switch: string;
  readonly uplink: boolean;
}
export interface SwitchEntity extends Base<"VmwareDistributedVirtualSwitch"> {
  readonly uuid: string;
}

export interface Card {
  readonly key: number;
  /** Its type in the vim25 interface. */
  readonly model: string;
  readonly mac: string;
  /** Undefined: plugged into nothing. */
  readonly network: string | undefined;
}
export interface Disk {
  readonly key: number;
  capacityKB: number;
  /** What it took from the datastore, bytes. */
  used: number;
}
export interface MachineSnapshot {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly createdMs: number;
}
export interface MachineEntity extends Base<"VirtualMachine"> {
  template: boolean;
  power: "poweredOn" | "poweredOff";
  host: string;
  /** Undefined for a template. */
  pool: string | undefined;
  readonly datastore: string;
  numCPUs: number;
  memoryMB: number;
  readonly uuid: string;
  readonly instanceUuid: string;
  readonly guestId: string;
  version: string;
  annotation: string;
  extraConfig: Record<string, string>;
  cards: Card[];
  disks: Disk[];
  snapshots: MachineSnapshot[];
  /** `addresses` by MAC. */
  guest: {
    ipAddress?: string;
    hostName?: string;
    addresses?: Record<string, readonly string[]>;
    tools: boolean;
  };
  bootedMs: number | undefined;
  changes: number;
}

export type Entity =
  | FolderEntity
  | DatacenterEntity
  | ClusterEntity
  | HostEntity
  | PoolEntity
  | DatastoreEntity
  | NetworkEntity
  | PortgroupEntity
  | SwitchEntity
  | MachineEntity;

export type EntityOf<T extends Entity["type"]> = Extract<Entity, { readonly type: T }>;

/** What a restart must bring back. JSON. */
export interface VcenterState {
  readonly format: 1;
  readonly instanceUuid: string;
  serial: number;
  readonly entities: Record<string, Entity>;
}

export interface WorldOptions {
  readonly uuid: () => string;
  readonly now: () => number;
}

export class World {
  readonly state: VcenterState;
  readonly #options: WorldOptions;
  readonly #listeners = new Set<() => void>();
  readonly #keepers = new Set<() => void>();
  readonly #children = new Map<string, Set<string>>();

  constructor(state: VcenterState, options: WorldOptions) {
    this.state = state;
    this.#options = options;
    for (const entity of Object.values(state.entities)) this.#link(entity);
  }

  get rootId(): string {
    return "group-d1";
  }
  now(): number {
    return this.#options.now();
  }
  uuid(): string {
    return this.#options.uuid();
  }

  /** Calls `listener` after each change of the state and each stir. Answers with the way to stop. */
  onStir(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Calls `listener` after each change of the state. */
  onChange(listener: () => void): () => void {
    this.#keepers.add(listener);
    return () => void this.#keepers.delete(listener);
  }

  changed(): void {
    for (const listener of [...this.#keepers]) listener();
    this.stirred();
  }

  stirred(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  get(id: string): Entity | undefined {
    return this.state.entities[id];
  }

  /** The entity when it is there and of one of these types. */
  as<T extends Entity["type"]>(id: string | undefined, ...types: readonly T[]): EntityOf<T> | undefined {
    const entity = id === undefined ? undefined : this.get(id);
    return entity && types.includes(entity.type as T) ? (entity as EntityOf<T>) : undefined;
  }

  all<T extends Entity["type"]>(...types: readonly T[]): EntityOf<T>[] {
    return Object.values(this.state.entities).filter((entity): entity is EntityOf<T> =>
      types.includes(entity.type as T),
    );
  }

  children(id: string): Entity[] {
    return [...(this.#children.get(id) ?? [])].flatMap((child) => this.get(child) ?? []);
  }

  nextId(prefix: string): string {
    return `${prefix}-${++this.state.serial}`;
  }

  add<E extends Entity>(entity: E): E {
    this.state.entities[entity.id] = entity;
    this.#link(entity);
    return entity;
  }

  remove(id: string): void {
    const entity = this.get(id);
    if (!entity) return;
    this.#children.get(entity.parent ?? "")?.delete(id);
    delete this.state.entities[id];
  }

  move(entity: Entity, parent: string): void {
    this.#children.get(entity.parent ?? "")?.delete(entity.id);
    entity.parent = parent;
    this.#link(entity);
  }

  /** "/DC0/vm/folder/machine"; "/" for the root. */
  path(id: string): string {
    const names: string[] = [];
    for (let at = this.get(id); at && at.id !== this.rootId; at = at.parent ? this.get(at.parent) : undefined)
      names.unshift(at.name);
    return `/${names.join("/")}`;
  }

  byPath(path: string): Entity | undefined {
    let at = this.get(this.rootId);
    for (const name of path.split("/").filter(Boolean)) {
      if (!at) return undefined;
      at = this.children(at.id).find((child) => child.name === name);
    }
    return at;
  }

  /** The nearest ancestor of a type, the entity itself included. */
  ancestor<T extends Entity["type"]>(id: string, type: T): EntityOf<T> | undefined {
    for (let at = this.get(id); at; at = at.parent ? this.get(at.parent) : undefined)
      if (at.type === type) return at as EntityOf<T>;
    return undefined;
  }

  /** Everything below an entity, parents before children. */
  below(id: string): Entity[] {
    return this.children(id).flatMap((child) => [child, ...this.below(child.id)]);
  }

  #link(entity: Entity): void {
    if (entity.parent === undefined) return;
    const children = this.#children.get(entity.parent) ?? new Set();
    children.add(entity.id);
    this.#children.set(entity.parent, children);
  }
}

/** A fresh world with what the model lists. */
export function worldOf(model: InventoryModel, options: WorldOptions): World {
  const world = new World({ format: 1, instanceUuid: options.uuid(), serial: 1, entities: {} }, options);
  const everyType = ["Folder", "Datacenter"];
  world.add({
    type: "Folder",
    id: world.rootId,
    name: "Datacenters",
    parent: undefined,
    childType: everyType,
  });
  for (const each of model.datacenters) addDatacenter(world, each);
  return world;
}

function addDatacenter(world: World, model: InventoryModel["datacenters"][number]): void {
  const id = world.nextId("datacenter");
  const folder = (name: string, parent: string, childType: string) =>
    world.add({ type: "Folder", id: world.nextId("group"), name, parent, childType: ["Folder", childType] })
      .id;
  const vmFolder = folder("vm", id, "VirtualMachine");
  const hostFolder = folder("host", id, "ComputeResource");
  const datastoreFolder = folder("datastore", id, "Datastore");
  const networkFolder = folder("network", id, "Network");
  world.add({
    type: "Datacenter",
    id,
    name: model.name,
    parent: world.rootId,
    vmFolder,
    hostFolder,
    datastoreFolder,
    networkFolder,
  });

  const hostsOf = new Map<string, string[]>();
  for (const cluster of model.clusters) {
    const owner = world.nextId("domain-c");
    const pool = world.nextId("resgroup");
    world.add({ type: "ClusterComputeResource", id: owner, name: cluster.name, parent: hostFolder, pool });
    world.add({ type: "ResourcePool", id: pool, name: "Resources", parent: owner, owner });
    for (const name of cluster.pools ?? [])
      world.add({ type: "ResourcePool", id: world.nextId("resgroup"), name, parent: pool, owner });
    const hosts = cluster.hosts.map((name) =>
      world.add({
        type: "HostSystem",
        id: world.nextId("host"),
        name,
        parent: owner,
        connected: true,
        maintenance: false,
      }),
    );
    hostsOf.set(
      cluster.name,
      hosts.map((host) => host.id),
    );
  }
  const hostsIn = (clusters: readonly string[] | undefined) =>
    [...hostsOf].filter(([name]) => clusters?.includes(name) ?? true).flatMap(([, hosts]) => hosts);

  for (const { name, capacityGiB, freeGiB = capacityGiB, clusters } of model.datastores)
    world.add({
      type: "Datastore",
      id: world.nextId("datastore"),
      name,
      parent: datastoreFolder,
      capacity: capacityGiB * 2 ** 30,
      free: freeGiB * 2 ** 30,
      accessible: true,
      hosts: hostsIn(clusters),
    });
  for (const network of model.networks) addNetwork(world, network, networkFolder, hostsIn(network.clusters));
  for (const path of model.folders ?? []) addFolders(world, vmFolder, path);
  for (const machine of model.machines ?? []) addMachine(world, vmFolder, machine);
}

function addNetwork(
  world: World,
  { name, switch: wired }: { readonly name: string; readonly switch?: string },
  parent: string,
  hosts: readonly string[],
): void {
  if (wired === undefined) {
    world.add({ type: "Network", id: world.nextId("network"), name, parent, hosts });
    return;
  }
  const known = world.children(parent).find((child) => child.name === wired);
  const at = known?.id ?? world.nextId("dvs");
  if (!known) {
    world.add({ type: "VmwareDistributedVirtualSwitch", id: at, name: wired, parent, uuid: world.uuid() });
    const uplinks = { name: `${wired}-DVUplinks`, uplink: true };
    world.add({
      type: "DistributedVirtualPortgroup",
      id: world.nextId("dvportgroup"),
      ...uplinks,
      parent,
      hosts,
      switch: at,
    });
  }
  const id = world.nextId("dvportgroup");
  world.add({ type: "DistributedVirtualPortgroup", id, name, parent, hosts, switch: at, uplink: false });
}

function addFolders(world: World, vmFolder: string, path: string): string {
  let at = vmFolder;
  for (const name of path.split("/").filter(Boolean)) {
    const known = world.children(at).find((child) => child.name === name && child.type === "Folder");
    const childType = ["Folder", "VirtualMachine"];
    at =
      known?.id ?? world.add({ type: "Folder", id: world.nextId("group"), name, parent: at, childType }).id;
  }
  return at;
}

function addMachine(world: World, vmFolder: string, model: MachineModel): void {
  const parent = addFolders(world, vmFolder, model.folder ?? "");
  const named = (type: Entity["type"], name: string) =>
    world.all(type).find((entity) => entity.name === name)?.id ?? missing(model.name, type, name);
  const owner = named("ClusterComputeResource", model.cluster);
  const host =
    world.children(owner).find((child) => child.type === "HostSystem")?.id ??
    missing(model.name, "HostSystem", "");
  const network = world
    .all("Network", "DistributedVirtualPortgroup")
    .find((entity) => entity.name === model.network)?.id;
  const id = world.nextId("vm");
  const diskKB = (model.diskGiB ?? 20) * 2 ** 20;
  world.add({
    type: "VirtualMachine",
    id,
    name: model.name,
    parent,
    template: model.template ?? false,
    power: "poweredOff",
    host,
    pool: model.template ? undefined : world.as(owner, "ClusterComputeResource")!.pool,
    datastore: named("Datastore", model.datastore),
    numCPUs: model.numCPUs ?? 2,
    memoryMB: model.memoryMB ?? 2048,
    uuid: world.uuid(),
    instanceUuid: world.uuid(),
    guestId: model.guestId ?? "otherGuest64",
    version: "vmx-15",
    annotation: "",
    extraConfig: {},
    cards: [{ key: 4000, model: "VirtualVmxnet3", mac: macAddress(world), network }],
    disks: [{ key: 2000, capacityKB: diskKB, used: 0 }],
    snapshots: model.snapshot
      ? [{ id: world.nextId("snapshot"), name: "base", description: "", createdMs: world.now() }]
      : [],
    guest: { tools: false },
    bootedMs: undefined,
    changes: 1,
  });
}

function missing(machine: string, type: string, name: string): never {
  throw new Error(`inventory: machine '${machine}' names the ${type} '${name}', which is not there`);
}

/** In the range that VMware gives to generated addresses; unique as long as the world lives. */
export function macAddress(world: World): string {
  const serial = ++world.state.serial;
  const bytes = [0x00, 0x50, 0x56, 0x80 | ((serial >> 16) & 0x3f), (serial >> 8) & 0xff, serial & 0xff];
  return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}
