// Steps 1 to 6: the cluster is looked at, held still, and written down.
import { Fault, isDeleting, isFault, sleep, type Resource } from "#core";
import {
  cluster,
  conditionsOf,
  isPausedNow,
  kubeadmControlPlane,
  machine,
  nodeNameOf,
  vsphereVM,
  type Cluster,
} from "#proto";
import { words } from "#proto/render/names.ts";
import { censusOf } from "./census.ts";
import { memberText, ownerLevels, strayOwners, type Closure, type Member } from "./closure.ts";
import { copyOf } from "./copies.ts";
import { markLeaving } from "./decision.ts";
import type { PivotJournal } from "./journal.ts";
import { belonging } from "./marks.ts";
import { isPausedFor, pausedFor, released } from "./pause.ts";
import { readSnapshot, snapshotText } from "./snapshot.ts";
import {
  all,
  blocked,
  closureIn,
  forget,
  next,
  ofKind,
  reportsPause,
  stillOurs,
  waiting,
  type PivotContext,
  type Step,
  type StepOutcome,
} from "./step.ts";

/** 1. The cluster is whole, still, and every VM of it can be found again on the other side. */
export const preflightSource: Step = async (ctx) =>
  judgeSource(await closureIn(ctx, ctx.source), ctx.purpose, ctx.names);

/** What hinders a cluster from being moved; `next` when nothing does. Pure. */
export function judgeSource(
  closure: Closure,
  purpose: PivotContext["purpose"],
  names: Pick<PivotContext["names"], "namespace" | "cluster">,
): StepOutcome {
  if (ofKind(closure, cluster).length === 0) {
    return blocked("ClusterMissing", `there is no Cluster in ${names.namespace}`, `Cluster/${names.cluster}`);
  }
  for (const vm of ofKind(closure, vsphereVM)) {
    const { biosUUID } = vm.spec as { biosUUID?: string };
    if (!biosUUID && (purpose === "manage" || taskOf(vm))) {
      return waiting(
        "VmUnknown",
        "its VM has no BIOS UUID yet, so it could not be found again",
        `VSphereVM/${vm.metadata.name}`,
      );
    }
  }
  const task = ofKind(closure, vsphereVM).find(taskOf);
  if (task) return taskRunning(task);
  if (purpose === "delete") return next;
  const going = closure.members.find((m) => isDeleting(m.object));
  if (going) return waiting("BeingDeleted", "is being deleted; waiting until it is gone", memberText(going));
  for (const one of ofKind(closure, machine)) {
    if (!nodeNameOf(one)) return waiting("NodeMissing", "has no Node yet", `Machine/${one.metadata.name}`);
  }
  return judgePlanes(closure);
}

function judgePlanes(closure: Closure): StepOutcome {
  const machines = ofKind(closure, machine).filter(
    (m) => m.metadata.labels?.["cluster.x-k8s.io/control-plane"] !== undefined,
  );
  for (const plane of ofKind(closure, kubeadmControlPlane)) {
    const object = `KubeadmControlPlane/${plane.metadata.name}`;
    const want = (plane.spec as { replicas?: number }).replicas ?? 1;
    if (want !== machines.length)
      return waiting("Scaling", `has ${machines.length} of ${want} machines`, object);
    const busy = conditionsOf(plane).find(
      (c) => (c.type === "RollingOut" || c.type === "Remediating") && c.status === "True",
    );
    if (busy) return waiting(busy.type, `its machines are being replaced: ${busy.message}`, object);
  }
  return next;
}

function taskOf(vm: Resource): string | undefined {
  return (vm.status as { taskRef?: string } | undefined)?.taskRef || undefined;
}

function taskRunning(vm: Resource): StepOutcome & { kind: "waiting" } {
  return waiting("TaskRunning", "has a vCenter task under way", `VSphereVM/${vm.metadata.name}`);
}

/** 2. Controllers and agent run there. */
export const installTarget: Step = async (ctx) => {
  const lacking = await ctx.targetLacks();
  return lacking ? waiting("TargetNotReady", lacking) : next;
};

/** 3. The datacenter knows every VM, nothing of a stranger lies where ours will be, and the target would let every kind in. */
export const preflightTarget: Step = async (ctx, journal) => {
  const [closure, there] = await Promise.all([closureIn(ctx, ctx.source), closureIn(ctx, ctx.target)]);
  const missing = ctx.purpose === "manage" ? await missingVms(ctx, closure) : [];
  if (missing.length > 0) {
    return blocked("VmMissing", `vCenter does not know the VMs with the BIOS UUIDs ${missing.join(", ")}`);
  }
  const stranger = there.members.find((m) => belonging(m.object, journal) === "stranger");
  if (stranger) return inTheWay(stranger);
  await stillOurs(ctx, journal);
  // Left by a pivot that was taken back.
  await removeFormer(ctx, there.members, journal);
  return (await refusal(ctx, closure, journal)) ?? next;
};

export async function missingVms(ctx: PivotContext, closure: Closure): Promise<readonly string[]> {
  const uuids = ofKind(closure, vsphereVM)
    .map((vm) => (vm.spec as { biosUUID?: string }).biosUUID)
    .filter((uuid) => uuid !== undefined);
  return (await ctx.missingVms?.(uuids)) ?? [];
}

export function inTheWay(member: Member): StepOutcome & { kind: "waiting" } {
  return blocked("InTheWay", "is on the other side already and is not ours", memberText(member)); // I3
}

/** Removes copies of earlier snapshots and pivots, leaves first. Conflict when some are of a later one: then it is we who are late. */
export async function removeFormer(
  ctx: PivotContext,
  members: readonly Member[],
  journal: PivotJournal,
): Promise<void> {
  if (members.some((m) => belonging(m.object, journal) === "later")) {
    throw new Fault("Conflict", "the other side holds copies of a later snapshot");
  }
  const former = members.filter((m) => belonging(m.object, journal) === "former");
  for (const level of ownerLevels(former).reverse()) {
    await all(ctx, level, ({ kind, object }) => forget(ctx, journal, ctx.target, kind, object));
  }
}

/** One object of each kind, shown to the target's admission (webhooks included) without being created. */
async function refusal(
  ctx: PivotContext,
  closure: Closure,
  journal: PivotJournal,
): Promise<StepOutcome | undefined> {
  const { admits } = ctx;
  if (!admits) return undefined;
  const samples = new Map(closure.members.map((member) => [member.kind, member]));
  const refused: StepOutcome[] = [];
  await all(ctx, [...samples.values()], async (member) => {
    try {
      await admits(member.kind, copyOf(member, new Map(), journal, ctx.names.namespace));
    } catch (error) {
      if (isFault(error, "AlreadyExists")) return;
      if (isFault(error, "Invalid", "Forbidden")) {
        const say = `the other side would refuse it: ${error.message}`;
        refused.push(blocked("Refused", say, memberText(member)));
      } else if (isFault(error, "Unavailable")) {
        refused.push(
          waiting("TargetNotReady", `its webhook does not answer: ${error.message}`, memberText(member)),
        );
      } else throw error;
    }
  });
  return refused[0];
}

/** 4. Nobody on the source acts any more: seen in each object's Paused condition, not assumed. */
export const pauseSource: Step = async (ctx, journal) => {
  await markLeaving(ctx, journal);
  const key = { namespace: ctx.names.namespace, name: ctx.names.cluster };
  const object = await ctx.source.get(cluster, key);
  const paused = object && pausedFor(object, journal);
  await stillOurs(ctx, journal);
  if (paused) await ctx.source.update(cluster, paused);
  const busy = (await closureIn(ctx, ctx.source)).members.find(
    (m) => reportsPause(m.object) && !isPausedNow(m.object),
  );
  return busy
    ? waiting("NotPausedYet", "its controller has not said that it paused", memberText(busy))
    : next;
};

/** 5. Nothing changes any more: two looks, some time apart, see the same. */
export const quiesce: Step = async (ctx, journal, signal) => {
  const before = await closureIn(ctx, ctx.source);
  const verdict = judgeQuiet(before, journal);
  if (verdict.kind === "back") return letTaskEnd(ctx, journal, before, verdict);
  if (verdict.kind === "waiting") return verdict;
  if (ctx.quietMs > 0) await sleep(ctx.clock, ctx.quietMs, signal);
  const after = await closureIn(ctx, ctx.source);
  return versions(before) === versions(after) ? next : waiting("NotQuiet", "objects still change");
};

/** Whether a paused source is at rest. A task in vCenter ends only where its controller is awake, so it sends the pivot back. Pure. */
export function judgeQuiet(closure: Closure, journal: PivotJournal): StepOutcome {
  const [whole] = ofKind(closure, cluster) as Cluster[];
  if (!whole || !isPausedFor(whole, journal))
    return { kind: "back", to: "PauseSource", why: "somebody woke the source" };
  const held = closure.members.find((m) => m.object.metadata.annotations?.[words.blockMove] !== undefined);
  if (held) return blocked("MoveBlocked", `bears ${words.blockMove}`, memberText(held));
  const task = ofKind(closure, vsphereVM).find(taskOf);
  // Without its credential nothing on the source could end it; the target finds the VM by its BIOS UUID, or by its name.
  if (task && !journal.sourceFenced) {
    return {
      kind: "back",
      to: "PreflightSource",
      why: `VSphereVM/${task.metadata.name} has a vCenter task under way`,
    };
  }
  return next;
}

/** Wakes the source, so that what it was doing comes to an end. */
async function letTaskEnd(
  ctx: PivotContext,
  journal: PivotJournal,
  seen: Closure,
  verdict: StepOutcome & { kind: "back" },
): Promise<StepOutcome> {
  const [whole] = ofKind(seen, cluster) as Cluster[];
  const awake = verdict.to === "PreflightSource" && whole && released(whole, true);
  await stillOurs(ctx, journal);
  if (awake) await ctx.source.update(cluster, awake);
  return verdict;
}

function versions(closure: Closure): string {
  return closure.members.map((m) => `${memberText(m)}@${m.object.metadata.resourceVersion}`).join(" ");
}

/** How many dropped owners a journal names. */
const maxDropped = 20;

/** 6. What exactly will move, sealed on the gateway's own disk and read back. */
export const snapshot: Step = async (ctx, journal) => {
  const closure = await closureIn(ctx, ctx.source);
  const verdict = judgeQuiet(closure, journal);
  if (verdict.kind !== "next")
    return { kind: "back", to: "Quiesce", why: "the source is not at rest any more" };
  const key = { clusterUid: ctx.names.uid, digest: closure.digest };
  await ctx.snapshots.put(key, snapshotText(closure));
  const kept = await ctx.snapshots.get(key);
  if (kept === undefined) return waiting("SnapshotNotKept", "the snapshot could not be read back");
  const { members } = readSnapshot(kept, key);
  const dropped = strayOwners(members).slice(0, maxDropped);
  return {
    kind: "next",
    patch: {
      snapshotDigest: closure.digest,
      round: (journal.round ?? 0) + 1,
      objects: { done: 0, total: members.length },
      census: censusOf(members),
      ...(dropped.length > 0 ? { dropped } : {}),
    },
  };
};
