import type { CancelTimer, Clock } from "./clock.ts";

/** A clock that moves only when told to. */
export interface FakeClock extends Clock {
  /** Moves time on, firing timers in the order of their due times and letting promises settle between them. */
  advance(ms: number): Promise<void>;
  /** How many timers wait. */
  readonly pending: number;
}

export function fakeClock(startMs = Date.UTC(2026, 0, 1)): FakeClock {
  let now = startMs;
  let serial = 0;
  const timers = new Map<number, { at: number; fire: () => void }>();

  const next = () => [...timers].sort((a, b) => a[1].at - b[1].at || a[0] - b[0])[0];
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

  return {
    now: () => now,
    after(delayMs, fire): CancelTimer {
      const id = ++serial;
      timers.set(id, { at: now + Math.max(delayMs, 0), fire });
      return () => void timers.delete(id);
    },
    async advance(ms) {
      const until = now + ms;
      await settle();
      for (let due = next(); due && due[1].at <= until; due = next()) {
        timers.delete(due[0]);
        now = Math.max(now, due[1].at);
        due[1].fire();
        await settle();
      }
      now = until;
      await settle();
    },
    get pending() {
      return timers.size;
    },
  };
}
