// For tests: controllers on a memory store under a clock that the test moves. Import by path: #core/controller/testing.ts.
import { silentLogger, type Logger } from "../log.ts";
import { memoryStore } from "../store/memory-store.ts";
import type { OwnedStore } from "../store/store.ts";
import { fakeClock, type FakeClock } from "../time/fake-clock.ts";
import type { Controller } from "./reconciler.ts";
import { runControllers, type ControllerHealth } from "./runner.ts";

export interface StageDeps {
  readonly store: OwnedStore;
  readonly clock: FakeClock;
  readonly log: Logger;
}

export interface Stage {
  readonly store: OwnedStore;
  readonly clock: FakeClock;
  /** Lets everything that is due happen, without moving the clock. Fails if it does not come to rest. */
  quiet(): Promise<void>;
  /** Moves the clock on, firing what falls due on the way, then as `quiet`. */
  run(ms: number): Promise<void>;
  health(): ControllerHealth[];
  /** Stops the controllers and closes the store. */
  stop(): Promise<void>;
}

/** Starts controllers and waits until they are quiet. Randomness is 0. A store or clock of the test's own may be given. */
export async function stage(
  controllers: (deps: StageDeps) => readonly Controller[],
  given: Partial<StageDeps> = {},
): Promise<Stage> {
  const clock = given.clock ?? fakeClock();
  const store = given.store ?? memoryStore({ clock });
  const log = given.log ?? silentLogger;
  const stop = new AbortController();
  const running = runControllers(
    { store, clock, log, random: () => 0 },
    controllers({ store, clock, log }),
    stop.signal,
  );

  const isIdle = () =>
    running.health().every((health) => health.synced && health.due === 0 && health.working.length === 0);
  // Watches deliver over a few turns of the event loop: quiet is what stays idle for several.
  async function quiet() {
    for (let turns = 0, idleTurns = 0; idleTurns < 12; turns++) {
      if (turns > 20_000)
        throw new Error(`the controllers do not come to rest: ${JSON.stringify(running.health())}`);
      await clock.advance(0);
      idleTurns = isIdle() ? idleTurns + 1 : 0;
    }
  }

  const made: Stage = {
    store,
    clock,
    quiet,
    async run(ms) {
      const until = clock.now() + ms;
      await quiet();
      // In small steps near each other's due times: a retry that starts work must see its end before time goes on.
      while (clock.now() < until) {
        await clock.advance(Math.min(until - clock.now(), Math.max(1, Math.ceil(ms / 50))));
        await quiet();
      }
    },
    health: () => running.health(),
    async stop() {
      stop.abort();
      await running.stopped;
      await store.close();
    },
  };
  await quiet();
  return made;
}

/** A logger that keeps its lines: level, message and fields. */
export function recordingLogger(): Logger & {
  readonly lines: { level: string; message: string; fields: Record<string, unknown> }[];
} {
  const lines: { level: string; message: string; fields: Record<string, unknown> }[] = [];
  const make = (base: Record<string, unknown>): Logger => {
    const at =
      (level: string) =>
      (message: string, fields: Readonly<Record<string, unknown>> = {}) =>
        void lines.push({ level, message, fields: { ...base, ...fields } });
    return {
      debug: at("debug"),
      info: at("info"),
      warn: at("warn"),
      error: at("error"),
      child: (fields) => make({ ...base, ...fields }),
    };
  };
  return { ...make({}), lines };
}
