// One supervised program: started, watched, started again, until it is stopped. decide.ts says what to do; here it is done.
import { backoffDelay, Fault, onAbort, type Clock, type Logger } from "#core";
import {
  decide,
  failuresAfter,
  heard,
  patience,
  type Answer,
  type Decision,
  type Life,
  type ProgramState,
} from "./decide.ts";
import { diagnose } from "./diagnose.ts";
import { isStack, LineBudget, parseLine } from "./lines.ts";
import { rssMiB, type Command, type Spawn, type Spawned } from "./process.ts";

export interface ProgramStatus {
  readonly name: string;
  readonly version: string;
  readonly state: ProgramState;
  readonly pid?: number;
  readonly rssMiB?: number;
  /** How often it was started again. */
  readonly restarts: number;
  /** When it came into this state, milliseconds since 1970. */
  readonly since: number;
  /** What is wrong and what to do. */
  readonly message?: string;
}

export interface ProgramOptions {
  readonly name: string;
  readonly version: string;
  /** Built anew for each start. */
  readonly command: () => Command;
  /** Asks it; one that throws or takes too long is silent. */
  readonly probe: (signal: AbortSignal) => Promise<Answer>;
  /** How long it may take to end before it is killed. */
  readonly stopMs: number;
  /** The name of a program that it cannot do without and that is not ready now; undefined: it has what it needs. */
  readonly misses?: () => string | undefined;
  readonly dataDir: string;
}

export interface ProgramDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  readonly spawn: Spawn;
}

const pauses = { baseMs: 500, capMs: 60_000, jitter: 0.3 };
const probeTimeoutMs = 3_000;
const tailLines = 20;

export class Program {
  readonly name: string;
  readonly #options: ProgramOptions;
  readonly #deps: ProgramDeps;
  readonly #log: Logger;
  /** What the program says in a debugger's ear, and what everybody reads. */
  readonly #budgets = { quiet: new LineBudget(20, 200), loud: new LineBudget(0.5, 20) };
  readonly #stopping = new AbortController();
  #life: Life = { kind: "absent" };
  #process: Spawned | undefined;
  #failures = 0;
  #starts = 0;
  #tail: string[] = [];
  #state: ProgramState = "starting";
  #message: string | undefined;
  #since: number;
  #wake = () => {};
  #settled: (() => void)[] = [];
  #running: Promise<void> | undefined;

  constructor(options: ProgramOptions, deps: ProgramDeps) {
    this.name = options.name;
    this.#options = options;
    this.#deps = deps;
    this.#log = deps.log.child({ program: options.name });
    this.#since = deps.clock.now();
  }

  /** Begins to supervise it. Twice is once. */
  start(): void {
    this.#running ??= this.#supervise();
  }

  /** Waits until it is ready. Unavailable, with what to do, when it crash-loops instead. */
  async ready(signal: AbortSignal): Promise<void> {
    this.start();
    for (;;) {
      if (signal.aborted || this.#stopping.signal.aborted) {
        throw new Fault("Cancelled", `starting ${this.name} was cancelled`);
      }
      if (this.#state === "ready") return;
      if (this.#state === "crash-looping") {
        throw new Fault("Unavailable", `${this.name} does not start: ${this.#message ?? "it ends at once"}`);
      }
      await new Promise<void>((resolve) => {
        const unlink = onAbort(signal, resolve);
        this.#settled.push(() => {
          unlink();
          resolve();
        });
      });
    }
  }

  get state(): ProgramState {
    return this.#state;
  }

  async status(): Promise<ProgramStatus> {
    const pid = this.#life.kind === "running" ? this.#process?.pid : undefined;
    const rss = pid === undefined ? undefined : await rssMiB(pid);
    return {
      name: this.name,
      version: this.#options.version,
      state: this.#state,
      ...(pid === undefined ? {} : { pid }),
      ...(rss === undefined ? {} : { rssMiB: rss }),
      restarts: Math.max(0, this.#starts - 1),
      since: this.#since,
      ...(this.#message === undefined ? {} : { message: this.#message }),
    };
  }

  /** Ends it, by force where it takes too long. Twice is once. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wake();
    const running = this.#process;
    if (running && this.#life.kind === "running") {
      running.kill("SIGTERM");
      const cancel = this.#deps.clock.after(this.#options.stopMs, () => running.kill("SIGKILL"));
      await running.ended;
      cancel();
    }
    await this.#running;
    this.#become("stopped");
  }

  #decide(): Decision {
    const misses = this.#options.misses?.();
    return decide({
      now: this.#deps.clock.now(),
      life: this.#life,
      failures: this.#failures,
      ...(misses === undefined ? {} : { misses }),
    });
  }

  async #supervise(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const decision = this.#decide();
      this.#tell(decision);
      switch (decision.do) {
        case "start":
          this.#spawn();
          break;
        case "kill":
          this.#log.warn("program killed: it did not become ready", { reason: decision.message });
          this.#process?.kill("SIGKILL");
          await this.#process?.ended;
          break;
        case "wait":
          await this.#pause(decision.ms);
          break;
        case "probe":
          await this.#probe();
          if (this.#life.kind === "running") {
            const next = this.#decide();
            this.#tell(next);
            await this.#pause(next.do === "probe" ? next.thenMs : 0);
          }
          break;
      }
    }
  }

  #spawn(): void {
    const { clock, spawn } = this.#deps;
    this.#starts++;
    this.#tail = [];
    const child = spawn(this.#options.command(), (line) => this.#hear(line));
    this.#process = child;
    this.#life = { kind: "running", since: clock.now() };
    this.#log.debug("program started", { pid: child.pid });
    void child.ended.then((how) => this.#ended(child, how));
  }

  #ended(child: Spawned, how: string): void {
    if (child !== this.#process || this.#life.kind !== "running") return;
    const { clock, random } = this.#deps;
    const now = clock.now();
    this.#failures = failuresAfter(this.#failures, this.#life, now);
    const startAt = now + backoffDelay(this.#failures, pauses, random);
    this.#life = { kind: "ended", at: now, startAt };
    if (!this.#stopping.signal.aborted) {
      const last = this.#tail.at(-1);
      const found = diagnose(this.#options.dataDir, how, this.#tail);
      this.#message = `ended (${how}): ${found?.advice ?? last ?? "it said nothing"}`;
      const level = this.#failures >= patience.loopAfter ? "error" : "warn";
      this.#log[level]("program ended", { how, last, againInMs: startAt - now, inARow: this.#failures });
    }
    this.#wake();
  }

  async #probe(): Promise<void> {
    const { clock } = this.#deps;
    const limit = new AbortController();
    const unlink = onAbort(this.#stopping.signal, () => limit.abort());
    const cancel = clock.after(probeTimeoutMs, () => limit.abort());
    const answer = await this.#options.probe(limit.signal).catch(() => undefined);
    cancel();
    unlink();
    if (this.#life.kind !== "running") return;
    const now = clock.now();
    const life = heard(this.#life, answer, now);
    this.#life = life;
    const { readySince } = life;
    if (readySince !== undefined && now - readySince >= patience.steadyMs) this.#failures = 0;
  }

  #hear(line: string): void {
    if (isStack(line)) return;
    const { severity, text } = parseLine(line);
    this.#tail.push(text);
    if (this.#tail.length > tailLines) this.#tail.shift();
    // Those that start and those that end complain of whoever is not there yet or no more; if it matters, how it ended is told.
    const quiet = this.#state !== "ready" || this.#stopping.signal.aborted;
    const level = quiet ? "debug" : severity;
    const may = this.#budgets[level === "debug" ? "quiet" : "loud"].pass(this.#deps.clock.now());
    if (may) this.#log[level](text, may.dropped > 0 ? { dropped: may.dropped } : {});
  }

  /** Until `ms` are over, the program ends, or it is to be stopped. */
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        cancel();
        this.#wake = () => {};
        resolve();
      };
      const cancel = this.#deps.clock.after(ms, done);
      this.#wake = done;
      if (this.#stopping.signal.aborted) done();
    });
  }

  #tell(decision: Decision): void {
    // Why it ended last stays to be read until it is ready again.
    this.#message = decision.state === "ready" ? undefined : (decision.message ?? this.#message);
    if (decision.state === "ready" && this.#state !== "ready" && this.#life.kind === "running") {
      this.#log.info("program ready", { tookMs: this.#deps.clock.now() - this.#life.since });
    }
    this.#become(decision.state);
  }

  #become(state: ProgramState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#since = this.#deps.clock.now();
    for (const settle of this.#settled.splice(0)) settle();
  }
}
