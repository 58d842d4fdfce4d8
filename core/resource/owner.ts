import { apiVersionOf, parseApiVersion, type Kind } from "./kind.ts";
import type { OwnerReference, Resource } from "./meta.ts";

/** A reference that makes `owner` an owner: with `controller`, the one that manages the object. */
export function ownerReference(
  kind: Kind,
  owner: Resource,
  options: { readonly controller?: boolean; readonly blockOwnerDeletion?: boolean } = {},
): OwnerReference {
  const { name, uid } = owner.metadata;
  return { apiVersion: apiVersionOf(kind), kind: kind.kind, name, uid, ...options };
}

/** The owner of this group and kind (any version), or undefined. */
export function ownerOf(object: Resource, kind: Pick<Kind, "group" | "kind">): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find(
    (ref) => ref.kind === kind.kind && parseApiVersion(ref.apiVersion).group === kind.group,
  );
}

/** True where `owner` (by uid) is among the owners of `object`. */
export function isOwnedBy(object: Resource, owner: Resource): boolean {
  return object.metadata.ownerReferences?.some((ref) => ref.uid === owner.metadata.uid) ?? false;
}
