// Writes that may be done any number of times, by any process: the names follow from the inputs, and what is there already stays.
import { isFault, type Draft, type Key, type Kind, type Resource, type ResourceStore } from "#core";
import { includes, overlay } from "#proto/render/shape.ts";

type Named = Draft<Resource>;

function keyOfDraft(draft: Named): Key {
  const { name = "", namespace } = draft.metadata;
  return namespace ? { namespace, name } : { name };
}

/** Creates the object unless one of its name exists; returns what is there. Never changes an existing one. */
export async function ensureExists(store: ResourceStore, kind: Kind, draft: Named): Promise<Resource> {
  try {
    return await store.create(kind, draft);
  } catch (error) {
    if (!isFault(error, "AlreadyExists")) throw error;
    return (await store.get(kind, keyOfDraft(draft))) ?? (await store.create(kind, draft));
  }
}

/** Makes the object hold every field of the draft (spec, data, labels, annotations); fields it does not mention stay. */
export async function ensureHolds(store: ResourceStore, kind: Kind, draft: Named): Promise<Resource> {
  const have = await ensureExists(store, kind, draft);
  const { metadata, status: _, apiVersion: _v, kind: _k, ...body } = draft;
  const wanted = {
    ...body,
    metadata: {
      ...(metadata.labels ? { labels: metadata.labels } : {}),
      ...(metadata.annotations ? { annotations: metadata.annotations } : {}),
    },
  };
  return includes(have, wanted) ? have : store.update(kind, overlay(have, wanted));
}

/** Reads, changes and writes until no other writer came between. `change` returns undefined where nothing is to be done. */
export async function modify<R extends Resource>(
  store: ResourceStore,
  kind: Kind<R>,
  key: Key,
  change: (object: R) => R | undefined,
  part: "spec" | "status" = "spec",
): Promise<R | undefined> {
  for (let tries = 0; ; tries++) {
    const have = await store.get(kind, key);
    const next = have && change(have);
    if (!next) return have;
    try {
      return await (part === "status" ? store.updateStatus(kind, next) : store.update(kind, next));
    } catch (error) {
      if (isFault(error, "NotFound")) return undefined;
      if (!isFault(error, "Conflict") || tries >= 9) throw error;
    }
  }
}

/** Asks for deletion; absent is fine. */
export async function ensureDeleted(store: ResourceStore, kind: Kind, key: Key): Promise<void> {
  try {
    await store.delete(kind, key);
  } catch (error) {
    if (!isFault(error, "NotFound")) throw error;
  }
}

/** Removes an object without letting its controllers act: deletion first, so that none of them puts its finalizer back, then all finalizers. */
export async function ensureForgotten(store: ResourceStore, kind: Kind, object: Resource): Promise<void> {
  const { name, namespace, uid } = object.metadata;
  const key = namespace ? { namespace, name } : { name };
  try {
    const left = await store.delete(kind, key, { uid, propagation: "Orphan" });
    if (!left) return;
  } catch (error) {
    if (isFault(error, "NotFound", "Conflict")) return; // gone, or another object of the same name
    throw error;
  }
  await modify(store, kind, key, (have) =>
    have.metadata.uid === uid && have.metadata.finalizers?.length
      ? { ...have, metadata: { ...have.metadata, finalizers: [] } }
      : undefined,
  );
}
