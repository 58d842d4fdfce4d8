// What a pivot writes on the objects that it makes or pauses, so that any process finds out whose they are and of when. Pure.
import type { Resource } from "#core";
import { words } from "#proto/render/names.ts";
import type { PivotJournal } from "./journal.ts";

/** Annotations; they never count as content. */
export const marks = {
  id: "pivot.jet.pcg.dev/id",
  epoch: "pivot.jet.pcg.dev/epoch",
  /** Which snapshot of the pivot a copy was made from. */
  round: "pivot.jet.pcg.dev/round",
  sourceUid: "pivot.jet.pcg.dev/source-uid",
  digest: "pivot.jet.pcg.dev/digest",
  /** On the Cluster: whether a person had paused it before. */
  wasPaused: "pivot.jet.pcg.dev/was-paused",
  /** On the Cluster: the last pivot that was taken back. */
  takenBack: "pivot.jet.pcg.dev/taken-back",
} as const;

/**
 * Whose an object is, for a pivot. "stranger": nobody's mark. "ours": of this pivot's present snapshot. "former": of an earlier
 * snapshot or pivot, may be removed. "later": whoever asks is late, and must not write.
 */
export type Belonging = "stranger" | "ours" | "former" | "later";

export function belonging(object: Resource, journal: PivotJournal): Belonging {
  const said = object.metadata.annotations ?? {};
  if (said[marks.id] === undefined) return "stranger";
  const age =
    said[marks.id] === journal.id
      ? Number(said[marks.round] ?? 0) - (journal.round ?? 0)
      : Number(said[marks.epoch] ?? 0) - journal.epoch || -1;
  return age === 0 ? "ours" : age < 0 ? "former" : "later";
}

/** The annotations of a copy. */
export function marksFor(
  object: Resource,
  digest: string,
  journal: Pick<PivotJournal, "id" | "epoch" | "round">,
): Record<string, string> {
  return {
    [marks.id]: journal.id,
    [marks.epoch]: String(journal.epoch),
    [marks.round]: String(journal.round ?? 0),
    [marks.sourceUid]: object.metadata.uid,
    [marks.digest]: digest,
  };
}

const passing = new Set<string>([words.paused, words.deleteForMove, ...Object.values(marks)]);

/** The annotations without those of a pivot; undefined where there are none of them. */
export function withoutMarks(object: Resource): Record<string, string> | undefined {
  const entries = Object.entries(object.metadata.annotations ?? {});
  const kept = entries.filter(([key]) => !passing.has(key));
  return kept.length === entries.length ? undefined : Object.fromEntries(kept);
}
