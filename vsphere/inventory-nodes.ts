// Reading the inventory: all kinds wanted in one request (and its pages), each object turned into a node with its parent.
import { readKinds, readObjects, type Seen } from "./collector.ts";
import type { Entry, EntryKind } from "./inventory-entry.ts";
import type { Session } from "./session.ts";
import { isA } from "./soap/table.ts";
import type { Property, Ref } from "./soap/types.ts";

/** An entry before its path is known; `hidden` ones only carry paths. */
export type Node = Omit<Entry, "path" | "datacenter" | "kind"> & {
  readonly kind: EntryKind | "hidden";
  readonly parent: Ref | undefined;
};

const paths = {
  Folder: ["childType"],
  Datacenter: ["vmFolder"],
  ComputeResource: ["resourcePool", "datastore", "network"],
  HostSystem: ["runtime.connectionState", "runtime.inMaintenanceMode"],
  ResourcePool: ["owner"],
  Datastore: ["summary.capacity", "summary.freeSpace", "summary.accessible"],
  Network: [],
  VirtualMachine: ["config.template", "config.guestId", "config.uuid"],
} as const;
type Kind = keyof typeof paths;

/** Values of one kind, typed by its paths. */
type ValuesOf<K extends Kind> = { readonly [P in (typeof paths)[K][number]]?: Property<K, P> };

/** What must be read to know the paths of a kind's entries. */
const neededFor: Readonly<Record<EntryKind, readonly Kind[]>> = {
  datacenter: [],
  folder: [],
  cluster: ["ComputeResource"],
  host: ["ComputeResource", "HostSystem"],
  pool: ["ComputeResource", "ResourcePool"],
  datastore: ["Datastore"],
  network: ["Network"],
  template: ["VirtualMachine"],
  vm: ["VirtualMachine"],
};

/** All nodes below `root` that matter for entries of these kinds. */
export async function readNodes(
  session: Session,
  root: Ref,
  wanted: readonly EntryKind[],
  signal?: AbortSignal,
): Promise<Node[]> {
  const kinds: readonly Kind[] = ["Folder", "Datacenter", ...wanted.flatMap((kind) => neededFor[kind])];
  const toRead = Object.fromEntries(kinds.map((kind) => [kind, ["name", "parent", ...paths[kind]]]));
  const seen = await readKinds(session, root, toRead, signal);
  const groups = seen.filter(({ ref }) => ref.type === "DistributedVirtualPortgroup").map(({ ref }) => ref);
  const uplinks = (
    await readObjects(session, "DistributedVirtualPortgroup", groups, ["config.uplink"], signal)
  ).filter(({ values }) => values["config.uplink"]);
  const unwanted = new Set(uplinks.map(({ ref }) => ref.value));
  return seen
    .filter(({ ref }) => !unwanted.has(ref.value))
    .map(nodeOf)
    .filter(({ kind }) => kind !== "vm" || wanted.includes("vm"));
}

/** Pure. */
export function nodeOf({ ref, values }: Seen): Node {
  const { name, parent } = values as { readonly name?: string; readonly parent?: Ref };
  return { ...details(kindOf(ref), values), ref, name: plainName(name ?? ref.value), parent };
}

function kindOf({ type }: Ref): Kind | undefined {
  return (Object.keys(paths) as Kind[]).find((kind) => isA(type, kind));
}

type Details = Omit<Node, "ref" | "name" | "parent">;

function details(kind: Kind | undefined, values: Seen["values"]): Details {
  switch (kind) {
    case "Folder": {
      const { childType } = values as ValuesOf<"Folder">;
      return { kind: childType?.includes("VirtualMachine") ? "folder" : "hidden" };
    }
    case "Datacenter":
      return { kind: "datacenter", ...given({ vmFolder: (values as ValuesOf<"Datacenter">).vmFolder }) };
    case "ComputeResource": {
      const { resourcePool, datastore, network } = values as ValuesOf<"ComputeResource">;
      return {
        kind: "cluster",
        ...given({ rootPool: resourcePool, datastores: datastore, networks: network }),
      };
    }
    case "HostSystem":
      return hostDetails(values as ValuesOf<"HostSystem"> & { readonly parent?: Ref });
    case "ResourcePool":
      return { kind: "pool", ...given({ owner: (values as ValuesOf<"ResourcePool">).owner }) };
    case "Datastore":
      return datastoreDetails(values as ValuesOf<"Datastore">);
    case "Network":
      return { kind: "network" };
    case "VirtualMachine": {
      const machine = values as ValuesOf<"VirtualMachine">;
      const guest = given({ guestId: machine["config.guestId"], uuid: machine["config.uuid"] });
      return { kind: machine["config.template"] ? "template" : "vm", guest };
    }
    case undefined:
      return { kind: "hidden" };
  }
}

function hostDetails(values: ValuesOf<"HostSystem"> & { readonly parent?: Ref }): Details {
  return {
    kind: "host",
    ...given({ owner: values.parent }),
    host: {
      connected: values["runtime.connectionState"] === "connected",
      maintenance: values["runtime.inMaintenanceMode"] === true,
    },
  };
}

function datastoreDetails(values: ValuesOf<"Datastore">): Details {
  return {
    kind: "datastore",
    space: {
      capacity: values["summary.capacity"] ?? 0,
      free: values["summary.freeSpace"] ?? 0,
      accessible: values["summary.accessible"] === true,
    },
  };
}

/** vCenter writes "/", "\" and "%" in names as %2f, %5c, %25. */
function plainName(name: string): string {
  return name.replace(/%(2f|5c|25)/gi, (code) => decodeURIComponent(code));
}

/** The object without its undefined members. */
function given<T extends object>(object: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
