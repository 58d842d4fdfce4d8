// What the inventory is made of.
import type { Ref } from "./soap/types.ts";

/** What can be looked up. "cluster" includes a host that stands alone, "network" leaves uplink port groups out. */
export const entryKinds = [
  "datacenter",
  "cluster",
  "host",
  "pool",
  "datastore",
  "network",
  "folder",
  "template",
  "vm",
] as const;
export type EntryKind = (typeof entryKinds)[number];

/** One thing in the inventory. */
export interface Entry {
  readonly kind: EntryKind;
  readonly ref: Ref;
  readonly name: string;
  /** Full inventory path: "/DC0/host/DC0_C0/Resources". Unique but for twins that vCenter lets be. */
  readonly path: string;
  /** Name of its datacenter; undefined above one. */
  readonly datacenter: string | undefined;
  /** The cluster or standalone host that a pool or host belongs to. */
  readonly owner?: Ref;
  /** Templates: what the machine carries. */
  readonly guest?: { readonly guestId?: string; readonly uuid?: string };
  /** Datastores. Bytes. */
  readonly space?: { readonly capacity: number; readonly free: number; readonly accessible: boolean };
  /** Clusters: what may be used from there. */
  readonly datastores?: readonly Ref[];
  readonly networks?: readonly Ref[];
  /** Clusters and standalone hosts: the root resource pool. */
  readonly rootPool?: Ref;
  /** Datacenters: the folder that VMs go to when none is named. */
  readonly vmFolder?: Ref;
  /** Hosts. */
  readonly host?: { readonly connected: boolean; readonly maintenance: boolean };
}
