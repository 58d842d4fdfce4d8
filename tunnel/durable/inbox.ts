// The log of one peer as it comes in: what of it may be acknowledged. Which message a handler gets next is lane.ts' matter.
//
//   I1. The cursor passes a message only when it is handled, or stored here: then it is ours, and the peer may forget it.
//       Cursor, stored messages and receipts change in one commit; the ACK goes out after it.
//   I3. A slow call, a failing one, or a topic without a handler never holds the cursor: what waits behind is stored. Only a full
//       store does: then nothing more is acknowledged and the peer waits.
//   I4. Messages at or below the cursor, or with a receipt, are dropped: no effect twice, unless the process died between the
//       handler's success and the commit.
import { Fault, type Clock, type Logger } from "#core";
import { MessageClass as WireClass, type Gap as WireGap, type Pub } from "#proto/generated/tunnel/link.ts";
import type { Gap, MessageClass } from "../link.ts";
import { wrongWith } from "./draft.ts";
import {
  type InboxChange,
  type InboxStart,
  type InboxStore,
  type Place,
  type StoredMessage,
} from "./inbox-store.ts";
import { Lane, type Entry, type Handler } from "./lane.ts";
import type { Window } from "./sender.ts";

export interface InboxOptions {
  readonly window: Window;
  /** A call that takes longer no longer holds the cursor. */
  readonly slowMs: number;
  /** Messages stored for a peer at most. */
  readonly maxStored: number;
}

export const defaultInboxOptions: Omit<InboxOptions, "window"> = { slowMs: 250, maxStored: 100_000 };

/** After a write that failed. */
const retryMs = 1_000;

export interface InboxDeps {
  readonly store: InboxStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  /** The handler of a topic, if there is one. */
  readonly handlerOf: (topic: string) => Handler | undefined;
  readonly onGap: (gap: Gap) => void;
}

/** Loads what an earlier process left, and begins to work on it. */
export async function openInbox(deps: InboxDeps, options: InboxOptions): Promise<Inbox> {
  const inbox = new Inbox(deps, options, await deps.store.load());
  inbox.pump();
  return inbox;
}

export class Inbox {
  readonly #deps: InboxDeps;
  readonly #options: InboxOptions;
  readonly #lanes = new Map<string, Lane>();
  /** What is known above the cursor, of the current epoch. */
  #entries = new Map<number, Entry>();
  /** To be stored with the next commit. */
  #wanted: Entry[] = [];
  /** Stored messages handled since the last commit. */
  #done: Place[] = [];
  #epoch: string;
  /** As on disk. */
  #cursor: number;
  /** The last number received in unbroken order on this attachment: everything up to it is in #entries or below the cursor. */
  #received: number;
  #acked: number;
  /** How many messages are stored. */
  #waiting: number;
  /** The epoch on disk is another. */
  #dirty = false;
  #committing: Promise<void> | undefined;
  #retryNow: () => void = () => {};
  #closed = false;
  /** Called when the peer may forget everything up to a number. */
  onAck: (seq: number) => void = () => {};

  constructor(deps: InboxDeps, options: InboxOptions, start: InboxStart) {
    this.#deps = deps;
    this.#options = options;
    this.#epoch = start.epoch;
    this.#cursor = this.#received = this.#acked = start.cursor;
    this.#waiting = start.waiting.reduce((sum, { count }) => sum + count, 0);
    for (const seq of start.settled) this.#enter(seq, undefined, { receipted: true, stored: "yes" });
    for (const { topic, key } of start.waiting) this.#lane(topic).hasStored(key);
  }

  /** What to tell the peer: how far its log need not come again. */
  get position(): Place {
    return { epoch: this.#epoch, seq: this.#cursor };
  }

  /** A new attachment: the peer sends its log `epoch` from `told` on, the position it was told. */
  attach(epoch: string, told: Place): void {
    if (epoch !== this.#epoch) {
      this.#epoch = epoch;
      this.#cursor = 0;
      this.#entries = new Map();
      this.#dirty = true;
    }
    this.#received = this.#acked = told.epoch === epoch ? Math.min(told.seq, this.#cursor) : 0;
    for (const lane of this.#lanes.values()) {
      for (const { seq } of lane.forget()) this.#entries.delete(seq); // they come again
    }
  }

  /** Takes a PUB. Says what is wrong with it, or undefined. */
  receive(pub: Pub): string | undefined {
    const kind = classOf(pub.class);
    if (!kind) return `PUB of class ${pub.class}`;
    const broken = wrongWith(pub);
    if (broken !== undefined) return broken;
    const { topic, key, body, at, seq } = pub;
    const message: StoredMessage = { epoch: this.#epoch, seq, class: kind, topic, key, body, at };
    if (kind === "sample") {
      this.#lane(topic).addSample(message);
      return undefined;
    }
    const wrong = this.#advance(pub);
    if (wrong !== undefined) return wrong;
    if (this.#isKnown(seq)) this.#ack();
    else if (this.#queued() > this.#options.window.maxMessages) {
      return "more unacknowledged messages than the window";
    } else {
      this.#lane(topic).add(message, this.#enter(seq, message, { receipted: false, stored: "no" }));
    }
    return undefined;
  }

  /** Takes a GAP: the application is told, and the cursor may pass it. */
  receiveGap(gap: WireGap): string | undefined {
    const wrong = this.#advance(gap);
    if (wrong !== undefined) return wrong;
    const { seq, count, reason } = gap;
    if (!this.#isKnown(seq)) {
      const first = Math.max(gap.first, this.#cursor + 1);
      this.#deps.log.warn("messages were given up by the sender", { first, last: seq, count, reason });
      this.#deps.onGap({ epoch: this.#epoch, first, last: seq, count, reason });
      this.#enter(seq, undefined, { receipted: false, stored: "no" });
      this.#commitSoon();
    }
    this.#ack();
    return undefined;
  }

  /** A topic has got its handler. */
  handlerAdded(topic: string): void {
    this.#lane(topic).pump();
  }

  /** Every lane looks whether it has something to do. */
  pump(): void {
    for (const lane of this.#lanes.values()) lane.pump();
  }

  /** Stops calling handlers and waits for the commit under way. Calls under way are left alone; their receipts are lost. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const lane of this.#lanes.values()) lane.close();
    this.#retryNow();
    await this.#committing;
  }

  #enter(seq: number, message: StoredMessage | undefined, how: Pick<Entry, "receipted" | "stored">): Entry {
    const entry: Entry = { epoch: this.#epoch, seq, message, handled: message === undefined, ...how };
    this.#entries.set(seq, entry);
    return entry;
  }

  #advance({ seq, prev }: { seq: number; prev: number }): string | undefined {
    if (prev !== this.#received) {
      return `message ${seq} follows ${prev}, but the last one was ${this.#received}`;
    }
    if (seq <= prev) return `message ${seq} does not rise above ${prev}`;
    this.#received = seq;
    return undefined;
  }

  #isKnown(seq: number): boolean {
    return seq <= this.#cursor || this.#entries.has(seq); // I4
  }

  #queued(): number {
    let sum = 0;
    for (const lane of this.#lanes.values()) sum += lane.queued;
    return sum;
  }

  #lane(topic: string): Lane {
    const known = this.#lanes.get(topic);
    if (known) return known;
    const { clock, log, random, store, handlerOf } = this.#deps;
    const lane = new Lane(topic, {
      ...{ clock, log, random, slowMs: this.#options.slowMs },
      handler: () => (this.#closed ? undefined : handlerOf(topic)),
      store: (entry, must) => this.#store(entry, must),
      read: (restingKeys) => store.waiting(topic, restingKeys, 16),
      uncommitted: () => this.#done,
      handled: (message, entry) => this.#handled(message, entry),
    });
    this.#lanes.set(topic, lane);
    return lane;
  }

  #store(entry: Entry, must: boolean): boolean {
    if (!must && this.#waiting + this.#wanted.length >= this.#options.maxStored) return false; // I3
    entry.stored = "wanted";
    this.#wanted.push(entry);
    this.#commitSoon();
    return true;
  }

  #handled({ epoch, seq }: StoredMessage, entry: Entry | undefined): void {
    if (entry) entry.handled = true;
    if (!entry || entry.stored !== "no") this.#done.push({ epoch, seq });
    this.#commitSoon();
  }

  #commitSoon(): void {
    this.#committing ??= this.#commits();
  }

  /** Commits until nothing is left to commit; what happens meanwhile shares the next commit. */
  async #commits(): Promise<void> {
    await Promise.resolve(); // what settles in this tick shares the first one
    for (let change = this.#change(); change && !this.#closed; change = this.#change()) {
      try {
        this.#waiting += await this.#deps.store.apply(change.rows);
        this.#committed(change);
      } catch (error) {
        if (this.#closed) break;
        this.#deps.log.error("writing the inbox failed; nothing is acknowledged", {
          error: Fault.from(error),
        });
        await new Promise<void>((resolve) => {
          const cancel = this.#deps.clock.after(retryMs, resolve);
          this.#retryNow = () => (cancel(), resolve());
        });
      }
    }
    this.#committing = undefined; // in the tick of the last look: what settles later begins a new loop
  }

  #change(): Change | undefined {
    const asked = [...this.#wanted];
    const storing = new Set(asked.filter((entry) => !entry.handled));
    const cursor = this.#nextCursor(storing);
    // Handled ahead of the cursor and never stored, not even if it was asked for.
    const receipts = [...this.#entries.values()].filter(
      (entry) => entry.handled && !entry.receipted && entry.stored !== "yes" && entry.seq > cursor,
    );
    const done = [...this.#done];
    const moved = cursor !== this.#cursor || this.#dirty;
    if (!moved && asked.length === 0 && receipts.length === 0 && done.length === 0) return undefined;
    const store = [...storing].flatMap(({ message }) => (message ? [message] : []));
    const places = receipts.map(({ epoch, seq }) => ({ epoch, seq }));
    return { rows: { epoch: this.#epoch, cursor, store, receipts: places, done }, asked, storing, receipts };
  }

  /** How far everything is handled, stored, or about to be (I1). */
  #nextCursor(storing: ReadonlySet<Entry>): number {
    let firstOpen = Infinity;
    for (const entry of this.#entries.values()) {
      const settled = entry.handled || entry.stored === "yes" || storing.has(entry);
      if (!settled) firstOpen = Math.min(firstOpen, entry.seq);
    }
    let cursor = this.#cursor;
    for (const { seq } of this.#entries.values()) {
      if (seq < firstOpen && seq <= this.#received) cursor = Math.max(cursor, seq);
    }
    return cursor;
  }

  #committed({ rows, asked, storing, receipts }: Change): void {
    for (const entry of storing) entry.stored = "yes";
    for (const entry of receipts) entry.receipted = true;
    this.#wanted = this.#wanted.filter((entry) => !asked.includes(entry));
    this.#done = this.#done.filter((place) => !rows.done.includes(place));
    for (const { message } of asked) if (message) this.#lane(message.topic).stored(message.key);
    if (rows.epoch === this.#epoch) {
      this.#dirty = false;
      this.#cursor = Math.max(this.#cursor, rows.cursor);
      for (const seq of this.#entries.keys()) if (seq <= this.#cursor) this.#entries.delete(seq);
      this.#ack();
    }
    this.pump();
  }

  /** Acknowledges what is committed, but never what the peer has not sent on this attachment. */
  #ack(): void {
    const seq = Math.min(this.#cursor, this.#received);
    if (seq <= this.#acked) return;
    this.#acked = seq;
    this.onAck(seq);
  }
}

interface Change {
  readonly rows: InboxChange;
  /** All that asked to be stored; those handled meanwhile need it no more. */
  readonly asked: readonly Entry[];
  readonly storing: ReadonlySet<Entry>;
  readonly receipts: readonly Entry[];
}

function classOf(kind: WireClass): MessageClass | undefined {
  switch (kind) {
    case WireClass.EVENT:
      return "event";
    case WireClass.STATE:
      return "state";
    case WireClass.SAMPLE:
      return "sample";
    default:
      return undefined;
  }
}
