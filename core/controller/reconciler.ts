// Who acts: the contract between a controller and the runner.
//
// A controller is level-triggered: it is handed a key, never an event; it looks at the world afresh, decides by a pure function,
// acts, and writes down what it saw. `steps` builds a Reconciler from these four parts; the runner (runner.ts) calls it.
import type { Condition, ConditionDraft } from "../resource/condition.ts";
import type { Kind } from "../resource/kind.ts";
import type { Key, Resource } from "../resource/meta.ts";
import type { BackoffOptions } from "../time/backoff.ts";
import type { Informer } from "./informer.ts";

/** What a round asks for. Ignored beside a failure. */
export interface Result {
  /** Come again after this many milliseconds, even if nothing changes. Absent: only when something changes. */
  readonly after?: number;
}

export interface Reconciler {
  /** Brings the world a step nearer to what `key` asks for. Throws to be called again with back-off; Invalid: not until a change. */
  reconcile(key: Key, signal: AbortSignal): Promise<Result>;
}

/** A further kind to follow, and whom a change of it concerns. */
export interface Follow<R extends Resource = Resource> {
  readonly kind: Kind<R>;
  /** The keys of the primary kind to look at again. May read; must not write. */
  readonly affects: (object: R) => readonly Key[] | Promise<readonly Key[]>;
}

/** What a controller may use beside its reconciler. */
export interface Means {
  /** The local copy of a kind, shared by all who follow it; listed once before the first round. */
  cache<R extends Resource>(kind: Kind<R>): Informer<R>;
  /** Asks for a round of a key of the primary kind. */
  wake(key: Key): void;
  /** Aborts when the controllers stop. */
  readonly signal: AbortSignal;
}

export interface Controller {
  readonly name: string;
  /** The primary kind: every object of it gets a round at start, at each change, and at each resync. */
  readonly kind: Kind;
  readonly follows: readonly Follow[];
  readonly reconciler: Reconciler;
  /** Called once, before anything is listed. */
  readonly begin?: (means: Means) => void;
  /** Keys worked on at once; 4 unless told. One key never twice at once. */
  readonly concurrency?: number;
  /** 5 ms doubling to 5 min unless told. */
  readonly backoff?: BackoffOptions;
  /** Only this namespace. */
  readonly namespace?: string;
  /** Every key gets a round at least this often, milliseconds; 10 min unless told. */
  readonly resyncMs?: number;
}

/** What a pure decision says: what to do, in order, and how things stand. */
export interface Plan<Action> {
  readonly actions: readonly Action[];
  readonly conditions: readonly ConditionDraft[];
  /** As in Result. */
  readonly after?: number;
}

/** The four parts of a controller. */
export interface Steps<Seen, Action> {
  /** Reads only. What is missing is a fact in the answer; undefined means that the object itself is gone. */
  observe(key: Key, signal: AbortSignal): Promise<Seen | undefined>;
  /** Pure. */
  plan(seen: Seen, now: number): Plan<Action>;
  /** One write (or one outside call) that may safely be done twice. */
  act(seen: Seen, action: Action, signal: AbortSignal): Promise<void>;
  /** Writes status once, and only if it differs. `failure` is what stopped the actions, if anything did. Called always. */
  report(seen: Seen, plan: Plan<Action>, failure: unknown, signal: AbortSignal): Promise<void>;
}

/** Conditions of a plan, merged over those the object has. */
export type MergeConditions = (
  have: readonly Condition[] | undefined,
  drafts: readonly ConditionDraft[],
  now: string,
) => Condition[];
