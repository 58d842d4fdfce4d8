// Copies and their originals: how one is made of the other, and whether it still is one. Pure.
import type { Draft, Kind, OwnerReference, Resource } from "#core";
import { cluster, kubeadmControlPlane, machine, vsphereVM } from "#proto";
import { words } from "#proto/render/names.ts";
import { includes } from "#proto/render/shape.ts";
import { censusDifference, censusOf } from "./census.ts";
import { contentOf, digestOf, memberText, type Closure, type Member } from "./closure.ts";
import type { PivotJournal } from "./journal.ts";
import { belonging, marks, marksFor } from "./marks.ts";
import { rolloutsOfMove } from "./rollouts.ts";
import { blocked, next, type StepOutcome } from "./step.ts";

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
        ...marksFor(object, digestOf(object), journal),
      },
      ...(metadata.finalizers ? { finalizers: metadata.finalizers } : {}),
      ...(owners.length > 0 ? { ownerReferences: owners } : {}),
    },
  };
}

/** Whether a copy was made of this very object, as the snapshot has it. */
export function isCopyOf(copy: Resource, object: Resource): boolean {
  const annotations = copy.metadata.annotations ?? {};
  return (
    annotations[marks.sourceUid] === object.metadata.uid && annotations[marks.digest] === digestOf(object)
  );
}

/** What Create has to do, given what the target holds. */
export type CopyPlan =
  | { readonly kind: "in the way"; readonly member: Member }
  /** Somebody else works on a later snapshot. */
  | { readonly kind: "late" }
  | {
      readonly kind: "copy";
      /** Copies of earlier snapshots, or of nothing in this one. */
      readonly remove: readonly Member[];
      /** Source uid to target uid, of the copies that are there: the uid map, rebuilt from the marks. */
      readonly uids: ReadonlyMap<string, string>;
    };

export function planCopies(snapshot: Closure, there: Closure, journal: PivotJournal): CopyPlan {
  const originals = new Map(snapshot.members.map((m) => [memberText(m), m.object]));
  const remove: Member[] = [];
  const uids = new Map<string, string>();
  for (const member of there.members) {
    const original = originals.get(memberText(member));
    switch (belonging(member.object, journal)) {
      case "stranger":
        return { kind: "in the way", member };
      case "later":
        return { kind: "late" };
      case "former":
        remove.push(member);
        break;
      case "ours":
        if (original && isCopyOf(member.object, original))
          uids.set(original.metadata.uid, member.object.metadata.uid);
        else remove.push(member);
    }
  }
  return { kind: "copy", remove, uids };
}

/** Whether the target holds all of the snapshot, nothing else, unaltered, and would replace no machine for having been moved. */
export function judgeCopies(
  snapshot: Closure,
  there: Closure,
  journal: PivotJournal,
  now: number,
): StepOutcome {
  const again = (why: string): StepOutcome => ({ kind: "back", to: "Create", why });
  const copies = new Map(there.members.map((m) => [memberText(m), m]));
  const owners = new Set(there.members.map((m) => m.object.metadata.uid));
  for (const member of snapshot.members) {
    const copy = copies.get(memberText(member));
    if (!copy || belonging(copy.object, journal) !== "ours" || !isCopyOf(copy.object, member.object))
      return again(`${memberText(member)} is missing on the other side`);
    const stray = copy.object.metadata.ownerReferences?.find((ref) => !owners.has(ref.uid));
    if (stray) return again(`${memberText(copy)} has the unknown owner ${stray.kind}/${stray.name}`);
    const part = partAltered(member, copy.object, snapshot);
    if (part) {
      return blocked(
        "Altered",
        `the other side stored another ${part} than it was given; are its providers of the same version?`,
        memberText(copy),
      );
    }
  }
  if (there.members.length !== snapshot.members.length)
    return again("the other side holds more than this one");
  const odd = censusDifference(censusOf(snapshot.members), censusOf(there.members));
  if (odd) return again(odd);
  const { begun, forgotten } = rolloutsOfMove(snapshot.members, there.members, now);
  if (begun.length > 0) return blocked("WouldReplaceMachines", `the move would replace ${begun.join("; ")}`);
  if (forgotten.length > 0) {
    return blocked(
      "RolloutPending",
      `machines are to be replaced, and the move would have it forgotten: ${forgotten.join("; ")}`,
    );
  }
  return next;
}

/** Which part of a copy is not as it was written: "spec", "labels", …; undefined when all is. Values are never told (I6). */
function partAltered(member: Member, copy: Resource, snapshot: Closure): string | undefined {
  const moving = new Set(snapshot.members.map((m) => m.object.metadata.uid));
  const wanted = contentOf({
    ...member.object,
    metadata: {
      ...member.object.metadata,
      ownerReferences: (member.object.metadata.ownerReferences ?? []).filter((ref) => moving.has(ref.uid)),
    },
  });
  const have = contentOf(copy);
  return Object.keys(wanted).find((part) => {
    const [want, is] = [wanted[part], have[part]];
    // The other side's controllers may add a guard of theirs even while they are paused.
    if ((part === "finalizers" || part === "owners") && Array.isArray(want))
      return !want.every((one) => (is as unknown[]).includes(one));
    return !includes(is, want);
  });
}

/** The kinds whose loss would be a machine's: the target must hold each that the source holds before the source's go. */
const vital = new Set<Kind>([cluster, kubeadmControlPlane, machine, vsphereVM]);

/** What the source holds and the target does not, vital things first. */
export function lacking(here: Closure, there: Closure): Member | undefined {
  const held = new Set(there.members.map(memberText));
  const missing = here.members.filter((m) => !held.has(memberText(m)));
  return missing.find((m) => vital.has(m.kind)) ?? missing[0];
}
