// What a round decides about a cluster: what is done, and what is said.
import type { ConditionDraft } from "#core";
import type { ClusterState, DeletionMemory, MachineStatus } from "#proto";
import type { MilestoneKey, Standing, Trouble } from "../milestones.ts";
import type { Resolved } from "../render/cluster.ts";
import type { SpaAction } from "./action.ts";

export interface SpaPlan {
  readonly actions: readonly SpaAction[];
  readonly conditions: readonly ConditionDraft[];
  /** "kept": the milestones stay as they were. */
  readonly standings: Readonly<Partial<Record<MilestoneKey, Standing>>> | "kept";
  readonly state: ClusterState;
  /** What is in the way; the standing of its milestone carries it into the status. */
  readonly trouble?: Trouble | undefined;
  readonly machines?: readonly MachineStatus[] | undefined;
  readonly endpoint?: Resolved["endpoint"] | undefined;
  readonly template?: string | undefined;
  /** What a deletion must remember. */
  readonly deletion?: DeletionMemory;
  /** When to look again if nothing wakes us. "busy": nothing here will; "watched": the gateway's watches do; "steady": all is well. */
  readonly pace: "busy" | "watched" | "steady";
}
