// Pausing a Cluster for a pivot, and letting it go as it was. Pure.
import type { Cluster } from "#proto";
import { marks, withoutMarks } from "./marks.ts";
import type { PivotJournal } from "./journal.ts";

/** The Cluster paused for this pivot, with what it was before; undefined where it is already. */
export function pausedFor(object: Cluster, journal: PivotJournal): Cluster | undefined {
  const said = object.metadata.annotations ?? {};
  const ours = said[marks.id] === journal.id;
  if (object.spec.paused && ours) return undefined;
  // A former pivot's mark tells better than its pause who had paused it.
  const before = said[marks.wasPaused] ?? String(object.spec.paused ?? false);
  const annotations = {
    ...said,
    [marks.id]: journal.id,
    [marks.epoch]: String(journal.epoch),
    [marks.wasPaused]: before,
  };
  return {
    ...object,
    metadata: { ...object.metadata, annotations },
    spec: { ...object.spec, paused: true },
  };
}

/** Whether it is paused, and by this pivot. */
export function isPausedFor(object: Cluster, journal: PivotJournal): boolean {
  return object.spec.paused === true && object.metadata.annotations?.[marks.id] === journal.id;
}

/** The Cluster awake, or paused where a person had paused it and `keep` says to keep that; undefined where nothing is to be done. */
export function released(object: Cluster, keep: boolean): Cluster | undefined {
  const annotations = withoutMarks(object);
  const stays =
    keep &&
    (object.metadata.annotations?.[marks.wasPaused] ??
      String(annotations === undefined && object.spec.paused)) === "true";
  const { paused, ...rest } = object.spec;
  if (!annotations && Boolean(paused) === stays) return undefined;
  return {
    ...object,
    metadata: { ...object.metadata, annotations: annotations ?? object.metadata.annotations ?? {} },
    spec: { ...rest, ...(stays ? { paused: true } : {}) } as Cluster["spec"],
  };
}
