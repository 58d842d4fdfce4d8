// Who owns whom, and what lives in which namespace: all that garbage collection needs to know, kept up by events. And the
// decision what to do about one object, as a pure function of that. After Kubernetes' garbage collector
// (kubernetes/kubernetes pkg/controller/garbagecollector: absent owners, waiting owners, solid owners).
import type { OwnerReference, Resource } from "../resource/meta.ts";
import { foregroundFinalizer, orphanFinalizer } from "./decide.ts";
import { isHeldOpen, isNamespace, namespaceOf } from "./namespaces.ts";
import { placeText, type Change, type Place, type Row } from "./rows.ts";

interface Node {
  readonly place: Place;
  readonly uid: string;
  readonly owners: readonly OwnerReference[];
  readonly deleting: boolean;
  /** Its dependants go first. */
  readonly waits: boolean;
}

export class OwnerGraph {
  readonly #byUid = new Map<string, Node>();
  readonly #uidAt = new Map<string, string>();
  readonly #dependents = new Map<string, Set<string>>();
  readonly #within = new Map<string, Set<string>>();
  /** The revision up to which this is true. */
  revision = 0;

  /** Takes in an object as it is after a write (or as it was, where the write removed it). */
  apply(type: Change["type"], row: Row): void {
    this.revision = Math.max(this.revision, row.revision);
    this.#forget(row);
    if (type === "Deleted") return;
    const node = nodeOf(row);
    this.#byUid.set(node.uid, node);
    this.#uidAt.set(placeText(row), node.uid);
    for (const { uid } of node.owners) add(this.#dependents, uid, node.uid);
    if (row.namespace) add(this.#within, row.namespace, node.uid);
  }

  /** The places whose fate may change by this event: the object's own, and those of its dependants, owners and namespace. */
  touched(type: Change["type"], row: Row): Place[] {
    const places: Place[] = [];
    const { metadata } = row.object;
    if (type !== "Deleted" && isConcerned(row.object)) places.push(row);
    if (type !== "Deleted" && !metadata.finalizers?.includes(foregroundFinalizer)) return places;
    places.push(...this.dependentsOf(metadata.uid).map(({ place }) => place));
    for (const { uid } of metadata.ownerReferences ?? []) {
      const owner = this.#byUid.get(uid);
      if (owner?.waits) places.push(owner.place);
    }
    if (row.namespace && this.#at(namespaceOf(row))?.deleting) places.push(namespaceOf(row));
    return places;
  }

  dependentsOf(uid: string): Node[] {
    return this.#nodes(this.#dependents.get(uid));
  }

  contentsOf(namespace: string): Node[] {
    return this.#nodes(this.#within.get(namespace));
  }

  /** The owner that a reference from this namespace means; undefined where there is none (any more, or not in reach of it). */
  owner(ref: OwnerReference, namespace: string): Node | undefined {
    const node = this.#byUid.get(ref.uid);
    return node && (node.place.namespace === "" || node.place.namespace === namespace) ? node : undefined;
  }

  #at(place: Place): Node | undefined {
    const uid = this.#uidAt.get(placeText(place));
    return uid === undefined ? undefined : this.#byUid.get(uid);
  }

  #nodes(uids: ReadonlySet<string> = new Set()): Node[] {
    return [...uids].flatMap((uid) => this.#byUid.get(uid) ?? []);
  }

  #forget(place: Place): void {
    const node = this.#at(place);
    if (!node) return;
    this.#byUid.delete(node.uid);
    this.#uidAt.delete(placeText(place));
    for (const { uid } of node.owners) remove(this.#dependents, uid, node.uid);
    if (place.namespace) remove(this.#within, place.namespace, node.uid);
  }
}

/** What to do about one object. */
export type Chore =
  | { readonly do: "nothing" }
  | { readonly do: "delete"; readonly propagation: "Background" | "Foreground" }
  /** Keep only these owners. */
  | { readonly do: "disown"; readonly keep: readonly string[] }
  /** Take this owner from the dependants, then let it go. */
  | { readonly do: "orphan"; readonly dependents: readonly Place[] }
  /** Nothing holds it back any more: take the finalizer away. */
  | { readonly do: "release"; readonly finalizer: string }
  /** Delete what is in the namespace and not yet leaving. */
  | { readonly do: "empty"; readonly contents: readonly Place[] }
  /** Nothing is in the namespace: let it go. */
  | { readonly do: "close" };

/** Decides about an object as the graph sees the rest of the world (R6, R8). Pure. */
export function chore(row: Row, graph: OwnerGraph): Chore {
  const { metadata } = row.object;
  if (metadata.deletionTimestamp !== undefined) return farewell(row, graph);

  const refs = metadata.ownerReferences ?? [];
  const owners = refs.map((ref) => ({ ref, node: graph.owner(ref, row.namespace) }));
  const solid = owners.filter(({ node }) => node && !node.waits);
  if (refs.length === 0 || solid.length === refs.length) return { do: "nothing" };
  if (solid.length > 0) return { do: "disown", keep: solid.map(({ ref }) => ref.uid) };
  const waited = owners.some(({ node }) => node?.waits);
  const propagation = waited && graph.dependentsOf(metadata.uid).length > 0 ? "Foreground" : "Background";
  return { do: "delete", propagation };
}

function farewell(row: Row, graph: OwnerGraph): Chore {
  const { metadata } = row.object;
  const dependents = graph.dependentsOf(metadata.uid);
  if (metadata.finalizers?.includes(orphanFinalizer)) {
    return { do: "orphan", dependents: dependents.map(({ place }) => place) };
  }
  if (metadata.finalizers?.includes(foregroundFinalizer)) {
    const blocks = dependents.some(({ owners }) =>
      owners.some((ref) => ref.uid === metadata.uid && ref.blockOwnerDeletion),
    );
    return blocks ? { do: "nothing" } : { do: "release", finalizer: foregroundFinalizer };
  }
  if (isNamespace(row) && isHeldOpen(row.object)) {
    const contents = graph.contentsOf(row.name);
    if (contents.length === 0) return { do: "close" };
    return { do: "empty", contents: contents.filter(({ deleting }) => !deleting).map(({ place }) => place) };
  }
  return { do: "nothing" };
}

function nodeOf({ resource, namespace, name, object }: Row): Node {
  const { uid, ownerReferences, deletionTimestamp, finalizers } = object.metadata;
  const deleting = deletionTimestamp !== undefined;
  return {
    place: { resource, namespace, name },
    uid,
    owners: ownerReferences ?? [],
    deleting,
    waits: deleting && (finalizers?.includes(foregroundFinalizer) ?? false),
  };
}

/** Whether there may be anything to do about it. */
export function isConcerned(object: Resource): boolean {
  return object.metadata.ownerReferences !== undefined || object.metadata.deletionTimestamp !== undefined;
}

function add(map: Map<string, Set<string>>, key: string, value: string): void {
  const set = map.get(key);
  if (set) set.add(value);
  else map.set(key, new Set([value]));
}

function remove(map: Map<string, Set<string>>, key: string, value: string): void {
  const set = map.get(key);
  set?.delete(value);
  if (set?.size === 0) map.delete(key);
}
