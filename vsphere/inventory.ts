// What a datacenter holds, by kind, with full inventory paths; and finding one thing by the name a person wrote.
import type { Problem } from "#core";
import { Fault } from "#core";
import { entryKinds, type Entry, type EntryKind } from "./inventory-entry.ts";
import { readNodes, type Node } from "./inventory-nodes.ts";
import type { Session } from "./session.ts";
import type { Ref } from "./soap/types.ts";

export interface Inventory {
  list(kind: EntryKind, scope?: Scope, signal?: AbortSignal): Promise<readonly Entry[]>;
  /** The one thing of `kind` that `name` (a name, a path, or the end of a path) means. NotFound or Invalid, with what there is. */
  find(kind: EntryKind, name: string, scope?: Scope, signal?: AbortSignal): Promise<Entry>;
  /** A picture of everything but virtual machines, to ask many questions of. */
  snapshot(signal?: AbortSignal): Promise<InventorySnapshot>;
}

export interface Scope {
  /** Only in this datacenter, by name or path. */
  readonly datacenter?: string | undefined;
}

/** The inventory at one moment. */
export interface InventorySnapshot {
  list(kind: EntryKind, scope?: Scope): readonly Entry[];
  pick(kind: EntryKind, name: string, scope?: Scope): Pick;
}

/** What a name means. */
export type Pick =
  | { readonly kind: "found"; readonly entry: Entry }
  | { readonly kind: "missing"; readonly message: string }
  | { readonly kind: "ambiguous"; readonly message: string };

export function inventoryOf(session: Session): Inventory {
  async function read(
    kinds: readonly EntryKind[],
    signal: AbortSignal | undefined,
  ): Promise<InventorySnapshot> {
    const { rootFolder } = await session.content(signal);
    return snapshotOf(rootFolder, await readNodes(session, rootFolder, kinds, signal));
  }
  return {
    snapshot: (signal) =>
      read(
        entryKinds.filter((kind) => kind !== "vm"),
        signal,
      ),
    list: async (kind, scope, signal) => (await read([kind], signal)).list(kind, scope),
    async find(kind, name, scope, signal) {
      const pick = (await read([kind], signal)).pick(kind, name, scope);
      if (pick.kind === "found") return pick.entry;
      throw new Fault(pick.kind === "missing" ? "NotFound" : "Invalid", pick.message);
    },
  };
}

/** Joins what was read into paths and answers questions. Pure. */
export function snapshotOf(root: Ref, nodes: readonly Node[]): InventorySnapshot {
  const byRef = new Map(nodes.map((each) => [each.ref.value, each]));
  const placed = new Map<string, { path: string; datacenter: string | undefined }>();
  const place = (at: Node): { path: string; datacenter: string | undefined } => {
    const known = placed.get(at.ref.value);
    if (known) return known;
    placed.set(at.ref.value, { path: `/${at.name}`, datacenter: undefined }); // a loop ends here
    const parent = at.parent && at.parent.value !== root.value ? byRef.get(at.parent.value) : undefined;
    const above = parent ? place(parent) : { path: "", datacenter: undefined };
    const here = {
      path: `${above.path}/${at.name}`,
      datacenter: at.kind === "datacenter" ? at.name : above.datacenter,
    };
    placed.set(at.ref.value, here);
    return here;
  };
  const entries = nodes
    .flatMap(({ parent: _, ...each }) => {
      const { kind } = each;
      return kind === "hidden" ? [] : [{ ...each, kind, ...place(byRef.get(each.ref.value)!) }];
    })
    .sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  const list = (kind: EntryKind, scope: Scope = {}) =>
    entries.filter((entry) => entry.kind === kind && inScope(entry, scope));
  return { list, pick: (kind, name, scope = {}) => pickEntry(kind, name, list(kind, scope), scope) };
}

function inScope(entry: Entry, { datacenter }: Scope): boolean {
  if (datacenter === undefined || entry.kind === "datacenter") return true;
  return entry.datacenter === datacenter.split("/").at(-1);
}

/** Which of `candidates` a name means: a full path is exact, anything else is the end of a path. Pure. */
export function pickEntry(
  kind: EntryKind,
  name: string,
  candidates: readonly Entry[],
  scope: Scope = {},
): Pick {
  const wanted = name.replace(/\/+$/, "");
  const fits = candidates.filter((entry) =>
    wanted.startsWith("/")
      ? entry.path === wanted
      : entry.name === wanted || entry.path.endsWith(`/${wanted}`),
  );
  const where =
    scope.datacenter === undefined || kind === "datacenter" ? "" : ` in datacenter '${scope.datacenter}'`;
  const word = words[kind];
  if (fits.length === 1) return { kind: "found", entry: fits[0]! };
  if (fits.length > 1) {
    const paths = fits.map((entry) => entry.path).join(", ");
    return {
      kind: "ambiguous",
      message: `${word} '${name}' is ambiguous${where}; write one of the full paths: ${paths}`,
    };
  }
  return { kind: "missing", message: `${word} '${name}' not found${where}; ${whatThereIs(candidates)}` };
}

const words: Readonly<Record<EntryKind, string>> = {
  datacenter: "datacenter",
  cluster: "cluster",
  host: "host",
  pool: "resource pool",
  datastore: "datastore",
  network: "network",
  folder: "folder",
  template: "template",
  vm: "virtual machine",
};

const shownAtMost = 20;

/** "there are: a, b, c": names where they are unique, paths where not. */
function whatThereIs(candidates: readonly Entry[]): string {
  if (candidates.length === 0) return "there is none that this account can see";
  const count = new Map<string, number>();
  for (const { name } of candidates) count.set(name, (count.get(name) ?? 0) + 1);
  const shown = candidates
    .slice(0, shownAtMost)
    .map((entry) => (count.get(entry.name) === 1 ? entry.name : entry.path));
  const rest = candidates.length - shown.length;
  return `there ${candidates.length === 1 ? "is" : "are"}: ${shown.join(", ")}${rest > 0 ? ` and ${rest} more` : ""}`;
}

/** The pick as a mistake in a form, or undefined when it was found. */
export function problemOf(field: string, pick: Pick): Problem | undefined {
  return pick.kind === "found" ? undefined : { field, message: pick.message };
}
