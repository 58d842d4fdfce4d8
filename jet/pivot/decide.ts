// Steps 10 to 14: the decision, the credential, the hand-over; and the way back before the decision.
import { isDeleting, isFault, type ResourceStore } from "#core";
import { cluster, isPausedNow, machine, secret } from "#proto";
import { words } from "#proto/render/names.ts";
import { ensureExists, ensureForgotten, modify } from "../ensure.ts";
import { marks, memberText, type Closure, type Member } from "./closure.ts";
import { readDecision, writeDecision } from "./decision.ts";
import {
  type Step,
  closureIn,
  changed,
  waiting,
  blocked,
  withoutMarks,
  next,
  ofKind,
  reportsPause,
  isOurs,
} from "./step.ts";

/** 10. The point of no return: the record in the target. */
export const commit: Step = async (ctx, journal) => {
  const { namespace } = ctx.names;
  const decided = await readDecision(ctx.target, namespace);
  if (decided?.id !== journal.id) {
    const here = await closureIn(ctx, ctx.source);
    if (here.digest !== journal.snapshotDigest) return changed;
    await writeDecision(ctx.target, namespace, journal, "Committed", ctx.clock.now());
  }
  const written = await readDecision(ctx.target, namespace);
  if (written?.id !== journal.id) return waiting("NotDecided", "the decision record could not be read back");
  return { kind: "next", patch: { committedAt: written.committedAt } };
};

/** 11. The source loses the credential: whoever wakes up there can do no harm (I1). */
export const fenceSource: Step = async (ctx) => {
  const key = { namespace: ctx.names.namespace, name: ctx.names.identity };
  const identity = await ctx.source.get(secret, key);
  if (identity) await ensureForgotten(ctx.source, secret, identity);
  if (await ctx.source.get(secret, key)) return waiting("NotFenced", "is still there", `Secret/${key.name}`);
  return { kind: "next", patch: { sourceFenced: true } };
};

/** 12. The target gets the credential, and wakes up: the Cluster last. */
export const resume: Step = async (ctx) => {
  const { namespace, identity, cluster: name } = ctx.names;
  if (await ctx.source.get(secret, { namespace, name: identity })) {
    return { kind: "back", to: "FenceSource", why: "the source has the credential again" }; // I1
  }
  const draft = await ctx.identity();
  if (!draft)
    return blocked(
      "CredentialMissing",
      "there is no credential to hand over; put the cloud account's Secret back",
    );
  await ensureExists(ctx.target, secret, draft);
  const { members } = await closureIn(ctx, ctx.target);
  for (const member of members) {
    if (member.kind !== cluster) await unmark(ctx.target, member);
  }
  await modify(ctx.target, cluster, { namespace, name }, (object) => {
    const keep = ctx.purpose === "manage" && object.metadata.annotations?.[marks.wasPaused] === "true";
    const { paused, ...rest } = object.spec;
    const annotations = withoutMarks(object);
    if (!annotations && (keep || !paused)) return undefined;
    return {
      ...object,
      metadata: { ...object.metadata, annotations: annotations ?? object.metadata.annotations ?? {} },
      spec: { ...rest, ...(keep ? { paused: true } : {}) } as typeof object.spec,
    };
  });
  return next;
};

async function unmark(store: ResourceStore, { kind, object }: Member): Promise<void> {
  const { name, namespace } = object.metadata;
  await modify(store, kind, namespace ? { namespace, name } : { name }, (have) => {
    const annotations = withoutMarks(have);
    return annotations && { ...have, metadata: { ...have.metadata, annotations } };
  });
}

/** 13. For a while: not one machine more or less than the source knew. */
export const watch: Step = async (ctx, journal) => {
  if (ctx.purpose === "delete") return next;
  const [here, there] = [await closureIn(ctx, ctx.source), await closureIn(ctx, ctx.target)];
  const before = ofKind(here, machine).map((m) => m.metadata.name);
  const after = ofKind(there, machine).map((m) => m.metadata.name);
  const odd = [...before.filter((n) => !after.includes(n)), ...after.filter((n) => !before.includes(n))];
  if (odd.length > 0) {
    return blocked(
      "MachinesDiffer",
      `after the hand-over these machines are on one side only: ${odd.join(", ")}`,
      `Machine/${odd[0]}`,
    );
  }
  const passed = ctx.clock.now() - Date.parse(journal.stepStartedAt);
  if (passed < ctx.watchMs) {
    return {
      kind: "waiting",
      reason: "Watching",
      message: "watching the cluster under its own management",
      afterMs: ctx.watchMs - passed,
    };
  }
  const pausedStill = there.members.find(
    (m) => reportsPause(m.object) && isPausedNow(m.object) && !wasPaused(there),
  );
  return pausedStill
    ? waiting("NotAwake", "its controller has not taken up work", memberText(pausedStill))
    : next;
};

export function wasPaused(closure: Closure): boolean {
  return ofKind(closure, cluster).some((object) => (object.spec as { paused?: boolean }).paused === true);
}

/** 14. The old objects go without any controller acting on them; leaves first. */
export const retire: Step = async (ctx, journal) => {
  await writeDecision(ctx.target, ctx.names.namespace, journal, "Active", ctx.clock.now());
  for (const { kind, object } of [...(await closureIn(ctx, ctx.source)).members].reverse()) {
    const { name, namespace } = object.metadata;
    await modify(ctx.source, kind, namespace ? { namespace, name } : { name }, (have) =>
      have.metadata.annotations?.[words.deleteForMove] === undefined && !isDeleting(have)
        ? {
            ...have,
            metadata: {
              ...have.metadata,
              annotations: { ...have.metadata.annotations, [words.paused]: "", [words.deleteForMove]: "" },
            },
          }
        : undefined,
    );
    await ensureForgotten(ctx.source, kind, object);
  }
  const left = (await closureIn(ctx, ctx.source)).members[0];
  return left ? waiting("NotGone", "is still there", memberText(left)) : next;
};

/** Takes an undecided pivot back: the copies go, the source wakes up. The journal never comes here from Commit on. */
export const rollBack: Step = async (ctx, journal) => {
  try {
    const { members } = await closureIn(ctx, ctx.target);
    for (const { kind, object } of [...members].reverse()) {
      if (isOurs(object, journal)) await ensureForgotten(ctx.target, kind, object);
    }
  } catch (error) {
    // The copies are paused and have no credential: harmless, should the target never be seen again.
    if (!isFault(error, "Unavailable", "TimedOut", "NotFound", "Unauthorized", "Forbidden")) throw error;
  }
  const { namespace, cluster: name } = ctx.names;
  await modify(ctx.source, cluster, { namespace, name }, (object) => {
    if (object.metadata.annotations?.[marks.id] !== journal.id) return undefined;
    const { paused: _, ...rest } = object.spec;
    const was = object.metadata.annotations[marks.wasPaused] === "true";
    return {
      ...object,
      metadata: { ...object.metadata, annotations: withoutMarks(object) ?? {} },
      spec: { ...rest, ...(was ? { paused: true } : {}) } as typeof object.spec,
    };
  });
  return next;
};
