// A store whose whole state is one immutable value: it can be kept, compared, and gone back to at no cost. Its judgement is the real
// stores' (core/store/decide.ts); uids and revisions follow from an object's own history, so that worlds which differ in nothing but the
// order of unrelated writes are the same world. No watch, no garbage collector: a dangling owner stays, and is seen.
import { Fault, groupResource, type Key, type Kind, type Resource, type ResourceStore } from "#core";
import { admitDraft, decideCreate, decideDelete, decideStatus, decideUpdate } from "#core/store/decide.ts";

/** Objects by "kind name", and how many of each name there have been. Never changed once made. */
export interface TinyState {
  readonly objects: ReadonlyMap<string, Resource>;
  readonly births: ReadonlyMap<string, number>;
}

export const noObjects: TinyState = { objects: new Map(), births: new Map() };

const bornAt = "2026-01-01T00:00:00Z";

/** A store over a state that lies elsewhere. */
export function tinyStore(
  side: string,
  held: { get(): TinyState; set(next: TinyState): void },
): Omit<ResourceStore, "watch"> & Pick<ResourceStore, "watch"> {
  const at = (kind: Kind, name: string) => `${kind.kind} ${name}`;
  const bare = (kind: Kind): Kind => {
    const { admit: _, ...rest } = kind;
    return rest;
  };
  const find = <R extends Resource>(kind: Kind<R>, key: Key) =>
    held.get().objects.get(at(kind, key.name)) as R | undefined;

  function put(kind: Kind, before: Resource | undefined, after: Resource): Resource {
    const { objects, births } = held.get();
    const place = at(kind, after.metadata.name);
    const revision = before ? Number(before.metadata.resourceVersion.split(".")[1]) + 1 : 1;
    const birth = births.get(place) ?? 1;
    const stored = freeze({
      ...after,
      metadata: { ...after.metadata, resourceVersion: `${birth}.${revision}` },
    });
    held.set({ objects: new Map(objects).set(place, stored), births });
    return stored;
  }

  function remove(kind: Kind, object: Resource): void {
    const { objects, births } = held.get();
    const left = new Map(objects);
    left.delete(at(kind, object.metadata.name));
    held.set({ objects: left, births });
  }

  type Change = ReturnType<typeof decideUpdate>;
  function apply(kind: Kind, before: Resource, change: Change): Resource {
    if (!change) return before;
    if (change.type !== "Deleted") return put(kind, before, change.object);
    remove(kind, before);
    return change.object;
  }

  const store = {
    get: async <R extends Resource>(kind: Kind<R>, key: Key) => find(kind, key),
    list: async <R extends Resource>(kind: Kind<R>) => ({
      items: [...held.get().objects.values()].filter((object) => object.kind === kind.kind) as R[],
      revision: "",
    }),
    create: async (kind: Kind, draft: never) => {
      const { name = "" } = (draft as { metadata: { name?: string } }).metadata;
      const place = at(kind, name);
      const { objects, births } = held.get();
      const birth = (births.get(place) ?? 0) + 1;
      const uid = `${side}/${place}/${birth}`;
      const object = admitDraft(bare(kind), draft, { name, uid, now: bornAt });
      decideCreate(kind, object, { current: find(kind, { name }) }, { requireNamespace: false });
      held.set({ objects, births: new Map(births).set(place, birth) });
      return put(kind, undefined, object);
    },
    update: async (kind: Kind, object: Resource) => {
      const before = find(kind, object.metadata);
      return apply(kind, before!, decideUpdate(bare(kind), object, before));
    },
    updateStatus: async (kind: Kind, object: Resource) => {
      const before = find(kind, object.metadata);
      return apply(kind, before!, decideStatus(bare(kind), object, before));
    },
    delete: async (kind: Kind, key: Key, options = {}) => {
      const before = find(kind, key);
      const place = { resource: groupResource(kind), namespace: key.namespace ?? "", name: key.name };
      const change = decideDelete(kind, place as never, before, options, bornAt);
      const after = apply(kind, before!, change);
      return change?.type === "Deleted" ? undefined : after;
    },
    watch: () => {
      throw new Fault("Bug", "a tiny store is not watched");
    },
  };
  return store as unknown as ResourceStore;
}

function freeze<T>(value: T): T {
  if (value !== null && typeof value === "object" && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(freeze);
  }
  return value;
}
