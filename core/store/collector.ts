// The background work of a store: what lost its owners goes, and so does what is in a namespace that goes (R8).
//
//   C1. Level-triggered: an event only says where to look; what to do is decided from the row and the graph as they are now.
//   C2. A row newer than the graph is left alone: its own event is still to come, and brings us back to it.
//   C3. Every write names the uid and revision it was decided on. Who was faster wins; the event of that write brings us back.
//   C4. All that is known to have happened is taken in before anything is done: a thousand events cost one look, not a thousand.
import { Fault, isFault } from "../fault.ts";
import type { Logger } from "../log.ts";
import { sleep, type Clock } from "../time/clock.ts";
import { withOwners, withoutFinalizer } from "./decide.ts";
import { emptyNamespace } from "./namespaces.ts";
import { chore, isConcerned, OwnerGraph } from "./owner-graph.ts";
import { placeText, type Place, type Row, type Rows } from "./rows.ts";
import type { DeleteOptions, Precondition } from "./store.ts";
import type { Resource } from "../resource/meta.ts";
import type { Tail } from "./tail.ts";

/** The writes the collector needs. */
export interface CollectorWrites {
  remove(place: Place, options: DeleteOptions): Promise<unknown>;
  /** Replaces the object by what `edit` makes of it, if the precondition holds. */
  edit(place: Place, only: Precondition, edit: (object: Resource) => Resource): Promise<unknown>;
}

/** Writes at once: as many as may share a commit. */
const concurrency = 64;
const retryMs = 1000;

/** Works until the signal aborts. Never rejects: trouble is logged and tried again. */
export async function collect(
  deps: {
    readonly rows: Rows;
    readonly tail: Tail;
    readonly writes: CollectorWrites;
    readonly clock: Clock;
    readonly log: Logger;
  },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await follow(deps, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (!isFault(error, "Gone")) {
        deps.log.warn("collecting what lost its owner failed", { error: Fault.from(error) });
        await sleep(deps.clock, retryMs, signal).catch(() => {});
      }
    }
  }
}

async function follow(
  { rows, tail, writes }: { rows: Rows; tail: Tail; writes: CollectorWrites },
  signal: AbortSignal,
): Promise<void> {
  const graph = new OwnerGraph();
  let places = await load(rows, graph, signal);
  while (!signal.aborted) {
    await each(places, signal, (place) => look(place, { rows, graph, writes }, signal));
    const touched = new Map<string, Place>();
    do {
      for (const event of await tail.read(graph.revision, signal)) {
        graph.apply(event.type, event);
        for (const place of graph.touched(event.type, event)) touched.set(placeText(place), place);
      }
    } while (graph.revision < tail.heard && !signal.aborted); // C4
    places = [...touched.values()];
  }
}

/** Fills the graph from all rows, and returns where to look first. */
async function load(rows: Rows, graph: OwnerGraph, signal: AbortSignal): Promise<Place[]> {
  const places: Place[] = [];
  const limit = 500;
  let after: Place | undefined;
  let at: number | undefined;
  while (!signal.aborted) {
    const page = await rows.page({ limit, ...(after ? { after } : {}), ...(at ? { at } : {}) });
    at = page.revision;
    for (const row of page.rows) {
      graph.apply("Added", row);
      if (isConcerned(row.object)) places.push(row);
    }
    after = page.rows.at(-1);
    if (page.rows.length < limit) break;
  }
  graph.revision = at ?? 0;
  return places;
}

/** Works on many places at once; no further one is begun when the signal aborts. */
async function each(
  places: readonly Place[],
  signal: AbortSignal,
  work: (place: Place) => Promise<unknown>,
): Promise<void> {
  for (let i = 0; i < places.length && !signal.aborted; i += concurrency) {
    await Promise.all(places.slice(i, i + concurrency).map(work));
  }
}

interface Sight {
  readonly rows: Rows;
  readonly graph: OwnerGraph;
  readonly writes: CollectorWrites;
}

async function look(place: Place, seen: Sight, signal: AbortSignal): Promise<void> {
  const row = await seen.rows.get(place);
  if (!row || row.revision > seen.graph.revision) return; // C2
  try {
    await carryOut(row, seen, signal);
  } catch (error) {
    if (!isFault(error, "NotFound", "Conflict")) throw error; // C3
  }
}

async function carryOut(row: Row, { graph, writes }: Sight, signal: AbortSignal): Promise<void> {
  const { uid, resourceVersion } = row.object.metadata;
  const only = { uid, resourceVersion }; // C3
  const todo = chore(row, graph);
  switch (todo.do) {
    case "nothing":
      return;
    case "delete":
      await writes.remove(row, { ...only, propagation: todo.propagation });
      return;
    case "disown":
      await writes.edit(row, only, (object) => withOwners(object, (owner) => todo.keep.includes(owner)));
      return;
    case "orphan":
      await each(todo.dependents, signal, (place) =>
        writes.edit(place, {}, (object) => withOwners(object, (owner) => owner !== uid)).catch(ignoreMissing),
      );
      if (!signal.aborted) await writes.edit(row, only, (object) => withoutFinalizer(object, "orphan"));
      return;
    case "release":
      await writes.edit(row, only, (object) => withoutFinalizer(object, todo.finalizer));
      return;
    case "empty":
      await each(todo.contents, signal, (place) =>
        writes.remove(place, { propagation: "Background" }).catch(ignoreMissing),
      );
      return;
    case "close":
      await writes.edit(row, only, emptyNamespace);
      return;
  }
}

function ignoreMissing(error: unknown): void {
  if (!isFault(error, "NotFound")) throw error;
}
