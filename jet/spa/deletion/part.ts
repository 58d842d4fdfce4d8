// A part of the way down: it looks at the world and says what is left of it, or undefined when nothing is.
import type { DeletionMemory } from "#proto";
import type { MilestoneKey, Standing, Trouble } from "../../milestones.ts";
import type { ProviderSource } from "../../ports.ts";
import type { SpaAction } from "../action.ts";
import type { SpaSeen } from "../seen.ts";

export interface DeletionOptions {
  readonly providers: Pick<ProviderSource, "deployments">;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** How long something must be silent before it counts as dead, milliseconds. */
  readonly deadAfterMs: number;
}

/** What parts look at besides the world. */
export interface DeletionView extends DeletionOptions {
  readonly memory: DeletionMemory;
  /** deletePolicy Force. */
  readonly forced: boolean;
}

export interface Open {
  readonly actions?: readonly SpaAction[];
  readonly trouble?: Trouble;
  readonly waiting?: boolean;
  /** What is being waited for, where nothing is wrong. */
  readonly message?: string;
  readonly progress?: Standing["progress"];
}

export interface Part {
  readonly milestone: MilestoneKey;
  readonly look: (seen: SpaSeen, view: DeletionView) => Open | undefined;
}

/** Milliseconds since a time in the memory; 0 where it has none. */
export function elapsed(since: string | undefined, now: number): number {
  return since === undefined ? 0 : now - Date.parse(since);
}
