// A local copy of a kind that follows the store: list, watch, resume, and list again when the store forgot.
//
//   I1. Listeners hear of every object and of every later state of the world; states between two reads may be skipped.
//   I2. Nothing the store throws ends an informer; only its signal does, and then at once, even if the store hangs.
//   I3. After a broken watch it resumes where it was. Gone, or several breaks in a row, means: list again.
//   I4. What vanished while nobody watched is told as Deleted after the next list.
//   I5. Tries grow apart with jitter, so that a store that comes back is not met by everybody at once.
import { setMaxListeners } from "node:events";
import { Fault } from "../fault.ts";
import type { Logger } from "../log.ts";
import { apiVersionOf, type Kind } from "../resource/kind.ts";
import type { Key, Resource } from "../resource/meta.ts";
import type { LabelSelector } from "../resource/selector.ts";
import type { ListOptions, ResourceStore, Revision, WatchEvent } from "../store/store.ts";
import { backoffDelay, type BackoffOptions } from "../time/backoff.ts";
import { sleep, type Clock } from "../time/clock.ts";
import { ResourceCache, type Change, type Index, type Lister } from "./cache.ts";
import { troubleLevel } from "./trouble.ts";

export interface InformerDeps {
  readonly store: ResourceStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
}

export interface InformerOptions<R extends Resource = Resource> {
  readonly kind: Kind<R>;
  /** Only this namespace. */
  readonly namespace?: string;
  readonly labels?: LabelSelector;
  readonly indexes?: Readonly<Record<string, Index<R>>>;
  /** Objects asked for at once; 500 unless told. */
  readonly pageSize?: number;
  /** Between tries; 100 ms doubling to 30 s unless told. */
  readonly backoff?: BackoffOptions;
}

export type ChangeListener<R extends Resource = Resource> = (change: Change<R>) => void;

export interface Informer<R extends Resource = Resource> extends Lister<R> {
  /** Resolves when the first list is in the cache; rejects with Cancelled when the informer is ended before. */
  readonly synced: Promise<void>;
  readonly isSynced: boolean;
  /** Resolves when the informer has ended. */
  readonly stopped: Promise<void>;
  /** Calls back for what the cache holds (as Added), then for each change. Returns the way to stop. */
  subscribe(listener: ChangeListener<R>): () => void;
}

const defaultBackoff: BackoffOptions = { baseMs: 100, capMs: 30_000, jitter: 0.5 };
/** Breaks in a row after which the revision itself is suspected (I3): a store restored from a copy may not know it. */
const breaksBeforeList = 5;
/** A watch that held this long was a good one: its end is no sign of trouble. */
const goodWatchMs = 5_000;

/** Starts an informer; it runs until the signal aborts. */
export function startInformer<R extends Resource>(
  deps: InformerDeps,
  options: InformerOptions<R>,
  signal: AbortSignal,
): Informer<R> {
  return new StoreInformer(deps, options, signal);
}

class StoreInformer<R extends Resource> implements Informer<R> {
  readonly synced: Promise<void>;
  readonly stopped: Promise<void>;
  isSynced = false;
  readonly #deps: InformerDeps;
  readonly #options: InformerOptions<R>;
  readonly #signal: AbortSignal;
  readonly #cache: ResourceCache<R>;
  readonly #listeners = new Set<ChangeListener<R>>();
  #markSynced: () => void = () => {};

  constructor(deps: InformerDeps, options: InformerOptions<R>, signal: AbortSignal) {
    this.#deps = {
      ...deps,
      log: deps.log.child({ kind: options.kind.kind, apiVersion: apiVersionOf(options.kind) }),
    };
    this.#options = options;
    this.#signal = ownSignal(signal);
    this.#cache = new ResourceCache(options.indexes);
    const firstList = new Promise<void>((resolve) => (this.#markSynced = resolve));
    this.stopped = this.#run();
    this.synced = Promise.race([firstList, this.stopped]).then(() => {
      if (!this.isSynced) throw new Fault("Cancelled", `listing ${options.kind.plural} was cancelled`);
    });
    this.synced.catch(() => {}); // whoever cares awaits it
  }

  get size(): number {
    return this.#cache.size;
  }

  get(key: Key): R | undefined {
    return this.#cache.get(key);
  }

  list(where?: { readonly namespace?: string; readonly labels?: LabelSelector }): R[] {
    return this.#cache.list(where);
  }

  by(index: string, value: string): R[] {
    return this.#cache.by(index, value);
  }

  subscribe(listener: ChangeListener<R>): () => void {
    this.#listeners.add(listener);
    for (const object of this.#cache.list()) this.#call(listener, { type: "Added", object });
    return () => void this.#listeners.delete(listener);
  }

  async #run(): Promise<void> {
    const { clock, log, random } = this.#deps;
    let revision: Revision | undefined;
    let breaks = 0;
    let troubleSince = clock.now();
    while (!this.#signal.aborted) {
      let startedAt = clock.now();
      let fault: Fault;
      try {
        if (revision === undefined) {
          revision = await this.#listAll();
          startedAt = clock.now();
        }
        for await (const event of untilAborted(this.#watch(revision), this.#signal)) {
          revision = event.revision;
          breaks = 0;
          if (event.type !== "Bookmark") this.#apply(event);
        }
        fault = new Fault("Unavailable", "the watch ended");
      } catch (error) {
        fault = Fault.from(error);
      }
      if (this.#signal.aborted) return;
      const now = clock.now();
      if (now - startedAt >= goodWatchMs) breaks = 0;
      if (breaks === 0) troubleSince = now;
      breaks++;
      if (fault.code === "Gone" || breaks % breaksBeforeList === 0) revision = undefined; // I3
      const delayMs = backoffDelay(breaks, this.#options.backoff ?? defaultBackoff, random); // I5
      const level = breaks === 1 ? "debug" : troubleLevel(now - troubleSince);
      log[level]("lost touch with the store", { breaks, retryMs: delayMs, error: fault });
      await sleep(clock, delayMs, this.#signal).catch(() => {});
    }
  }

  /** Brings the cache to what the store lists now; returns a revision from which a watch misses nothing. */
  async #listAll(): Promise<Revision> {
    const { kind, namespace, labels, pageSize = 500 } = this.#options;
    const objects: R[] = [];
    let first: Revision | undefined;
    let next: string | undefined;
    do {
      const options: ListOptions = {
        limit: pageSize,
        ...(namespace === undefined ? {} : { namespace }),
        ...(labels === undefined ? {} : { labels }),
        ...(next === undefined ? {} : { next }),
      };
      const page = await orAborted(this.#deps.store.list(kind, options, this.#signal), this.#signal);
      objects.push(...page.items);
      first ??= page.revision; // the earliest page decides: seeing a change twice is harmless, missing it is not
      next = page.next;
    } while (next !== undefined && next !== "");
    const changes = this.#cache.replace(objects); // I4
    if (!this.isSynced) {
      this.isSynced = true;
      this.#markSynced();
    }
    for (const change of changes) this.#tell(change);
    return first;
  }

  #watch(after: Revision): AsyncIterable<WatchEvent<R>> {
    const { kind, namespace, labels } = this.#options;
    const options = {
      after,
      ...(namespace === undefined ? {} : { namespace }),
      ...(labels === undefined ? {} : { labels }),
    };
    return this.#deps.store.watch(kind, options, this.#signal);
  }

  #apply(event: Exclude<WatchEvent<R>, { type: "Bookmark" }>): void {
    const change =
      event.type === "Deleted" ? this.#cache.remove(event.object) : this.#cache.put(event.object);
    if (change) this.#tell(change);
  }

  #tell(change: Change<R>): void {
    for (const listener of [...this.#listeners]) this.#call(listener, change);
  }

  #call(listener: ChangeListener<R>, change: Change<R>): void {
    try {
      listener(change);
    } catch (error) {
      this.#deps.log.error("a listener failed", { error: Fault.from(error) });
    }
  }
}

/** A signal that aborts with the given one, and on which any number may listen without Node suspecting a leak. */
export function ownSignal(signal: AbortSignal): AbortSignal {
  const own = AbortSignal.any([signal]);
  setMaxListeners(0, own);
  return own;
}

/** The promise, or Cancelled as soon as the signal aborts, whatever the promise does (I2). */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = () => reject(new Fault("Cancelled", "waiting was cancelled"));
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

/** The items until the signal aborts; then it ends quietly and at once, whatever the source does (I2). */
async function* untilAborted<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    while (!signal.aborted) {
      const step = await orAborted(iterator.next(), signal).catch((error: unknown) => {
        if (signal.aborted) return undefined;
        throw error;
      });
      if (!step || step.done) return;
      yield step.value;
    }
  } finally {
    // Not awaited: a generator that hangs in `next` would hang here as well.
    void iterator.return?.()?.catch(() => {});
  }
}

/** One informer per kind and namespace, made when first asked for. */
export interface Informers {
  of<R extends Resource>(kind: Kind<R>, namespace?: string): Informer<R>;
  /** Resolves when all made so far have ended. */
  readonly stopped: Promise<unknown>;
}

export function informers(deps: InformerDeps, signal: AbortSignal): Informers {
  const made = new Map<string, Informer>();
  return {
    of<R extends Resource>(kind: Kind<R>, namespace?: string): Informer<R> {
      const id = `${apiVersionOf(kind)} ${kind.plural} ${namespace ?? ""}`;
      let informer = made.get(id);
      if (!informer) {
        const options = namespace === undefined ? { kind } : { kind, namespace };
        informer = startInformer(deps, options, signal) as unknown as Informer;
        made.set(id, informer);
      }
      return informer as unknown as Informer<R>;
    },
    get stopped() {
      return Promise.all([...made.values()].map((informer) => informer.stopped));
    },
  };
}
