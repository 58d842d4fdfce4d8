// A side that does not answer: told apart from every other failure, named, and with what to do about it.
import { Fault, isFault, type ResourceStore } from "#core";
import { isBeforeDecision, placeOf, ways, type PivotJournal } from "./journal.ts";
import { waiting, type PivotContext, type StepOutcome } from "./step.ts";

/** One of the two sides did not answer. */
export class SideLost extends Fault {
  readonly side: "source" | "target";

  constructor(side: "source" | "target", fault: Fault) {
    super(fault.code, fault.message, { cause: fault });
    this.side = side;
  }
}

/** The context with stores whose silence says which of them it is. */
export function tellingSides(ctx: PivotContext): PivotContext {
  return { ...ctx, source: telling(ctx.source, "source"), target: telling(ctx.target, "target") };
}

function telling(store: ResourceStore, side: SideLost["side"]): ResourceStore {
  const told = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      const silent = isFault(error, "Unavailable", "TimedOut") && !(error instanceof SideLost);
      throw silent ? new SideLost(side, error) : error;
    }
  };
  return {
    get: (kind, key, signal) => told(store.get(kind, key, signal)),
    list: (kind, options, signal) => told(store.list(kind, options, signal)),
    create: (kind, draft) => told(store.create(kind, draft)),
    update: (kind, object) => told(store.update(kind, object)),
    updateStatus: (kind, object) => told(store.updateStatus(kind, object)),
    delete: (kind, key, options) => told(store.delete(kind, key, options)),
    watch: (kind, options, signal) => store.watch(kind, options, signal),
  };
}

/** What comes of a side that does not answer: the pivot waits for it, or is taken back where that is safe and it is silent for long. Pure. */
export function judgeSilence(
  journal: PivotJournal,
  lost: Pick<SideLost, "side" | "message">,
  now: number,
  lostMs: number,
): StepOutcome {
  const silentMs = now - Date.parse(journal.stepStartedAt);
  const undecided = isBeforeDecision(journal);
  const asleep = placeOf(journal.step) >= placeOf("PauseSource");
  // Safe: the target has no credential before Resume, and the journal leaves the way to Commit in the same write.
  if (lost.side === "target" && undecided && asleep && silentMs >= lostMs) {
    return { kind: "back", to: "RollBack", why: `the new side does not answer (${lost.message})` };
  }
  const reason = lost.side === "source" ? "SourceUnreachable" : "TargetUnreachable";
  return waiting(reason, `${advice(journal, lost.side, lostMs)} (${lost.message})`);
}

function advice(journal: PivotJournal, side: SideLost["side"], lostMs: number): string {
  const { text } = ways[journal.direction];
  const place = placeOf(journal.step);
  const undecided = isBeforeDecision(journal);
  if (side === "target") {
    if (undecided) {
      return place >= placeOf("PauseSource")
        ? `the new side's API does not answer on the way ${text}; the cluster is paused and will be taken back after ${Math.round(lostMs / 60_000)} min, or at once by: pcg cluster pivot rollback`
        : `the new side's API does not answer on the way ${text}; nothing has been changed yet`;
    }
    if (place <= placeOf("FenceSource"))
      return "the new side's API does not answer; the decision was made there, so bring its API back; its machines run on, nobody manages them";
    return "the new side's API does not answer after the decision; bring it back; the snapshot is kept on the gateway, and the old side's objects until then";
  }
  if (undecided)
    return "the old side's API does not answer, so its credential could not be taken from it; bring it back, or take the pivot back: pcg cluster pivot rollback";
  return "the old side's API does not answer; bring it back. If it is gone for good, change the vCenter account's password and go on without it: pcg cluster pivot resume --source-lost";
}
