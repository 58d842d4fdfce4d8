// Joining abort signals without leaving traces. AbortSignal.any keeps a record in each of its sources for as long as those live
// (nodejs/node#54614; measured on Node 20: 1.2 kB a call), which a program that runs for months must not do.

import { setMaxListeners } from "node:events";

/**
 * Calls `fire` when the signal aborts, at once if it has. Returns a function that ends it; twice is once. Many may wait for one
 * signal: Node's warning about more than ten is turned off for it, since here every listener is taken away.
 */
export function onAbort(signal: AbortSignal, fire: () => void): () => void {
  if (signal.aborted) {
    fire();
    return () => {};
  }
  setMaxListeners(0, signal);
  signal.addEventListener("abort", fire, { once: true });
  return () => signal.removeEventListener("abort", fire);
}

/** A signal that follows others until it is unlinked. */
export interface LinkedAbort {
  readonly signal: AbortSignal;
  /** Aborts this signal alone, and unlinks it. */
  abort(): void;
  /** Follows the others no more. Always call it when the work is over, once or more often. */
  unlink(): void;
}

/** Aborts when the first of these does; at once if one has. What is undefined is passed over. */
export function linkAbort(...sources: readonly (AbortSignal | undefined)[]): LinkedAbort {
  const controller = new AbortController();
  const links: (() => void)[] = [];
  const unlink = () => {
    for (const end of links.splice(0)) end();
  };
  function abort() {
    unlink();
    controller.abort();
  }
  for (const source of sources) {
    if (source) links.push(onAbort(source, abort));
  }
  if (controller.signal.aborted) unlink();
  return { signal: controller.signal, abort, unlink };
}
