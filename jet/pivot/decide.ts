// Steps 10 to 12: the decision, the credential, the hand-over.
import { type Draft, type Resource } from "#core";
import { cluster, secret, type Cluster, type SecretObject } from "#proto";
import { closureIn, all, blocked, changed, forget, next, ofKind, stillOurs, waiting } from "./step.ts";
import type { PivotContext, Step, StepOutcome } from "./step.ts";
import { readDecision, writeDecision } from "./decision.ts";
import type { PivotJournal } from "./journal.ts";
import { withoutMarks } from "./marks.ts";
import { isPausedFor, released } from "./pause.ts";
import { removeStrays } from "./settle.ts";

/** 10. The point of no return: the record in the target. The source is asleep, and as the snapshot has it. */
export const commit: Step = async (ctx, journal) => {
  const { namespace } = ctx.names;
  const decided = await readDecision(ctx.target, namespace);
  if (decided?.id !== journal.id || decided.digest !== journal.snapshotDigest) {
    const here = await closureIn(ctx, ctx.source);
    const [whole] = ofKind(here, cluster) as Cluster[];
    if (here.digest !== journal.snapshotDigest || !whole || !isPausedFor(whole, journal)) return changed;
    await stillOurs(ctx, journal);
    await writeDecision(ctx.target, namespace, journal, "Committed", ctx.clock.now());
  }
  const written = await readDecision(ctx.target, namespace);
  if (written?.id !== journal.id) return waiting("NotDecided", "the decision record could not be read back");
  return { kind: "next", patch: { committedAt: written.committedAt } };
};

/** 11. The source loses the credential: whoever wakes up there can do no harm (I1). What it did in the meantime goes along. */
export const fenceSource: Step = async (ctx, journal) => {
  if (journal.sourceLost) return next;
  const key = { namespace: ctx.names.namespace, name: ctx.names.identity };
  const identity = await ctx.source.get(secret, key);
  await stillOurs(ctx, journal);
  if (identity) await forget(ctx, journal, ctx.source, secret, identity);
  if (await ctx.source.get(secret, key)) return waiting("NotFenced", "is still there", `Secret/${key.name}`);
  const here = await closureIn(ctx, ctx.source);
  const patch = { sourceFenced: true };
  if (here.digest === journal.snapshotDigest) return { kind: "next", patch };
  return { ...changed, why: "the source changed before its credential was gone", patch };
};

/** 12. The target gets the credential, and wakes up: the Cluster last. */
export const resume: Step = async (ctx, journal) => {
  const handed = await handOver(ctx, journal);
  if (handed.kind !== "next") return handed;
  const there = await removeStrays(ctx, journal, await closureIn(ctx, ctx.target));
  await stillOurs(ctx, journal);
  const marked = there.members.filter((m) => m.kind !== cluster && withoutMarks(m.object));
  await all(ctx, marked, ({ kind, object }) =>
    ctx.target.update(kind, {
      ...object,
      metadata: { ...object.metadata, annotations: withoutMarks(object) ?? {} },
    }),
  );
  const [whole] = ofKind(there, cluster) as Cluster[];
  const awake = whole && released(whole, ctx.purpose === "manage");
  await stillOurs(ctx, journal);
  if (awake) await ctx.target.update(cluster, awake);
  return next;
};

/**
 * The credential comes to be in the target. In two writes, an empty Secret and then its content: the second carries the revision of
 * the first, so that a process that comes too late, when the cluster has gone back again, fails and does not give it to both (I1).
 */
async function handOver(ctx: PivotContext, journal: PivotJournal): Promise<StepOutcome> {
  const { namespace, identity: name } = ctx.names;
  const draft = await ctx.identity();
  if (!draft) {
    return blocked(
      "CredentialMissing",
      "there is no credential to hand over; put the cloud account's Secret back",
    );
  }
  const held =
    (await ctx.target.get(secret, { namespace, name })) ?? (await createEmpty(ctx, journal, draft));
  if (!journal.sourceLost && (await ctx.source.get(secret, { namespace, name }))) {
    return { kind: "back", to: "FenceSource", why: "the source has the credential again" }; // I1
  }
  await stillOurs(ctx, journal);
  if (!holdsCredential(held)) await ctx.target.update(secret, filled(held, draft));
  return next;
}

async function createEmpty(
  ctx: PivotContext,
  journal: PivotJournal,
  draft: Draft<Resource>,
): Promise<SecretObject> {
  const { data: _, ...empty } = draft as Draft<SecretObject>;
  await stillOurs(ctx, journal);
  return ctx.target.create(secret, empty as Draft<SecretObject>);
}

function filled(held: SecretObject, draft: Draft<Resource>): SecretObject {
  const { data } = draft as { readonly data?: Record<string, string> };
  return { ...held, data: { ...held.data, ...data } };
}

/** An identity Secret without content is none. */
export function holdsCredential(object: SecretObject | undefined): boolean {
  return Object.keys(object?.data ?? {}).length > 0;
}
