// What the simulated datacenter is made of: one record a thing, all plain JSON, joined by ids.

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
