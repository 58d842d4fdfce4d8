// Steps 1 to 6: the cluster is looked at, held still, and written down.
import { isDeleting, sleep } from "#core";
import { cluster, isPausedNow, kubeadmControlPlane, machine, nodeNameOf, vsphereVM } from "#proto";
import { words } from "#proto/render/names.ts";
import { ensureForgotten, modify } from "../ensure.ts";
import { marks, memberText, type Closure } from "./closure.ts";
import { markLeaving } from "./decision.ts";
import { type Step, closureIn, ofKind, blocked, waiting, next, reportsPause } from "./step.ts";

/** 1. The cluster is whole, still, and every VM of it can be found again on the other side. */
export const preflightSource: Step = async (ctx) => {
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
export const installTarget: Step = async (ctx) => {
  const lacking = await ctx.targetLacks();
  return lacking ? waiting("TargetNotReady", lacking) : next;
};

/** 3. The datacenter knows every VM, and nothing of a stranger lies where ours will be. */
export const preflightTarget: Step = async (ctx, journal) => {
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
export const pauseSource: Step = async (ctx, journal) => {
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

/** 5. Nothing changes any more: two looks, some time apart, see the same. */
export const quiesce: Step = async (ctx, _journal, signal) => {
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
export const snapshot: Step = async (ctx) => {
  const { digest, members } = await closureIn(ctx, ctx.source);
  return { kind: "next", patch: { snapshotDigest: digest, objects: { done: 0, total: members.length } } };
};
