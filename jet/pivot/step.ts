// What a step of a pivot is given, and how it says that it ended. A step may be run any number of times, by any process, in any state
// that it can leave behind (I4).
import {
  Fault,
  isDeleting,
  isFault,
  type Clock,
  type DeleteOptions,
  type Draft,
  type Key,
  type Kind,
  type Resource,
  type ResourceStore,
} from "#core";
import { conditionsOf } from "#proto";
import type { ClusterNames } from "#proto/render/names.ts";
import { readClosure, type Closure } from "./closure.ts";
import { sameJournal, type JournalPort, type PivotJournal, type PivotStep } from "./journal.ts";
import { readSnapshot, type SnapshotShelf } from "./snapshot.ts";

export interface PivotContext {
  readonly source: ResourceStore;
  readonly target: ResourceStore;
  readonly journal: JournalPort;
  readonly snapshots: SnapshotShelf;
  readonly names: ClusterNames;
  /** The identity Secret as the target shall have it; undefined while the credential is missing. */
  readonly identity: () => Promise<Draft<Resource> | undefined>;
  /** What the target still lacks before it can take over, in words; undefined when it is ready. */
  readonly targetLacks: () => Promise<string | undefined>;
  /** Which of these BIOS UUIDs the datacenter does not know. Absent: not asked. */
  readonly missingVms?: (biosUUIDs: readonly string[]) => Promise<readonly string[]>;
  /** Whether the target would let an object in: schema and webhooks are asked, nothing is stored; throws what a create would. Absent: not asked. */
  readonly admits?: (kind: Kind, draft: Draft<Resource>) => Promise<unknown>;
  /** "manage" wants a healthy cluster; "delete" takes what is there. */
  readonly purpose: "manage" | "delete";
  readonly clock: Clock;
  readonly quietMs: number;
  readonly watchMs: number;
  /** How long the target may be silent before an undecided pivot is taken back, milliseconds. */
  readonly lostMs: number;
  /** How many writes may be under way at once; 16 unless told. */
  readonly parallel?: number;
}

export type StepOutcome =
  | { readonly kind: "next"; readonly patch?: Partial<PivotJournal> }
  | {
      readonly kind: "back";
      readonly to: PivotStep;
      readonly why: string;
      readonly patch?: Partial<PivotJournal>;
    }
  | {
      readonly kind: "waiting";
      readonly reason: string;
      readonly message: string;
      readonly object?: string;
      readonly afterMs?: number;
      /** Time alone does not end this wait: a person must do something. */
      readonly blocked?: true;
      readonly patch?: Partial<PivotJournal>;
    };

export type Step = (ctx: PivotContext, journal: PivotJournal, signal: AbortSignal) => Promise<StepOutcome>;

export const next: StepOutcome = { kind: "next" };

export function waiting(reason: string, message: string, object?: string): StepOutcome & { kind: "waiting" } {
  return { kind: "waiting", reason, message, ...(object ? { object } : {}) };
}

export function blocked(reason: string, message: string, object?: string): StepOutcome & { kind: "waiting" } {
  return { kind: "waiting", reason, message, blocked: true, ...(object ? { object } : {}) };
}

export const changed: StepOutcome = {
  kind: "back",
  to: "PauseSource",
  why: "the source changed after the snapshot",
};

export function closureIn(ctx: PivotContext, store: ResourceStore): Promise<Closure> {
  return readClosure(store, ctx.names.namespace, ctx.names.cluster);
}

/** The snapshot that the journal names; undefined when there is none (any more). */
export async function snapshotOf(ctx: PivotContext, journal: PivotJournal): Promise<Closure | undefined> {
  if (!journal.snapshotDigest) return undefined;
  const key = { clusterUid: ctx.names.uid, digest: journal.snapshotDigest };
  const text = await ctx.snapshots.get(key);
  return text === undefined ? undefined : readSnapshot(text, key);
}

/**
 * Fails with Conflict when somebody else has moved the pivot on. Called between what a step read and what it writes on the strength of
 * that: together with revisions and uids from before, it makes the writes of a late process fail (W1).
 */
export async function stillOurs(ctx: Pick<PivotContext, "journal">, journal: PivotJournal): Promise<void> {
  if (!sameJournal(await ctx.journal.read(), journal)) {
    throw new Fault("Conflict", "another process has moved the pivot on");
  }
}

/** Does it for all of them, so many at once. Where some fail, the rest is finished, and the first failure thrown. */
export async function all<T>(
  ctx: Pick<PivotContext, "parallel">,
  items: readonly T[],
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  const queue = [...items];
  const failures: unknown[] = [];
  const worker = async () => {
    for (let item = queue.shift(); item !== undefined && failures.length === 0; item = queue.shift()) {
      await work(item).catch((error: unknown) => failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: Math.min(ctx.parallel ?? 16, queue.length) }, worker));
  if (failures.length > 0) throw failures[0];
}

/** How often a write is tried again after somebody else was faster. */
const tries = 10;

/**
 * Deletes exactly the object that was read, without letting its controllers act: deletion first, so that none puts its finalizer back,
 * then all finalizers. "Orphan" leaves what a stranger made depend on it; it costs a write, and the server's collector one. What another process or controller has written on it meanwhile is read anew; another object of its name stays.
 */
export async function forget(
  ctx: Pick<PivotContext, "journal">,
  journal: PivotJournal,
  store: ResourceStore,
  kind: Kind,
  object: Resource,
  propagation: NonNullable<DeleteOptions["propagation"]> = "Orphan",
): Promise<void> {
  const { name, namespace, uid } = object.metadata;
  const key = namespace ? { namespace, name } : { name };
  let have: Resource | undefined = object;
  for (let attempt = 1; have?.metadata.uid === uid; attempt++) {
    try {
      return await forgetNow(store, kind, key, have, propagation);
    } catch (error) {
      if (isFault(error, "NotFound")) return;
      if (!isFault(error, "Conflict") || attempt >= tries) throw error;
      have = await store.get(kind, key);
      await stillOurs(ctx, journal);
    }
  }
}

async function forgetNow(
  store: ResourceStore,
  kind: Kind,
  key: Key,
  object: Resource,
  propagation: NonNullable<DeleteOptions["propagation"]>,
): Promise<void> {
  let left: Resource | undefined = object;
  if (!isDeleting(object)) {
    const { uid, resourceVersion } = object.metadata;
    left = await store.delete(kind, key, { uid, resourceVersion, propagation });
  }
  if (left) await store.update(kind, { ...left, metadata: { ...left.metadata, finalizers: [] } });
}

export function ofKind(closure: Pick<Closure, "members">, kind: Kind): Resource[] {
  return closure.members.filter((m) => m.kind === kind).map((m) => m.object);
}

export function reportsPause(object: Resource): boolean {
  return conditionsOf(object).some((c) => c.type === "Paused");
}
