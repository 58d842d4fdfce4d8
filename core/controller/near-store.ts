// A store that answers `get` from local copies, and from one's own writes until the copies show them. For rounds whose reads may lag
// a little, as their writes carry the revision they saw; everything else goes to the store itself.
//
//   A1. Whoever wrote reads what was written, or something later: never what was there before.
//   A2. A write that was refused, or whose answer never came, makes the next read of that object go to the store.
//   A3. Kinds that nobody follows, and kinds not listed yet, are read from the store.
import { isFault } from "../fault.ts";
import { apiVersionOf, type Kind } from "../resource/kind.ts";
import { isDeleting, keyOf, keyText, type Key, type Resource } from "../resource/meta.ts";
import type { ResourceStore } from "../store/store.ts";
import type { Informer } from "./informer.ts";

export interface NearStore extends ResourceStore {
  /** Answers for this kind from its local copy from now on. Once per kind; again is nothing. */
  follow<R extends Resource>(kind: Kind<R>, informer: Informer<R>): void;
}

export function nearStore(store: ResourceStore): NearStore {
  const copies = new Map<string, Copy>();
  const copyOf = (kind: Kind) => copies.get(idOf(kind));

  async function writing<R extends Resource>(
    kind: Kind<R>,
    key: Key | undefined,
    write: () => Promise<R>,
  ): Promise<R> {
    const copy = copyOf(kind as unknown as Kind);
    try {
      const written = await write();
      copy?.wrote(keyOf(written), written);
      return written;
    } catch (error) {
      if (key && !isFault(error, "Invalid", "Forbidden")) copy?.doubt(key); // A2
      throw error;
    }
  }

  return {
    async get<R extends Resource>(kind: Kind<R>, key: Key, signal?: AbortSignal): Promise<R | undefined> {
      const copy = copyOf(kind as unknown as Kind);
      const known = copy?.read(key);
      if (known) return known.object as R | undefined;
      const found = await store.get(kind, key, signal);
      copy?.looked(key, found);
      return found;
    },
    list: (kind, options, signal) => store.list(kind, options, signal),
    create(kind, draft) {
      const { name, namespace } = draft.metadata;
      const key = name ? { name, ...(namespace ? { namespace } : {}) } : undefined;
      return writing(kind, key, () => store.create(kind, draft));
    },
    update: (kind, object) => writing(kind, keyOf(object), () => store.update(kind, object)),
    updateStatus: (kind, object) => writing(kind, keyOf(object), () => store.updateStatus(kind, object)),
    async delete(kind, key, options) {
      const copy = copyOf(kind as unknown as Kind);
      try {
        const left = await store.delete(kind, key, options);
        if (left) copy?.wrote(key, left);
        else copy?.removed(key);
        return left;
      } catch (error) {
        copy?.doubt(key);
        throw error;
      }
    },
    watch: (kind, options, signal) => store.watch(kind, options, signal),
    follow(kind, informer) {
      const id = idOf(kind as unknown as Kind);
      if (!copies.has(id)) copies.set(id, new Copy(informer as unknown as Informer));
    },
  };
}

function idOf(kind: Kind): string {
  return `${apiVersionOf(kind)} ${kind.plural}`;
}

/** What we know better than the local copy: undefined object means gone. */
interface Own {
  readonly object: Resource | undefined;
  readonly uid: string;
  /** Undefined where the store told none: then only the object's end, or another of its name, ends what we know. */
  readonly revision: bigint | undefined;
}

class Copy {
  readonly #informer: Informer;
  readonly #own = new Map<string, Own>();
  readonly #doubted = new Set<string>();
  /** The latest revision that the local copy has heard of; changes come in order. */
  #heard = -1n;

  constructor(informer: Informer) {
    this.#informer = informer;
    informer.subscribe(({ type, object }) => {
      const key = keyText(keyOf(object));
      const revision = numberOf(object.metadata.resourceVersion);
      if (revision !== undefined && revision > this.#heard) this.#heard = revision;
      const own = this.#own.get(key);
      if (!own) return;
      const isSame = own.uid === object.metadata.uid;
      const isOver = own.object
        ? this.#isHeard(own) || (type === "Deleted" && isSame)
        : (type === "Deleted") === isSame; // gone: the end of it, or another of its name
      if (isOver) this.#own.delete(key);
    });
  }

  /** The object as far as we know it; undefined: ask the store. */
  read(key: Key): { readonly object: Resource | undefined } | undefined {
    const text = keyText(key);
    if (!this.#informer.isSynced || this.#doubted.has(text)) return undefined;
    const own = this.#own.get(text);
    if (own && !this.#isHeard(own)) return { object: own.object };
    if (own) this.#own.delete(text);
    return { object: this.#informer.get(key) };
  }

  wrote(key: Key, object: Resource): void {
    const isGone = isDeleting(object) && (object.metadata.finalizers ?? []).length === 0;
    if (isGone) return this.removed(key);
    const revision = numberOf(object.metadata.resourceVersion);
    const text = keyText(key);
    if (revision === undefined) this.#doubted.add(text);
    else if (revision > this.#heard) this.#own.set(text, { object, uid: object.metadata.uid, revision });
  }

  /** It is gone. The local copy may yet show it, or may not even have heard of its beginning. */
  removed(key: Key): void {
    const text = keyText(key);
    const uid = this.#own.get(text)?.uid ?? this.#informer.get(key)?.metadata.uid;
    if (uid !== undefined) this.#own.set(text, { object: undefined, uid, revision: undefined });
  }

  /** The store's own answer. */
  looked(key: Key, object: Resource | undefined): void {
    this.#doubted.delete(keyText(key));
    if (object) this.wrote(key, object);
    else this.removed(key);
  }

  doubt(key: Key): void {
    this.#doubted.add(keyText(key));
  }

  #isHeard({ revision }: Own): boolean {
    return revision !== undefined && revision <= this.#heard;
  }
}

/** Revisions of Kubernetes and of our stores are whole numbers that grow; undefined for any other. */
function numberOf(revision: string): bigint | undefined {
  return /^\d+$/.test(revision) ? BigInt(revision) : undefined;
}
