// Which versions an API server has of the kinds that we know in their newest one, and a store that speaks the older where it must.
// Between v1beta1 and v1beta2 of claims and addresses only the place of conditions differs.
import {
  apiVersionOf,
  isFault,
  type Draft,
  type Kind,
  type OwnerReference,
  type Resource,
  type ResourceStore,
} from "#core";

/** The newest of these versions that the server has; undefined: it does not have the kind at all. */
export async function servedVersion(
  store: ResourceStore,
  kind: Kind,
  versions: readonly string[],
): Promise<string | undefined> {
  for (const version of versions)
    try {
      await store.list({ ...kind, version }, { limit: 1 });
      return version;
    } catch (error) {
      if (!isFault(error, "NotFound")) throw error;
    }
  return undefined;
}

/** Kinds in another version than ours, by group and kind. */
export type OlderVersions = ReadonlyMap<string, string>;

export function versionKey({ group, kind }: Pick<Kind, "group" | "kind">): string {
  return `${group}/${kind}`;
}

/** A store on which our kinds are read and written in the versions that the server has. */
export function speaking(store: ResourceStore, older: OlderVersions): ResourceStore {
  if (older.size === 0) return store;
  const theirs = <R extends Resource>(kind: Kind<R>): Kind<R> => {
    const version = older.get(versionKey(kind));
    return version === undefined ? kind : { ...kind, version };
  };
  const out = <D extends Draft<Resource>>(kind: Kind, draft: D): D => toOlder(older, kind, draft);
  const back = <R extends Resource>(kind: Kind<R>, object: R): R =>
    older.has(versionKey(kind)) ? fromOlder(kind as unknown as Kind, object) : object;
  return {
    async get(kind, key, signal) {
      const found = await store.get(theirs(kind), key, signal);
      return found && back(kind, found);
    },
    async list(kind, options, signal) {
      const page = await store.list(theirs(kind), options, signal);
      return { ...page, items: page.items.map((object) => back(kind, object)) };
    },
    async create(kind, draft) {
      return back(kind, await store.create(theirs(kind), out(kind as unknown as Kind, draft)));
    },
    async update(kind, object) {
      return back(kind, await store.update(theirs(kind), out(kind as unknown as Kind, object)));
    },
    async updateStatus(kind, object) {
      return back(kind, await store.updateStatus(theirs(kind), out(kind as unknown as Kind, object)));
    },
    async delete(kind, key, options) {
      const left = await store.delete(theirs(kind), key, options);
      return left && back(kind, left);
    },
    async *watch(kind, options, signal) {
      for await (const event of store.watch(theirs(kind), options, signal))
        yield event.type === "Bookmark" ? event : { ...event, object: back(kind, event.object) };
    },
  };
}

interface WithConditions {
  conditions?: unknown;
  v1beta2?: { conditions?: unknown };
  deprecated?: { v1beta1?: { conditions?: unknown } };
}

/** v1beta2 to v1beta1: conditions below status.v1beta2, the old ones in their place; owners in the versions that the server has. */
function toOlder<D extends Draft<Resource>>(older: OlderVersions, kind: Kind, draft: D): D {
  const owners = draft.metadata.ownerReferences?.map((owner) => ownerToOlder(older, owner));
  const metadata = owners ? { ...draft.metadata, ownerReferences: owners } : draft.metadata;
  const version = older.get(versionKey(kind));
  if (version === undefined) return { ...draft, metadata };
  const { status, ...rest } = draft as D & { status?: WithConditions };
  const apiVersion = apiVersionOf({ ...kind, version });
  if (!status) return { ...rest, metadata, apiVersion } as unknown as D;
  const { conditions, deprecated, ...others } = status;
  const old = deprecated?.v1beta1?.conditions;
  const both = {
    ...others,
    ...(old === undefined ? {} : { conditions: old }),
    ...(conditions === undefined ? {} : { v1beta2: { conditions } }),
  };
  return { ...rest, metadata, apiVersion, status: both } as unknown as D;
}

function ownerToOlder(older: OlderVersions, owner: OwnerReference): OwnerReference {
  const group = owner.apiVersion.slice(0, Math.max(0, owner.apiVersion.indexOf("/")));
  const version = older.get(versionKey({ group, kind: owner.kind }));
  return version === undefined ? owner : { ...owner, apiVersion: `${group}/${version}` };
}

function fromOlder<R extends Resource>(kind: Kind, object: R): R {
  const { status, ...rest } = object as R & { status?: WithConditions };
  const apiVersion = apiVersionOf(kind);
  if (!status) return { ...rest, apiVersion } as unknown as R;
  const { conditions, v1beta2, ...others } = status;
  const newer = {
    ...others,
    ...(v1beta2?.conditions === undefined ? {} : { conditions: v1beta2.conditions }),
    ...(conditions === undefined ? {} : { deprecated: { v1beta1: { conditions } } }),
  };
  return { ...rest, apiVersion, status: newer } as unknown as R;
}

/** A store that sees one namespace only, of kinds that have namespaces. */
export function within(store: ResourceStore, namespace: string | undefined): ResourceStore {
  if (namespace === undefined) return store;
  const scoped = <O extends { readonly namespace?: string }>(kind: Kind, options: O): O =>
    kind.namespaced && options.namespace === undefined ? { ...options, namespace } : options;
  return {
    get: (kind, key, signal) => store.get(kind, key, signal),
    list: (kind, options = {}, signal) => store.list(kind, scoped(kind as unknown as Kind, options), signal),
    create: (kind, draft) => store.create(kind, draft),
    update: (kind, object) => store.update(kind, object),
    updateStatus: (kind, object) => store.updateStatus(kind, object),
    delete: (kind, key, options) => store.delete(kind, key, options),
    watch: (kind, options, signal) => store.watch(kind, scoped(kind as unknown as Kind, options), signal),
  };
}
