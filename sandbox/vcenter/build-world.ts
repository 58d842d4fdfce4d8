// Makes a world out of an inventory model.
import type { Entity } from "./entities.ts";
import type { InventoryModel, MachineModel } from "./inventory-model.ts";
import { macAddress, World, type WorldOptions } from "./world.ts";

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
