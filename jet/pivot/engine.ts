// Moves a cluster's objects from one API to another. Direction-neutral: the gateway and the workload cluster are just two stores.
//
//   I1  At no instant do both sides hold the credential.                      (FenceSource before Resume, checked in Resume)
//   I2  Every VM has exactly one Machine on the side that is active.          (Verify, Watch)
//   I3  No owner uid that does not exist there; nothing of others overwritten. (Create, Verify)
//   I4  Each step may run any number of times, by any process.                (the journal says which, the world says how far)
//   I5  With both sides reachable it ends in Done or RolledBack without a person.
//   I6  No secret value in the journal, in errors or events.
//
// SPEC.md has the table of steps.
import { Fault, formatTime } from "#core";
import { isBeforeDecision, pivotSteps, placeOf, type PivotJournal, type PivotStep } from "./journal.ts";
import { steps } from "./steps.ts";
import type { PivotContext, StepOutcome } from "./step.ts";

export type Advance =
  | { readonly kind: "advanced"; readonly journal: PivotJournal; readonly why?: string }
  | (Extract<StepOutcome, { kind: "waiting" }> & { readonly journal: PivotJournal })
  | { readonly kind: "done" | "rolledBack"; readonly journal: PivotJournal };

/** Carries out the step that the journal names, once, and moves the journal on. Throws what the two sides throw. */
export async function pivotStep(ctx: PivotContext, signal: AbortSignal): Promise<Advance> {
  const journal = await ctx.journal.read();
  if (!journal) throw new Fault("Bug", "a pivot was stepped that has no journal");
  const step = journal.step as PivotStep;
  if (step === "Done") return { kind: "done", journal };
  if (step === "RolledBack") return { kind: "rolledBack", journal };
  const act = steps[step];
  if (!act) throw new Fault("Bug", `a pivot's journal names the unknown step ${step}`);
  const outcome = await act(ctx, journal, signal);
  if (outcome.kind === "waiting") return { ...outcome, journal };
  const to = outcome.kind === "back" ? outcome.to : following(step);
  const moved: PivotJournal = {
    ...journal,
    ...(outcome.kind === "next" ? outcome.patch : {}),
    step: to,
    stepStartedAt: formatTime(ctx.clock.now()),
    attempts: 1,
  };
  await ctx.journal.write(moved, journal);
  if (to === "Done") return { kind: "done", journal: moved };
  if (to === "RolledBack") return { kind: "rolledBack", journal: moved };
  return { kind: "advanced", journal: moved, ...(outcome.kind === "back" ? { why: outcome.why } : {}) };
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
  await ctx.journal.write(
    { ...journal, step: "RollBack", stepStartedAt: formatTime(ctx.clock.now()), attempts: 1 },
    journal,
  );
  return true;
}

function following(step: PivotStep): PivotStep {
  if (step === "RollBack") return "RolledBack";
  const after = pivotSteps[placeOf(step) + 1];
  if (!after) throw new Fault("Bug", `no step follows ${step}`);
  return after;
}
