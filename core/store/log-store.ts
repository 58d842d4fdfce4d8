// A ResourceStore over rows and their log. What a write makes of an object is decided in decide.ts; here it is carried out,
// listed and followed. Invariants: R1 to R13 in store.ts, L1 to L4 in rows.ts.
import { randomInt, randomUUID } from "node:crypto";
import { Fault, isFault } from "../fault.ts";
import { silentLogger, type Logger } from "../log.ts";
import { copyJson } from "../resource/json.ts";
import { apiVersionOf, groupResource, type Kind } from "../resource/kind.ts";
import type { Draft, Key, Resource } from "../resource/meta.ts";
import { matches, type LabelSelector } from "../resource/selector.ts";
import { timestamp, type Clock } from "../time/clock.ts";
import { collect } from "./collector.ts";
import { admitDraft, decideCreate, decideDelete, decideStatus, decideUpdate, settle } from "./decide.ts";
import { decodeNext, encodeNext } from "./next.ts";
import { namespaceOf } from "./namespaces.ts";
import { forgotten } from "./memory-rows.ts";
import type { Change, Logged, Place, Row, Rows } from "./rows.ts";
import type {
  DeleteOptions,
  List,
  ListOptions,
  OwnedStore,
  Precondition,
  Revision,
  WatchEvent,
} from "./store.ts";
import { Tail } from "./tail.ts";

export interface LogStoreDeps {
  readonly clock: Clock;
  /** Makes uids; random UUIDs unless told. */
  readonly newUid?: () => string;
  /** Makes the five characters after a generateName; random unless told. */
  readonly newSuffix?: () => string;
  /** Refuse to create in namespaces that have no Namespace object. False unless told. */
  readonly requireNamespaces?: boolean;
  readonly log?: Logger;
  /** How often to look for writes of other processes on the same rows, milliseconds; 0: there are none. */
  readonly pollMs?: number;
}

/** A watcher that saw nothing of interest gets a bookmark after so many events of no interest. */
const bookmarkEvery = 64;

/** How often a generated name is tried again when it is taken. */
const nameTries = 8;

/** A store over these rows, which it closes in the end. */
export function logStore(rows: Rows, deps: LogStoreDeps): OwnedStore {
  return new LogStore(rows, deps);
}

class LogStore implements OwnedStore {
  readonly #rows: Rows;
  readonly #deps: LogStoreDeps;
  readonly #tail: Tail;
  readonly #stop = new AbortController();
  readonly #collecting: Promise<void>;
  #closing: Promise<void> | undefined;

  constructor(rows: Rows, deps: LogStoreDeps) {
    this.#rows = rows;
    this.#deps = deps;
    this.#tail = new Tail(rows, deps.clock, deps.pollMs ?? 0);
    const writes = {
      remove: (place: Place, options: DeleteOptions) => this.#remove(place, options),
      edit: (place: Place, only: Precondition, edit: (object: Resource) => Resource) =>
        this.#rows.change([place], ([row]) => {
          if (!row) throw new Fault("NotFound", `${place.name} does not exist`);
          const { uid, resourceVersion } = row.object.metadata;
          const meant =
            (only.uid ?? uid) === uid && (only.resourceVersion ?? resourceVersion) === resourceVersion;
          if (!meant) throw new Fault("Conflict", `${place.name} has changed`);
          return settle(row.object, edit(row.object));
        }),
    };
    this.#collecting = collect(
      { rows, tail: this.#tail, writes, clock: deps.clock, log: deps.log ?? silentLogger },
      this.#stop.signal,
    );
  }

  async get<R extends Resource>(kind: Kind<R>, key: Key, signal?: AbortSignal): Promise<R | undefined> {
    check(signal);
    const row = await this.#rows.get(placeOf(kind, key));
    return row && this.#read(kind, row);
  }

  async list<R extends Resource>(
    kind: Kind<R>,
    options: ListOptions = {},
    signal?: AbortSignal,
  ): Promise<List<R>> {
    const resource = groupResource(kind);
    const { labels = [], name } = options;
    const limit = options.limit && options.limit > 0 ? options.limit : Number.POSITIVE_INFINITY;
    const scope = {
      resource,
      ...(kind.namespaced && options.namespace ? { namespace: options.namespace } : {}),
      ...(name ? { name } : {}),
    };
    let { at, after } = decodeNext(resource, options.next);
    const items: R[] = [];
    let last: Place | undefined;
    for (;;) {
      check(signal);
      const size = limit - items.length + 1; // one more than wanted tells whether there is more
      const page = await this.#rows.page({
        ...scope,
        ...(after ? { after } : {}),
        ...(at === undefined ? {} : { at }),
        ...(Number.isFinite(size) ? { limit: size } : {}),
      });
      at = page.revision;
      for (const row of page.rows) {
        if (items.length >= limit && last) {
          return { items, revision: String(at), next: encodeNext({ at, after: last }) };
        }
        last = row;
        if (matches(labels, row.object.metadata.labels)) items.push(this.#read(kind, row));
      }
      if (page.rows.length < size) return { items, revision: String(at) };
      after = last;
    }
  }

  #read<R extends Resource>(kind: Kind<R>, row: Row): R {
    return this.#rows.fresh ? typed(kind, row.object) : shown(kind, row.object);
  }

  async create<R extends Resource>(kind: Kind<R>, draft: Draft<R>): Promise<R> {
    const { name, generateName } = draft.metadata;
    if (name) return shown(kind, await this.#create(kind, draft, name));
    if (!generateName) {
      const problems = [{ field: "metadata.name", message: "is required (or metadata.generateName)" }];
      throw new Fault("Invalid", `a ${kind.kind} without a name cannot be created`, { problems });
    }
    for (let attempt = 1; ; attempt++) {
      const generated = generateName.slice(0, 58) + (this.#deps.newSuffix ?? randomSuffix)();
      try {
        return shown(kind, await this.#create(kind, draft, generated));
      } catch (error) {
        if (!isFault(error, "AlreadyExists") || attempt >= nameTries) throw error;
      }
    }
  }

  async #create(kind: Kind, draft: Draft<Resource>, name: string): Promise<Resource> {
    const uid = (this.#deps.newUid ?? randomUUID)();
    const object = admitDraft(kind, draft, { name, uid, now: timestamp(this.#deps.clock) });
    const place = placeOf(kind, object.metadata);
    const places: [Place, ...Place[]] = kind.namespaced ? [place, namespaceOf(place)] : [place];
    const options = { requireNamespace: this.#deps.requireNamespaces ?? false };
    const created = await this.#rows.change(places, ([current, namespace]) =>
      decideCreate(kind, object, { current: current?.object, namespace: namespace?.object }, options),
    );
    return (created as Logged).object;
  }

  async update<R extends Resource>(kind: Kind<R>, object: R): Promise<R> {
    const place = placeOf(kind, object.metadata);
    return shown(kind, await this.#write(place, (current) => decideUpdate(kind, object, current)));
  }

  async updateStatus<R extends Resource>(kind: Kind<R>, object: R): Promise<R> {
    const place = placeOf(kind, object.metadata);
    return shown(kind, await this.#write(place, (current) => decideStatus(kind, object, current)));
  }

  /** The object after the change, or as it is where there is none. */
  async #write(
    place: Place,
    decide: (current: Resource | undefined) => Change | undefined,
  ): Promise<Resource> {
    let seen: Row | undefined;
    const logged = await this.#rows.change([place], ([row]) => {
      seen = row;
      return decide(row?.object);
    });
    return (logged ?? (seen as Row)).object;
  }

  async delete<R extends Resource>(
    kind: Kind<R>,
    key: Key,
    options: DeleteOptions = {},
  ): Promise<R | undefined> {
    const left = await this.#remove(placeOf(kind, key), options, kind);
    return left && shown(kind, left);
  }

  async #remove(place: Place, options: DeleteOptions, kind?: Kind): Promise<Resource | undefined> {
    let seen: Row | undefined;
    const logged = await this.#rows.change([place], ([row]) => {
      seen = row;
      const named = kind ?? { kind: row?.object.kind ?? place.resource };
      return decideDelete(named, place, row?.object, options, timestamp(this.#deps.clock));
    });
    if (logged?.type === "Deleted") return undefined;
    return (logged ?? seen)?.object;
  }

  async *watch<R extends Resource>(
    kind: Kind<R>,
    options: { readonly after: Revision; readonly namespace?: string; readonly labels?: LabelSelector },
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent<R>, void, undefined> {
    const resource = groupResource(kind);
    const namespace = kind.namespaced ? options.namespace : undefined;
    const { labels = [] } = options;
    let at = options.after === "" ? await this.#tail.newest() : parseRevision(options.after);
    let passed = 0;
    while (!signal.aborted) {
      for (const event of await this.#tail.read(at, signal)) {
        at = event.revision;
        const here = event.resource === resource && (!namespace || event.namespace === namespace);
        const type = here ? typeFor(event, labels) : undefined;
        if (!type) {
          passed++;
          continue;
        }
        passed = 0;
        yield { type, object: shown(kind, event.object), revision: String(at) };
        if (signal.aborted) return;
      }
      if (passed >= bookmarkEvery && !signal.aborted) {
        passed = 0;
        yield { type: "Bookmark", revision: String(at) };
      }
    }
  }

  close(): Promise<void> {
    return (this.#closing ??= (async () => {
      this.#stop.abort();
      this.#tail.close();
      await this.#collecting;
      await this.#rows.close();
    })());
  }
}

/** What an event is to someone who sees only objects with these labels; undefined where it is nothing. */
function typeFor(event: Logged, labels: LabelSelector): Change["type"] | undefined {
  const before = event.before !== undefined && matches(labels, event.before.metadata.labels);
  const after = event.type !== "Deleted" && matches(labels, event.object.metadata.labels);
  if (after) return before ? "Modified" : "Added";
  return before ? "Deleted" : undefined;
}

function placeOf(kind: Kind, key: Key): Place {
  const { name, namespace } = key;
  if (!name || (kind.namespaced && !namespace)) {
    const field = name ? "metadata.namespace" : "metadata.name";
    throw new Fault(
      "Invalid",
      `a ${kind.kind} is named by its name${kind.namespaced ? " and namespace" : ""}`,
      {
        problems: [{ field, message: "is required" }],
      },
    );
  }
  return { resource: groupResource(kind), namespace: kind.namespaced ? (namespace ?? "") : "", name };
}

/** A copy for the caller, in the version asked for (L4). */
function shown<R extends Resource>(kind: Kind<R>, object: Resource): R {
  return typed(kind, copyJson(object));
}

function typed<R extends Resource>(kind: Kind<R>, object: Resource): R {
  object.apiVersion = apiVersionOf(kind);
  object.kind = kind.kind;
  return object as R;
}

function parseRevision(text: Revision): number {
  const revision = Number(text);
  if (!Number.isSafeInteger(revision) || revision < 0) throw forgotten(revision);
  return revision;
}

function check(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new Fault("Cancelled", "reading the store was cancelled");
}

/** Kubernetes' alphabet for generated names: no vowels, nothing that is read as another. */
function randomSuffix(): string {
  const letters = "bcdfghjklmnpqrstvwxz2456789";
  return Array.from({ length: 5 }, () => letters[randomInt(letters.length)]).join("");
}
