// Steps 13 and 14, and the way back before the decision: what is left to be looked at and to be removed.
import { isDeleting, isFault, type Resource } from "#core";
import { cluster, isPausedNow, type Cluster } from "#proto";
import { words } from "#proto/render/names.ts";
import { censusDifference, censusOf, namesThatDiffer } from "./census.ts";
import { memberText, ownerLevels, type Closure, type Member } from "./closure.ts";
import { lacking } from "./copies.ts";
import { readDecision, writeDecision } from "./decision.ts";
import type { PivotJournal } from "./journal.ts";
import { belonging, marks, withoutMarks } from "./marks.ts";
import { pausedFor, released } from "./pause.ts";
import { missingVms } from "./prepare.ts";
import {
  all,
  blocked,
  closureIn,
  forget,
  next,
  ofKind,
  reportsPause,
  snapshotOf,
  stillOurs,
  waiting,
} from "./step.ts";
import type { PivotContext, Step, StepOutcome } from "./step.ts";

/** 13. For a while: not one machine, VM or address more, less or other than before. Where there is, the target is paused again. */
export const watch: Step = async (ctx, journal) => {
  if (ctx.purpose === "delete") return next;
  if (journal.tripped) return trip(journal.tripped);
  const there = await removeStrays(ctx, journal, await closureIn(ctx, ctx.target));
  const odd = await oddities(ctx, journal, there);
  if (odd) return breakCircuit(ctx, journal, there, odd);
  const passed = ctx.clock.now() - Date.parse(journal.stepStartedAt);
  if (passed < ctx.watchMs) {
    return {
      ...waiting("Watching", "watching the cluster under its new management"),
      afterMs: ctx.watchMs - passed,
    };
  }
  const asleep = there.members.find((m) => reportsPause(m.object) && isPausedNow(m.object));
  return asleep && !isPaused(there)
    ? waiting("NotAwake", "its controller has not taken up work", memberText(asleep))
    : next;
};

function isPaused(closure: Closure): boolean {
  return (ofKind(closure, cluster) as Cluster[]).some((object) => object.spec.paused === true);
}

/** In what the target differs from the census that was taken, and the datacenter from it. */
async function oddities(
  ctx: PivotContext,
  journal: PivotJournal,
  there: Closure,
): Promise<string | undefined> {
  const odd = journal.census && censusDifference(journal.census, censusOf(there.members));
  if (odd) {
    const before = (await snapshotOf(ctx, journal))?.members;
    return before ? `${odd} (${namesThatDiffer(before, there.members).join(", ")})` : odd;
  }
  const gone = await missingVms(ctx, there);
  return gone.length > 0 && !journal.accepted
    ? `vCenter does not know the VMs with the BIOS UUIDs ${gone.join(", ")} any more`
    : undefined;
}

async function breakCircuit(
  ctx: PivotContext,
  journal: PivotJournal,
  there: Closure,
  odd: string,
): Promise<StepOutcome> {
  const [whole] = ofKind(there, cluster) as Cluster[];
  const paused = whole && pausedFor(whole, journal);
  await stillOurs(ctx, journal);
  if (paused) await ctx.target.update(cluster, paused);
  return { ...trip(odd), patch: { tripped: odd } };
}

function trip(odd: string): StepOutcome & { kind: "waiting" } {
  return blocked(
    "MachinesDiffer",
    `after the hand-over there are ${odd}; the Cluster is paused again. Look at what happened, then: pcg cluster pivot resume`,
  );
}

/** What a late process may have written from an earlier snapshot goes; it is paused and marked, and nobody has acted on it. */
export async function removeStrays(
  ctx: PivotContext,
  journal: PivotJournal,
  there: Closure,
): Promise<Closure> {
  const strays = there.members.filter((m) => m.kind !== cluster && belonging(m.object, journal) === "former");
  if (strays.length === 0) return there;
  await stillOurs(ctx, journal);
  for (const level of ownerLevels(strays).reverse()) {
    await all(ctx, level, ({ kind, object }) => forget(ctx, journal, ctx.target, kind, object));
  }
  return closureIn(ctx, ctx.target);
}

/** What a collector is given before the next look. */
const collectorMs = 100;

/** 14. Once the target is seen to hold all, the old objects go without any controller acting on them; leaves first. */
export const retire: Step = async (ctx, journal) => {
  const { namespace } = ctx.names;
  const decided = await readDecision(ctx.target, namespace);
  const here = journal.sourceLost ? undefined : await closureIn(ctx, ctx.source);
  if (decided?.id !== journal.id || decided.state !== "Active") {
    const verdict = judgeHeld(here, await closureIn(ctx, ctx.target), journal, ctx.purpose);
    if (verdict.kind !== "next") return verdict;
    await stillOurs(ctx, journal);
    await writeDecision(ctx.target, namespace, journal, "Active", ctx.clock.now());
  }
  if (!here) return next;
  await removeAll(ctx, journal, ownerLevels(here.members).reverse().flat());
  const left = (await closureIn(ctx, ctx.source)).members[0];
  return left ? { ...waiting("NotGone", "is still there", memberText(left)), afterMs: collectorMs } : next;
};

/** Whether the target holds all that the source is about to lose. Pure. */
export function judgeHeld(
  here: Closure | undefined,
  there: Closure,
  journal: PivotJournal,
  purpose: PivotContext["purpose"],
): StepOutcome {
  if (purpose === "manage" && journal.census && censusDifference(journal.census, censusOf(there.members)))
    return { kind: "back", to: "Watch", why: "the cluster changed at the last moment" };
  const missing = here && !journal.accepted ? lacking(here, there) : undefined;
  if (!missing) return next;
  return blocked(
    "TargetLacks",
    "is not on the new side, so the old one is kept. If that is right: pcg cluster pivot resume",
    memberText(missing),
  );
}

/**
 * First all are told to be let go, then they go: whatever a server's collector does when it sees an owner gone a moment before what it
 * owned is then what is wanted. Kinds that own nothing leave no orphans; those of the others are the collector's to write, and what is
 * still there at the next look loses its finalizers. Objects that no controller guards (Secrets) need not be told.
 */
async function removeAll(
  ctx: PivotContext,
  journal: PivotJournal,
  leavesFirst: readonly Member[],
): Promise<void> {
  const owning = new Set(
    leavesFirst.flatMap((m) => (m.object.metadata.ownerReferences ?? []).map((ref) => ref.kind)),
  );
  await stillOurs(ctx, journal);
  const told = new Map<Member, Resource>();
  await all(ctx, leavesFirst, async (member) => {
    const { kind, object } = member;
    const resting = kind.hasStatus && !isDeleting(object) ? restingPlace(object) : undefined;
    told.set(member, resting ? await ctx.source.update(kind, resting) : object);
  });
  await stillOurs(ctx, journal);
  await all(ctx, leavesFirst, async (member) => {
    const { kind, object } = member;
    const propagation = owning.has(kind.kind) ? "Orphan" : "Background";
    const last = told.get(member) ?? object;
    if (isDeleting(last) || last.metadata.finalizers?.length) {
      return forget(ctx, journal, ctx.source, kind, last, propagation);
    }
    const { name, namespace = "", uid, resourceVersion } = last.metadata;
    try {
      await ctx.source.delete(kind, { namespace, name }, { uid, resourceVersion, propagation });
    } catch (error) {
      // Conflict: somebody woke its controller, which has written on it since. The next look takes it in its turn, after what it owns.
      if (!isFault(error, "NotFound", "Conflict")) throw error;
    }
  });
}

/**
 * The object with the words that tell controllers and webhooks to let it go, beside what it says already, and without finalizers;
 * undefined where it has those words. A controller that puts its finalizer back before the deletion finds it taken off after it.
 */
function restingPlace(object: Resource): Resource | undefined {
  const said = object.metadata.annotations ?? {};
  if (said[words.deleteForMove] !== undefined) return undefined;
  const annotations = { ...said, [words.paused]: "", [words.deleteForMove]: "" };
  return { ...object, metadata: { ...object.metadata, annotations, finalizers: [] } };
}

/** Takes an undecided pivot back: the copies go, the source wakes up. The journal never comes here from Commit on. */
export const rollBack: Step = async (ctx, journal) => {
  try {
    const { members } = await closureIn(ctx, ctx.target);
    const own = members.filter((m) => m.object.metadata.annotations?.[marks.id] === journal.id);
    await stillOurs(ctx, journal);
    for (const level of ownerLevels(own).reverse()) {
      await all(ctx, level, ({ kind, object }) => forget(ctx, journal, ctx.target, kind, object));
    }
  } catch (error) {
    // The copies are paused and have no credential: harmless, should the target never be seen again.
    if (!isFault(error, "Unavailable", "TimedOut", "NotFound", "Unauthorized", "Forbidden")) throw error;
  }
  const key = { namespace: ctx.names.namespace, name: ctx.names.cluster };
  const object = await ctx.source.get(cluster, key);
  await stillOurs(ctx, journal);
  if (object) await ctx.source.update(cluster, takenBack(object, journal));
  return next;
};

/** Awake as before, with a trace: the write makes a late PauseSource of this pivot fail (W1). */
function takenBack(object: Cluster, journal: PivotJournal): Cluster {
  const ours = object.metadata.annotations?.[marks.id] === journal.id;
  const awake = (ours && released(object, true)) || object;
  const annotations = {
    ...(withoutMarks(awake) ?? awake.metadata.annotations),
    [marks.takenBack]: journal.id,
  };
  return { ...awake, metadata: { ...awake.metadata, annotations } };
}
