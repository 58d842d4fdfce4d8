// What is special about Namespace objects (core group): one that is being deleted stays until it is empty. As in Kubernetes, that
// is a finalizer of its own, in spec, which only the store's collector takes away.
import type { Resource } from "../resource/meta.ts";
import type { Place } from "./rows.ts";

const finalizer = "kubernetes";

export const namespaceResource = "namespaces";

export function isNamespace(place: Pick<Place, "resource">): boolean {
  return place.resource === namespaceResource;
}

/** The place of the Namespace object that a namespaced place is in. */
export function namespaceOf(place: Place): Place {
  return { resource: namespaceResource, namespace: "", name: place.namespace };
}

/** A new Namespace as the store keeps it. Pure. */
export function openNamespace(object: Resource): Resource {
  const labels = { ...object.metadata.labels, "kubernetes.io/metadata.name": object.metadata.name };
  return {
    ...object,
    metadata: { ...object.metadata, labels },
    spec: { ...(object.spec as object | undefined), finalizers: [finalizer] },
    status: { phase: "Active" },
  };
}

/** The Namespace while what is in it goes. Pure. */
export function closingNamespace(object: Resource): Resource {
  return { ...object, status: { ...(object.status as object | undefined), phase: "Terminating" } };
}

/** The Namespace once nothing is in it. Pure. */
export function emptyNamespace(object: Resource): Resource {
  const { finalizers: _, ...spec } = (object.spec ?? {}) as { finalizers?: unknown };
  return { ...object, spec };
}

/** Whether something may still be in it. */
export function isHeldOpen(object: Resource): boolean {
  return ((object.spec ?? {}) as { finalizers?: string[] }).finalizers?.includes(finalizer) ?? false;
}
