// The end of the event log, kept in memory for those who follow it.
//
//   T1. Events are handed out in the order of their revisions, each once, none missed; what is no longer remembered is Gone.
//   T2. Nobody is waited for: a follower keeps its own place, and one that falls behind reads the log, until that forgets.
//   T3. Writes of other processes on the same rows are found by looking, every pollMs while somebody follows.
import { onAbort } from "../abort.ts";
import { Fault } from "../fault.ts";
import type { CancelTimer, Clock } from "../time/clock.ts";
import { forgotten } from "./memory-rows.ts";
import type { Logged, Rows } from "./rows.ts";

/** Kept in memory: so many of the newest events, at most twice as many. */
const ringSize = 256;

/** Read from the rows at once: so many. */
const batch = 512;

export class Tail {
  readonly #rows: Rows;
  readonly #clock: Clock;
  readonly #pollMs: number;
  readonly #unlisten: () => void;
  #ring: Logged[] = [];
  /** The last revision heard of; undefined until first asked. */
  #newest: number | undefined;
  #catching: Promise<void> | undefined;
  #waiting = new Set<() => void>();
  #poll: CancelTimer | undefined;
  #closed = false;

  /** `pollMs` 0: only writes through these rows are found. */
  constructor(rows: Rows, clock: Clock, pollMs: number) {
    this.#rows = rows;
    this.#clock = clock;
    this.#pollMs = pollMs;
    this.#unlisten = rows.listen((event) => this.#heard(event));
  }

  /** The newest revision there is. */
  async newest(): Promise<number> {
    await this.#catchUp();
    return this.#newest ?? 0;
  }

  /** The newest revision heard of so far. */
  get heard(): number {
    return this.#newest ?? 0;
  }

  /** Events after this revision, as soon as there is at least one; none when the signal aborts. Gone (T1). */
  async read(after: number, signal: AbortSignal): Promise<readonly Logged[]> {
    while (!signal.aborted) {
      if (this.#closed) throw new Fault("Unavailable", "the store is closed");
      if (this.#newest === undefined || after > this.#newest) await this.#catchUp();
      const newest = this.#newest ?? 0;
      if (after > newest) throw forgotten(after); // of another history
      if (after < newest) {
        const start = after - (newest - this.#ring.length);
        if (start >= 0) return this.#ring.slice(start);
        const { events, oldest } = await this.#rows.events(after, batch);
        if (after < oldest - 1) throw forgotten(after);
        return events;
      }
      await this.#wait(signal);
    }
    return [];
  }

  close(): void {
    this.#closed = true;
    this.#unlisten();
    this.#poll?.();
    this.#wake();
  }

  #heard(event: Logged): void {
    if (this.#newest === undefined || event.revision <= this.#newest) return;
    if (event.revision > this.#newest + 1) return void this.#catchUp().catch(() => {}); // others wrote: T1
    this.#newest = event.revision;
    this.#ring.push(event);
    if (this.#ring.length >= ringSize * 2) this.#ring = this.#ring.slice(-ringSize);
    this.#wake();
  }

  /** Reads all that was committed before the call. */
  async #catchUp(): Promise<void> {
    await this.#catching?.catch(() => {}); // it may have looked too early for us
    await (this.#catching ??= this.#readNew().finally(() => (this.#catching = undefined)));
  }

  async #readNew(): Promise<void> {
    if (this.#newest === undefined) {
      const { newest } = await this.#rows.events(Number.MAX_SAFE_INTEGER, 0);
      this.#newest ??= newest;
    }
    for (;;) {
      const { events, oldest, newest } = await this.#rows.events(this.#newest, batch);
      if (this.#newest < oldest - 1) {
        this.#ring = []; // the log forgot faster than we read: followers find out by themselves
        this.#newest = newest;
        this.#wake();
        return;
      }
      for (const event of events) this.#heard(event);
      if (newest <= this.#newest) return;
    }
  }

  #wait(signal: AbortSignal): Promise<void> {
    this.#look();
    return new Promise((resolve) => {
      let unlink = () => {};
      const done = () => {
        this.#waiting.delete(done);
        unlink();
        if (this.#waiting.size === 0) {
          this.#poll?.();
          this.#poll = undefined;
        }
        resolve();
      };
      this.#waiting.add(done);
      unlink = onAbort(signal, done);
      if (this.#closed) done();
    });
  }

  #wake(): void {
    for (const done of [...this.#waiting]) done();
  }

  /** T3 */
  #look(): void {
    if (this.#pollMs <= 0 || this.#poll || this.#closed) return;
    this.#poll = this.#clock.after(this.#pollMs, () => {
      this.#poll = undefined;
      if (this.#closed) return;
      this.#catchUp()
        .catch(() => {})
        .finally(() => this.#waiting.size > 0 && this.#look());
    });
  }
}
