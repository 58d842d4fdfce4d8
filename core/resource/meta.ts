// What a thing is: the part of Kubernetes' object model that this product keeps.
// Field names and their meaning follow Kubernetes' API conventions (sig-architecture/api-conventions.md).

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

export interface ObjectMeta {
  name: string;
  namespace?: string;
  /** Made by the store at creation; a new object of the same name has another. */
  uid: string;
  /** Changes with every write; opaque but for equality (and order inside our own stores). */
  resourceVersion: string;
  /** Counts changes of anything outside metadata and status; 1 at creation. */
  generation: number;
  creationTimestamp: string;
  /** Set when deletion was asked for; the object goes when its finalizers are gone. */
  deletionTimestamp?: string;
  deletionGracePeriodSeconds?: number;
  generateName?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
  ownerReferences?: OwnerReference[];
  managedFields?: unknown[];
}

/** Any object. Kinds narrow `spec` and `status`; Secrets and ConfigMaps add fields of their own at the top. */
export interface Resource {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  spec?: unknown;
  status?: unknown;
}

/** An object before the store has seen it: metadata needs a name (or a generateName) and nothing else. */
export type Draft<R extends Resource> = Omit<R, "metadata" | "apiVersion" | "kind"> & {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: Partial<ObjectMeta>;
};

/** Names one object of a kind. Cluster-scoped kinds have no namespace. */
export interface Key {
  readonly namespace?: string;
  readonly name: string;
}

export function keyOf(resource: {
  readonly metadata: { readonly name: string; readonly namespace?: string };
}): Key {
  const { name, namespace } = resource.metadata;
  return namespace ? { namespace, name } : { name };
}

/** "namespace/name", or "name" for cluster-scoped things: for logs, messages and map keys. */
export function keyText(key: Key): string {
  return key.namespace ? `${key.namespace}/${key.name}` : key.name;
}

export function parseKey(text: string): Key {
  const slash = text.indexOf("/");
  return slash < 0 ? { name: text } : { namespace: text.slice(0, slash), name: text.slice(slash + 1) };
}

export function isDeleting(resource: Resource): boolean {
  return resource.metadata.deletionTimestamp !== undefined;
}

export function hasFinalizer(resource: Resource, finalizer: string): boolean {
  return resource.metadata.finalizers?.includes(finalizer) ?? false;
}
