// Runs controllers over a store: follows their kinds, keeps a queue of keys for each, calls their reconcilers.
//
//   N1. No round before every kind the controller follows has been listed once.
//   N2. One key never in two rounds at once; a change during a round brings one more round.
//   N3. Every key gets a round at start, at each change of the object or of what `follows` maps to it, and every resyncMs.
//   N4. What a round throws decides what follows: Invalid waits for a change, Cancelled is silent, all else comes again with back-off.
//   N5. After abort nothing new starts; running rounds see the signal; `stopped` resolves when they end, or 1 s later.
import { Fault } from "../fault.ts";
import type { Logger } from "../log.ts";
import type { Kind } from "../resource/kind.ts";
import { keyOf, keyText, parseKey, type Key, type Resource } from "../resource/meta.ts";
import type { ResourceStore } from "../store/store.ts";
import { backoffDelay, type BackoffOptions } from "../time/backoff.ts";
import { sleep, type CancelTimer, type Clock } from "../time/clock.ts";
import type { Change } from "./cache.ts";
import { informers, orAborted, ownSignal, type Informer, type Informers } from "./informer.ts";
import type { Controller, Follow } from "./reconciler.ts";
import { troubleLevel } from "./trouble.ts";
import { WorkQueue, type Outcome } from "./workqueue.ts";

export interface RunnerDeps {
  readonly store: ResourceStore;
  readonly clock: Clock;
  readonly log: Logger;
  /** In [0, 1), for jitter. */
  readonly random: () => number;
}

export interface FailingKey {
  readonly key: string;
  /** When the first failure in a row was, milliseconds since 1970. */
  readonly since: number;
  readonly failures: number;
  readonly code: string;
  readonly message: string;
  /** When it is tried again; absent: when something changes. */
  readonly retryAt?: number;
}

export interface ControllerHealth {
  readonly name: string;
  /** False until all that it follows was listed. */
  readonly synced: boolean;
  /** Keys that wait and are due. */
  readonly due: number;
  /** Keys in a round now, with the time they are in it. */
  readonly working: readonly { readonly key: string; readonly forMs: number }[];
  /** Rounds ended since start, and how many of them failed. */
  readonly rounds: number;
  readonly failures: number;
  readonly failing: readonly FailingKey[];
}

export interface RunningControllers {
  /** Resolves when all controllers have listed what they follow; rejects with Cancelled when stopped before. */
  readonly ready: Promise<void>;
  /** Resolves after abort, when the rounds under way have ended, at the latest 1 s after it. */
  readonly stopped: Promise<void>;
  health(): ControllerHealth[];
}

const defaultBackoff: BackoffOptions = { baseMs: 5, capMs: 300_000 };
const stopWithinMs = 1_000;

/** Starts the controllers; they run until the signal aborts. Controllers that follow the same kind share its cache. */
export function runControllers(
  deps: RunnerDeps,
  controllers: readonly Controller[],
  stop: AbortSignal,
): RunningControllers {
  const signal = ownSignal(stop);
  const shared = informers({ ...deps, log: deps.log.child({ component: "informer" }) }, signal);
  const runs = controllers.map((controller) => new ControllerRun(deps, controller, shared, signal));
  const ready = Promise.all(runs.map((run) => run.ready)).then(() => {});
  ready.catch(() => {}); // whoever cares awaits it
  const aborted = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  const stopped = aborted.then(() =>
    settleWithin(deps.clock, stopWithinMs, Promise.all([shared.stopped, ...runs.map((run) => run.idle())])),
  );
  return { ready, stopped, health: () => runs.map((run) => run.health()) };
}

interface Trouble {
  readonly since: number;
  failures: number;
  fault: Fault;
  retryAt: number | undefined;
}

class ControllerRun {
  readonly ready: Promise<void>;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #random: () => number;
  readonly #controller: Controller;
  readonly #signal: AbortSignal;
  readonly #primary: Informer;
  readonly #queue: WorkQueue;
  readonly #working = new Map<string, { readonly startedAt: number; readonly done: Promise<void> }>();
  readonly #troubles = new Map<string, Trouble>();
  /** Changes of followed objects for which we are finding out whom they concern. */
  #mapping = 0;
  #timer: CancelTimer | undefined;
  #started = false;
  #rounds = 0;
  #failures = 0;

  constructor(deps: RunnerDeps, controller: Controller, shared: Informers, signal: AbortSignal) {
    this.#clock = deps.clock;
    this.#log = deps.log.child({ controller: controller.name });
    this.#random = deps.random;
    this.#controller = controller;
    this.#signal = signal;
    const backoff = controller.backoff ?? defaultBackoff;
    this.#queue = new WorkQueue({ backoff, random: deps.random });
    this.#primary = shared.of(controller.kind, controller.namespace);
    const followed = controller.follows.map((follow) => ({ follow, informer: shared.of(follow.kind) }));
    const caches: Informer[] = [this.#primary, ...followed.map((f) => f.informer)];
    controller.begin?.({
      cache<R extends Resource>(kind: Kind<R>): Informer<R> {
        const informer = shared.of(kind);
        caches.push(informer as unknown as Informer);
        return informer;
      },
      wake: (key) => this.#enqueue(key),
      signal,
    });
    this.ready = Promise.all(caches.map((i) => i.synced)).then(() => {
      this.#started = true; // N1
      this.#pump();
    });
    this.ready.catch(() => {});
    this.#primary.subscribe((change) => this.#enqueue(keyOf(change.object)));
    for (const { follow, informer } of followed)
      informer.subscribe((change) => this.#onFollowed(follow, change));
    signal.addEventListener("abort", () => this.#timer?.(), { once: true });
  }

  health(): ControllerHealth {
    const now = this.#clock.now();
    return {
      name: this.#controller.name,
      synced: this.#started,
      due: this.#queue.due(now) + this.#mapping,
      working: [...this.#working].map(([key, { startedAt }]) => ({ key, forMs: now - startedAt })),
      rounds: this.#rounds,
      failures: this.#failures,
      failing: [...this.#troubles].map(([key, { since, failures, fault, retryAt }]) => ({
        key,
        since,
        failures,
        code: fault.code,
        message: fault.message,
        ...(retryAt === undefined ? {} : { retryAt }),
      })),
    };
  }

  /** Resolves when no round is under way. */
  async idle(): Promise<void> {
    while (this.#working.size > 0) await Promise.all([...this.#working.values()].map((work) => work.done));
  }

  #enqueue(key: Key): void {
    if (this.#signal.aborted) return;
    const { namespace } = this.#controller;
    if (namespace !== undefined && key.namespace !== namespace) return;
    this.#queue.add(keyText(key), this.#clock.now());
    this.#pump();
  }

  #onFollowed(follow: Follow, change: Change): void {
    // Both sides of a change count: what an object let go of may concern another key than what it took up.
    const sides = change.type === "Modified" ? [change.old, change.object] : [change.object];
    for (const object of sides) void this.#map(follow, object);
  }

  /** Finds out whom a followed object concerns; tries again for as long as that fails. Never rejects. */
  async #map(follow: Follow, object: Resource): Promise<void> {
    const since = this.#clock.now();
    for (let attempt = 1; !this.#signal.aborted; attempt++) {
      this.#mapping++;
      try {
        const answer = follow.affects(object);
        const keys =
          answer instanceof Promise ? await orAborted<readonly Key[]>(answer, this.#signal) : answer;
        for (const key of keys as readonly Key[]) this.#enqueue(key);
        return;
      } catch (error) {
        if (this.#signal.aborted) return;
        const level = troubleLevel(this.#clock.now() - since);
        this.#log[level]("could not tell whom a change concerns", {
          followed: `${follow.kind.kind}/${keyText(keyOf(object))}`,
          attempt,
          error: Fault.from(error),
        });
      } finally {
        this.#mapping--;
      }
      const delayMs = backoffDelay(attempt, { baseMs: 50, capMs: 30_000 }, this.#random);
      await sleep(this.#clock, delayMs, this.#signal).catch(() => {});
    }
  }

  /** Starts rounds while keys are due and hands are free; otherwise sets the timer for the next one. */
  #pump(): void {
    if (!this.#started || this.#signal.aborted) return;
    this.#timer?.();
    this.#timer = undefined;
    while (this.#working.size < (this.#controller.concurrency ?? 4)) {
      const next = this.#queue.take(this.#clock.now());
      if (next.kind === "key") this.#begin(next.key);
      else {
        if (next.kind === "wait") this.#timer = this.#clock.after(next.ms, () => this.#pump());
        return;
      }
    }
  }

  #begin(key: string): void {
    const startedAt = this.#clock.now();
    const done = this.#round(key).then((outcome) => {
      this.#working.delete(key);
      const againMs = this.#queue.done(key, outcome, this.#clock.now());
      const trouble = this.#troubles.get(key);
      if (trouble) trouble.retryAt = againMs === undefined ? undefined : this.#clock.now() + againMs;
      this.#pump();
    });
    this.#working.set(key, { startedAt, done });
  }

  /** One round. Never rejects. */
  async #round(key: string): Promise<Outcome> {
    try {
      const { after } = await this.#controller.reconciler.reconcile(parseKey(key), this.#signal);
      this.#rounds++;
      this.#recovered(key);
      const again = Math.min(after ?? Infinity, this.#resync(key) ?? Infinity);
      return again === Infinity ? { kind: "ok" } : { kind: "ok", after: again };
    } catch (error) {
      this.#rounds++;
      return this.#failed(key, Fault.from(error));
    }
  }

  /** N3: when the key is due even if nothing changes; undefined when the object is gone. */
  #resync(key: string): number | undefined {
    if (!this.#primary.get(parseKey(key))) return undefined;
    const resyncMs = this.#controller.resyncMs ?? 600_000;
    return Math.round(resyncMs * (0.9 + 0.1 * this.#random())); // spread, so that keys do not stay in step
  }

  #failed(key: string, fault: Fault): Outcome {
    if (fault.code === "Cancelled") return { kind: "failed" }; // N4: heard of only if it was not we who stopped
    this.#failures++;
    const now = this.#clock.now();
    const trouble = this.#troubles.get(key) ?? { since: now, failures: 0, fault, retryAt: undefined };
    const repeated = trouble.failures > 0 && trouble.fault.message === fault.message;
    trouble.failures++;
    trouble.fault = fault;
    this.#troubles.set(key, trouble);
    const fields = { key, failures: trouble.failures, troubleMs: now - trouble.since, error: fault };
    switch (fault.code) {
      case "Invalid": {
        if (!repeated) this.#log.warn("round refused; waiting for a change", fields);
        const after = this.#resync(key);
        return after === undefined ? { kind: "refused" } : { kind: "refused", after };
      }
      case "Conflict":
        this.#log[trouble.failures < 5 ? "debug" : troubleLevel(now - trouble.since)](
          "round met a newer version; looking again",
          fields,
        );
        break;
      case "Bug":
        this.#log.error("round failed by a mistake in the program", fields);
        break;
      default:
        this.#log[troubleLevel(now - trouble.since)]("round failed; trying again", fields);
    }
    return fault.retryAfterMs === undefined
      ? { kind: "failed" }
      : { kind: "failed", atLeastMs: fault.retryAfterMs };
  }

  #recovered(key: string): void {
    const trouble = this.#troubles.get(key);
    if (!trouble) return;
    this.#troubles.delete(key);
    if (trouble.fault.code === "Conflict" && trouble.failures < 5) return;
    const troubleMs = this.#clock.now() - trouble.since;
    this.#log.info("recovered", { key, failures: trouble.failures, troubleMs });
  }
}

/** Resolves when the work has ended or the time is over, whichever is first. */
function settleWithin(clock: Clock, ms: number, work: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(ms, resolve);
    void work.then(
      () => (cancel(), resolve()),
      () => (cancel(), resolve()),
    );
  });
}
