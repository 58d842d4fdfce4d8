// Writes that may be repeated; an object that is gone meanwhile is no error here.
import {
  copyJson,
  isFault,
  keyOf,
  modify,
  modifyStatus,
  ownerReference,
  sameJson,
  type Draft,
  type Key,
  type Kind,
  type Resource,
  type ResourceStore,
} from "#core";

type Change<R> = (object: R) => void;

/**
 * Changes everything but status. Undefined when the object is gone. Writes nothing when nothing changes; where the object as the
 * caller saw it is given, nothing is even read then: whatever happened since brings another round.
 */
export function edit<R extends Resource>(
  store: ResourceStore,
  kind: Kind<R>,
  target: Key | R,
  change: Change<R>,
): Promise<R | undefined> {
  return editWith(modify, store, kind, target, change);
}

/** The same for status. */
export function editStatus<R extends Resource>(
  store: ResourceStore,
  kind: Kind<R>,
  target: Key | R,
  change: Change<R>,
): Promise<R | undefined> {
  return editWith(modifyStatus, store, kind, target, change);
}

/** What this process last wrote of an object that a round began with: a round sees its own writes. */
const newest = new WeakMap<Resource, Resource>();

async function editWith<R extends Resource>(
  write: typeof modify | typeof modifyStatus,
  store: ResourceStore,
  kind: Kind<R>,
  target: Key | R,
  change: Change<R>,
): Promise<R | undefined> {
  if ("metadata" in target) {
    const known = (newest.get(target) as R | undefined) ?? target;
    const copy = copyJson(known);
    change(copy);
    if (sameJson(copyJson(copy), known)) return known;
  }
  try {
    const key = "metadata" in target ? keyOf(target) : target;
    const written = await write(store, kind, key, (object) => void change(object));
    if ("metadata" in target) newest.set(target, written);
    return written;
  } catch (error) {
    if (isFault(error, "NotFound")) return undefined;
    throw error;
  }
}

/** Creates, or gives what is there already under that name. */
export async function ensure<R extends Resource>(
  store: ResourceStore,
  kind: Kind<R>,
  draft: Draft<R>,
): Promise<R> {
  const { name = "", namespace } = draft.metadata;
  const key = namespace ? { namespace, name } : { name };
  const have = await store.get(kind, key);
  if (have) return have;
  try {
    return await store.create(kind, draft);
  } catch (error) {
    if (!isFault(error, "AlreadyExists")) throw error;
    const other = await store.get(kind, key);
    if (!other) throw error;
    return other;
  }
}

/** Asks for deletion once; an object that is gone already is fine. */
export async function remove<R extends Resource>(
  store: ResourceStore,
  kind: Kind<R>,
  object: R,
): Promise<void> {
  if (object.metadata.deletionTimestamp) return;
  const { name, namespace, uid } = object.metadata;
  await store.delete(kind, namespace ? { namespace, name } : { name }, { uid }).catch((error: unknown) => {
    if (!isFault(error, "NotFound", "Conflict")) throw error;
  });
}

export function addFinalizer(object: Resource, finalizer: string): void {
  const have = object.metadata.finalizers ?? [];
  if (have.includes(finalizer) || object.metadata.deletionTimestamp) return;
  object.metadata.finalizers = [...have, finalizer];
}

export function dropFinalizer(object: Resource, finalizer: string): void {
  const left = (object.metadata.finalizers ?? []).filter((f) => f !== finalizer);
  if (left.length > 0) object.metadata.finalizers = left;
  else delete object.metadata.finalizers;
}

/** Makes `owner` an owner, in place of an older reference to the same kind and name. */
export function addOwner(
  object: Resource,
  kind: Kind,
  owner: Resource,
  options: { readonly controller?: boolean; readonly blockOwnerDeletion?: boolean } = {},
): void {
  const reference = ownerReference(kind, owner, options);
  const have = object.metadata.ownerReferences ?? [];
  const at = have.findIndex((ref) => ref.kind === reference.kind && ref.name === reference.name);
  object.metadata.ownerReferences = at < 0 ? [...have, reference] : have.with(at, reference);
}

export function addLabels(object: Resource, labels: Readonly<Record<string, string>>): void {
  object.metadata.labels = { ...object.metadata.labels, ...labels };
}
