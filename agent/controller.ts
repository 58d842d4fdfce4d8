// The controller of the one SpectroCluster that the agent serves: observe, plan, act, report.
import {
  formatTime,
  isFault,
  sameJson,
  setCondition,
  steps,
  type Controller,
  type Draft,
  type Follow,
  type Key,
  type Kind,
  type Resource,
} from "#core";
import {
  clusterApiKinds,
  configMap,
  kubeadmControlPlane,
  spectroCluster,
  type ClusterStatus,
  type Milestone,
  type SpectroCluster,
} from "#proto";
import { decisionName } from "#proto/render/names.ts";
import { milestoneTitles } from "#proto/render/titles.ts";
import { planAgent, type AgentAction, type AgentPlan, type AgentSeen, type Progress } from "./plan.ts";
import type { AgentDeps, AgentOptions } from "./ports.ts";
import { agentEvents } from "./events.ts";
import { newsOf } from "./news.ts";
import { holds, laidOver } from "./render/worker-pool.ts";
import { modifyStatus } from "./status.ts";

/** An unchanged status is told again after so long: before it has enrolled, the agent's outlet leads nowhere. */
const tellAgainMs = 60_000;

export function agentController(
  deps: AgentDeps,
  { namespace, clusterUid, version }: AgentOptions,
): Controller {
  const { store, clock, log } = deps;
  const say = agentEvents(deps, clusterUid);
  let told: { readonly status: ClusterStatus; readonly at: number } | undefined;

  async function observe(key: Key): Promise<AgentSeen | undefined> {
    const spc = await store.get(spectroCluster, key);
    if (!spc || spc.spec.desired.clusterUid !== clusterUid) return undefined;
    const decision = (await store.get(configMap, { namespace, name: decisionName }))?.data;
    const objects: Resource[] = [];
    for (const kind of clusterApiKinds) objects.push(...(await store.list(kind, { namespace })).items);
    return { spc, owner: decision?.state === "Active", objects };
  }

  async function act(_seen: AgentSeen, action: AgentAction): Promise<void> {
    switch (action.do) {
      case "apply":
        return apply(action.kind, action.object);
      case "scale control plane": {
        const have = await store.get(kubeadmControlPlane, { namespace, name: action.name });
        if (have)
          await store.update(kubeadmControlPlane, {
            ...have,
            spec: { ...have.spec, replicas: action.replicas },
          });
        return;
      }
      case "remove":
        try {
          await store.delete(action.kind, { namespace, name: action.name });
        } catch (error) {
          if (!isFault(error, "NotFound")) throw error;
        }
        return;
    }
  }

  /** Creates the object, or lays its fields over the one that is there. */
  async function apply(
    kind: Kind,
    object: Draft<Resource> & { readonly metadata: { readonly name: string } },
  ): Promise<void> {
    try {
      await store.create(kind, object);
    } catch (error) {
      if (!isFault(error, "AlreadyExists")) throw error;
      const have = await store.get(kind, { namespace, name: object.metadata.name });
      if (have && !holds(have, object)) await store.update(kind, laidOver(have, object));
    }
  }

  async function report(seen: AgentSeen, plan: AgentPlan): Promise<void> {
    const key = { namespace, name: seen.spc.metadata.name };
    const after = await modifyStatus(store, key, (object) => statusAfter(object, seen, plan, clock.now()));
    if (!after) return;
    for (const event of newsOf(seen.spc.status, after.status, seen.objects)) await say(event);
    if (!plan.active || !deps.outlet) return; // whoever does not own the cluster does not speak for it
    const status = clusterStatus(after, plan, version);
    const at = clock.now();
    if (told && sameJson(told.status, status) && at - told.at < tellAgainMs) return;
    await deps.outlet.status(status);
    told = { status, at };
  }

  const whole: Follow["affects"] = async (object) => {
    if (object.metadata.namespace !== namespace) return [];
    const { items } = await store.list(spectroCluster, { namespace });
    return items.map((one) => ({ namespace, name: one.metadata.name }));
  };

  return {
    name: "cluster-management-agent",
    kind: spectroCluster,
    namespace,
    follows: [...clusterApiKinds, configMap].map((kind) => ({ kind, affects: whole })),
    reconciler: steps<AgentSeen, AgentAction>(
      {
        observe,
        plan: (seen) => planAgent(seen) as AgentPlan,
        act,
        report: (seen, plan) => report(seen, plan as AgentPlan),
      },
      {
        clock,
        log: log.child({ controller: "cluster-management-agent" }),
        describe: (action) =>
          action.do === "apply"
            ? { object: `${action.kind.kind}/${action.object.metadata.name}` }
            : { ...action, kind: undefined },
      },
    ),
    concurrency: 1,
    backoff: { baseMs: 100, capMs: 60_000 },
    resyncMs: tellAgainMs,
  };
}

/** The status after a round; what the heartbeat writes stays. Pure. */
export function statusAfter(
  { status }: SpectroCluster,
  { spc }: Pick<AgentSeen, "spc">,
  plan: AgentPlan,
  now: number,
): NonNullable<SpectroCluster["status"]> {
  const observedGeneration = spc.metadata.generation;
  let conditions = status?.conditions ?? [];
  const add = (draft: AgentPlan["conditions"][number]) =>
    (conditions = setCondition(conditions, { ...draft, observedGeneration }, formatTime(now)));
  plan.conditions.forEach(add);
  const { controlPlane, workers } = plan.progress;
  const all = plan.active && [controlPlane, workers].every(({ done, total }) => done === total);
  const ran = conditions.find((c) => c.type === "Running")?.status === "True";
  // Once it ran it runs: later changes are told by the other two.
  if (plan.active)
    add(
      all || ran
        ? { type: "Running", status: "True", reason: "Provisioned", message: "" }
        : { type: "Running", status: "False", reason: "Provisioning", message: "" },
    );
  return {
    ...status,
    conditions,
    machines: [...plan.machines],
    observedGeneration,
    ...(plan.active ? { observedCounter: spc.spec.counter } : {}),
  };
}

/** What the plane gets to see. Pure. */
export function clusterStatus(
  { spec, status }: SpectroCluster,
  plan: AgentPlan,
  version: string,
): ClusterStatus {
  const running = status?.conditions?.some((c) => c.type === "Running" && c.status === "True") ?? false;
  return {
    clusterUid: spec.desired.clusterUid,
    state: running ? "Running" : "Provisioning",
    pivoted: true,
    observedCounter: spec.counter,
    conditions: (status?.conditions ?? []).map(
      ({ type, status: is, reason, message, lastTransitionTime }) => ({
        type,
        status: is,
        reason,
        message,
        lastTransitionTime,
      }),
    ),
    milestones: [
      milestone("ControlPlaneNodeAdditionDone", status, plan.progress.controlPlane),
      milestone("WorkerNodeAdditionDone", status, plan.progress.workers),
    ],
    machines: [...plan.machines],
    agentVersion: version,
  };
}

function milestone(
  key: "ControlPlaneNodeAdditionDone" | "WorkerNodeAdditionDone",
  status: SpectroCluster["status"],
  progress: Progress,
): Milestone {
  const said = status?.conditions?.find((c) => c.type === key);
  const at = said?.lastTransitionTime;
  const done = said?.status === "True";
  return {
    key,
    title: milestoneTitles[key],
    state: done ? "Done" : "InProgress",
    attempt: 1,
    ...(at ? (done ? { endedAt: at } : { startedAt: at }) : {}),
    progress: { ...progress },
  };
}
