// Which key is next: a plain data structure without timers or promises. Times are milliseconds of one clock, the caller's.
//
//   W1. A key that was taken is not handed out again before `done`.
//   W2. A key added while it is worked on comes back once after `done`, however often it was added.
//   W3. No key is lost: whoever takes when told to gets every key that was added.
//   W4. Keys come in the order in which they fell due; keys due at the same time, in the order of the adds.
//   W5. The delay before a retry grows with failures in a row; a success starts it anew.
//   W6. A change brings a failing key forward, though not nearer than `gapMs` to its last round: a controller whose failing
//       rounds write a new status each time must not chase its own writes.
import { Fault } from "../fault.ts";
import { backoffDelay, type BackoffOptions } from "../time/backoff.ts";

export type Taken =
  | { readonly kind: "key"; readonly key: string }
  /** Nothing is due; take again in `ms`, or after the next add or done. */
  | { readonly kind: "wait"; readonly ms: number }
  /** Nothing waits at all. */
  | { readonly kind: "empty" };

/** How a round ended. */
export type Outcome =
  /** Well. With `after`: come again in that many milliseconds. */
  | { readonly kind: "ok"; readonly after?: number }
  /** Badly: come again with back-off, in no less than `atLeastMs`. */
  | { readonly kind: "failed"; readonly atLeastMs?: number }
  /** Badly, and trying again is of no use: come again when something changes, or after `after`. */
  | { readonly kind: "refused"; readonly after?: number };

export interface WorkQueueOptions {
  readonly backoff: BackoffOptions;
  /** W6; 1000 unless told. */
  readonly gapMs?: number;
  /** In [0, 1), for the jitter of retries. */
  readonly random: () => number;
}

interface Entry {
  /** When to hand it out; absent while nothing asks for it. */
  due: number | undefined;
  /** Order of the adds (W4); also tells which heap item is the current one. */
  serial: number;
  working: boolean;
  failures: number;
  /** W6: while failing, not before this. */
  notBefore: number;
}

interface Item {
  readonly due: number;
  readonly serial: number;
  readonly key: string;
}

export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #entries = new Map<string, Entry>();
  /** Items are left behind when an entry's due time changes; `#peek` drops them. */
  readonly #heap: Item[] = [];
  #serial = 0;
  #working = 0;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  /** Asks for `key` in `after` milliseconds (at once unless told). Of several asks the earliest counts. */
  add(key: string, now: number, after = 0): void {
    let entry = this.#entries.get(key);
    if (!entry) {
      entry = { due: undefined, serial: 0, working: false, failures: 0, notBefore: -Infinity };
      this.#entries.set(key, entry);
    }
    this.#schedule(key, entry, Math.max(now + after, entry.notBefore));
  }

  /** The next due key, which is the caller's until `done`; or how long to wait. */
  take(now: number): Taken {
    const top = this.#peek();
    if (!top) return { kind: "empty" };
    if (top.due > now) return { kind: "wait", ms: top.due - now };
    pop(this.#heap);
    const entry = this.#entries.get(top.key);
    if (!entry) throw new Fault("Bug", `the work queue lost ${top.key}`);
    entry.due = undefined;
    entry.working = true;
    this.#working++;
    return { kind: "key", key: top.key };
  }

  /** Gives a taken key back. Returns when it will come again, in milliseconds from now; undefined: when it is added. */
  done(key: string, outcome: Outcome, now: number): number | undefined {
    const entry = this.#entries.get(key);
    if (!entry?.working) throw new Fault("Bug", `${key} was given back without having been taken`);
    const touched = entry.due; // W2
    entry.due = undefined;
    entry.working = false;
    this.#working--;

    let again: number | undefined;
    if (outcome.kind === "ok") {
      entry.failures = 0; // W5
      entry.notBefore = -Infinity;
      if (outcome.after !== undefined) again = now + outcome.after;
    } else {
      entry.failures++;
      const retry = backoffDelay(entry.failures, this.#options.backoff, this.#options.random);
      const delay = Math.max(retry, outcome.kind === "failed" ? (outcome.atLeastMs ?? 0) : 0);
      entry.notBefore = now + Math.min(delay, this.#options.gapMs ?? 1000); // W6
      if (outcome.kind === "failed") again = now + delay;
      else if (outcome.after !== undefined) again = now + outcome.after;
    }
    if (touched !== undefined) this.#schedule(key, entry, Math.max(touched, entry.notBefore));
    if (again !== undefined) this.#schedule(key, entry, again);

    if (entry.due === undefined && entry.failures === 0) this.#entries.delete(key);
    return entry.due === undefined ? undefined : Math.max(0, entry.due - now);
  }

  /** Failures in a row. */
  failures(key: string): number {
    return this.#entries.get(key)?.failures ?? 0;
  }

  /** Keys taken and not given back. */
  get working(): number {
    return this.#working;
  }

  /** Keys that wait and are due. Walks all keys: for health reports and tests. */
  due(now: number): number {
    let count = 0;
    for (const entry of this.#entries.values())
      if (!entry.working && entry.due !== undefined && entry.due <= now) count++;
    return count;
  }

  /** Keys that wait, due or not. */
  waiting(): number {
    let count = 0;
    for (const entry of this.#entries.values()) if (!entry.working && entry.due !== undefined) count++;
    return count;
  }

  #schedule(key: string, entry: Entry, due: number): void {
    if (entry.due !== undefined && entry.due <= due) return;
    entry.due = due;
    entry.serial = ++this.#serial;
    if (!entry.working) push(this.#heap, { due, serial: entry.serial, key });
  }

  /** The first item that still counts. */
  #peek(): Item | undefined {
    for (;;) {
      const top = this.#heap[0];
      if (!top) return undefined;
      const entry = this.#entries.get(top.key);
      if (entry && !entry.working && entry.due === top.due && entry.serial === top.serial) return top;
      pop(this.#heap);
    }
  }
}

// A binary heap, earliest first.

function before(a: Item, b: Item): boolean {
  return a.due !== b.due ? a.due < b.due : a.serial < b.serial;
}

function push(heap: Item[], item: Item): void {
  let at = heap.length;
  heap.push(item);
  while (at > 0) {
    const up = (at - 1) >> 1;
    const parent = heap[up];
    if (!parent || !before(item, parent)) break;
    heap[at] = parent;
    at = up;
  }
  heap[at] = item;
}

function pop(heap: Item[]): void {
  const item = heap.pop();
  if (!item || heap.length === 0) return;
  let at = 0;
  for (;;) {
    const left = heap[2 * at + 1];
    const right = heap[2 * at + 2];
    if (!left) break;
    const [child, index] = right && before(right, left) ? [right, 2 * at + 2] : [left, 2 * at + 1];
    if (!before(child, item)) break;
    heap[at] = child;
    at = index;
  }
  heap[at] = item;
}
