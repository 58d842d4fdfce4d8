// The steps of a pivot, one function each. A step looks at both sides, does what is left to do, and says how it ended; it may be run
// any number of times, by any process, in any state that it can leave behind (I4).
import {
  isDeleting,
  isFault,
  sleep,
  type Clock,
  type Draft,
  type Kind,
  type OwnerReference,
  type Resource,
  type ResourceStore,
} from "#core";
import {
  cluster,
  conditionsOf,
  ipAddressClaim,
  isPausedNow,
  kubeadmControlPlane,
  machine,
  nodeNameOf,
  secret,
  vsphereVM,
} from "#proto";
import { words, type ClusterNames } from "#proto/render/names.ts";
import { ensureExists, ensureForgotten, modify } from "../ensure.ts";
import { digestOf, marks, memberText, readClosure, type Closure, type Member } from "./closure.ts";
import { markLeaving, readDecision, writeDecision } from "./decision.ts";
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

const next: StepOutcome = { kind: "next" };

function waiting(reason: string, message: string, object?: string): StepOutcome {
  return { kind: "waiting", reason, message, ...(object ? { object } : {}) };
}

function blocked(reason: string, message: string, object?: string): StepOutcome {
  return { kind: "waiting", reason, message, blocked: true, ...(object ? { object } : {}) };
}

function closureIn(ctx: PivotContext, store: ResourceStore): Promise<Closure> {
  return readClosure(store, ctx.names.namespace, ctx.names.cluster);
}

function ofKind(closure: Closure, kind: Kind): Resource[] {
  return closure.members.filter((m) => m.kind === kind).map((m) => m.object);
}

/** 1. The cluster is whole, still, and every VM of it can be found again on the other side. */
const preflightSource: Step = async (ctx) => {
  const closure = await closureIn(ctx, ctx.source);
  if (ofKind(closure, cluster).length === 0) {
    return blocked(
      "ClusterMissing",
      `there is no Cluster in ${ctx.names.namespace}`,
      `Cluster/${ctx.names.cluster}`,
    );
  }
  for (const vm of ofKind(closure, vsphereVM)) {
    const { biosUUID } = vm.spec as { biosUUID?: string };
    const cloning = (vm.status as { taskRef?: string } | undefined)?.taskRef;
    if (!biosUUID && (ctx.purpose === "manage" || cloning)) {
      return waiting(
        "VmUnknown",
        "its VM has no BIOS UUID yet, so it could not be found again",
        `VSphereVM/${vm.metadata.name}`,
      );
    }
  }
  if (ctx.purpose === "delete") return next;
  const going = closure.members.find((m) => isDeleting(m.object));
  if (going) return waiting("BeingDeleted", "is being deleted; waiting until it is gone", memberText(going));
  for (const one of ofKind(closure, machine)) {
    if (!nodeNameOf(one)) return waiting("NodeMissing", "has no Node yet", `Machine/${one.metadata.name}`);
  }
  for (const plane of ofKind(closure, kubeadmControlPlane)) {
    const want = (plane.spec as { replicas?: number }).replicas ?? 1;
    const have = ofKind(closure, machine).filter(
      (m) => m.metadata.labels?.["cluster.x-k8s.io/control-plane"] !== undefined,
    ).length;
    if (want !== have) {
      return waiting(
        "Scaling",
        `has ${have} of ${want} machines`,
        `KubeadmControlPlane/${plane.metadata.name}`,
      );
    }
  }
  return next;
};

/** 2. Controllers and agent run there. */
const installTarget: Step = async (ctx) => {
  const lacking = await ctx.targetLacks();
  return lacking ? waiting("TargetNotReady", lacking) : next;
};

/** 3. The datacenter knows every VM, and nothing of a stranger lies where ours will be. */
const preflightTarget: Step = async (ctx, journal) => {
  const closure = await closureIn(ctx, ctx.source);
  const uuids = ofKind(closure, vsphereVM)
    .map((vm) => (vm.spec as { biosUUID?: string }).biosUUID)
    .filter((uuid) => uuid !== undefined);
  const missing = ctx.purpose === "manage" ? ((await ctx.missingVms?.(uuids)) ?? []) : [];
  if (missing.length > 0) {
    return blocked("VmMissing", `vCenter does not know the VMs with the BIOS UUIDs ${missing.join(", ")}`);
  }
  for (const member of [...(await closureIn(ctx, ctx.target)).members].reverse()) {
    const mark = member.object.metadata.annotations?.[marks.id];
    if (mark === journal.id) continue;
    if (!mark) return blocked("InTheWay", "is on the other side already and is not ours", memberText(member));
    await ensureForgotten(ctx.target, member.kind, member.object); // left by a pivot that was taken back
  }
  return next;
};

/** 4. Nobody on the source acts any more: seen in each object's Paused condition, not assumed. */
const pauseSource: Step = async (ctx, journal) => {
  await markLeaving(ctx.source, ctx.names.namespace);
  const key = { namespace: ctx.names.namespace, name: ctx.names.cluster };
  await modify(ctx.source, cluster, key, (object) => {
    if (object.spec.paused && object.metadata.annotations?.[marks.id] === journal.id) return undefined;
    const annotations = {
      ...object.metadata.annotations,
      [marks.id]: journal.id,
      [marks.wasPaused]: String(object.spec.paused ?? false),
    };
    return {
      ...object,
      metadata: { ...object.metadata, annotations },
      spec: { ...object.spec, paused: true },
    };
  });
  const busy = (await closureIn(ctx, ctx.source)).members.find(
    (m) => reportsPause(m.object) && !isPausedNow(m.object),
  );
  return busy
    ? waiting("NotPausedYet", "its controller has not said that it paused", memberText(busy))
    : next;
};

function reportsPause(object: Resource): boolean {
  return conditionsOf(object).some((c) => c.type === "Paused");
}

/** 5. Nothing changes any more: two looks, some time apart, see the same. */
const quiesce: Step = async (ctx, _journal, signal) => {
  const before = await closureIn(ctx, ctx.source);
  const cloning = ofKind(before, vsphereVM).find(
    (vm) => (vm.status as { taskRef?: string } | undefined)?.taskRef,
  );
  if (cloning)
    return waiting("TaskRunning", "has a vCenter task under way", `VSphereVM/${cloning.metadata.name}`);
  const held = before.members.find((m) => m.object.metadata.annotations?.[words.blockMove] !== undefined);
  if (held) return blocked("MoveBlocked", `bears ${words.blockMove}`, memberText(held));
  if (ctx.quietMs > 0) await sleep(ctx.clock, ctx.quietMs, signal);
  const after = await closureIn(ctx, ctx.source);
  return versions(before) === versions(after) ? next : waiting("NotQuiet", "objects still change");
};

function versions(closure: Closure): string {
  return closure.members.map((m) => `${memberText(m)}@${m.object.metadata.resourceVersion}`).join(" ");
}

/** 6. What exactly will move. The source stays as it is until Retire, so its digest is the snapshot. */
const snapshot: Step = async (ctx) => {
  const { digest, members } = await closureIn(ctx, ctx.source);
  return { kind: "next", patch: { snapshotDigest: digest, objects: { done: 0, total: members.length } } };
};

/** 7. Everything but the credential, paused, with owners by the uids of the target. */
const create: Step = async (ctx, journal) => {
  const closure = await closureIn(ctx, ctx.source);
  if (closure.digest !== journal.snapshotDigest) return changed;
  const there = await closureIn(ctx, ctx.target);
  const wanted = new Set(closure.members.map(memberText));
  for (const left of [...there.members].reverse()) {
    if (!wanted.has(memberText(left)) && isOurs(left.object, journal)) {
      await ensureForgotten(ctx.target, left.kind, left.object);
    }
  }
  const uids = new Map<string, string>();
  for (const member of closure.members) {
    const copy = copyOf(member, uids, journal, ctx.names.namespace);
    let made = await ensureExists(ctx.target, member.kind, copy);
    if (!isOurs(made, journal)) {
      return blocked("InTheWay", "is on the other side already and is not ours", memberText(member)); // I3
    }
    if (!isCopyOf(made, member.object)) {
      await ensureForgotten(ctx.target, member.kind, made); // of an earlier snapshot of this pivot
      made = await ensureExists(ctx.target, member.kind, copy);
    }
    uids.set(member.object.metadata.uid, made.metadata.uid);
  }
  const total = closure.members.length;
  return { kind: "next", patch: { objects: { done: total, total } } };
};

const changed: StepOutcome = { kind: "back", to: "Quiesce", why: "the source changed after the snapshot" };

function isOurs(object: Resource, journal: PivotJournal): boolean {
  return object.metadata.annotations?.[marks.id] === journal.id;
}

/** Whether a copy is of this very object, as it is now. */
function isCopyOf(copy: Resource, object: Resource): boolean {
  const annotations = copy.metadata.annotations ?? {};
  return (
    annotations[marks.sourceUid] === object.metadata.uid && annotations[marks.digest] === digestOf(object)
  );
}

/** The copy that the target gets. Owners that do not move are dropped: an unknown uid would have it collected (I3). */
export function copyOf(
  { object, kind }: Member,
  uids: ReadonlyMap<string, string>,
  journal: PivotJournal,
  namespace: string,
): Draft<Resource> {
  const { metadata, status: _, ...body } = object;
  const owners: OwnerReference[] = (metadata.ownerReferences ?? []).flatMap((ref) => {
    const uid = uids.get(ref.uid);
    return uid ? [{ ...ref, uid }] : [];
  });
  const paused = kind === cluster ? { spec: { ...(object.spec as object), paused: true } } : {};
  return {
    ...body,
    ...paused,
    metadata: {
      name: metadata.name,
      namespace,
      ...(metadata.labels ? { labels: metadata.labels } : {}),
      annotations: {
        ...metadata.annotations,
        ...(kind === cluster ? {} : { [words.paused]: "" }),
        [marks.id]: journal.id,
        [marks.sourceUid]: metadata.uid,
        [marks.digest]: digestOf(object),
      },
      ...(metadata.finalizers ? { finalizers: metadata.finalizers } : {}),
      ...(owners.length > 0 ? { ownerReferences: owners } : {}),
    },
  };
}

/** 8. Status that is written once upstream and would be missed: what was initialised, and which address a claim holds. */
const carryStatus: Step = async (ctx) => {
  const closure = await closureIn(ctx, ctx.source);
  for (const { kind, object } of closure.members) {
    const carried = carriedStatus(kind, object);
    if (!carried) continue;
    const key = { namespace: ctx.names.namespace, name: object.metadata.name };
    await modify(
      ctx.target,
      kind,
      key,
      (have) => {
        const status = { ...carried, ...(have.status as object | undefined) };
        return Object.keys(carried).every((part) => part in ((have.status as object | undefined) ?? {}))
          ? undefined
          : { ...have, status };
      },
      "status",
    );
  }
  return next;
};

function carriedStatus(kind: Kind, object: Resource): Record<string, unknown> | undefined {
  const status = (object.status ?? {}) as Record<string, unknown>;
  const parts =
    kind === cluster
      ? ["initialization"]
      : kind === kubeadmControlPlane
        ? ["initialization", "lastRemediation"]
        : kind === machine
          ? ["initialization", "nodeRef"]
          : kind === ipAddressClaim
            ? ["addressRef"]
            : [];
  const carried = Object.fromEntries(
    parts.filter((part) => part in status).map((part) => [part, status[part]]),
  );
  return Object.keys(carried).length > 0 ? carried : undefined;
}

/** 9. Both sides hold the same, and every owner there exists there. */
const verify: Step = async (ctx, journal) => {
  const [here, there] = [await closureIn(ctx, ctx.source), await closureIn(ctx, ctx.target)];
  if (here.digest !== journal.snapshotDigest) return changed;
  const copies = new Map(there.members.map((m) => [memberText(m), m]));
  const uids = new Set(there.members.map((m) => m.object.metadata.uid));
  for (const member of here.members) {
    const copy = copies.get(memberText(member));
    if (!copy || copy.object.metadata.annotations?.[marks.sourceUid] !== member.object.metadata.uid) {
      return { kind: "back", to: "Create", why: `${memberText(member)} is missing on the other side` };
    }
    const stray = copy.object.metadata.ownerReferences?.find((ref) => !uids.has(ref.uid));
    if (stray)
      return {
        kind: "back",
        to: "Create",
        why: `${memberText(copy)} has the unknown owner ${stray.kind}/${stray.name}`,
      };
  }
  if (there.members.length !== here.members.length) {
    return { kind: "back", to: "Create", why: "the other side holds more than this one" };
  }
  return next;
};

/** 10. The point of no return: the record in the target. */
const commit: Step = async (ctx, journal) => {
  const { namespace } = ctx.names;
  const decided = await readDecision(ctx.target, namespace);
  if (decided?.id !== journal.id) {
    const here = await closureIn(ctx, ctx.source);
    if (here.digest !== journal.snapshotDigest) return changed;
    await writeDecision(ctx.target, namespace, journal, "Committed", ctx.clock.now());
  }
  const written = await readDecision(ctx.target, namespace);
  if (written?.id !== journal.id) return waiting("NotDecided", "the decision record could not be read back");
  return { kind: "next", patch: { committedAt: written.committedAt } };
};

/** 11. The source loses the credential: whoever wakes up there can do no harm (I1). */
const fenceSource: Step = async (ctx) => {
  const key = { namespace: ctx.names.namespace, name: ctx.names.identity };
  const identity = await ctx.source.get(secret, key);
  if (identity) await ensureForgotten(ctx.source, secret, identity);
  if (await ctx.source.get(secret, key)) return waiting("NotFenced", "is still there", `Secret/${key.name}`);
  return { kind: "next", patch: { sourceFenced: true } };
};

/** 12. The target gets the credential, and wakes up: the Cluster last. */
const resume: Step = async (ctx) => {
  const { namespace, identity, cluster: name } = ctx.names;
  if (await ctx.source.get(secret, { namespace, name: identity })) {
    return { kind: "back", to: "FenceSource", why: "the source has the credential again" }; // I1
  }
  const draft = await ctx.identity();
  if (!draft)
    return blocked(
      "CredentialMissing",
      "there is no credential to hand over; put the cloud account's Secret back",
    );
  await ensureExists(ctx.target, secret, draft);
  const { members } = await closureIn(ctx, ctx.target);
  for (const member of members) {
    if (member.kind !== cluster) await unmark(ctx.target, member);
  }
  await modify(ctx.target, cluster, { namespace, name }, (object) => {
    const keep = ctx.purpose === "manage" && object.metadata.annotations?.[marks.wasPaused] === "true";
    const { paused, ...rest } = object.spec;
    const annotations = withoutMarks(object);
    if (!annotations && (keep || !paused)) return undefined;
    return {
      ...object,
      metadata: { ...object.metadata, annotations: annotations ?? object.metadata.annotations ?? {} },
      spec: { ...rest, ...(keep ? { paused: true } : {}) } as typeof object.spec,
    };
  });
  return next;
};

function withoutMarks(object: Resource): Record<string, string> | undefined {
  const drop = new Set<string>([words.paused, words.deleteForMove, ...Object.values(marks)]);
  const entries = Object.entries(object.metadata.annotations ?? {});
  const kept = entries.filter(([key]) => !drop.has(key));
  return kept.length === entries.length ? undefined : Object.fromEntries(kept);
}

async function unmark(store: ResourceStore, { kind, object }: Member): Promise<void> {
  const { name, namespace } = object.metadata;
  await modify(store, kind, namespace ? { namespace, name } : { name }, (have) => {
    const annotations = withoutMarks(have);
    return annotations && { ...have, metadata: { ...have.metadata, annotations } };
  });
}

/** 13. For a while: not one machine more or less than the source knew. */
const watch: Step = async (ctx, journal) => {
  if (ctx.purpose === "delete") return next;
  const [here, there] = [await closureIn(ctx, ctx.source), await closureIn(ctx, ctx.target)];
  const before = ofKind(here, machine).map((m) => m.metadata.name);
  const after = ofKind(there, machine).map((m) => m.metadata.name);
  const odd = [...before.filter((n) => !after.includes(n)), ...after.filter((n) => !before.includes(n))];
  if (odd.length > 0) {
    return blocked(
      "MachinesDiffer",
      `after the hand-over these machines are on one side only: ${odd.join(", ")}`,
      `Machine/${odd[0]}`,
    );
  }
  const passed = ctx.clock.now() - Date.parse(journal.stepStartedAt);
  if (passed < ctx.watchMs) {
    return {
      kind: "waiting",
      reason: "Watching",
      message: "watching the cluster under its own management",
      afterMs: ctx.watchMs - passed,
    };
  }
  const pausedStill = there.members.find(
    (m) => reportsPause(m.object) && isPausedNow(m.object) && !wasPaused(there),
  );
  return pausedStill
    ? waiting("NotAwake", "its controller has not taken up work", memberText(pausedStill))
    : next;
};

function wasPaused(closure: Closure): boolean {
  return ofKind(closure, cluster).some((object) => (object.spec as { paused?: boolean }).paused === true);
}

/** 14. The old objects go without any controller acting on them; leaves first. */
const retire: Step = async (ctx, journal) => {
  await writeDecision(ctx.target, ctx.names.namespace, journal, "Active", ctx.clock.now());
  for (const { kind, object } of [...(await closureIn(ctx, ctx.source)).members].reverse()) {
    const { name, namespace } = object.metadata;
    await modify(ctx.source, kind, namespace ? { namespace, name } : { name }, (have) =>
      have.metadata.annotations?.[words.deleteForMove] === undefined && !isDeleting(have)
        ? {
            ...have,
            metadata: {
              ...have.metadata,
              annotations: { ...have.metadata.annotations, [words.paused]: "", [words.deleteForMove]: "" },
            },
          }
        : undefined,
    );
    await ensureForgotten(ctx.source, kind, object);
  }
  const left = (await closureIn(ctx, ctx.source)).members[0];
  return left ? waiting("NotGone", "is still there", memberText(left)) : next;
};

/** Takes an undecided pivot back: the copies go, the source wakes up. The journal never comes here from Commit on. */
const rollBack: Step = async (ctx, journal) => {
  try {
    const { members } = await closureIn(ctx, ctx.target);
    for (const { kind, object } of [...members].reverse()) {
      if (isOurs(object, journal)) await ensureForgotten(ctx.target, kind, object);
    }
  } catch (error) {
    // The copies are paused and have no credential: harmless, should the target never be seen again.
    if (!isFault(error, "Unavailable", "TimedOut", "NotFound", "Unauthorized", "Forbidden")) throw error;
  }
  const { namespace, cluster: name } = ctx.names;
  await modify(ctx.source, cluster, { namespace, name }, (object) => {
    if (object.metadata.annotations?.[marks.id] !== journal.id) return undefined;
    const { paused: _, ...rest } = object.spec;
    const was = object.metadata.annotations[marks.wasPaused] === "true";
    return {
      ...object,
      metadata: { ...object.metadata, annotations: withoutMarks(object) ?? {} },
      spec: { ...rest, ...(was ? { paused: true } : {}) } as typeof object.spec,
    };
  });
  return next;
};

/** Every step but the two that are ends. */
export const steps: Readonly<Record<Exclude<PivotStep, "Done" | "RolledBack">, Step>> = {
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
