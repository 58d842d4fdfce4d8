// Time comes in as an argument. Production uses `systemClock`; tests move a `fakeClock`.
import { onAbort } from "../abort.ts";
import { Fault } from "../fault.ts";

/** Stops a timer. Calling it twice, or after the timer went off, does nothing. */
export type CancelTimer = () => void;

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls `fire` once, `delayMs` from now (never sooner; 0 or less means as soon as possible). */
  after(delayMs: number, fire: () => void): CancelTimer;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  after(delayMs, fire) {
    const timer = setTimeout(fire, Math.min(Math.max(delayMs, 0), 2 ** 31 - 1));
    return () => clearTimeout(timer);
  },
};

/** Waits `delayMs`. Rejects with Cancelled when the signal aborts, at once if it has already. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(new Fault("Cancelled", "waiting was cancelled"));
    let unlink = () => {};
    const cancel = clock.after(delayMs, () => {
      unlink();
      resolve();
    });
    if (!signal) return;
    unlink = onAbort(signal, () => {
      cancel();
      reject(new Fault("Cancelled", "waiting was cancelled"));
    });
  });
}

/** The time as Kubernetes writes it: RFC 3339 in UTC without fractions, "2026-11-21T08:00:00Z". */
export function timestamp(clock: Clock): string {
  return formatTime(clock.now());
}

/** Milliseconds since 1970 as RFC 3339 in UTC without fractions. */
export function formatTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
}
