// What to do about a supervised program, given what was seen of it. Pure.
//
//   S1. A program that runs and is not ready yet is slow, not broken: it is given `hungMs`, and meanwhile the state says how long.
//   S2. A program that ends is started again after a pause that doubles. Only one that held for `steadyMs` begins with short pauses anew.
//   S3. From `loopAfter` ends in a row on it counts as crash-looping: the same pauses, another word for it.
//   S4. One that was ready and answers no more is started again after `sickMs`. One that answers and says it is not ready is left alone:
//       it waits for something that its own new start would not bring.
//   S5. Nor is one ended for being silent or not ready while another is missing that it needs.

export interface Patience {
  /** From here on a start is called slow. */
  readonly slowMs: number;
  readonly hungMs: number;
  readonly sickMs: number;
  readonly steadyMs: number;
  readonly loopAfter: number;
  /** Between two probes: while it becomes ready, and afterwards. */
  readonly probeMs: { readonly starting: number; readonly ready: number };
}

export const patience: Patience = {
  slowMs: 20_000,
  hungMs: 300_000,
  sickMs: 60_000,
  steadyMs: 60_000,
  loopAfter: 3,
  probeMs: { starting: 100, ready: 5_000 },
};

/** What a program that answers says of itself. */
export type Answer = { readonly ready: true } | { readonly ready: false; readonly says: string };

/** What there is to know of a program at one moment. */
export interface Seen {
  readonly now: number;
  readonly life: Life;
  /** Ends in a row, none of them after it had held (S2). */
  readonly failures: number;
  /** A program that it cannot do without and that is not ready (S5). */
  readonly misses?: string;
}

export type Life =
  | { readonly kind: "absent" }
  | {
      readonly kind: "running";
      readonly since: number;
      /** Since when it has answered without a gap; absent: it does not now. */
      readonly readySince?: number;
      /** Whether it was ready before, in this life. */
      readonly wasReady?: boolean;
      /** When it answered last, whatever it said. */
      readonly lastAnswer?: number;
      /** Why it is not ready, in its own words. */
      readonly says?: string;
    }
  | { readonly kind: "ended"; readonly at: number; readonly startAt: number };

export type ProgramState = "starting" | "ready" | "backing-off" | "crash-looping" | "stopped";

export type Decision = { readonly state: ProgramState; readonly message?: string } & (
  | { readonly do: "start" }
  /** Look again then, or when it ends. */
  | { readonly do: "wait"; readonly ms: number }
  | { readonly do: "probe"; readonly thenMs: number }
  | { readonly do: "kill" }
);

export function decide(seen: Seen, limits: Patience = patience): Decision {
  const decision = decideAlone(seen, limits);
  if (seen.misses === undefined || decision.state === "ready") return decision;
  const message = `waits for ${seen.misses}`; // S5
  if (decision.do !== "kill") return { ...decision, message };
  return { do: "probe", thenMs: 1000, state: "starting", message };
}

function decideAlone({ now, life, failures }: Seen, limits: Patience): Decision {
  switch (life.kind) {
    case "absent":
      return { do: "start", state: "starting" };
    case "ended": {
      const looping = failures >= limits.loopAfter;
      const state = looping ? "crash-looping" : "backing-off"; // S3
      const ms = life.startAt - now;
      return ms > 0 ? { do: "wait", ms, state } : { do: "start", state };
    }
    case "running":
      return life.wasReady ? being(life, now, limits) : becoming(life, now, limits);
  }
}

type Running = Life & { readonly kind: "running" };

/** S1 */
function becoming(life: Running, now: number, { slowMs, hungMs, probeMs }: Patience): Decision {
  const took = now - life.since;
  const message = `running for ${seconds(took)} and not ready yet${life.says ? ` (${life.says})` : ""}`;
  if (took >= hungMs) return { do: "kill", state: "starting", message };
  const next = { do: "probe", thenMs: probeMs.starting, state: "starting" } as const;
  return took >= slowMs ? { ...next, message: `slow start: ${message}` } : next;
}

/** S4 */
function being(life: Running, now: number, { sickMs, probeMs }: Patience): Decision {
  if (life.readySince !== undefined) return { do: "probe", thenMs: probeMs.ready, state: "ready" };
  const thenMs = Math.min(1000, probeMs.ready);
  if (life.says !== undefined) return { do: "probe", thenMs, state: "starting", message: life.says };
  const silent = now - (life.lastAnswer ?? life.since);
  const message = `has not answered for ${seconds(silent)}`;
  if (silent >= sickMs) return { do: "kill", state: "starting", message };
  return { do: "probe", thenMs, state: "starting", message };
}

/** A running program after it was asked: what it answered, or undefined for silence. */
export function heard(life: Running, answer: Answer | undefined, now: number): Running {
  const { kind, since, readySince, wasReady, lastAnswer } = life;
  const before = { kind, since, ...(wasReady ? { wasReady } : {}) };
  if (answer === undefined) return { ...before, ...(lastAnswer === undefined ? {} : { lastAnswer }) };
  if (!answer.ready) return { ...before, lastAnswer: now, says: answer.says };
  return { ...before, wasReady: true, lastAnswer: now, readySince: readySince ?? now };
}

/** How many ends in a row there are after this one (S2). */
export function failuresAfter(failures: number, life: Running, now: number): number {
  const held = life.readySince !== undefined && now - life.readySince >= patience.steadyMs;
  return held ? 1 : failures + 1;
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`;
}
