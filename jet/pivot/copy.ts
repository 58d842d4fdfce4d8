// Steps 7 to 9: everything but the credential comes to be on the other side, asleep.
import type { Draft, Kind, OwnerReference, Resource } from "#core";
import { cluster, ipAddressClaim, kubeadmControlPlane, machine } from "#proto";
import { words } from "#proto/render/names.ts";
import { ensureExists, ensureForgotten, modify } from "../ensure.ts";
import { digestOf, marks, memberText, type Member } from "./closure.ts";
import type { PivotJournal } from "./journal.ts";
import { type Step, closureIn, changed, isOurs, blocked, next } from "./step.ts";

/** 7. Everything but the credential, paused, with owners by the uids of the target. */
export const create: Step = async (ctx, journal) => {
  const closure = await closureIn(ctx, ctx.source);
  if (closure.digest !== journal.snapshotDigest) return changed;
  const there = await closureIn(ctx, ctx.target);
  const wanted = new Set(closure.members.map(memberText));
  for (const left of [...there.members].reverse()) {
    if (!wanted.has(memberText(left)) && isOurs(left.object, journal)) {
      await ensureForgotten(ctx.target, left.kind, left.object);
    }
  }
  const uids = new Map<string, string>();
  for (const member of closure.members) {
    const copy = copyOf(member, uids, journal, ctx.names.namespace);
    let made = await ensureExists(ctx.target, member.kind, copy);
    if (!isOurs(made, journal)) {
      return blocked("InTheWay", "is on the other side already and is not ours", memberText(member)); // I3
    }
    if (!isCopyOf(made, member.object)) {
      await ensureForgotten(ctx.target, member.kind, made); // of an earlier snapshot of this pivot
      made = await ensureExists(ctx.target, member.kind, copy);
    }
    uids.set(member.object.metadata.uid, made.metadata.uid);
  }
  const total = closure.members.length;
  return { kind: "next", patch: { objects: { done: total, total } } };
};

/** Whether a copy is of this very object, as it is now. */
function isCopyOf(copy: Resource, object: Resource): boolean {
  const annotations = copy.metadata.annotations ?? {};
  return (
    annotations[marks.sourceUid] === object.metadata.uid && annotations[marks.digest] === digestOf(object)
  );
}

/** The copy that the target gets. Owners that do not move are dropped: an unknown uid would have it collected (I3). */
export function copyOf(
  { object, kind }: Member,
  uids: ReadonlyMap<string, string>,
  journal: PivotJournal,
  namespace: string,
): Draft<Resource> {
  const { metadata, status: _, ...body } = object;
  const owners: OwnerReference[] = (metadata.ownerReferences ?? []).flatMap((ref) => {
    const uid = uids.get(ref.uid);
    return uid ? [{ ...ref, uid }] : [];
  });
  const paused = kind === cluster ? { spec: { ...(object.spec as object), paused: true } } : {};
  return {
    ...body,
    ...paused,
    metadata: {
      name: metadata.name,
      namespace,
      ...(metadata.labels ? { labels: metadata.labels } : {}),
      annotations: {
        ...metadata.annotations,
        ...(kind === cluster ? {} : { [words.paused]: "" }),
        [marks.id]: journal.id,
        [marks.sourceUid]: metadata.uid,
        [marks.digest]: digestOf(object),
      },
      ...(metadata.finalizers ? { finalizers: metadata.finalizers } : {}),
      ...(owners.length > 0 ? { ownerReferences: owners } : {}),
    },
  };
}

/** 8. Status that is written once upstream and would be missed: what was initialised, and which address a claim holds. */
export const carryStatus: Step = async (ctx) => {
  const closure = await closureIn(ctx, ctx.source);
  for (const { kind, object } of closure.members) {
    const carried = carriedStatus(kind, object);
    if (!carried) continue;
    const key = { namespace: ctx.names.namespace, name: object.metadata.name };
    await modify(
      ctx.target,
      kind,
      key,
      (have) => {
        const status = { ...carried, ...(have.status as object | undefined) };
        return Object.keys(carried).every((part) => part in ((have.status as object | undefined) ?? {}))
          ? undefined
          : { ...have, status };
      },
      "status",
    );
  }
  return next;
};

function carriedStatus(kind: Kind, object: Resource): Record<string, unknown> | undefined {
  const status = (object.status ?? {}) as Record<string, unknown>;
  const parts =
    kind === cluster
      ? ["initialization"]
      : kind === kubeadmControlPlane
        ? ["initialization", "lastRemediation"]
        : kind === machine
          ? ["initialization", "nodeRef"]
          : kind === ipAddressClaim
            ? ["addressRef"]
            : [];
  const carried = Object.fromEntries(
    parts.filter((part) => part in status).map((part) => [part, status[part]]),
  );
  return Object.keys(carried).length > 0 ? carried : undefined;
}

/** 9. Both sides hold the same, and every owner there exists there. */
export const verify: Step = async (ctx, journal) => {
  const [here, there] = [await closureIn(ctx, ctx.source), await closureIn(ctx, ctx.target)];
  if (here.digest !== journal.snapshotDigest) return changed;
  const copies = new Map(there.members.map((m) => [memberText(m), m]));
  const uids = new Set(there.members.map((m) => m.object.metadata.uid));
  for (const member of here.members) {
    const copy = copies.get(memberText(member));
    if (!copy || copy.object.metadata.annotations?.[marks.sourceUid] !== member.object.metadata.uid) {
      return { kind: "back", to: "Create", why: `${memberText(member)} is missing on the other side` };
    }
    const stray = copy.object.metadata.ownerReferences?.find((ref) => !uids.has(ref.uid));
    if (stray)
      return {
        kind: "back",
        to: "Create",
        why: `${memberText(copy)} has the unknown owner ${stray.kind}/${stray.name}`,
      };
  }
  if (there.members.length !== here.members.length) {
    return { kind: "back", to: "Create", why: "the other side holds more than this one" };
  }
  return next;
};
