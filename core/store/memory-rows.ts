import { Fault } from "../fault.ts";
import type { Resource } from "../resource/meta.ts";
import {
  comparePlaces,
  placeText,
  withRevision,
  type Decide,
  type Logged,
  type PageQuery,
  type Place,
  type Row,
  type Rows,
} from "./rows.ts";

/** Rows in memory: gone with the process. `history` is how many events are remembered; 10,000 unless told. */
export function memoryRows(history = 10_000): Rows {
  return new MemoryRows(history);
}

class MemoryRows implements Rows {
  readonly fresh = false;
  readonly #history: number;
  readonly #rows = new Map<string, Row>();
  /** Rows of each resource in order, made when first asked for. */
  readonly #ordered = new Map<string, Row[]>();
  #log: Logged[] = [];
  #newest = 1;
  #closed = false;
  readonly #listeners = new Set<(change: Logged) => void>();

  constructor(history: number) {
    this.#history = Math.max(history, 1);
  }

  async get(place: Place): Promise<Row | undefined> {
    this.#check();
    return this.#rows.get(placeText(place));
  }

  async page(query: PageQuery): Promise<{ rows: Row[]; revision: number }> {
    this.#check();
    const rows = this.#inOrder(query.resource, query.at);
    const found: Row[] = [];
    for (let i = query.after ? firstAfter(rows, query.after) : 0; i < rows.length; i++) {
      const row = rows[i]!;
      if (query.namespace !== undefined && row.namespace !== query.namespace) continue;
      if (query.name !== undefined && row.name !== query.name) continue;
      if (query.limit !== undefined && found.length >= query.limit) break;
      found.push(row);
    }
    return { rows: found, revision: query.at ?? this.#newest };
  }

  async change(places: readonly [Place, ...Place[]], decide: Decide): Promise<Logged | undefined> {
    this.#check();
    const [place] = places;
    const key = placeText(place);
    const before = this.#rows.get(key);
    const change = decide(places.map((each) => this.#rows.get(placeText(each))));
    if (!change) return undefined;

    const revision = ++this.#newest;
    const row = rowOf(place, withRevision(change.object, revision));
    if (change.type === "Deleted") this.#rows.delete(key);
    else this.#rows.set(key, row);
    const ordered = this.#ordered.get(place.resource);
    if (change.type === "Modified" && ordered) ordered[firstAfter(ordered, place) - 1] = row;
    else this.#ordered.delete(place.resource);
    const logged: Logged = { ...row, type: change.type, ...(before ? { before: before.object } : {}) };
    this.#log.push(logged);
    if (this.#log.length >= this.#history * 2) this.#log = this.#log.slice(-this.#history);
    for (const heard of this.#listeners) heard(logged);
    return logged;
  }

  async events(after: number, limit: number): Promise<{ events: Logged[]; oldest: number; newest: number }> {
    this.#check();
    const oldest = this.#oldest();
    const start = Math.max(after + 1 - oldest, 0);
    const kept = this.#log.slice(-this.#history);
    return { events: kept.slice(start, start + limit), oldest, newest: this.#newest };
  }

  listen(heard: (change: Logged) => void): () => void {
    this.#listeners.add(heard);
    return () => void this.#listeners.delete(heard);
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #check(): void {
    if (this.#closed) throw new Fault("Unavailable", "the store is closed");
  }

  #oldest(): number {
    return this.#newest - Math.min(this.#log.length, this.#history) + 1;
  }

  #inOrder(resource: string | undefined, at: number | undefined): readonly Row[] {
    const now =
      resource === undefined ? [...this.#rows.values()].sort(comparePlaces) : this.#ofResource(resource);
    if (at === undefined || at === this.#newest) return now;
    if (at > this.#newest || at < this.#oldest() - 1) throw forgotten(at);
    const then = new Map<string, Row | undefined>(); // places that changed since, as they were
    for (const event of this.#log) {
      if (event.revision <= at || (resource !== undefined && event.resource !== resource)) continue;
      const key = placeText(event);
      if (!then.has(key)) then.set(key, event.before && rowOf(event, event.before));
    }
    const rows = now.filter((row) => !then.has(placeText(row)));
    for (const row of then.values()) if (row) rows.push(row);
    return rows.sort(comparePlaces);
  }

  #ofResource(resource: string): readonly Row[] {
    let rows = this.#ordered.get(resource);
    if (!rows) {
      rows = [...this.#rows.values()].filter((row) => row.resource === resource).sort(comparePlaces);
      this.#ordered.set(resource, rows);
    }
    return rows;
  }
}

/** The fault for a revision that is no longer remembered (or not yet, or of another history). */
export function forgotten(revision: number): Fault {
  return new Fault("Gone", `revision ${revision} is no longer remembered: list again`);
}

function rowOf({ resource, namespace, name }: Place, object: Resource): Row {
  return { resource, namespace, name, revision: Number(object.metadata.resourceVersion), object };
}

/** Where the rows after this place begin. */
function firstAfter(rows: readonly Row[], place: Place): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (comparePlaces(rows[middle]!, place) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
