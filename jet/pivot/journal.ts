// What a pivot must remember between processes, and nothing more: where it stands, and the digest of what it moves. It lies in
// the SPA's status.pivot and is written by compare-and-swap. No secret is ever in it (I6). The rest is read back from both sides.
import { formatTime } from "#core";
import type { SpaStatus } from "#proto";

export type PivotJournal = NonNullable<SpaStatus["pivot"]>;
export type Direction = PivotJournal["direction"];

/** In order. The journal's step is the one that is being carried out. */
export const pivotSteps = [
  "PreflightSource",
  "InstallTarget",
  "PreflightTarget",
  "PauseSource",
  "Quiesce",
  "Snapshot",
  "Create",
  "CarryStatus",
  "Verify",
  "Commit",
  "FenceSource",
  "Resume",
  "Watch",
  "Retire",
  "Done",
] as const;
export type PivotStep = (typeof pivotSteps)[number] | "RollBack" | "RolledBack";

/** What a step does, for people. */
const stepTitles: Readonly<Record<PivotStep, string>> = {
  PreflightSource: "checking the cluster",
  InstallTarget: "waiting for the other side's controllers",
  PreflightTarget: "counting the VMs in vCenter",
  PauseSource: "pausing the cluster's controllers",
  Quiesce: "waiting until nothing changes",
  Snapshot: "taking stock",
  Create: "copying objects",
  CarryStatus: "carrying status over",
  Verify: "comparing both sides",
  Commit: "deciding",
  FenceSource: "taking the credential from the old side",
  Resume: "waking the new side",
  Watch: "watching the new side",
  Retire: "removing the old objects",
  Done: "done",
  RollBack: "taking the hand-over back",
  RolledBack: "taken back",
};

/** "to the cluster: copying objects (step 7 of 14)". */
export function stepText({ direction, step }: Pick<PivotJournal, "direction" | "step">): string {
  const where = direction === "ToWorkload" ? "to the cluster" : "back to the gateway";
  const place = placeOf(step);
  const count = place >= 0 && step !== "Done" ? ` (step ${place + 1} of ${pivotSteps.length - 1})` : "";
  return `${where}: ${stepTitles[step as PivotStep] ?? step}${count}`;
}

export interface JournalPort {
  read(): Promise<PivotJournal | undefined>;
  /** Writes `next` if the journal still is `expected`; Conflict otherwise. */
  write(next: PivotJournal, expected: PivotJournal | undefined): Promise<void>;
}

export function newJournal(direction: Direction, id: string, epoch: number, now: number): PivotJournal {
  return { direction, id, epoch, step: "PreflightSource", stepStartedAt: formatTime(now), attempts: 1 };
}

/** The place of a step in the order; RollBack and RolledBack come before all. */
export function placeOf(step: string): number {
  return (pivotSteps as readonly string[]).indexOf(step);
}

const commit = placeOf("Commit");

/** Which side may act on the cluster, as far as the journal alone can tell; "none" between the decision and the hand-over. */
export function activeSide(journal: PivotJournal | undefined): "gateway" | "workload" | "none" {
  if (!journal) return "gateway";
  const [from, to] =
    journal.direction === "ToWorkload"
      ? (["gateway", "workload"] as const)
      : (["workload", "gateway"] as const);
  const place = placeOf(journal.step);
  if (place < commit) return from;
  return place > placeOf("Resume") ? to : "none";
}

export function isSettled(journal: PivotJournal | undefined): boolean {
  return !journal || journal.step === "Done" || journal.step === "RolledBack";
}

/** Whether a pivot can still be taken back without asking the other side. */
export function isBeforeDecision(journal: PivotJournal): boolean {
  return placeOf(journal.step) < commit;
}

export function sameJournal(a: PivotJournal | undefined, b: PivotJournal | undefined): boolean {
  return a?.id === b?.id && a?.step === b?.step && a?.epoch === b?.epoch;
}
