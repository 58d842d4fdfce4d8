// Walks everything that can happen to a pivot, up to a bound, breadth first: the real steps, run by two processes on two tiny stores.
//
// A process is suspended before each of its writes, and before and after each look at the journal. What it has heard so far is a list of answers, and
// going on means to run its step again with those answers first. So a state is a plain value: a world, and the answers that each
// process goes by. One that is never resumed is dead; one that forgets its answers has been restarted.
//
//   E1. Two states with the same text are one state.
//   E2. Every state is checked; the shortest way to a bad one is told.
//   E3. From every world one fresh process, with both sides there, comes to a good end.
import { Fault, type FaultCode, type Resource, type ResourceStore } from "#core";
import { cluster, machine, secret } from "#proto";
import { pivotStep, requestRollBack } from "../pivot/engine.ts";
import {
  isBeforeDecision,
  isSettled,
  newJournal,
  type Direction,
  type PivotJournal,
} from "../pivot/journal.ts";
import { marks } from "../pivot/marks.ts";
import { memorySnapshotShelf } from "../pivot/snapshot.ts";
import type { PivotContext } from "../pivot/step.ts";
import { steps as realSteps, type Steps } from "../pivot/steps.ts";
import {
  canAct,
  credential,
  firstWorld,
  Hands,
  holds,
  names,
  wrongAtEnd,
  wrongWith,
  type SideName,
  type World,
} from "./tiny-world.ts";

type Answer = { readonly ok: unknown } | { readonly fault: FaultCode };

interface Process {
  readonly direction: Direction;
  readonly answers: readonly Answer[];
}

interface Bounds {
  /** How often the processes may take turns. */
  readonly turns: number;
  /** How many bad things may happen: a crash, a cut, somebody's hand. */
  readonly mishaps: number;
  /** How many further pivots may begin. */
  readonly pivots: number;
}

interface State {
  readonly world: World;
  readonly processes: readonly [Process, Process];
  readonly running: 0 | 1;
  readonly left: Bounds;
}

export interface Mutant {
  readonly steps?: Steps;
  readonly blind?: (ctx: PivotContext) => PivotContext;
}

export interface Explored {
  readonly states: number;
  readonly worlds: number;
  /** True when the bound on states cut the walk short. */
  readonly cutShort: boolean;
  /** The first thing found wrong, and how it came about. */
  readonly wrong: { readonly what: string; readonly how: readonly string[] } | undefined;
}

export interface Search extends Bounds {
  readonly maxStates: number;
  readonly mutant?: Mutant;
}

const idle: Process = { direction: "ToWorkload", answers: [] };
/** More steps than any way to an end takes. */
const enough = 100;
const never = new AbortController().signal;

export async function explore(search: Search): Promise<Explored> {
  return new Walk(search).walk();
}

interface Activated {
  readonly world: World;
  readonly process: Process;
  readonly did: string;
  readonly said?: string;
  /** Which sides it has asked. */
  readonly asked: ReadonlySet<string>;
}

interface Found {
  /** Let go of once it was looked at. */
  state: State | undefined;
  readonly from: number;
  readonly by: string;
}

class Walk {
  readonly #search: Search;
  readonly #snapshots = memorySnapshotShelf();
  readonly #texts = new Texts();
  readonly #seen = new Set<string>();
  /** Worlds from which an end is reached (E3). */
  readonly #good = new Set<string>();
  readonly #found: Found[] = [];

  constructor(search: Search) {
    this.#search = search;
  }

  async walk(): Promise<Explored> {
    const { turns, mishaps, pivots, maxStates } = this.#search;
    const world = await firstWorld();
    this.#add({ world, processes: [idle, idle], running: 0, left: { turns, mishaps, pivots } }, -1, "");
    for (let at = 0; at < this.#found.length; at++) {
      if (this.#found.length > maxStates) return this.#end(undefined, true);
      const state = this.#found[at]!.state!;
      this.#found[at]!.state = undefined;
      const what = wrongWith(state.world) ?? (await this.#wrongLater(state.world)); // E2, E3
      if (what) return this.#end({ what, how: this.#wayTo(at) }, false);
      for await (const [by, next] of this.#after(state)) this.#add(next, at, by);
    }
    return this.#end(undefined, false);
  }

  #end(wrong: Explored["wrong"], cutShort: boolean): Explored {
    return { states: this.#seen.size, worlds: this.#good.size, cutShort, wrong };
  }

  /** E1 */
  #add(state: State, from: number, by: string): void {
    const text = this.#texts.ofState(state);
    if (this.#seen.has(text)) return;
    this.#seen.add(text);
    this.#found.push({ state, from, by });
  }

  #wayTo(at: number): string[] {
    const { from, by } = this.#found[at]!;
    return from < 0 ? [] : [...this.#wayTo(from), by];
  }

  /** E3: runs whole steps until an end, or a world that is known to reach one. */
  async #wrongLater(world: World): Promise<string | undefined> {
    const path = new Set<string>();
    let now = world;
    for (;;) {
      const text = this.#texts.ofWorld(now);
      if (this.#good.has(text)) break;
      if (path.size > enough) return `E3: it goes round in circles at ${now.journal.step}`;
      path.add(text);
      if (isSettled(now.journal)) {
        const wrong = wrongAtEnd(now);
        if (wrong) return `${now.journal.step}: ${wrong}`;
        break;
      }
      const ran = await this.#activate(now, idle, { whole: true });
      if (ran.said?.startsWith("waiting") && ran.world === now) return `E3: it is stuck: ${ran.said}`;
      now = ran.world;
      const wrong = wrongWith(now);
      if (wrong) return `when left alone: ${wrong}`;
    }
    for (const text of path) this.#good.add(text);
    return undefined;
  }

  /** All that may happen next. */
  async *#after(state: State): AsyncGenerator<readonly [string, State]> {
    for (const who of [0, 1] as const) yield* this.#steps(state, who);
    if (state.left.mishaps > 0) yield* mishaps(state);
    if (state.left.pivots > 0 && isSettled(state.world.journal)) yield this.#again(state);
  }

  async *#steps(state: State, who: 0 | 1): AsyncGenerator<readonly [string, State]> {
    const { world, processes, running } = state;
    const me = processes[who];
    if (me.answers.length === 0 && isSettled(world.journal)) return;
    const turns = state.left.turns - (who === running ? 0 : 1);
    if (turns < 0) return;
    const next = (process: Process, after: World, mishap: 0 | 1): State => ({
      world: after,
      processes: who === 0 ? [process, processes[1]] : [processes[0], process],
      running: who,
      left: { ...state.left, turns, mishaps: state.left.mishaps - mishap },
    });
    const name = "AB"[who]!;
    const ran = await this.#activate(world, me, {});
    yield [`${name} ${ran.did}`, next(ran.process, ran.world, 0)];
    if (state.left.mishaps === 0) return;
    if (me.answers.length > 0) yield [`${name} is restarted`, next(idle, world, 1)];
    for (const cut of ["source", "target", "target for long"] as const) {
      if (!ran.asked.has(cut === "source" ? "source" : "target")) continue;
      const lone = await this.#activate(world, me, { cut });
      yield [`${name} finds the ${cut} cut: ${lone.did}`, next(lone.process, lone.world, 1)];
    }
  }

  /** The next pivot: the same way again after one that was taken back, the other way after one that is done. */
  #again(state: State): readonly [string, State] {
    const { journal } = state.world;
    const back: Direction = journal.direction === "ToWorkload" ? "ToGateway" : "ToWorkload";
    const direction = journal.step === "Done" ? back : journal.direction;
    const epoch = journal.epoch + 1;
    const next = newJournal(direction, `p${epoch}`, epoch, 0);
    const left = { ...state.left, pivots: state.left.pivots - 1 };
    return [`a pivot ${direction} begins`, { ...state, world: { ...state.world, journal: next }, left }];
  }

  /** Lets a process do what it is suspended before, and all that it then reads; or, with `whole`, all of its step. */
  async #activate(
    world: World,
    process: Process,
    {
      cut,
      whole = false,
    }: { readonly cut?: "source" | "target" | "target for long"; readonly whole?: boolean },
  ): Promise<Activated> {
    const hands = new Hands(world);
    const answers = [...process.answers];
    const direction = answers.length > 0 ? process.direction : world.journal.direction;
    const did: string[] = [];
    let at = 0;
    let live = 0;
    let lastAsked: string | undefined;
    let halted = false;
    const asked = new Set<string>();
    const silent = cut?.split(" ")[0];

    async function ask<T>(
      what: string,
      side: "source" | "target" | "journal",
      suspends: boolean,
      work: () => T | Promise<T>,
    ): Promise<T> {
      const newsOfJournal = lastAsked === "journal";
      lastAsked = side;
      const mine = at++;
      const known = answers[mine];
      if (known) {
        if ("fault" in known) throw new Fault(known.fault, "");
        return known.ok as T;
      }
      halted ||= (suspends || newsOfJournal) && live > 0 && !whole;
      if (halted) throw suspended;
      live++;
      asked.add(side);
      if (suspends) did.push(what);
      try {
        if (side === silent) throw new Fault("Unavailable", "cut");
        const ok = await work();
        answers[mine] = { ok };
        return ok;
      } catch (error) {
        answers[mine] = { fault: Fault.from(error).code };
        throw error;
      }
    }

    const seen = (side: "source" | "target", store: ResourceStore): ResourceStore => ({
      get: (kind, key) => ask("", side, false, () => store.get(kind, key)),
      list: (kind, options) => ask("", side, false, () => store.list(kind, options)),
      create: (kind, draft) =>
        ask(`creates ${kind.kind} in the ${side}`, side, true, () => store.create(kind, draft)),
      update: (kind, object) =>
        ask(`updates ${kind.kind} in the ${side}`, side, true, () => store.update(kind, object)),
      updateStatus: (kind, object) =>
        ask(`updates ${kind.kind}'s status in the ${side}`, side, true, () =>
          store.updateStatus(kind, object),
        ),
      delete: (kind, key, options) =>
        ask(`deletes ${kind.kind} in the ${side}`, side, true, () => store.delete(kind, key, options)),
      watch: (kind, options, signal) => store.watch(kind, options, signal),
    });
    const [from, to]: readonly [SideName, SideName] =
      direction === "ToWorkload" ? ["gateway", "workload"] : ["workload", "gateway"];
    const ctx: PivotContext = {
      source: seen("source", hands.store(from)),
      target: seen("target", hands.store(to)),
      journal: {
        read: () => ask("reads the journal", "journal", true, () => hands.world.journal),
        write: (next, expected) =>
          ask(`moves the journal to ${next.step}`, "journal", true, () => hands.writeJournal(next, expected)),
      },
      snapshots: this.#snapshots,
      names,
      identity: () => Promise.resolve(credential),
      targetLacks: () => Promise.resolve(undefined),
      purpose: direction === "ToWorkload" ? "manage" : "delete",
      clock: { now: () => 0, after: () => () => {} },
      quietMs: 0,
      watchMs: 0,
      lostMs: cut === "target for long" ? 0 : 1,
      parallel: 1,
    };
    const { steps = realSteps, blind = (same: PivotContext) => same } = this.#search.mutant ?? {};
    try {
      const advance = await pivotStep(blind(ctx), never, steps);
      const said = "reason" in advance ? `${advance.kind} (${advance.reason})` : advance.kind;
      return { world: hands.world, process: idle, did: did.join(", "), said, asked };
    } catch (error) {
      if (error === suspended)
        return { world: hands.world, process: { direction, answers }, did: did.join(", "), asked };
      if (!(error instanceof Fault) || error.code === "Bug") throw error;
      return { world: hands.world, process: idle, did: `${did.join(", ")}, fails (${error.code})`, asked };
    }
  }
}

const suspended = new Error("suspended");

/** What others may do. */
async function* mishaps(state: State): AsyncGenerator<readonly [string, State]> {
  const { world } = state;
  const left = { ...state.left, mishaps: state.left.mishaps - 1 };
  const hand = async (work: (hands: Hands) => Promise<unknown>): Promise<State> => {
    const hands = new Hands(world);
    await work(hands);
    return { ...state, world: hands.world, left };
  };
  for (const side of ["gateway", "workload"] as const) {
    const whole = world[side].objects.get("Cluster c1") as { spec: { paused?: boolean } } | undefined;
    if (!whole?.spec.paused) continue;
    const wake = (hands: Hands) =>
      hands.store(side).update(cluster, { ...whole, spec: { ...whole.spec, paused: false } } as never);
    yield [`somebody wakes the ${side}`, await hand(wake)];
    if (!holds(world, side)) continue;
    yield [
      `somebody wakes the ${side}, whose controllers act`,
      await hand(async (hands) => (await wake(hands), await act(hands, side))),
    ];
  }
  if (isBeforeDecision(world.journal) && !isSettled(world.journal) && world.journal.step !== "RollBack") {
    const port = (hands: Hands) => ({
      read: () => Promise.resolve(hands.world.journal),
      write: (next: PivotJournal, expected: PivotJournal | undefined) =>
        Promise.resolve(hands.writeJournal(next, expected)),
    });
    yield [
      "somebody asks for a rollback",
      await hand((hands) =>
        requestRollBack({ journal: port(hands), clock: { now: () => 0, after: () => () => {} } }),
      ),
    ];
  }
  // Only while nobody is past his look at it: a hand that gives a credential to the old side later could not be fenced by anybody.
  if (world.journal.step === "Resume" && state.processes.every((p) => p.answers.length === 0)) {
    const from: SideName = world.journal.direction === "ToWorkload" ? "gateway" : "workload";
    if (!holds(world, from) && !holds(world, from === "gateway" ? "workload" : "gateway"))
      yield [
        "somebody puts the credential back",
        await hand((hands) => hands.store(from).create(secret, credential as never)),
      ];
  }
}

/** The controllers of a side that is awake: a machine that is missing is made, and one that is there is touched. */
async function act(hands: Hands, side: SideName): Promise<void> {
  if (!canAct(hands.world, side)) return;
  const store = hands.store(side);
  const [one] = (await store.list(machine)).items;
  if (!one) {
    hands.world = { ...hands.world, vms: hands.world.vms + 1 };
    return;
  }
  if (one.metadata.annotations?.[marks.id] !== undefined) return;
  const labels = { ...one.metadata.labels, touched: "yes" };
  await store.update(machine, { ...one, metadata: { ...one.metadata, labels } });
}

/** Short texts for values, the same for the same content. */
class Texts {
  readonly #ofObject = new WeakMap<object, string>();
  readonly #ofJson = new Map<string, string>();
  readonly #ofAnswers = new WeakMap<readonly Answer[], string>();

  ofState({ world, processes, running, left }: State): string {
    const [a, b] = processes.map((p) =>
      p.answers.length === 0 ? "-" : `${p.direction}${this.#answers(p.answers)}`,
    );
    const who = a! <= b! ? `${a}|${b}|${running}` : `${b}|${a}|${1 - running}`;
    return `${this.ofWorld(world)}|${who}|${left.turns},${left.mishaps},${left.pivots}`;
  }

  ofWorld({ gateway, workload, journal, vms }: World): string {
    const side = ({ objects }: World["gateway"]) =>
      [...objects.values()]
        .map((o) => this.#object(o))
        .sort()
        .join();
    return `${side(gateway)}/${side(workload)}/${this.#object(journal)}/${vms}`;
  }

  #answers(answers: readonly Answer[]): string {
    let text = this.#ofAnswers.get(answers);
    if (text === undefined) {
      text = this.#number(
        answers.map((answer) => ("fault" in answer ? answer.fault : this.#value(answer.ok))).join(";"),
      );
      this.#ofAnswers.set(answers, text);
    }
    return text;
  }

  #value(value: unknown): string {
    if (value === null || typeof value !== "object") return String(value);
    if ("items" in value) return (value.items as Resource[]).map((item) => this.#object(item)).join();
    return this.#object(value);
  }

  #object(value: object): string {
    let text = this.#ofObject.get(value);
    if (text === undefined) this.#ofObject.set(value, (text = this.#number(JSON.stringify(value))));
    return text;
  }

  #number(json: string): string {
    let number = this.#ofJson.get(json);
    if (number === undefined) this.#ofJson.set(json, (number = this.#ofJson.size.toString(36)));
    return number;
  }
}
