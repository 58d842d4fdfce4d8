// What can be written once over any ResourceStore.
import { linkAbort } from "../abort.ts";
import { Fault, isFault } from "../fault.ts";
import { copyJson, sameJson } from "../resource/json.ts";
import type { Kind } from "../resource/kind.ts";
import {
  hasFinalizer,
  isDeleting,
  keyOf,
  keyText,
  type Draft,
  type Key,
  type ObjectMeta,
  type OwnerReference,
  type Resource,
} from "../resource/meta.ts";
import { sleep, type Clock } from "../time/clock.ts";
import { mergePatch } from "./serve/patch.ts";
import type { DeleteOptions, List, ListOptions, ResourceStore } from "./store.ts";

/** How often a write is tried again after somebody else was faster, before Conflict goes to the caller. */
const conflictTries = 100;

/** Changes the object it is given, or returns another in its place. May be called several times, each time with a fresh object. */
export type Edit<R extends Resource> = (object: R) => R | void;

/**
 * Reads, changes and writes an object (all but status), again from the start whenever somebody else was faster. Writes nothing
 * where nothing changes. NotFound when there is no such object; Conflict only after many tries.
 */
export function modify<R extends Resource>(
  store: ResourceStore,
  kind: Kind<R>,
  key: Key,
  edit: Edit<R>,
): Promise<R> {
  return change(store, kind, key, edit, (object) => store.update(kind, object));
}

/** The same for status. */
export function modifyStatus<R extends Resource>(
  store: ResourceStore,
  kind: Kind<R>,
  key: Key,
  edit: Edit<R>,
): Promise<R> {
  return change(store, kind, key, edit, (object) => store.updateStatus(kind, object));
}

async function change<R extends Resource>(
  store: ResourceStore,
  kind: Kind<R>,
  key: Key,
  edit: Edit<R>,
  write: (object: R) => Promise<R>,
): Promise<R> {
  for (let attempt = 1; ; attempt++) {
    const current = await store.get(kind, key);
    if (!current) throw new Fault("NotFound", `${kind.kind} ${keyText(key)} does not exist`);
    const copy = copyJson(current);
    const next = edit(copy) ?? copy;
    if (sameJson(next, current)) return current;
    try {
      return await write(next);
    } catch (error) {
      if (!isFault(error, "Conflict") || attempt >= conflictTries) throw error;
    }
  }
}

/**
 * Brings an object to say what the draft says: creates it where there is none, else merges the draft into it (as RFC 7396 merges:
 * members the draft does not mention stay, null removes one, lists are replaced; owners and finalizers are added). Status is left
 * alone. Twice is once.
 */
export async function applyObject<R extends Resource>(
  store: ResourceStore,
  kind: Kind<R>,
  draft: Draft<R>,
): Promise<R> {
  const { name, namespace } = draft.metadata;
  if (!name) throw new Fault("Invalid", `a ${kind.kind} without a name cannot be applied`);
  const key = namespace ? { namespace, name } : { name };
  for (let attempt = 1; ; attempt++) {
    try {
      if (await store.get(kind, key))
        return await modify(store, kind, key, (object) => merged(object, draft));
      return await store.create(kind, draft);
    } catch (error) {
      const raced = isFault(error, "AlreadyExists", "NotFound"); // made, or gone, between our two steps
      if (!raced || attempt >= conflictTries) throw error;
    }
  }
}

function merged<R extends Resource>(object: R, draft: Draft<R>): R {
  const { metadata, apiVersion: _a, kind: _k, ...content } = draft as Draft<Resource> & { status?: unknown };
  delete content.status;
  return {
    ...(mergePatch(object, copyJson(content)) as R),
    metadata: mergedMetadata(object.metadata, metadata),
  };
}

function mergedMetadata(have: ObjectMeta, want: Partial<ObjectMeta>): ObjectMeta {
  const next = { ...have };
  if (want.labels) next.labels = mergePatch(have.labels, want.labels) as Record<string, string>;
  if (want.annotations) {
    next.annotations = mergePatch(have.annotations, want.annotations) as Record<string, string>;
  }
  if (want.finalizers) next.finalizers = [...new Set([...(have.finalizers ?? []), ...want.finalizers])];
  if (want.ownerReferences) next.ownerReferences = mergedOwners(have.ownerReferences, want.ownerReferences);
  return next;
}

function mergedOwners(have: OwnerReference[] = [], want: readonly OwnerReference[]): OwnerReference[] {
  const others = have.filter(({ uid }) => !want.some((each) => each.uid === uid));
  return [...others, ...want];
}

export interface WaitOptions {
  readonly clock: Clock;
  /** TimedOut after this. Absent: waits for ever. */
  readonly timeoutMs?: number;
  /** Cancelled when it aborts. */
  readonly signal?: AbortSignal;
  /** What is waited for, for the message: "to be Ready". */
  readonly until?: string;
}

/** How long to wait before listing again after the line broke. */
const relistMs = 250;

/**
 * Waits until `predicate` holds for the object (undefined: there is none), and returns it as it was then. Looks at once, then at
 * every change; survives broken watches.
 */
export async function waitFor<R extends Resource>(
  store: ResourceStore,
  kind: Kind<R>,
  key: Key,
  predicate: (object: R | undefined) => boolean,
  options: WaitOptions,
): Promise<R | undefined> {
  const { clock, timeoutMs, signal, until = "to be as wanted" } = options;
  const line = linkAbort(signal);
  const cancel = timeoutMs === undefined ? undefined : clock.after(timeoutMs, line.abort);
  const either = line.signal;
  const doing = `waiting for ${kind.kind} ${keyText(key)} ${until}`;
  try {
    while (!either.aborted) {
      try {
        const found = await watchFor(store, kind, key, predicate, either);
        if (found) return found.object;
      } catch (error) {
        if (either.aborted) break;
        if (!isFault(error, "Gone", "Unavailable", "TimedOut", "Busy")) throw error;
        if (!isFault(error, "Gone")) await sleep(clock, relistMs, either).catch(() => {});
      }
    }
  } finally {
    cancel?.();
    line.abort();
  }
  if (signal?.aborted) throw new Fault("Cancelled", `${doing} was cancelled`);
  throw new Fault("TimedOut", `${doing}: not after ${timeoutMs} ms`);
}

async function watchFor<R extends Resource>(
  store: ResourceStore,
  kind: Kind<R>,
  key: Key,
  predicate: (object: R | undefined) => boolean,
  signal: AbortSignal,
): Promise<{ object: R | undefined } | undefined> {
  const scope = key.namespace ? { namespace: key.namespace } : {};
  const { items, revision } = await store.list(kind, { ...scope, name: key.name }, signal);
  if (predicate(items[0])) return { object: items[0] };
  for await (const event of store.watch(kind, { after: revision, ...scope }, signal)) {
    if (event.type === "Bookmark" || event.object.metadata.name !== key.name) continue;
    const object = event.type === "Deleted" ? undefined : event.object;
    if (predicate(object)) return { object };
  }
  return undefined;
}

/** Adds the finalizer unless it is there or the object is being deleted, and returns the object as it then is. */
export async function ensureFinalizer<R extends Resource>(
  store: ResourceStore,
  kind: Kind<R>,
  object: R,
  finalizer: string,
): Promise<R> {
  if (hasFinalizer(object, finalizer) || isDeleting(object)) return object;
  return modify(store, kind, keyOf(object), (fresh) => {
    if (hasFinalizer(fresh, finalizer) || isDeleting(fresh)) return;
    fresh.metadata.finalizers = [...(fresh.metadata.finalizers ?? []), finalizer];
  });
}

/** Takes the finalizer away. Done already, or the object is gone: nothing happens. Undefined where there was no object. */
export async function removeFinalizer<R extends Resource>(
  store: ResourceStore,
  kind: Kind<R>,
  key: Key,
  finalizer: string,
): Promise<R | undefined> {
  try {
    return await modify(store, kind, key, (object) => {
      const others = object.metadata.finalizers?.filter((each) => each !== finalizer) ?? [];
      if (others.length > 0) object.metadata.finalizers = others;
      else delete object.metadata.finalizers;
    });
  } catch (error) {
    if (isFault(error, "NotFound")) return undefined;
    throw error;
  }
}

/** Asks for deletion where there is something to delete. Returns the object if it still exists. */
export async function deleteIfExists<R extends Resource>(
  store: ResourceStore,
  kind: Kind<R>,
  key: Key,
  options: DeleteOptions = {},
): Promise<R | undefined> {
  try {
    return await store.delete(kind, key, options);
  } catch (error) {
    if (isFault(error, "NotFound")) return undefined;
    throw error;
  }
}

/** Everything that matches, read in pages of `limit` (500 unless told), as it was at one revision. Starts anew when that is Gone. */
export async function listAll<R extends Resource>(
  store: ResourceStore,
  kind: Kind<R>,
  options: Omit<ListOptions, "next"> = {},
  signal?: AbortSignal,
): Promise<List<R>> {
  for (let attempt = 1; ; attempt++) {
    try {
      const items: R[] = [];
      let next: string | undefined;
      for (;;) {
        const page = await store.list(kind, { limit: 500, ...options, ...(next ? { next } : {}) }, signal);
        items.push(...page.items);
        if (!page.next) return { items, revision: page.revision };
        next = page.next;
      }
    } catch (error) {
      if (!isFault(error, "Gone") || attempt >= 3) throw error;
    }
  }
}
