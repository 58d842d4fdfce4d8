// One attachment's way through the outbox: from the peer's cursor on, never more unacknowledged than the window.
import type { Outbox, LogFrame } from "./outbox.ts";
import { frame, type Frame } from "../session/frame.ts";

export interface Window {
  readonly maxMessages: number;
  readonly maxBytes: number;
}

/** At most so much of a log is sent and unacknowledged. Both sides count on it (SPEC.md of the wire, M5). */
export const defaultWindow: Window = { maxMessages: 1_024, maxBytes: 4 * 1024 * 1024 };

const batch = 64;

export class Sender {
  readonly #outbox: Outbox;
  readonly #window: Window;
  readonly #wake: () => void;
  readonly #onFault: (error: unknown) => void;
  /** Read and not sent. */
  #ready: { frame: LogFrame; bytes: number }[] = [];
  /** Sent and not acknowledged, in order. */
  #inFlight: { seq: number; bytes: number }[] = [];
  #bytesInFlight = 0;
  #prev: number;
  #readUpTo: number;
  #loading = false;
  /** There may be rows that were not read. */
  #more = true;
  #stopped = false;

  /** `wake` is called when `next` has something again. */
  constructor(
    outbox: Outbox,
    from: { cursor: number; window: Window; wake: () => void; onFault: (error: unknown) => void },
  ) {
    this.#outbox = outbox;
    this.#window = from.window;
    this.#wake = from.wake;
    this.#onFault = from.onFault;
    this.#prev = from.cursor;
    this.#readUpTo = from.cursor;
    if (outbox.acked > from.cursor) this.#owned(from.cursor, outbox.acked);
    outbox.onAppend = () => {
      this.#more = true;
      this.#load();
    };
    this.#load();
  }

  /** The next frame of the log, or undefined while the window is full or nothing waits. */
  next(): Frame | undefined {
    if (this.#stopped || !this.#hasRoom()) return undefined;
    const head = this.#ready.shift();
    if (this.#ready.length < batch / 2) this.#load();
    if (!head) return undefined;
    const { seq } = head.frame.body;
    const prev = this.#prev;
    this.#prev = seq;
    this.#inFlight.push({ seq, bytes: head.bytes });
    this.#bytesInFlight += head.bytes;
    return { ...head.frame, body: { ...head.frame.body, prev } } as Frame;
  }

  /** Takes an ACK. False when it is about something that was not sent. */
  acknowledge(seq: number): boolean {
    if (seq > this.#prev) return false;
    let count = 0;
    for (const sent of this.#inFlight) {
      if (sent.seq > seq) break;
      this.#bytesInFlight -= sent.bytes;
      count++;
    }
    this.#inFlight.splice(0, count);
    this.#outbox.acknowledge(seq);
    if (count > 0) this.#wake();
    return true;
  }

  stop(): void {
    this.#stopped = true;
    this.#ready = [];
  }

  #hasRoom(): boolean {
    const { maxMessages, maxBytes } = this.#window;
    return this.#inFlight.length < maxMessages && this.#bytesInFlight < maxBytes;
  }

  /** The peer lost what it had acknowledged: it must hear that these will not come again. */
  #owned(cursor: number, acked: number): void {
    const reason = "acknowledged earlier, by a database the receiver no longer has";
    const body = { seq: acked, prev: 0, first: cursor + 1, count: acked - cursor, reason };
    this.#ready.push({ frame: frame("gap", body), bytes: 0 });
    this.#readUpTo = acked;
  }

  #load(): void {
    if (this.#loading || !this.#more || this.#stopped || this.#ready.length >= batch) return;
    this.#loading = true;
    this.#more = false; // an append from here on sets it again
    this.#outbox
      .read(this.#readUpTo, batch)
      .then((rows) => {
        this.#loading = false;
        if (this.#stopped) return;
        if (rows.length === batch) this.#more = true;
        this.#readUpTo = rows.at(-1)?.frame.body.seq ?? this.#readUpTo;
        this.#ready.push(...rows);
        if (rows.length > 0) this.#wake();
        this.#load();
      })
      .catch((error: unknown) => {
        this.#loading = false;
        if (!this.#stopped) this.#onFault(error);
      });
  }
}
