// What a backend of the log store must do: keep rows, and number every change of them. Everything that Kubernetes' semantics ask
// for beyond that is in decide.ts and log-store.ts, once.
//
//   L1. Changes are atomic and serial; the n-th change has revision n (the empty store has revision 1), without gaps.
//   L2. Every change leaves an event that holds the object after it and before it. The newest event is never forgotten.
//   L3. A change is heard by listeners after it is durable, in the order of revisions.
//   L4. Objects in rows and events belong to the backend: who hands them out copies them first (unless rows are `fresh`).
import type { Resource } from "../resource/meta.ts";

/** Where an object lives. `resource` is the kind's group resource ("widgets.test.pcg.dev"); namespace "" is cluster scope. */
export interface Place {
  readonly resource: string;
  readonly namespace: string;
  readonly name: string;
}

export interface Row extends Place {
  readonly revision: number;
  /** With metadata.resourceVersion as the revision says. */
  readonly object: Resource;
}

/** What a decision makes of a row: the object after it, or its last state where it goes. */
export interface Change {
  readonly type: "Added" | "Modified" | "Deleted";
  readonly object: Resource;
}

/** A change as the log keeps it. */
export interface Logged extends Row {
  readonly type: Change["type"];
  /** Absent where the object is new. */
  readonly before?: Resource;
}

export interface PageQuery {
  /** Absent: every resource. */
  readonly resource?: string;
  /** Absent: every namespace. */
  readonly namespace?: string;
  readonly name?: string;
  /** Only what comes after this place, in the order of resource, namespace, name. */
  readonly after?: Place;
  readonly limit?: number;
  /** As the rows were at this revision; absent: as they are now. Gone when it is no longer remembered. */
  readonly at?: number;
}

export interface Rows {
  /** True where every row of get and page is made anew, and may be handed out as it is. */
  readonly fresh: boolean;
  get(place: Place): Promise<Row | undefined>;
  /** Rows in order, and the revision they are true for. */
  page(query: PageQuery): Promise<{ readonly rows: Row[]; readonly revision: number }>;
  /**
   * Hands the row at each place to `decide` (which is synchronous and may throw: then nothing happens) and makes its change of
   * the first place. Resolves when durable; undefined where `decide` wants nothing.
   */
  change(places: readonly [Place, ...Place[]], decide: Decide): Promise<Logged | undefined>;
  /** At most `limit` events after this revision, and the bounds of what is remembered. */
  events(
    after: number,
    limit: number,
  ): Promise<{ readonly events: Logged[]; readonly oldest: number; readonly newest: number }>;
  /** Calls back for every change made through these rows (L3). Returns a function that ends it. */
  listen(heard: (change: Logged) => void): () => void;
  close(): Promise<void>;
}

export type Decide = (rows: readonly (Row | undefined)[]) => Change | undefined;

/** "resource namespace/name": a key for maps, and no two places share it. */
export function placeText(place: Place): string {
  return `${place.resource} ${place.namespace}/${place.name}`;
}

/** The order of lists. */
export function comparePlaces(a: Place, b: Place): number {
  return order(a.resource, b.resource) || order(a.namespace, b.namespace) || order(a.name, b.name);
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The object with this revision written into it; shares the rest with `object`. */
export function withRevision(object: Resource, revision: number): Resource {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } };
}
