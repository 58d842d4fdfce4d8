// What a simulated datacenter holds, as plain data a person can read and write.

export interface InventoryModel {
  readonly datacenters: readonly DatacenterModel[];
}

export interface DatacenterModel {
  readonly name: string;
  readonly clusters: readonly ClusterModel[];
  readonly datastores: readonly DatastoreModel[];
  readonly networks: readonly NetworkModel[];
  /** Folders for machines, as paths below "vm": "pcg", "spectro-templates". */
  readonly folders?: readonly string[];
  readonly machines?: readonly MachineModel[];
}

export interface ClusterModel {
  readonly name: string;
  readonly hosts: readonly string[];
  /** Pools below the cluster's own "Resources". */
  readonly pools?: readonly string[];
}

export interface DatastoreModel {
  readonly name: string;
  readonly capacityGiB: number;
  readonly freeGiB?: number;
  /** Clusters that mount it; all unless told. */
  readonly clusters?: readonly string[];
}

export interface NetworkModel {
  readonly name: string;
  /** A distributed port group belongs to the switch named here; a standard network to none. */
  readonly switch?: string;
  readonly clusters?: readonly string[];
}

export interface MachineModel {
  readonly name: string;
  readonly template?: boolean;
  /** With a snapshot, it can be cloned "linked". */
  readonly snapshot?: boolean;
  readonly folder?: string;
  readonly cluster: string;
  readonly datastore: string;
  readonly network: string;
  readonly numCPUs?: number;
  readonly memoryMB?: number;
  readonly diskGiB?: number;
  readonly guestId?: string;
}

/** The datacenter that the demo runs in: one cluster of three hosts, a template of a Kubernetes node with a snapshot. */
export function defaultInventory(): InventoryModel {
  const template = (name: string): MachineModel => ({
    name,
    template: true,
    snapshot: true,
    folder: "spectro-templates",
    cluster: "C0",
    datastore: "LocalDS_0",
    network: "VM Network",
    numCPUs: 2,
    memoryMB: 4096,
    diskGiB: 20,
    guestId: "ubuntu64Guest",
  });
  return {
    datacenters: [
      {
        name: "DC0",
        clusters: [
          { name: "C0", hosts: ["C0-H0", "C0-H1", "C0-H2"], pools: ["pcg"] },
          { name: "C1", hosts: ["C1-H0"] },
        ],
        datastores: [
          { name: "LocalDS_0", capacityGiB: 10_240 },
          { name: "LocalDS_1", capacityGiB: 2_048, clusters: ["C1"] },
        ],
        networks: [{ name: "VM Network" }, { name: "DC0_DVPG0", switch: "DVS0" }],
        folders: ["pcg", "spectro-templates"],
        machines: [template("ubuntu-2204-kube-v1.35.4")],
      },
    ],
  };
}
