// Steps 7 to 9: everything but the credential comes to be on the other side, asleep. The source is not asked any more.
import { Fault, isFault, type Resource } from "#core";
import { withCarriedStatus } from "./carried.ts";
import { memberText, ownerLevels, type Member } from "./closure.ts";
import { copyOf, isCopyOf, judgeCopies, planCopies } from "./copies.ts";
import { belonging } from "./marks.ts";
import type { PivotJournal } from "./journal.ts";
import { inTheWay } from "./prepare.ts";
import {
  all,
  closureIn,
  forget,
  next,
  snapshotOf,
  stillOurs,
  type PivotContext,
  type Step,
  type StepOutcome,
} from "./step.ts";

const snapshotGone: StepOutcome = {
  kind: "back",
  to: "PauseSource",
  why: "the snapshot is not on the gateway any more",
};

/** 7. Everything but the credential, paused, with owners by the uids of the target. From the snapshot alone. */
export const create: Step = async (ctx, journal) => {
  const snapshot = await snapshotOf(ctx, journal);
  if (!snapshot) return snapshotGone;
  const plan = planCopies(snapshot, await closureIn(ctx, ctx.target), journal);
  if (plan.kind === "in the way") {
    await stillOurs(ctx, journal); // a pivot that went on without us has taken the marks off
    return inTheWay(plan.member);
  }
  if (plan.kind === "late") throw new Fault("Conflict", "the other side holds copies of a later snapshot");
  await stillOurs(ctx, journal);
  for (const level of ownerLevels(plan.remove).reverse()) {
    await all(ctx, level, ({ kind, object }) => forget(ctx, journal, ctx.target, kind, object));
  }
  const uids = new Map(plan.uids);
  let stranger: Member | undefined;
  for (const level of ownerLevels(snapshot.members)) {
    const missing = level.filter((member) => !uids.has(member.object.metadata.uid));
    if (missing.length > 0) await stillOurs(ctx, journal);
    await all(ctx, missing, async (member) => {
      const made = await createCopy(ctx, member, uids, journal);
      if (made) uids.set(member.object.metadata.uid, made.metadata.uid);
      else stranger = member;
    });
    if (stranger) return inTheWay(stranger);
  }
  const total = snapshot.members.length;
  return { kind: "next", patch: { objects: { done: total, total } } };
};

/** The copy; undefined where something of a stranger has its name. Conflict where another process is at work on it. */
async function createCopy(
  ctx: PivotContext,
  member: Member,
  uids: ReadonlyMap<string, string>,
  journal: PivotJournal,
): Promise<Resource | undefined> {
  const draft = copyOf(member, uids, journal, ctx.names.namespace);
  try {
    return await ctx.target.create(member.kind, draft);
  } catch (error) {
    if (!isFault(error, "AlreadyExists")) throw error;
  }
  const key = { namespace: ctx.names.namespace, name: member.object.metadata.name };
  const there = await ctx.target.get(member.kind, key);
  await stillOurs(ctx, journal);
  if (there && belonging(there, journal) === "stranger") return undefined;
  if (there && belonging(there, journal) === "ours" && isCopyOf(there, member.object)) return there;
  throw new Fault("Conflict", `${memberText(member)} is being written by another process`);
}

/** 8. Status that is written once upstream and would be missed; each write with the revision that was seen. */
export const carryStatus: Step = async (ctx, journal) => {
  const snapshot = await snapshotOf(ctx, journal);
  if (!snapshot) return snapshotGone;
  const there = await closureIn(ctx, ctx.target);
  const originals = new Map(snapshot.members.map((m) => [memberText(m), m.object]));
  const writes = there.members.flatMap((copy) => {
    const original = originals.get(memberText(copy));
    const object =
      original && belonging(copy.object, journal) === "ours"
        ? withCarriedStatus(copy.kind, copy.object, original)
        : undefined;
    return object ? [{ kind: copy.kind, object }] : [];
  });
  await stillOurs(ctx, journal);
  await all(ctx, writes, ({ kind, object }) => ctx.target.updateStatus(kind, object));
  return next;
};

/** 9. The target holds all of the snapshot and nothing else; its owners are there; no machine would be replaced. */
export const verify: Step = async (ctx, journal) => {
  const snapshot = await snapshotOf(ctx, journal);
  if (!snapshot) return snapshotGone;
  return judgeCopies(snapshot, await closureIn(ctx, ctx.target), journal, ctx.clock.now());
};
