// Moves a cluster's objects from one API to another. Direction-neutral: the two sides are just two stores.
//
//   I1  At no instant do both sides hold the credential.                      (FenceSource before Resume, checked in Resume)
//   I2  Every VM has exactly one Machine on the side that is active.          (Verify, Watch)
//   I3  No owner uid that does not exist there; nothing of others overwritten. (Create, Verify)
//   I4  Each step may run any number of times, by any process.                (the journal says which, the world says how far)
//   I5  With both sides reachable it ends in Done or RolledBack without a person.
//   I6  No secret value in the journal, in errors or events.
//   W1  A process that is late can do no harm: between what it read and what it writes on the strength of that, it looks whether the
//       journal is still the one it began with, and its writes carry the uids and revisions of what it read.
//
// SPEC.md has the table of steps; explore.test.ts walks all of it.
import { Fault } from "#core";
import { cluster, type Cluster } from "#proto";
import { censusOf } from "./census.ts";
import {
  isBeforeDecision,
  isSettled,
  moved,
  pivotSteps,
  placeOf,
  type PivotJournal,
  type PivotStep,
} from "./journal.ts";
import { judgeSilence, SideLost, tellingSides } from "./lost.ts";
import { steps as realSteps, type Steps } from "./steps.ts";
import { closureIn, ofKind, type PivotContext, type StepOutcome } from "./step.ts";

export type Advance =
  | { readonly kind: "advanced"; readonly journal: PivotJournal; readonly why?: string }
  | (Extract<StepOutcome, { kind: "waiting" }> & { readonly journal: PivotJournal })
  | { readonly kind: "done" | "rolledBack"; readonly journal: PivotJournal };

/** Carries out the step that the journal names, once, and moves the journal on. Throws what is no silence of a side. */
export async function pivotStep(
  ctx: PivotContext,
  signal: AbortSignal,
  steps: Steps = realSteps,
): Promise<Advance> {
  const journal = await ctx.journal.read();
  if (!journal) throw new Fault("Bug", "a pivot was stepped that has no journal");
  const step = journal.step as PivotStep;
  if (step === "Done") return { kind: "done", journal };
  if (step === "RolledBack") return { kind: "rolledBack", journal };
  const act = steps[step];
  if (!act) throw new Fault("Bug", `a pivot's journal names the unknown step ${step}`);
  return settle(ctx, journal, await outcomeOf(() => act(tellingSides(ctx), journal, signal), ctx, journal));
}

async function outcomeOf(
  act: () => Promise<StepOutcome>,
  ctx: PivotContext,
  journal: PivotJournal,
): Promise<StepOutcome> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof SideLost)) throw error;
    return judgeSilence(journal, error, ctx.clock.now(), ctx.lostMs);
  }
}

/** Writes what came of a step into the journal. */
async function settle(ctx: PivotContext, journal: PivotJournal, outcome: StepOutcome): Promise<Advance> {
  if (outcome.kind === "waiting") {
    const { patch, ...wait } = outcome;
    if (!patch) return { ...wait, journal };
    const kept = { ...journal, ...patch, turn: (journal.turn ?? 0) + 1 };
    await ctx.journal.write(kept, journal);
    return { ...wait, journal: kept };
  }
  const to = outcome.kind === "back" ? outcome.to : following(journal.step as PivotStep);
  const after = moved(journal, to, ctx.clock.now(), outcome.patch);
  await ctx.journal.write(after, journal);
  if (to === "Done") return { kind: "done", journal: after };
  if (to === "RolledBack") return { kind: "rolledBack", journal: after };
  return { kind: "advanced", journal: after, ...(outcome.kind === "back" ? { why: outcome.why } : {}) };
}

/** Steps until the pivot waits for something, or has ended. Goes back at most `patience` times before it waits. */
export async function runPivot(
  ctx: PivotContext,
  signal: AbortSignal,
  onStep: (advance: Advance) => Promise<void> | void = () => {},
  patience = 3,
): Promise<Exclude<Advance, { kind: "advanced" }>> {
  for (let backs = 0; ;) {
    signal.throwIfAborted();
    const advance = await pivotStep(ctx, signal);
    await onStep(advance);
    if (advance.kind !== "advanced") return advance;
    if (advance.why !== undefined && ++backs > patience) {
      return { kind: "waiting", reason: "Restless", message: advance.why, journal: advance.journal };
    }
  }
}

/** Asks for an undecided pivot to be taken back. Returns false where it is too late: then it must go forward. */
export async function requestRollBack(ctx: Pick<PivotContext, "journal" | "clock">): Promise<boolean> {
  const journal = await ctx.journal.read();
  if (!journal || journal.step === "RollBack" || journal.step === "RolledBack") return true;
  if (!isBeforeDecision(journal)) return false; // from Commit on the target may have decided, seen or not
  await ctx.journal.write(moved(journal, "RollBack", ctx.clock.now()), journal);
  return true;
}

/**
 * A person has looked, and says "go on": what the watch found is taken for right, and the target is woken again. With `sourceLost` the
 * person vouches that the source is gone for good and its credential worthless, and a decided pivot goes on without it. Does nothing
 * where there is nothing to be said.
 */
export async function requestResume(
  ctx: Pick<PivotContext, "journal" | "clock" | "target" | "names">,
  { sourceLost = false }: { readonly sourceLost?: boolean } = {},
): Promise<void> {
  const journal = await ctx.journal.read();
  if (!journal || isSettled(journal) || isBeforeDecision(journal)) return;
  const place = placeOf(journal.step);
  const lost = sourceLost && place >= placeOf("FenceSource") ? { sourceLost: true } : {};
  if (place < placeOf("Watch")) {
    if (lost.sourceLost)
      await ctx.journal.write(moved(journal, journal.step as PivotStep, ctx.clock.now(), lost), journal);
    return;
  }
  const { tripped: _, ...rest } = journal;
  const there = await closureIn(ctx as PivotContext, ctx.target);
  const seen = { census: censusOf(there.members), accepted: true, ...lost };
  const asleep = (ofKind(there, cluster) as Cluster[]).some((object) => object.spec.paused);
  const to = asleep && journal.tripped !== undefined ? "Resume" : (journal.step as PivotStep);
  await ctx.journal.write(moved(rest, to, ctx.clock.now(), seen), journal);
}

function following(step: PivotStep): PivotStep {
  if (step === "RollBack") return "RolledBack";
  const after = pivotSteps[placeOf(step) + 1];
  if (!after) throw new Fault("Bug", `no step follows ${step}`);
  return after;
}
