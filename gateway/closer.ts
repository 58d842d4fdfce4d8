// What was started is ended: first the signal, then whatever was promised to stop, then what was opened, in reverse order.
import { linkAbort, type Logger } from "#core";
import type { Leadership } from "#core/controller/leadership.ts";

export interface Ending {
  /** Aborts when the outer signal does, or at `close`. */
  readonly signal: AbortSignal;
  /** Closes this at the end; the newest goes first. */
  own<T extends { close(): Promise<unknown> }>(thing: T): T;
  /** Waits for this before anything is closed. What it rejects with after the end is of no interest; before, it is logged. */
  wait(work: Promise<unknown>): void;
  /** Waits for the lead and keeps it until all else is closed. */
  hold(leadership: Leadership): Promise<void>;
  /** Ends everything. Twice is once. Never rejects. */
  close(): Promise<void>;
}

export function closer(outer: AbortSignal, log: Logger): Ending {
  const { signal, abort } = linkAbort(outer);
  const owned: { close(): Promise<unknown> }[] = [];
  const waited: Promise<unknown>[] = [];
  let closing: Promise<void> | undefined;

  const close = () => (closing ??= closeAll());
  async function closeAll(): Promise<void> {
    abort();
    await Promise.allSettled(waited);
    for (const thing of owned.reverse()) {
      await thing.close().catch((error: unknown) => log.warn("something did not close well", { error }));
    }
  }
  outer.addEventListener("abort", () => void close(), { once: true });

  return {
    signal,
    own(thing) {
      owned.push(thing);
      return thing;
    },
    wait(work) {
      waited.push(
        work.catch((error: unknown) => {
          if (!signal.aborted) log.error("background work failed", { error });
        }),
      );
    },
    hold(leadership) {
      return new Promise((resolve, reject) => {
        let release: () => void = () => {};
        const held = new Promise<void>((done) => (release = done));
        const led = leadership.lead(async () => {
          resolve();
          await held;
        }, signal);
        led.then(() => reject(signal.reason as Error), reject); // settles nothing once the lead was had
        owned.push({
          async close() {
            release();
            await led.catch(() => {});
          },
        });
      });
    },
    close,
  };
}
