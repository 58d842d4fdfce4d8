// Following a kind over HTTP: one JSON line an event.
//
//   W1. A client that reads slowly slows nobody but itself: nothing is taken from the store while the line is full, and a line that
//       stays full for slowMs is cut. The client then resumes where it was, or is told Gone and lists again.
//   W2. An expired revision is an ERROR event with a Status of code 410, as clients expect, and then the end.
//   W3. A line with nothing to say gets a bookmark every bookmarkMs, if the client wants bookmarks: it tells a living line from a dead one.
//   W4. A watch ends when the client goes, when its time is up, or when the server closes; quietly in all three cases.
import type { ServerResponse } from "node:http";
import { Fault, isFault } from "../../fault.ts";
import { toJson } from "../../json.ts";
import type { Resource } from "../../resource/meta.ts";
import type { CancelTimer, Clock } from "../../time/clock.ts";
import type { WatchEvent } from "../store.ts";
import { bookmarkBody, objectBody, type Rendering } from "./answer.ts";
import { fieldsMatch, flag, onlyName, selecting, whole, type Selecting } from "./options.ts";
import { statusOf } from "./problem.ts";
import type { Ask, Desk } from "./verbs.ts";

export interface WatchLimits {
  /** A watch without timeoutSeconds ends after this, milliseconds. */
  readonly longestMs: number;
  /** How long a client may not read, milliseconds. */
  readonly slowMs: number;
  /** How long a line may be silent, milliseconds. */
  readonly bookmarkMs: number;
}

/** Streams events to the client until W4. The caller has answered nothing yet. */
export async function watch(
  desk: Desk,
  ask: Ask,
  response: ServerResponse,
  rendering: Omit<Rendering, "now">,
  limits: WatchLimits,
  signal: AbortSignal,
): Promise<void> {
  const wanted = selecting(ask.query, ask.kind);
  const asked = whole(ask.query, "timeoutSeconds");
  let at: string | undefined; // where a client that has read everything so far may resume
  const bookmark = (revision: string, initialEnd = false) => ({
    type: "BOOKMARK",
    object: bookmarkBody(ask.kind, revision, { ...rendering, now: 0 }, initialEnd),
  });
  const bookmarks = flag(ask.query, "allowWatchBookmarks");
  const line = new Line(desk.clock, response, limits, () =>
    bookmarks && at !== undefined ? bookmark(at) : undefined,
  );
  const ended = new AbortController();
  const end = () => ended.abort();
  const cancelTimer = desk.clock.after(asked ? asked * 1000 : limits.longestMs, end);
  signal.addEventListener("abort", end, { once: true });
  response.once("close", end);
  if (signal.aborted || response.destroyed) end();

  let heads = true;
  const send = (type: string, object: Resource) => {
    const body = objectBody(ask.kind, object, { ...rendering, now: desk.clock.now() }, heads);
    heads = false;
    return line.send({ type, object: body });
  };
  try {
    response.writeHead(200, { "content-type": "application/json", "cache-control": "no-cache, private" });
    response.flushHeaders();
    for await (const event of following(desk, ask, wanted, ended.signal)) {
      if (event.type !== "Initial") at = event.revision;
      if (event.type === "Initial") await send("ADDED", event.object);
      else if (event.type === "Begin") {
        if (event.marked) await line.send(bookmark(event.revision, true));
      } else if (event.type !== "Bookmark") await send(event.type.toUpperCase(), event.object);
      else if (bookmarks) await line.send(bookmark(event.revision));
    }
  } catch (error) {
    if (!ended.signal.aborted)
      await line.send({ type: "ERROR", object: statusOf(expired(error), { kind: ask.kind }) }); // W2
  } finally {
    cancelTimer();
    line.close();
    signal.removeEventListener("abort", end);
    ended.abort();
    response.end();
  }
}

type Sent =
  | WatchEvent
  /** Something that was there before the watch. Its revision is no place to resume from. */
  | { readonly type: "Initial"; readonly object: Resource }
  /** From here on everything is new. `marked`: the client wants to hear of it. */
  | { readonly type: "Begin"; readonly revision: string; readonly marked: boolean };

/** The events a client sees: first what is there already, if it did not say from where, then what changes. */
async function* following(desk: Desk, ask: Ask, wanted: Selecting, signal: AbortSignal): AsyncIterable<Sent> {
  const { kind, query, namespace } = ask;
  const scope = {
    ...(namespace === undefined ? {} : { namespace }),
    ...(wanted.labels.length > 0 ? { labels: wanted.labels } : {}),
  };
  let after = query.get("resourceVersion") ?? "";
  const initial = flag(query, "sendInitialEvents");
  const seen = new Set<string>();
  if (initial || after === "" || after === "0") {
    const name = onlyName(wanted);
    const list = await desk.store.list(kind, { ...scope, ...(name === undefined ? {} : { name }) }, signal);
    for (const object of list.items.filter((item) => fieldsMatch(wanted.fields, item))) {
      seen.add(object.metadata.uid);
      yield { type: "Initial", object };
    }
    after = list.revision;
  }
  yield { type: "Begin", revision: after, marked: initial };
  for await (const event of desk.store.watch(kind, { after, ...scope }, signal)) {
    const shown = event.type === "Bookmark" ? event : selected(event, wanted, seen);
    if (shown) yield shown;
  }
}

/** An event as someone sees it who looks only at objects whose fields match: coming into sight is Added, going is Deleted. */
function selected(
  event: Exclude<WatchEvent, { type: "Bookmark" }>,
  { fields }: Selecting,
  seen: Set<string>,
): WatchEvent | undefined {
  if (fields.length === 0) return event;
  const { uid } = event.object.metadata;
  const match = fieldsMatch(fields, event.object);
  const before = seen.has(uid);
  if (event.type === "Deleted" || !match) {
    seen.delete(uid);
    return match || before ? { ...event, type: "Deleted" } : undefined;
  }
  seen.add(uid);
  return event;
}

function expired(error: unknown): unknown {
  return isFault(error, "Gone")
    ? new Fault("Gone", `The resourceVersion for the provided watch is too old: ${error.message}`)
    : error;
}

/** A response that is written as fast as it is read (W1), and is never silent for long (W3). */
class Line {
  readonly #clock: Clock;
  readonly #response: ServerResponse;
  readonly #limits: WatchLimits;
  readonly #sign: () => unknown;
  #cancel: CancelTimer = () => {};

  /** `sign` gives what to say into a silence, or undefined to leave it. */
  constructor(clock: Clock, response: ServerResponse, limits: WatchLimits, sign: () => unknown) {
    this.#clock = clock;
    this.#response = response;
    this.#limits = limits;
    this.#sign = sign;
    this.#rest();
  }

  /** Resolves once there is room for more, or the line is cut. */
  async send(event: unknown): Promise<void> {
    this.#rest();
    if (this.#response.destroyed || this.#response.write(`${toJson(event)}\n`)) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        cancel();
        this.#response.off("drain", done).off("close", done);
        resolve();
      };
      const cancel = this.#clock.after(this.#limits.slowMs, () => this.#response.destroy()); // "close" follows
      this.#response.once("drain", done).once("close", done);
    });
  }

  close(): void {
    this.#cancel();
  }

  #rest(): void {
    this.#cancel();
    this.#cancel = this.#clock.after(this.#limits.bookmarkMs, () => {
      this.#rest();
      const sign = this.#response.writableNeedDrain || !this.#response.headersSent ? undefined : this.#sign();
      if (sign !== undefined) this.#response.write(`${toJson(sign)}\n`);
    });
  }
}
