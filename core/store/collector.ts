// The background work of a store: what lost its owners goes, and so does what is in a namespace that goes (R8).
//
//   C1. Level-triggered: an event only says where to look; what to do is decided from the row and the graph as they are now.
//   C2. A row newer than the graph is left alone: its own event is still to come, and brings us back to it.
//   C3. Every write names the uid and revision it was decided on. Who was faster wins; the event of that write brings us back.
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
    for (let i = 0; i < places.length && !signal.aborted; i += concurrency) {
      const some = places.slice(i, i + concurrency);
      await Promise.all(some.map((place) => look(place, rows, graph, writes)));
    }
    const events = await tail.read(graph.revision, signal);
    const touched = new Map<string, Place>();
    for (const event of events) {
      graph.apply(event.type, event);
      for (const place of graph.touched(event.type, event)) touched.set(placeText(place), place);
    }
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

async function look(place: Place, rows: Rows, graph: OwnerGraph, writes: CollectorWrites): Promise<void> {
  const row = await rows.get(place);
  if (!row || row.revision > graph.revision) return; // C2
  try {
    await carryOut(row, graph, writes);
  } catch (error) {
    if (!isFault(error, "NotFound", "Conflict")) throw error; // C3
  }
}

async function carryOut(row: Row, graph: OwnerGraph, writes: CollectorWrites): Promise<void> {
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
      await writes.edit(row, only, (object) => withOwners(object, (each) => todo.keep.includes(each)));
      return;
    case "orphan":
      for (const place of todo.dependents) {
        await writes
          .edit(place, {}, (object) => withOwners(object, (each) => each !== uid))
          .catch(ignoreMissing);
      }
      await writes.edit(row, only, (object) => withoutFinalizer(object, "orphan"));
      return;
    case "release":
      await writes.edit(row, only, (object) => withoutFinalizer(object, todo.finalizer));
      return;
    case "empty":
      for (const place of todo.contents) {
        await writes.remove(place, { propagation: "Background" }).catch(ignoreMissing);
      }
      if (todo.contents.length === 0) await writes.edit(row, only, emptyNamespace);
      return;
  }
}

function ignoreMissing(error: unknown): void {
  if (!isFault(error, "NotFound")) throw error;
}
