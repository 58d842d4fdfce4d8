// The log of one peer as it comes in: to the handlers, and what of it may be acknowledged.
//
//   I1. The cursor passes a message only when it is handled, or stored here: then it is ours, and the peer may forget it.
//       Cursor, stored messages and receipts change in one commit; the ACK goes out after it.
//   I2. A topic's handler runs one call at a time, in the order of the log. A message whose handler fails is stored and tried again
//       with back-off; later messages of its key wait behind it, the other keys of the topic go on. So order per key always holds.
//   I3. A slow call (longer than slowMs), a failing one, or a topic without a handler never holds the cursor: what waits behind is
//       stored. Only a full store does: then nothing is acknowledged and the peer waits.
//   I4. Messages at or below the cursor, or with a receipt, are dropped: no effect twice, unless the process died between the
//       handler's success and the commit.
//   I5. A state message that waits is dropped for a newer one of its topic and key.
import { backoffDelay, Fault, type CancelTimer, type Clock, type Logger } from "#core";
import { MessageClass as WireClass, type Gap as WireGap, type Pub } from "#proto/generated/tunnel/link.ts";
import type { Gap, Message, MessageClass } from "../link.ts";
import { wrongWith } from "./draft.ts";
import {
  messageOf,
  type InboxChange,
  type InboxStore,
  type Place,
  type StoredMessage,
} from "./inbox-store.ts";
import type { Window } from "./sender.ts";

export interface InboxOptions {
  readonly window: Window;
  /** A call that takes longer no longer holds the cursor. */
  readonly slowMs: number;
  /** Messages stored for a peer at most. */
  readonly maxStored: number;
}

export const defaultInboxOptions: Omit<InboxOptions, "window"> = { slowMs: 250, maxStored: 100_000 };

/** A call this long is worth a warning. */
const hungMs = 60_000;

const retry = { baseMs: 1_000, capMs: 60_000, jitter: 0.5 };

export interface InboxDeps {
  readonly store: InboxStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  /** The handler of a topic, if there is one. */
  readonly handlerOf: (topic: string) => ((message: Message) => Promise<void>) | undefined;
  readonly onGap: (gap: Gap) => void;
}

/** A message (or a gap) above the cursor. */
interface Entry extends Place {
  readonly message: StoredMessage | undefined;
  handled: boolean;
  receipted: boolean;
  stored: "no" | "wanted" | "yes";
}

/** What a lane knows of a key that has stored messages. */
interface KeyState {
  /** Being stored, not committed. */
  pending: number;
  /** How many were ever stored; tells whether something came since a look. */
  stores: number;
  attempts: number;
  /** Set while the key rests after a failure. */
  resting: CancelTimer | undefined;
}

interface Lane {
  readonly topic: string;
  /** Not stored, not running. */
  queue: Entry[];
  readonly keys: Map<string, KeyState>;
  running: { readonly message: StoredMessage; readonly entry: Entry | undefined } | undefined;
  /** The running call has taken longer than slowMs. */
  slow: boolean;
  fetching: boolean;
}

export async function openInbox(deps: InboxDeps, options: InboxOptions): Promise<Inbox> {
  const start = await deps.store.load();
  const inbox = new Inbox(deps, options, start);
  inbox.resume();
  return inbox;
}

export class Inbox {
  readonly #deps: InboxDeps;
  readonly #options: InboxOptions;
  readonly #lanes = new Map<string, Lane>();
  /** What is known above the cursor, of the current epoch. */
  #entries = new Map<number, Entry>();
  #wanted: Entry[] = [];
  #done: Place[] = [];
  #epoch: string;
  /** As stored on disk. */
  #cursor: number;
  /** The last number received in unbroken order on this attachment: everything up to it is in #entries or below the cursor. */
  #received: number;
  #acked: number;
  #waiting: number;
  #queued = 0;
  #committing: Promise<void> | undefined;
  #retryCommit: (() => void) | undefined;
  #closed = false;
  #dirty = false;
  /** Called when the peer may forget everything up to a number. */
  onAck: (seq: number) => void = () => {};

  constructor(deps: InboxDeps, options: InboxOptions, start: Awaited<ReturnType<InboxStore["load"]>>) {
    this.#deps = deps;
    this.#options = options;
    this.#epoch = start.epoch;
    this.#cursor = this.#received = this.#acked = start.cursor;
    this.#waiting = start.waiting.reduce((sum, { count }) => sum + count, 0);
    for (const seq of start.settled) {
      this.#entries.set(seq, {
        epoch: start.epoch,
        seq,
        message: undefined,
        handled: true,
        receipted: true,
        stored: "yes",
      });
    }
    for (const { topic, key } of start.waiting) this.#key(this.#lane(topic), key);
  }

  /** What to tell the peer: how far its log need not come again. */
  get position(): Place {
    return { epoch: this.#epoch, seq: this.#cursor };
  }

  /** Begins to work on what was stored by an earlier process. */
  resume(): void {
    for (const lane of this.#lanes.values()) this.#pump(lane);
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
      for (const entry of lane.queue) this.#entries.delete(entry.seq); // they come again
      this.#queued -= lane.queue.length;
      lane.queue = [];
    }
  }

  /** Takes a PUB of the log. Says what is wrong with it, or undefined. */
  receive(pub: Pub): string | undefined {
    const kind = classOf(pub.class);
    if (!kind) return `PUB of class ${pub.class}`;
    const broken = wrongWith(pub);
    if (broken !== undefined) return broken;
    const { topic, key, body, at, seq } = pub;
    const message: StoredMessage = { epoch: this.#epoch, seq, class: kind, topic, key, body, at };
    if (kind === "sample") {
      this.#takeSample(message);
      return undefined;
    }
    const wrong = this.#advance(pub);
    if (wrong !== undefined) return wrong;
    if (this.#isKnown(seq)) {
      this.#ack();
      return undefined;
    }
    if (this.#queued > this.#options.window.maxMessages)
      return "more unacknowledged messages than the window";
    const entry: Entry = { epoch: this.#epoch, seq, message, handled: false, receipted: false, stored: "no" };
    this.#entries.set(seq, entry);
    this.#enqueue(entry, message);
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
      this.#entries.set(seq, {
        ...{ epoch: this.#epoch, seq, message: undefined },
        ...{ handled: true, receipted: false, stored: "no" as const },
      });
      this.#commitSoon();
    }
    this.#ack();
    return undefined;
  }

  /** A topic has got its handler. */
  handlerAdded(topic: string): void {
    this.#pump(this.#lane(topic));
  }

  /** Stops calling handlers and waits for the commit under way. Calls under way are left alone; their receipts are lost. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const lane of this.#lanes.values()) for (const key of lane.keys.values()) key.resting?.();
    this.#retryCommit?.();
    await this.#committing;
  }

  #advance({ seq, prev }: { seq: number; prev: number }): string | undefined {
    if (prev !== this.#received)
      return `message ${seq} follows ${prev}, but the last one was ${this.#received}`;
    if (seq <= prev) return `message ${seq} does not rise above ${prev}`;
    this.#received = seq;
    return undefined;
  }

  #isKnown(seq: number): boolean {
    return seq <= this.#cursor || this.#entries.has(seq); // I4
  }

  #takeSample(message: StoredMessage): void {
    const lane = this.#lane(message.topic);
    if (this.#closed || !this.#deps.handlerOf(message.topic) || lane.queue.length >= 256) return;
    lane.queue.push({ epoch: "", seq: 0, message, handled: false, receipted: false, stored: "no" });
    this.#queued++;
    this.#pump(lane);
  }

  #enqueue(entry: Entry, message: StoredMessage): void {
    const lane = this.#lane(message.topic);
    if (message.class === "state") this.#supersede(lane, message);
    lane.queue.push(entry);
    this.#queued++;
    if (lane.slow) this.#storeQueue(lane);
    else this.#pump(lane);
  }

  /** I5, for those in memory; the store does it for those on disk. */
  #supersede(lane: Lane, newer: StoredMessage): void {
    lane.queue = lane.queue.filter((entry) => {
      const old = entry.message;
      if (entry.seq === 0 || old?.class !== "state" || old.key !== newer.key) return true;
      entry.handled = true;
      this.#queued--;
      this.#commitSoon();
      return false;
    });
  }

  #pump(lane: Lane): void {
    if (this.#closed || lane.running || lane.fetching) return;
    if (!this.#deps.handlerOf(lane.topic)) return this.#storeQueue(lane);
    if ([...lane.keys.values()].some((key) => !key.resting)) return this.#fetch(lane);
    for (let head = lane.queue[0]; head; head = lane.queue[0]) {
      const message = head.message;
      const waits = message !== undefined && lane.keys.has(message.key); // its key rests: wait behind (I2)
      if (waits && head.seq > 0 && !this.#store(lane, head, message)) return;
      lane.queue.shift();
      this.#queued--;
      if (!waits && message) return this.#run(lane, message, head);
    }
  }

  /** Runs the first stored message whose key does not rest. */
  #fetch(lane: Lane): void {
    lane.fetching = true;
    const resting = [...lane.keys].filter(([, key]) => key.resting).map(([name]) => name);
    // Those that hold nothing unless this read finds it. A key that gets a message meanwhile is not among them.
    const looked = [...lane.keys].filter(([, key]) => !key.resting && key.pending === 0);
    const stores = looked.map(([, key]) => key.stores);
    const done = [...this.#done]; // the read may not see them done, even if they are committed when it ends
    this.#deps.store
      .waiting(lane.topic, resting, 16)
      .then((rows) => {
        lane.fetching = false;
        if (this.#closed) return;
        const next = rows.find((row) => !done.some((place) => isSame(place, row)));
        if (next) return this.#run(lane, next, undefined);
        if (rows.length > 0) {
          const committing = this.#done.some((place) => rows.some((row) => isSame(place, row)));
          if (!committing) this.#pump(lane); // otherwise the commit does
          return;
        }
        const empty = looked.filter(([, key], at) => !key.resting && key.stores === stores[at]);
        for (const [name] of empty) lane.keys.delete(name);
        // What is still being stored is pumped by its commit; what was committed meanwhile needs another look.
        const due = [...lane.keys.values()].filter((key) => !key.resting);
        if (due.length === 0 || due.some((key) => key.pending === 0)) this.#pump(lane);
      })
      .catch((error: unknown) => {
        if (this.#closed) return;
        this.#deps.log.error("reading the inbox failed", { topic: lane.topic, error: Fault.from(error) });
        this.#deps.clock.after(retry.baseMs, () => {
          lane.fetching = false;
          this.#pump(lane);
        });
      });
  }

  #run(lane: Lane, message: StoredMessage, entry: Entry | undefined): void {
    const handler = this.#deps.handlerOf(lane.topic);
    if (!handler) return;
    lane.running = { message, entry };
    let notSlow = this.#deps.clock.after(this.#options.slowMs, () => {
      lane.slow = true;
      if (entry && entry.seq > 0) this.#store(lane, entry, message);
      this.#storeQueue(lane); // I3
      notSlow = this.#deps.clock.after(hungMs, () => {
        const { topic, key, seq } = message;
        this.#deps.log.warn("a handler does not return; its topic waits", { topic, key, seq, forMs: hungMs });
      });
    });
    const ended = (failure: unknown) => {
      notSlow();
      lane.running = undefined;
      lane.slow = false;
      if (this.#closed) return;
      if (failure === undefined) this.#handled(lane, message, entry);
      else this.#failed(lane, message, entry, failure);
      this.#pump(lane);
    };
    void call(handler, message).then(
      () => ended(undefined),
      (error: unknown) => ended(error ?? new Fault("Bug", "a handler rejected with nothing")),
    );
  }

  #handled(lane: Lane, message: StoredMessage, entry: Entry | undefined): void {
    if (message.seq === 0) return;
    if (entry) entry.handled = true;
    if (!entry || entry.stored !== "no") this.#done.push({ epoch: message.epoch, seq: message.seq });
    const key = lane.keys.get(message.key);
    if (key) key.attempts = 0;
    this.#commitSoon();
  }

  #failed(lane: Lane, message: StoredMessage, entry: Entry | undefined, error: unknown): void {
    const { topic, seq } = message;
    if (isUnreadable(error)) {
      this.#deps.log.error("dropped a message that is no JSON", { topic, key: message.key, seq });
      return this.#handled(lane, message, entry);
    }
    if (seq === 0)
      return this.#deps.log.debug("a sample's handler failed", { topic, error: Fault.from(error) });
    const key = this.#key(lane, message.key);
    key.attempts++;
    const retryMs = backoffDelay(key.attempts, retry, this.#deps.random);
    const level = key.attempts < 3 ? "info" : "warn";
    this.#deps.log[level]("a handler failed; its message comes again", {
      ...{ topic, key: message.key, seq, attempt: key.attempts, retryMs, error: Fault.from(error) },
    });
    key.resting?.();
    key.resting = this.#deps.clock.after(retryMs, () => {
      key.resting = undefined;
      this.#pump(lane);
    });
    if (entry?.stored === "no") this.#store(lane, entry, message, true);
  }

  #storeQueue(lane: Lane): void {
    while (lane.queue[0]) {
      const { message, seq } = lane.queue[0];
      if (message && seq > 0 && !this.#store(lane, lane.queue[0], message)) return;
      lane.queue.shift();
      this.#queued--;
    }
  }

  /** Asks for an entry to be stored; false when the store is full (I3). A failed message is stored even then: few can be running. */
  #store(lane: Lane, entry: Entry, message: StoredMessage, always = false): boolean {
    if (entry.stored !== "no") return true;
    if (!always && this.#waiting + this.#wanted.length >= this.#options.maxStored) return false;
    entry.stored = "wanted";
    const key = this.#key(lane, message.key);
    key.pending++;
    key.stores++;
    this.#wanted.push(entry);
    this.#commitSoon();
    return true;
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
          const cancel = this.#deps.clock.after(retry.baseMs, resolve);
          this.#retryCommit = () => (cancel(), resolve());
        });
      }
    }
    this.#committing = undefined; // in the tick of the last look: what settles later begins a new loop
  }

  #change(): Change | undefined {
    const wanted = this.#wanted.filter((entry) => !entry.handled);
    const storing = new Set(wanted);
    const settled = (entry: Entry) => entry.handled || entry.stored === "yes" || storing.has(entry);
    let firstOpen = Infinity;
    for (const entry of this.#entries.values()) {
      if (!settled(entry)) firstOpen = Math.min(firstOpen, entry.seq);
    }
    let cursor = this.#cursor;
    for (const entry of this.#entries.values()) {
      if (entry.seq < firstOpen && entry.seq <= this.#received) cursor = Math.max(cursor, entry.seq); // I1
    }
    const receipts = [...this.#entries.values()].filter(
      (entry) => entry.handled && !entry.receipted && entry.stored === "no" && entry.seq > cursor,
    );
    const done = [...this.#done];
    const idle = wanted.length === 0 && receipts.length === 0 && done.length === 0 && cursor === this.#cursor;
    if (idle && this.#wanted.length === 0 && !this.#dirty) return undefined;
    const store = wanted.flatMap((entry) => (entry.message ? [entry.message] : []));
    const rows: InboxChange = { epoch: this.#epoch, cursor, store, receipts: receipts.map(placeOf), done };
    return { rows, wanted: [...this.#wanted], stored: wanted, receipts };
  }

  #committed(change: Change): void {
    const { epoch, cursor, done } = change.rows;
    for (const entry of change.stored) entry.stored = "yes";
    for (const entry of change.wanted) {
      // One that was handled before it could be stored needs no row, only its key's count put right.
      const key = entry.message && this.#lanes.get(entry.message.topic)?.keys.get(entry.message.key);
      if (key) key.pending--;
    }
    this.#wanted = this.#wanted.filter((entry) => !change.wanted.includes(entry));
    for (const entry of change.receipts) entry.receipted = true;
    this.#done = this.#done.filter((place) => !done.includes(place));
    if (epoch === this.#epoch) {
      this.#dirty = false;
      this.#cursor = Math.max(this.#cursor, cursor);
      for (const seq of this.#entries.keys()) if (seq <= this.#cursor) this.#entries.delete(seq);
      this.#ack();
    }
    for (const lane of this.#lanes.values()) this.#pump(lane);
  }

  /** Acknowledges what is committed, but never what the peer has not sent on this attachment. */
  #ack(): void {
    const seq = Math.min(this.#cursor, this.#received);
    if (seq <= this.#acked) return;
    this.#acked = seq;
    this.onAck(seq);
  }

  #lane(topic: string): Lane {
    let lane = this.#lanes.get(topic);
    if (!lane) {
      lane = { topic, queue: [], keys: new Map(), running: undefined, slow: false, fetching: false };
      this.#lanes.set(topic, lane);
    }
    return lane;
  }

  #key(lane: Lane, name: string): KeyState {
    let key = lane.keys.get(name);
    if (!key) lane.keys.set(name, (key = { pending: 0, stores: 0, attempts: 0, resting: undefined }));
    return key;
  }
}

interface Change {
  readonly rows: InboxChange;
  readonly wanted: readonly Entry[];
  readonly stored: readonly Entry[];
  readonly receipts: readonly Entry[];
}

class Unreadable extends Error {}

function isUnreadable(error: unknown): boolean {
  return error instanceof Unreadable;
}

/** Calls a handler; whatever it throws, even before its promise, becomes a rejection. */
async function call(handler: (message: Message) => Promise<void>, stored: StoredMessage): Promise<void> {
  let message: Message;
  try {
    message = messageOf(stored);
  } catch {
    throw new Unreadable();
  }
  await handler(message);
}

function isSame(a: Place, b: Place): boolean {
  return a.seq === b.seq && a.epoch === b.epoch;
}

function placeOf({ epoch, seq }: Place): Place {
  return { epoch, seq };
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
