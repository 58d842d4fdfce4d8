// All that can happen to a pivot, up to a bound: two processes that take turns before any of their writes, restarts, cuts of either
// side, somebody who wakes either side, asks for a rollback or puts the credential back, a pivot that follows another.
//
// PIVOT_BOUND=large widens the bounds (many minutes). testing/explorer.ts says how it goes.
import { describe, expect, it } from "vitest";
import type { ResourceStore } from "#core";
import { secret } from "#proto";
import { explore, type Mutant, type Search } from "../testing/explorer.ts";
import { next, type PivotContext } from "./step.ts";
import { steps } from "./steps.ts";

const large = process.env["PIVOT_BOUND"] === "large";
const maxStates = large ? 5_000_000 : 100_000;

const searches: readonly (readonly [string, Search, number])[] = [
  ["two processes that take turns twice", { turns: 2, mishaps: 0, pivots: 0, maxStates }, 8_000],
  ["one process, one mishap, and a second pivot", { turns: 0, mishaps: 1, pivots: 1, maxStates }, 3_000],
  ...(large
    ? ([
        ["two processes, one mishap", { turns: 1, mishaps: 1, pivots: 0, maxStates }, 40_000],
        ["one process, three mishaps", { turns: 0, mishaps: 3, pivots: 0, maxStates }, 40_000],
        ["a late process across two pivots", { turns: 2, mishaps: 0, pivots: 1, maxStates }, 40_000],
        [
          "two processes that take turns twice, one mishap",
          { turns: 2, mishaps: 1, pivots: 0, maxStates },
          100_000,
        ],
      ] as const)
    : []),
];

describe("in every state", () => {
  it.each(searches)(
    "of %s the invariants hold, and an end is reached",
    async (_, search, atLeast) => {
      const { states, wrong, cutShort } = await explore(search);
      expect(wrong).toBeUndefined();
      expect(cutShort).toBe(false);
      expect(states).toBeGreaterThan(atLeast);
    },
    3_600_000,
  );
});

/** The source as somebody sees it who does not see the credential there. */
function withoutCredential(source: ResourceStore): ResourceStore {
  return {
    ...source,
    get: (kind, key, signal) =>
      kind.kind === secret.kind ? Promise.resolve(undefined) : source.get(kind, key, signal),
  };
}

/** A store that forgets what its caller had read: every write hits whatever is there now. */
function careless(store: ResourceStore): ResourceStore {
  return {
    ...store,
    update: (kind, object) =>
      store.update(kind, { ...object, metadata: { ...object.metadata, uid: "", resourceVersion: "" } }),
    delete: (kind, key) => store.delete(kind, key, { propagation: "Orphan" }),
  };
}

/** A process that never looks at the journal again after the first time. */
function trusting(ctx: PivotContext): PivotContext {
  let first: ReturnType<PivotContext["journal"]["read"]> | undefined;
  return { ...ctx, journal: { ...ctx.journal, read: () => (first ??= ctx.journal.read()) } };
}

const mutants: readonly (readonly [string, Mutant, Partial<Search>, RegExp])[] = [
  [
    "Resume does not look whether the source is fenced",
    {
      steps: {
        ...steps,
        Resume: (ctx, ...rest) => steps.Resume({ ...ctx, source: withoutCredential(ctx.source) }, ...rest),
      },
    },
    { mishaps: 1 },
    /I1: both sides hold the credential/,
  ],
  [
    "nobody takes the credential from the source",
    { steps: { ...steps, FenceSource: () => Promise.resolve(next) } },
    {},
    /E3/,
  ],
  ["nobody looks at the journal twice", { blind: trusting }, { turns: 2, mishaps: 1 }, /still paused/],
  [
    "writes do not carry what was read",
    { blind: (ctx) => ({ ...ctx, source: careless(ctx.source), target: careless(ctx.target) }) },
    { turns: 2, pivots: 1 },
    /./,
  ],
];

describe("the explorer finds what is wrong when", () => {
  it.each(mutants)(
    "%s",
    async (_, mutant, bounds, what) => {
      const { wrong } = await explore({ turns: 0, mishaps: 0, pivots: 0, maxStates, ...bounds, mutant });
      expect(wrong?.what).toMatch(what);
    },
    3_600_000,
  );
});
