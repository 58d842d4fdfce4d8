// The steps of a pivot by name. Each looks at both sides, does what is left to do, and says how it ended. SPEC.md has the table.
import type { PivotStep } from "./journal.ts";
import type { Step } from "./step.ts";
import {
  preflightSource,
  installTarget,
  preflightTarget,
  pauseSource,
  quiesce,
  snapshot,
} from "./prepare.ts";
import { create, carryStatus, verify } from "./copy.ts";
import { commit, fenceSource, resume } from "./decide.ts";
import { retire, rollBack, watch } from "./settle.ts";

export type Steps = Readonly<Record<Exclude<PivotStep, "Done" | "RolledBack">, Step>>;

/** Every step but the two that are ends. */
export const steps: Steps = {
  PreflightSource: preflightSource,
  InstallTarget: installTarget,
  PreflightTarget: preflightTarget,
  PauseSource: pauseSource,
  Quiesce: quiesce,
  Snapshot: snapshot,
  Create: create,
  CarryStatus: carryStatus,
  Verify: verify,
  Commit: commit,
  FenceSource: fenceSource,
  Resume: resume,
  Watch: watch,
  Retire: retire,
  RollBack: rollBack,
};
