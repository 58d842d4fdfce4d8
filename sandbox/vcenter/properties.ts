// What each kind of entity answers when its properties are read. Types come from the vim25 table, so a wrong shape does not compile.
// Properties are computed when asked: a name costs nothing of the devices.
import type { Ref } from "#vsphere";
import { dataFields, managedProperties, type Field } from "#vsphere/soap/table.ts";
import type { ManagedName, PropertyGetters, Write } from "#vsphere/soap/types.ts";
import { typed, type Typed } from "#vsphere/soap/writer.ts";
import { machineProperties } from "./machine-properties.ts";
import { refOf } from "./machines.ts";
import type { Entity, EntityOf } from "./entities.ts";
import type { World } from "./world.ts";

/** A managed object as far as its properties go. */
export interface PropertyBag {
  readonly type: string;
  readonly get: (property: string) => unknown;
}

/** The entity's properties; undefined when there is no such entity. */
export function entityBag(world: World, ref: Ref): PropertyBag | undefined {
  const entity = world.get(ref.value);
  if (!entity || entity.type !== ref.type) return undefined;
  return bagOf(entity.type, { ...common(world, entity), ...own(world, entity) });
}

/** Names a bag's getters. */
export function bagOf<M extends ManagedName>(type: M, getters: PropertyGetters<M>): PropertyBag {
  const all = getters as Readonly<Record<string, (() => unknown) | undefined>>;
  return { type, get: (property) => (Object.hasOwn(all, property) ? all[property]?.() : undefined) };
}

/** The value of a property path with the type it goes over the wire as; undefined when unset or not simulated. */
export function valueAt(bag: PropertyBag, path: string): Typed | undefined {
  const [first = "", ...rest] = path.split(".");
  let field: Field | undefined = managedProperties(bag.type)?.get(first);
  let value: unknown = bag.get(first);
  for (const name of rest) {
    if (!field || value === undefined || value === null || field.many) return undefined;
    field = dataFields((value as { $type?: string }).$type ?? field.type)?.get(name);
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  if (!field || value === undefined) return undefined;
  return typed(field.many ? `${field.type}[]` : field.type, value);
}

function refs(entities: readonly Entity[]): Ref[] {
  return entities.map(refOf);
}

function common(world: World, entity: Entity): PropertyGetters<"ManagedEntity"> {
  return {
    name: () => entity.name,
    parent: () => (entity.parent === undefined ? undefined : refOf(world.get(entity.parent)!)),
    overallStatus: () => "green",
    configStatus: () => "green",
    effectiveRole: () => [-1],
    permission: () => [],
    disabledMethod: () => [],
    recentTask: () => [],
    alarmActionsEnabled: () => true,
  };
}

function own(world: World, entity: Entity): Readonly<Record<string, () => unknown>> {
  switch (entity.type) {
    case "Folder":
      return {
        childType: () => entity.childType,
        childEntity: () => refs(world.children(entity.id)),
      } satisfies PropertyGetters<"Folder">;
    case "Datacenter":
      return datacenter(world, entity);
    case "ClusterComputeResource":
      return cluster(world, entity);
    case "HostSystem":
      return host(world, entity);
    case "ResourcePool":
      return pool(world, entity);
    case "Datastore":
      return datastore(world, entity);
    case "Network":
      return network(world, entity);
    case "DistributedVirtualPortgroup":
      return { ...network(world, entity), ...portgroup(entity) };
    case "VmwareDistributedVirtualSwitch":
      return distributedSwitch(world, entity);
    case "VirtualMachine":
      return machineProperties(world, entity) as Readonly<Record<string, () => unknown>>;
  }
}

function datacenter(world: World, entity: EntityOf<"Datacenter">) {
  const folder = (value: string): Ref => ({ type: "Folder", value });
  return {
    vmFolder: () => folder(entity.vmFolder),
    hostFolder: () => folder(entity.hostFolder),
    datastoreFolder: () => folder(entity.datastoreFolder),
    networkFolder: () => folder(entity.networkFolder),
    datastore: () => refs(world.children(entity.datastoreFolder)),
    network: () => refs(world.children(entity.networkFolder).filter(isNetwork)),
  } satisfies PropertyGetters<"Datacenter">;
}

function isNetwork(entity: Entity): boolean {
  return entity.type === "Network" || entity.type === "DistributedVirtualPortgroup";
}

const hostCores = 32;
const hostMHz = 2_400;
const hostMemory = 256 * 2 ** 30;

function hostsOf(world: World, owner: string): EntityOf<"HostSystem">[] {
  return world.all("HostSystem").filter((each) => each.parent === owner);
}

function cluster(world: World, entity: EntityOf<"ClusterComputeResource">) {
  const hosts = () => hostsOf(world, entity.id);
  const reach = (mounted: readonly string[]) => hosts().some((each) => mounted.includes(each.id));
  return {
    host: () => refs(hosts()),
    resourcePool: () => ({ type: "ResourcePool", value: entity.pool }),
    datastore: () => refs(world.all("Datastore").filter((each) => reach(each.hosts))),
    network: () =>
      refs(world.all("Network", "DistributedVirtualPortgroup").filter((each) => reach(each.hosts))),
    summary: () => {
      const live = hosts().filter((each) => each.connected && !each.maintenance);
      const total = { cores: hosts().length * hostCores, memory: hosts().length * hostMemory };
      return {
        $type: "ClusterComputeResourceSummary",
        totalCpu: total.cores * hostMHz,
        totalMemory: total.memory,
        numCpuCores: total.cores,
        numCpuThreads: total.cores * 2,
        effectiveCpu: live.length * hostCores * hostMHz,
        effectiveMemory: (live.length * hostMemory) / 2 ** 20,
        numHosts: hosts().length,
        numEffectiveHosts: live.length,
        overallStatus: "green",
        currentFailoverLevel: 1,
        numVmotions: 0,
      };
    },
    configurationEx: () => ({
      $type: "ClusterConfigInfoEx",
      vmSwapPlacement: "vmDirectory",
      dasConfig: { enabled: true },
      drsConfig: { enabled: true },
    }),
  } satisfies PropertyGetters<"ClusterComputeResource">;
}

function host(world: World, entity: EntityOf<"HostSystem">) {
  const runtime = (): Write<"HostRuntimeInfo"> => ({
    connectionState: entity.connected ? "connected" : "notResponding",
    powerState: entity.connected ? "poweredOn" : "unknown",
    inMaintenanceMode: entity.maintenance,
  });
  return {
    runtime,
    summary: () => ({
      host: refOf(entity),
      hardware: {
        vendor: "pcg",
        model: "Simulated host",
        uuid: entity.id,
        memorySize: hostMemory,
        cpuModel: "Simulated CPU",
        cpuMhz: hostMHz,
        numCpuPkgs: 2,
        numCpuCores: hostCores,
        numCpuThreads: hostCores * 2,
        numNics: 2,
        numHBAs: 1,
      },
      runtime: runtime(),
      config: { name: entity.name, port: 443, vmotionEnabled: true },
      overallStatus: "green",
      rebootRequired: false,
    }),
    vm: () => refs(world.all("VirtualMachine").filter((each) => each.host === entity.id)),
    datastore: () => refs(world.all("Datastore").filter((each) => each.hosts.includes(entity.id))),
    network: () =>
      refs(
        world.all("Network", "DistributedVirtualPortgroup").filter((each) => each.hosts.includes(entity.id)),
      ),
  } satisfies PropertyGetters<"HostSystem">;
}

function pool(world: World, entity: EntityOf<"ResourcePool">) {
  const allocation: Write<"ResourceAllocationInfo"> = {
    reservation: 0,
    expandableReservation: true,
    limit: -1,
    shares: { shares: 4000, level: "normal" },
  };
  const config = (): Write<"ResourceConfigSpec"> => ({
    entity: refOf(entity),
    cpuAllocation: allocation,
    memoryAllocation: allocation,
  });
  const usage = {
    reservationUsed: 0,
    reservationUsedForVm: 0,
    unreservedForPool: 0,
    unreservedForVm: 0,
    overallUsage: 0,
    maxUsage: 0,
  };
  return {
    owner: () => refOf(world.get(entity.owner)!),
    resourcePool: () => refs(world.children(entity.id)),
    vm: () => refs(world.all("VirtualMachine").filter((each) => each.pool === entity.id)),
    config,
    runtime: () => ({ memory: usage, cpu: usage, overallStatus: "green" }),
    summary: () => ({
      name: entity.name,
      config: config(),
      runtime: { memory: usage, cpu: usage, overallStatus: "green" },
    }),
  } satisfies PropertyGetters<"ResourcePool">;
}

function datastore(world: World, entity: EntityOf<"Datastore">) {
  const url = `ds:///vmfs/volumes/${entity.id}/`;
  return {
    summary: () => ({
      datastore: refOf(entity),
      name: entity.name,
      url,
      capacity: entity.capacity,
      freeSpace: entity.free,
      accessible: entity.accessible,
      multipleHostAccess: entity.hosts.length > 1,
      type: "VMFS",
      maintenanceMode: "normal",
    }),
    info: () => ({ name: entity.name, url, freeSpace: entity.free, maxFileSize: 62 * 2 ** 40 }),
    host: () =>
      entity.hosts.map((id) => ({
        key: { type: "HostSystem", value: id },
        mountInfo: { accessMode: "readWrite", mounted: true, accessible: entity.accessible },
      })),
    vm: () => refs(world.all("VirtualMachine").filter((each) => each.datastore === entity.id)),
    browser: () => ({ type: "HostDatastoreBrowser", value: `datastoreBrowser-${entity.id}` }),
  } satisfies PropertyGetters<"Datastore">;
}

function network(world: World, entity: EntityOf<"Network" | "DistributedVirtualPortgroup">) {
  return {
    summary: () => ({ network: refOf(entity), name: entity.name, accessible: true, ipPoolName: "" }),
    host: () => entity.hosts.map((value) => ({ type: "HostSystem", value })),
    vm: () =>
      refs(
        world.all("VirtualMachine").filter((each) => each.cards.some((card) => card.network === entity.id)),
      ),
  } satisfies PropertyGetters<"Network">;
}

function portgroup(entity: EntityOf<"DistributedVirtualPortgroup">) {
  return {
    key: () => entity.id,
    config: () => ({
      key: entity.id,
      name: entity.name,
      numPorts: 128,
      distributedVirtualSwitch: { type: "VmwareDistributedVirtualSwitch", value: entity.switch },
      type: "earlyBinding",
      uplink: entity.uplink,
    }),
    portKeys: () => [],
  } satisfies PropertyGetters<"DistributedVirtualPortgroup">;
}

function distributedSwitch(world: World, entity: EntityOf<"VmwareDistributedVirtualSwitch">) {
  const groups = () => world.all("DistributedVirtualPortgroup").filter((each) => each.switch === entity.id);
  return {
    uuid: () => entity.uuid,
    summary: () => ({ name: entity.name, uuid: entity.uuid, numPorts: 128 }),
    config: () => ({
      uuid: entity.uuid,
      name: entity.name,
      numStandalonePorts: 0,
      numPorts: 128,
      maxPorts: 8000,
      uplinkPortgroup: refs(groups().filter((each) => each.uplink)),
    }),
    portgroup: () => refs(groups()),
  } satisfies PropertyGetters<"DistributedVirtualSwitch">;
}
