import { keyOf, keyText, type Key, type Resource } from "../resource/meta.ts";
import { matches, type LabelSelector } from "../resource/selector.ts";

/** What happened to one object. `old` is what the cache held before. */
export type Change<R extends Resource = Resource> =
  | { readonly type: "Added"; readonly object: R }
  | { readonly type: "Modified"; readonly object: R; readonly old: R }
  | { readonly type: "Deleted"; readonly object: R };

/** Reads from a local copy. Objects are shared: never write to them. */
export interface Lister<R extends Resource = Resource> {
  get(key: Key): R | undefined;
  list(where?: { readonly namespace?: string; readonly labels?: LabelSelector }): R[];
  /** The objects for which the named index gave this value. An index nobody declared gives nothing. */
  by(index: string, value: string): R[];
  readonly size: number;
}

/** Values under which an object can be found. */
export type Index<R extends Resource = Resource> = (object: R) => readonly string[];

/** A local copy of a kind's objects, by namespace and by declared indexes. A plain data structure. */
export class ResourceCache<R extends Resource = Resource> implements Lister<R> {
  readonly #objects = new Map<string, R>();
  readonly #namespaces = new Map<string, Map<string, R>>();
  readonly #indexes: readonly (readonly [string, Index<R>])[];
  readonly #indexed = new Map<string, Map<string, R>>();

  constructor(indexes: Readonly<Record<string, Index<R>>> = {}) {
    this.#indexes = Object.entries(indexes);
  }

  get size(): number {
    return this.#objects.size;
  }

  get(key: Key): R | undefined {
    return this.#objects.get(keyText(key));
  }

  list(where: { readonly namespace?: string; readonly labels?: LabelSelector } = {}): R[] {
    const from = where.namespace === undefined ? this.#objects : this.#namespaces.get(where.namespace);
    const all = [...(from?.values() ?? [])];
    const { labels } = where;
    return labels ? all.filter((object) => matches(labels, object.metadata.labels)) : all;
  }

  by(index: string, value: string): R[] {
    return [...(this.#indexed.get(`${index}\0${value}`)?.values() ?? [])];
  }

  /** Takes in an object. Undefined when the cache already holds this very version. */
  put(object: R): Change<R> | undefined {
    const key = keyOf(object);
    const old = this.get(key);
    if (old && sameVersion(old, object)) return undefined;
    if (old) this.#drop(key, old);
    const text = keyText(key);
    this.#objects.set(text, object);
    bucket(this.#namespaces, key.namespace ?? "").set(text, object);
    for (const place of this.#places(object)) bucket(this.#indexed, place).set(text, object);
    // `old` may be another object of the same name, whose deletion was missed: listeners compare the uids if they care.
    return old ? { type: "Modified", object, old } : { type: "Added", object };
  }

  /** Lets an object go; `last` is how it last was. Undefined when the cache holds none. */
  remove(last: R): Change<R> | undefined {
    const key = keyOf(last);
    const old = this.get(key);
    if (!old) return undefined;
    this.#drop(key, old);
    return { type: "Deleted", object: last };
  }

  /** Makes the cache hold exactly these objects, and says what changed. */
  replace(objects: readonly R[]): Change<R>[] {
    const changes: Change<R>[] = [];
    const kept = new Set(objects.map((object) => keyText(keyOf(object))));
    for (const [text, object] of [...this.#objects]) {
      if (kept.has(text)) continue;
      this.#drop(keyOf(object), object);
      changes.push({ type: "Deleted", object });
    }
    for (const object of objects) {
      const change = this.put(object);
      if (change) changes.push(change);
    }
    return changes;
  }

  #drop(key: Key, object: R): void {
    const text = keyText(key);
    this.#objects.delete(text);
    unbucket(this.#namespaces, key.namespace ?? "", text);
    for (const place of this.#places(object)) unbucket(this.#indexed, place, text);
  }

  #places(object: R): string[] {
    return this.#indexes.flatMap(([name, index]) => index(object).map((value) => `${name}\0${value}`));
  }
}

function sameVersion(a: Resource, b: Resource): boolean {
  return a.metadata.uid === b.metadata.uid && a.metadata.resourceVersion === b.metadata.resourceVersion;
}

function bucket<R>(map: Map<string, Map<string, R>>, at: string): Map<string, R> {
  let found = map.get(at);
  if (!found) map.set(at, (found = new Map()));
  return found;
}

function unbucket<R>(map: Map<string, Map<string, R>>, at: string, key: string): void {
  const found = map.get(at);
  found?.delete(key);
  if (found?.size === 0) map.delete(at);
}
