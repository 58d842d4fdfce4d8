// What a person may say to a pivot: an annotation on the SPA, so that kubectl can say it too. `pcg cluster pivot` writes the same. Pure.
//
//   kubectl annotate spa NAME jet.pcg.dev/pivot=rollback     take it back, and do not begin another; stays until another word is said
//   kubectl annotate spa NAME jet.pcg.dev/pivot=resume       go on; taken off once it was heard
//   kubectl annotate spa NAME jet.pcg.dev/pivot=resume-without-source
//   kubectl annotate spa NAME jet.pcg.dev/pivot=revive       the cluster has lost its objects: bring them back from the mirror
import type { Resource } from "#core";

export const commandAnnotation = "jet.pcg.dev/pivot";

export const pivotCommands = ["rollback", "resume", "resume-without-source", "revive"] as const;
export type PivotCommand = (typeof pivotCommands)[number];

/** What was said; undefined where nothing was, or nothing that we know. */
export function commandOf(object: Resource): PivotCommand | undefined {
  const said = object.metadata.annotations?.[commandAnnotation];
  return pivotCommands.find((command) => command === said);
}
