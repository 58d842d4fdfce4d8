// What a step of a pivot is given, and how it says that it ended. A step may be run any number of times, by any process, in any state
// that it can leave behind (I4).
import type { Clock, Draft, Kind, Resource, ResourceStore } from "#core";
import { conditionsOf } from "#proto";
import { words, type ClusterNames } from "#proto/render/names.ts";
import { marks, readClosure, type Closure } from "./closure.ts";
import type { JournalPort, PivotJournal, PivotStep } from "./journal.ts";

export interface PivotContext {
  readonly source: ResourceStore;
  readonly target: ResourceStore;
  readonly journal: JournalPort;
  readonly names: ClusterNames;
  /** The identity Secret as the target shall have it; undefined while the credential is missing. */
  readonly identity: () => Promise<Draft<Resource> | undefined>;
  /** What the target still lacks before it can take over, in words; undefined when it is ready. */
  readonly targetLacks: () => Promise<string | undefined>;
  /** Which of these BIOS UUIDs the datacenter does not know. Absent: not asked. */
  readonly missingVms?: (biosUUIDs: readonly string[]) => Promise<readonly string[]>;
  /** "manage" wants a healthy cluster; "delete" takes what is there. */
  readonly purpose: "manage" | "delete";
  readonly clock: Clock;
  readonly quietMs: number;
  readonly watchMs: number;
}

export type StepOutcome =
  | { readonly kind: "next"; readonly patch?: Partial<PivotJournal> }
  | { readonly kind: "back"; readonly to: PivotStep; readonly why: string }
  | {
      readonly kind: "waiting";
      readonly reason: string;
      readonly message: string;
      readonly object?: string;
      readonly afterMs?: number;
      /** Time alone does not end this wait: a person must do something. */
      readonly blocked?: true;
    };

export type Step = (ctx: PivotContext, journal: PivotJournal, signal: AbortSignal) => Promise<StepOutcome>;

export const next: StepOutcome = { kind: "next" };

export function waiting(reason: string, message: string, object?: string): StepOutcome {
  return { kind: "waiting", reason, message, ...(object ? { object } : {}) };
}

export function blocked(reason: string, message: string, object?: string): StepOutcome {
  return { kind: "waiting", reason, message, blocked: true, ...(object ? { object } : {}) };
}

export const changed: StepOutcome = {
  kind: "back",
  to: "Quiesce",
  why: "the source changed after the snapshot",
};

export function closureIn(ctx: PivotContext, store: ResourceStore): Promise<Closure> {
  return readClosure(store, ctx.names.namespace, ctx.names.cluster);
}

export function ofKind(closure: Closure, kind: Kind): Resource[] {
  return closure.members.filter((m) => m.kind === kind).map((m) => m.object);
}

export function reportsPause(object: Resource): boolean {
  return conditionsOf(object).some((c) => c.type === "Paused");
}

export function isOurs(object: Resource, journal: PivotJournal): boolean {
  return object.metadata.annotations?.[marks.id] === journal.id;
}

export function withoutMarks(object: Resource): Record<string, string> | undefined {
  const drop = new Set<string>([words.paused, words.deleteForMove, ...Object.values(marks)]);
  const entries = Object.entries(object.metadata.annotations ?? {});
  const kept = entries.filter(([key]) => !drop.has(key));
  return kept.length === entries.length ? undefined : Object.fromEntries(kept);
}
