// ResourceStore: Kubernetes' semantics and nothing more. The contract is here; the suite that holds every backend to it is
// contract.ts. Numbers are referred to from there.
//
//   R1  create fails with AlreadyExists when the name is taken, even by an object that is being deleted.
//   R2  update and updateStatus fail with Conflict unless metadata.resourceVersion is the stored one (absent: no check is made
//       only for apply-like callers that pass it empty on purpose), and NotFound when the object is gone.
//   R3  create and update ignore status where the kind has a status subresource; updateStatus ignores all but status.
//   R4  generation starts at 1 and rises when anything outside metadata and status changes (and once when deletion is asked for).
//   R5  a write that changes nothing keeps the resourceVersion and makes no event.
//   R6  delete of an object with finalizers sets deletionTimestamp (once); the object goes when the last finalizer goes.
//       No finalizer may be added to an object that is being deleted.
//   R7  uid, creationTimestamp, deletionTimestamp and generation are the store's own; what a caller writes there is ignored, but an
//       update that names another uid than the stored one is a Conflict: it means a former object of the name.
//   R8  an object all of whose owners (by uid) are gone is deleted in the background; so is everything in a deleted namespace. While
//       a namespace is being deleted, creating in it is Forbidden.
//   R9  list gives a revision; watch after that revision misses nothing and repeats nothing.
//   R10 watch after a revision that the store no longer remembers fails with Gone: list again.
//   R11 events of a watch come in the order of the writes; each carries the object as it was after that write.
//   R12 a write that was answered survives kill -9; one that was not is there wholly or not at all.
//   R13 create and update fill defaults and validate as the kind says; Invalid lists all mistakes.
import type { Kind } from "../resource/kind.ts";
import type { Draft, Key, Resource } from "../resource/meta.ts";
import type { LabelSelector } from "../resource/selector.ts";

/** A point in the store's history. Opaque; "" stands for "now". */
export type Revision = string;

export type WatchEvent<R extends Resource = Resource> =
  | { readonly type: "Added" | "Modified"; readonly object: R; readonly revision: Revision }
  /** The object as it last was, with the revision of its removal. */
  | { readonly type: "Deleted"; readonly object: R; readonly revision: Revision }
  /** Nothing happened up to this revision: a place to resume from. */
  | { readonly type: "Bookmark"; readonly revision: Revision };

export interface ListOptions {
  /** Absent: all namespaces. */
  readonly namespace?: string;
  readonly labels?: LabelSelector;
  /** Only the object of this name. */
  readonly name?: string;
  /** At most this many; the answer then carries `next`. */
  readonly limit?: number;
  /** Continue a limited list where it stopped. Gone when the store no longer remembers the list's revision. */
  readonly next?: string;
}

export interface List<R extends Resource> {
  readonly items: R[];
  readonly revision: Revision;
  readonly next?: string;
  /** How many items remain after this page, where known. */
  readonly remaining?: number;
}

/** Fails with Conflict when the object is not the one meant. */
export interface Precondition {
  readonly uid?: string;
  readonly resourceVersion?: string;
}

export interface DeleteOptions extends Precondition {
  /** Background (the default): dependants go when the owner is gone. Orphan: they stay, without this owner. */
  readonly propagation?: "Background" | "Foreground" | "Orphan";
}

export interface ResourceStore {
  /** The object, or undefined when there is none. */
  get<R extends Resource>(kind: Kind<R>, key: Key, signal?: AbortSignal): Promise<R | undefined>;
  list<R extends Resource>(kind: Kind<R>, options?: ListOptions, signal?: AbortSignal): Promise<List<R>>;
  /** Creates and returns what was stored. AlreadyExists (R1), Invalid (R13). generateName is honoured when name is absent. */
  create<R extends Resource>(kind: Kind<R>, draft: Draft<R>): Promise<R>;
  /** Writes everything but status. Conflict, NotFound (R2), Invalid (R13). */
  update<R extends Resource>(kind: Kind<R>, object: R): Promise<R>;
  /** Writes status and nothing else. Conflict, NotFound (R2). */
  updateStatus<R extends Resource>(kind: Kind<R>, object: R): Promise<R>;
  /** Asks for deletion. NotFound when there is none, Conflict when a precondition fails. Returns the object if it still exists. */
  delete<R extends Resource>(kind: Kind<R>, key: Key, options?: DeleteOptions): Promise<R | undefined>;
  /**
   * Follows a kind from `after` (a revision of `list` or of an event) until the signal aborts, which ends the iteration quietly.
   * Throws Gone (R10) or Unavailable when the line breaks: list again, or resume from the last event's revision.
   */
  watch<R extends Resource>(
    kind: Kind<R>,
    options: { readonly after: Revision; readonly namespace?: string; readonly labels?: LabelSelector },
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent<R>>;
}

/** What only a store behind an API server can do. */
export interface ServerSide {
  /**
   * Server-side apply: what the draft says is so afterwards, and what the same manager said before and leaves out now is gone. Takes
   * fields over from other managers. The same again changes nothing.
   */
  apply<R extends Resource>(kind: Kind<R>, draft: Draft<R>, manager: string): Promise<R>;
  /** What `create` would answer, by schema and webhooks; nothing is stored. */
  tryCreate<R extends Resource>(kind: Kind<R>, draft: Draft<R>, signal?: AbortSignal): Promise<R>;
}

/** The store's abilities as a server's; undefined for one that has none. */
export function serverSideOf(store: ResourceStore): ServerSide | undefined {
  const { apply, tryCreate } = store as Partial<ServerSide>;
  return apply && tryCreate ? (store as ResourceStore & ServerSide) : undefined;
}

/** A store that owns what it stores, and must be closed. */
export interface OwnedStore extends ResourceStore {
  /** Ends watches and background work, then closes what lies below. Writes under way finish first. Twice is once. */
  close(): Promise<void>;
}
