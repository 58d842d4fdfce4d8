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

/** Who may act on a cluster, as this gateway sees it; "none" also where it is another gateway. */
export type Side = "gateway" | "workload" | "none";

interface Way {
  readonly from: Side;
  readonly to: Side;
  /** "to the cluster". */
  readonly text: string;
  /** The milestone that a pivot this way belongs to. */
  readonly milestone: "PivotCompleted" | "ManagementReturned";
}

/** All that a direction means; nothing else asks which it is. */
export const ways: Readonly<Record<Direction, Way>> = {
  ToWorkload: { from: "gateway", to: "workload", text: "to the cluster", milestone: "PivotCompleted" },
  ToGateway: {
    from: "workload",
    to: "gateway",
    text: "back to the gateway",
    milestone: "ManagementReturned",
  },
  ToPeer: { from: "gateway", to: "none", text: "to another gateway", milestone: "PivotCompleted" },
};

/** "to the cluster: copying objects (step 7 of 14)". */
export function stepText({ direction, step }: Pick<PivotJournal, "direction" | "step">): string {
  const place = placeOf(step);
  const count = place >= 0 && step !== "Done" ? ` (step ${place + 1} of ${pivotSteps.length - 1})` : "";
  return `${ways[direction].text}: ${stepTitles[step as PivotStep] ?? step}${count}`;
}

export interface JournalPort {
  read(): Promise<PivotJournal | undefined>;
  /** Writes `next` if the journal still is `expected`; Conflict otherwise. */
  write(next: PivotJournal, expected: PivotJournal | undefined): Promise<void>;
}

export function newJournal(direction: Direction, id: string, epoch: number, now: number): PivotJournal {
  return {
    direction,
    id,
    epoch,
    step: "PreflightSource",
    stepStartedAt: formatTime(now),
    attempts: 1,
    turn: 1,
  };
}

/** The journal after a move. */
export function moved(
  journal: PivotJournal,
  step: PivotStep,
  now: number,
  patch: Partial<PivotJournal> = {},
): PivotJournal {
  return {
    ...journal,
    ...patch,
    step,
    stepStartedAt: formatTime(now),
    attempts: 1,
    turn: (journal.turn ?? 0) + 1,
  };
}

/** The place of a step in the order; RollBack and RolledBack come before all. */
export function placeOf(step: string): number {
  return (pivotSteps as readonly string[]).indexOf(step);
}

/** Which side may act on the cluster, as far as the journal alone can tell; "none" between the decision and the hand-over. */
export function activeSide(journal: PivotJournal | undefined): Side {
  if (!journal) return "gateway";
  const { from, to } = ways[journal.direction];
  if (isBeforeDecision(journal)) return from;
  return placeOf(journal.step) > placeOf("Resume") ? to : "none";
}

export function isSettled(journal: PivotJournal | undefined): boolean {
  return !journal || journal.step === "Done" || journal.step === "RolledBack";
}

/** Whether a pivot can still be taken back without asking the other side. A decided one may come to early steps again, but goes forward. */
export function isBeforeDecision(journal: PivotJournal): boolean {
  return placeOf(journal.step) < placeOf("Commit") && journal.committedAt === undefined;
}

/** The id of a revival follows from its mirror's digest: whoever comes second goes on with the first one's. */
export function revivalId(mirrorDigest: string): string {
  return `revived-${mirrorDigest.slice(0, 12)}`;
}

/** Whether the gateway has the cluster from its mirror (mirror/revive.ts), not by a hand-over on the way to its end. */
export function isRevival(journal: PivotJournal | undefined): boolean {
  return journal?.direction === "ToGateway" && journal.id.startsWith("revived-");
}

/** Whether nobody has moved it on. */
export function sameJournal(a: PivotJournal | undefined, b: PivotJournal | undefined): boolean {
  return a?.id === b?.id && a?.step === b?.step && a?.epoch === b?.epoch && a?.turn === b?.turn;
}
