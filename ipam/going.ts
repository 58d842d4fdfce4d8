// How claims and IPAddresses of both providers' kinds go: marked deleted first, then without our finalizer. Whoever dies in between
// leaves an object that is going, not one that nobody knows.
import {
  deleteIfExists,
  hasFinalizer,
  isDeleting,
  isFault,
  keyOf,
  modify,
  type Kind,
  type Resource,
  type ResourceStore,
} from "#core";

/** Whether this is the claim of that uid, and not let go yet: our finalizer holds it. Once false it stays false. Pure. */
export function countsBy(finalizer: string, claim: Resource | undefined, uid: string): boolean {
  return claim?.metadata.uid === uid && (hasFinalizer(claim, finalizer) || !isDeleting(claim));
}

/** Deletes this very object, which a finalizer survives. False where another has its name by now. */
export async function condemn<R extends Resource>(
  store: ResourceStore,
  kind: Kind<R>,
  object: R,
): Promise<boolean> {
  try {
    await deleteIfExists(store, kind, keyOf(object), { uid: object.metadata.uid });
    return true;
  } catch (error) {
    if (!isFault(error, "Conflict")) throw error;
    return false;
  }
}

/** Takes the finalizer off this very object: another of its name keeps its own. Gone already: nothing happens. */
export async function unprotect<R extends Resource>(
  store: ResourceStore,
  kind: Kind<R>,
  object: R,
  finalizer: string,
): Promise<void> {
  const { uid } = object.metadata;
  try {
    await modify(store, kind, keyOf(object), ({ metadata }) => {
      if (metadata.uid !== uid) return;
      const others = metadata.finalizers?.filter((each) => each !== finalizer) ?? [];
      if (others.length > 0) metadata.finalizers = others;
      else delete metadata.finalizers;
    });
  } catch (error) {
    if (!isFault(error, "NotFound")) throw error;
  }
}

/** Both. */
export async function release<R extends Resource>(
  store: ResourceStore,
  kind: Kind<R>,
  object: R,
  finalizer: string,
): Promise<void> {
  if (await condemn(store, kind, object)) await unprotect(store, kind, object, finalizer);
}
