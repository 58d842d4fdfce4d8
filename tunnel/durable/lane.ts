// One topic of an inbox: which message its handler gets next.
//
//   I2. One call at a time, in the order of the log. A message whose call fails is stored and tried again with back-off; later
//       messages of its key wait behind it, the other keys go on.
//   I3. While a call is slow, or there is no handler, what waits is stored, so that it does not hold the cursor.
//   I5. A state message that waits is dropped for a newer one of its key.
import { backoffDelay, Fault, type CancelTimer, type Clock, type Logger } from "#core";
import type { Message } from "../link.ts";
import { messageOf, type Place, type StoredMessage } from "./inbox-store.ts";

/** A message of the log above the cursor. */
export interface Entry extends Place {
  /** Absent for gaps, and for what an earlier process settled. */
  readonly message: StoredMessage | undefined;
  handled: boolean;
  /** That it is handled, or a part of the store's rows, is on disk. */
  receipted: boolean;
  stored: "no" | "wanted" | "yes";
}

export type Handler = (message: Message) => Promise<void>;

/** What a lane needs of its inbox. */
export interface LaneDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  /** A call that takes longer no longer holds the cursor. */
  readonly slowMs: number;
  readonly handler: () => Handler | undefined;
  /** Asks for an entry to be stored; `stored` is called when it is. False when the store is full, unless it must be. */
  readonly store: (entry: Entry, must: boolean) => boolean;
  /** Stored messages in order, without those of keys that rest. */
  readonly read: (restingKeys: readonly string[]) => Promise<readonly StoredMessage[]>;
  /** What was handled and is not yet so on disk: a read may still find it. */
  readonly uncommitted: () => readonly Place[];
  /** A message needs nothing more. `entry` is absent for one that was read from the store. */
  readonly handled: (message: StoredMessage, entry: Entry | undefined) => void;
}

const retry = { baseMs: 1_000, capMs: 60_000, jitter: 0.5 };

/** A call this long is worth a warning. */
const hungMs = 60_000;
const maxSamples = 256;

/** What is known of a key that has stored messages. */
interface KeyState {
  /** Being stored, not committed. */
  pending: number;
  /** How many were ever stored; tells whether something came since a look. */
  stores: number;
  attempts: number;
  /** Set while the key rests after a failure. */
  resting: CancelTimer | undefined;
}

export class Lane {
  readonly #topic: string;
  readonly #deps: LaneDeps;
  /** Neither stored nor running. */
  #queue: { readonly message: StoredMessage; readonly entry: Entry | undefined }[] = [];
  readonly #keys = new Map<string, KeyState>();
  #running = false;
  /** The running call has taken longer than slowMs. */
  #slow = false;
  #fetching = false;
  #closed = false;
  #timer: CancelTimer = () => {};

  constructor(topic: string, deps: LaneDeps) {
    this.#topic = topic;
    this.#deps = deps;
  }

  get queued(): number {
    return this.#queue.length;
  }

  /** An earlier process stored messages of this key. */
  hasStored(key: string): void {
    this.#key(key);
  }

  add(message: StoredMessage, entry: Entry): void {
    if (message.class === "state") this.#supersede(message);
    this.#queue.push({ message, entry });
    if (this.#slow) this.#storeQueue();
    else this.pump();
  }

  /** A sample is handled soon or never. */
  addSample(message: StoredMessage): void {
    if (!this.#deps.handler() || this.#queue.length >= maxSamples) return;
    this.#queue.push({ message, entry: undefined });
    this.pump();
  }

  /** Forgets what neither runs nor is stored; it comes again. */
  forget(): Entry[] {
    const entries = this.#queue.flatMap(({ entry }) => (entry ? [entry] : []));
    this.#queue = [];
    return entries;
  }

  /** An entry that was to be stored is, or was handled before. */
  stored(key: string): void {
    const known = this.#keys.get(key);
    if (known) known.pending--;
  }

  /** Looks whether there is something to do. */
  pump(): void {
    if (this.#closed || this.#running || this.#fetching) return;
    if (!this.#deps.handler()) return this.#storeQueue();
    if ([...this.#keys.values()].some((key) => !key.resting)) return this.#fetch();
    for (let head = this.#queue[0]; head; head = this.#queue[0]) {
      const { message, entry } = head;
      const waits = entry !== undefined && this.#keys.has(message.key); // its key rests: wait behind (I2)
      if (waits && !this.#store(message, entry)) return;
      this.#queue.shift();
      if (!waits) return this.#run(message, entry);
    }
  }

  /** No call begins any more. Calls under way are left alone. */
  close(): void {
    this.#closed = true;
    this.#timer();
    for (const key of this.#keys.values()) key.resting?.();
  }

  /** I5, for those in memory; the store does it for those on disk. */
  #supersede(newer: StoredMessage): void {
    const isOlder = ({ message, entry }: { message: StoredMessage; entry: Entry | undefined }) =>
      entry !== undefined && message.class === "state" && message.key === newer.key;
    const older = this.#queue.filter(isOlder);
    if (older.length === 0) return;
    this.#queue = this.#queue.filter((waiting) => !isOlder(waiting));
    for (const { message, entry } of older) this.#deps.handled(message, entry);
  }

  /** Runs the first stored message whose key does not rest. */
  #fetch(): void {
    this.#fetching = true;
    const resting = [...this.#keys].filter(([, key]) => key.resting).map(([name]) => name);
    // Those that hold nothing unless this read finds it. A key that gets a message meanwhile is not among them.
    const looked = [...this.#keys].filter(([, key]) => !key.resting && key.pending === 0);
    const stores = looked.map(([, key]) => key.stores);
    const done = [...this.#deps.uncommitted()]; // the read may find them, even if they are committed when it ends
    this.#deps.read(resting).then(
      (rows) => {
        this.#fetching = false;
        if (this.#closed) return;
        const next = rows.find((row) => !includes(done, row));
        if (next) return this.#run(next, undefined);
        if (rows.length > 0) {
          // All handled. Their commit pumps again, unless it is over.
          if (!rows.some((row) => includes(this.#deps.uncommitted(), row))) this.pump();
          return;
        }
        const empty = looked.filter(([, key], at) => !key.resting && key.stores === stores[at]);
        for (const [name] of empty) this.#keys.delete(name);
        // What is still being stored is pumped by its commit; what was committed meanwhile needs another look.
        const due = [...this.#keys.values()].filter((key) => !key.resting);
        if (due.length === 0 || due.some((key) => key.pending === 0)) this.pump();
      },
      (error: unknown) => {
        if (this.#closed) return;
        this.#deps.log.error("reading the inbox failed", { topic: this.#topic, error: Fault.from(error) });
        this.#timer = this.#deps.clock.after(retry.baseMs, () => {
          this.#fetching = false;
          this.pump();
        });
      },
    );
  }

  #run(message: StoredMessage, entry: Entry | undefined): void {
    const handler = this.#deps.handler();
    if (!handler) return;
    const { clock, log, slowMs } = this.#deps;
    this.#running = true;
    this.#timer = clock.after(slowMs, () => {
      this.#slow = true;
      if (entry) this.#store(message, entry);
      this.#storeQueue(); // I3
      this.#timer = clock.after(hungMs, () => {
        const { topic, key, seq } = message;
        log.warn("a handler does not return; its topic waits", { topic, key, seq, forMs: hungMs });
      });
    });
    const ended = (failure: unknown) => {
      this.#timer();
      this.#running = false;
      this.#slow = false;
      if (this.#closed) return;
      if (failure === undefined) this.#handled(message, entry);
      else this.#failed(message, entry, failure);
      this.pump();
    };
    void call(handler, message).then(
      () => ended(undefined),
      (error: unknown) => ended(error ?? new Fault("Bug", "a handler rejected with nothing")),
    );
  }

  #handled(message: StoredMessage, entry: Entry | undefined): void {
    if (message.class === "sample") return;
    const key = this.#keys.get(message.key);
    if (key) key.attempts = 0;
    this.#deps.handled(message, entry);
  }

  #failed(message: StoredMessage, entry: Entry | undefined, error: unknown): void {
    const { log, clock, random } = this.#deps;
    const { topic, seq } = message;
    if (error instanceof Unreadable) {
      log.error("dropped a message that is no JSON", { topic, key: message.key, seq });
      return this.#handled(message, entry);
    }
    if (message.class === "sample") {
      return log.debug("a sample's handler failed", { topic, error: Fault.from(error) });
    }
    const key = this.#key(message.key);
    key.attempts++;
    const retryMs = backoffDelay(key.attempts, retry, random);
    log[key.attempts < 3 ? "info" : "warn"]("a handler failed; its message comes again", {
      ...{ topic, key: message.key, seq, attempt: key.attempts, retryMs, error: Fault.from(error) },
    });
    key.resting = clock.after(retryMs, () => {
      key.resting = undefined;
      this.pump();
    });
    if (entry) this.#store(message, entry, true); // even into a full store: few can be running
  }

  #storeQueue(): void {
    for (let head = this.#queue[0]; head; head = this.#queue[0]) {
      if (head.entry && !this.#store(head.message, head.entry)) return;
      this.#queue.shift(); // a sample is dropped
    }
  }

  #store(message: StoredMessage, entry: Entry, must = false): boolean {
    if (entry.stored !== "no") return true;
    if (!this.#deps.store(entry, must)) return false;
    const key = this.#key(message.key);
    key.pending++;
    key.stores++;
    return true;
  }

  #key(name: string): KeyState {
    let key = this.#keys.get(name);
    if (!key) this.#keys.set(name, (key = { pending: 0, stores: 0, attempts: 0, resting: undefined }));
    return key;
  }
}

class Unreadable extends Error {}

/** Calls a handler; whatever it throws, even before its promise, becomes a rejection. */
async function call(handler: Handler, stored: StoredMessage): Promise<void> {
  let message: Message;
  try {
    message = messageOf(stored);
  } catch {
    throw new Unreadable();
  }
  await handler(message);
}

function includes(places: readonly Place[], { epoch, seq }: Place): boolean {
  return places.some((place) => place.seq === seq && place.epoch === epoch);
}
