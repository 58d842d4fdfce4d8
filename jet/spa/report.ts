// What is written down after a round: the SPA's status, once and only if it differs; events for what changed; the plane's copy.
import {
  formatTime,
  sameJson,
  setCondition,
  type BackoffOptions,
  type ConditionDraft,
  type Fault,
} from "#core";
import { spa, type ClusterStatus, type Milestone, type Spa, type SpaStatus } from "#proto";
import { modify } from "../ensure.ts";
import type { EventDraft, EventRing } from "../events.ts";
import {
  deletionKeys,
  milestoneAfter,
  milestoneKeys,
  type MilestoneKey,
  type Standing,
  type Trouble,
} from "../milestones.ts";
import { activeSide, isSettled, ways, type PivotJournal } from "../pivot/journal.ts";
import type { JetDeps } from "../ports.ts";
import { Hindered, Waiting } from "./actor.ts";
import type { SpaSeen } from "./seen.ts";
import type { SpaPlan } from "./spa-plan.ts";

export interface ReportDeps {
  readonly deps: JetDeps;
  readonly events: EventRing;
  readonly backoff: BackoffOptions;
}

/** What an action threw, as a trouble; a wait that ends by itself is none. */
export function troubleOf(failure: Fault): Trouble | undefined {
  if (!(failure instanceof Waiting)) {
    const object = failure instanceof Hindered ? failure.object : undefined;
    return { code: failure.code, message: failure.message, ...(object ? { object } : {}) };
  }
  if (!failure.blocked) return undefined;
  return { code: failure.reason, message: failure.message, object: failure.object, blocked: true };
}

/** The milestones after a round. Pure. */
export function milestonesAfter(
  seen: SpaSeen,
  plan: SpaPlan,
  failure: Fault | undefined,
  now: number,
  backoff: BackoffOptions,
  random: () => number,
): Milestone[] {
  const keys: readonly MilestoneKey[] = seen.deleting ? deletionKeys : milestoneKeys;
  const old = seen.spa.status?.milestones ?? [];
  const { standings } = plan;
  if (standings === "kept") return old;
  return keys.map((key) => {
    let standing: Standing = standings[key] ?? { state: "Pending" };
    if (failure && standing.state === "InProgress") {
      const { trouble: _, ...rest } = standing;
      const trouble = troubleOf(failure);
      standing = { ...rest, waiting: failure instanceof Waiting, ...(trouble ? { trouble } : {}) };
    }
    return milestoneAfter(
      key,
      old.find((m) => m.key === key),
      standing,
      now,
      backoff,
      random,
    );
  });
}

/** The conditions of a round: what the plan saw, and what stopped it. Pure. */
export function conditionsAfter(
  seen: SpaSeen,
  plan: SpaPlan,
  failure: Fault | undefined,
): readonly ConditionDraft[] {
  if (!failure || plan.standings === "kept") return plan.conditions;
  const open = Object.entries(plan.standings).find(([, standing]) => standing.state === "InProgress")?.[0];
  const reason = failure instanceof Waiting ? failure.reason : failure.code;
  const object = failure instanceof Waiting || failure instanceof Hindered ? failure.object : undefined;
  const message = object ? `${object}: ${failure.message}` : failure.message;
  const said = seen.deleting
    ? {
        type: "DeletionBlocked",
        status: troubleOf(failure) ? ("True" as const) : ("False" as const),
        reason,
        message,
      }
    : open && { type: open, status: "False" as const, reason, message };
  return said ? [...plan.conditions.filter((c) => c.type !== said.type), said] : plan.conditions;
}

/** The whole status after a round; the journal is the pivot's own and stays as it is stored. Pure. */
export function statusAfter(
  stored: SpaStatus | undefined,
  seen: SpaSeen,
  plan: SpaPlan,
  drafts: readonly ConditionDraft[],
  milestones: readonly Milestone[],
  now: number,
): SpaStatus {
  let conditions = stored?.conditions ?? [];
  for (const draft of drafts) {
    conditions = setCondition(
      conditions,
      { ...draft, observedGeneration: seen.spa.metadata.generation },
      formatTime(now),
    );
  }
  const current = milestones.find((m) => m.lastError);
  const agent = seen.workload.kind === "reachable" ? seen.workload.spectroCluster?.status : undefined;
  const journal = stored?.pivot && withTrouble(stored.pivot, milestones);
  const machines = plan.machines ?? stored?.machines;
  const endpoint = plan.endpoint ?? stored?.endpoint;
  const template = plan.template ?? stored?.template;
  const told = agent?.heartbeat
    ? {
        ...agent.heartbeat,
        ...(agent.observedCounter === undefined ? {} : { observedCounter: agent.observedCounter }),
      }
    : stored?.agent;
  const { lastError: _gone, ...kept } = stored ?? {};
  return {
    ...kept,
    ...(journal ? { pivot: journal } : {}),
    state: plan.state,
    conditions,
    milestones: [...milestones],
    activeSide: { side: activeSide(journal), epoch: journal?.epoch ?? 0 },
    observedGeneration: seen.spa.metadata.generation,
    observedCounter: seen.spa.spec.counter,
    ...(machines ? { machines: [...machines] } : {}),
    ...(seen.ledger.vms.length > 0 ? { ledger: seen.ledger } : {}),
    ...(plan.deletion ? { deletion: plan.deletion } : {}),
    ...(endpoint ? { endpoint } : {}),
    ...(template ? { template } : {}),
    ...(told ? { agent: told } : {}),
    ...(current?.lastError ? { lastError: current.lastError } : {}),
  };
}

/** The journal with what its milestone says of tries; its own fields are the engine's alone. */
function withTrouble(
  { lastError: _, ...journal }: PivotJournal,
  milestones: readonly Milestone[],
): PivotJournal {
  const milestone = milestones.find((m) => m.key === ways[journal.direction].milestone);
  if (!milestone?.lastError || isSettled(journal)) return journal;
  return { ...journal, attempts: Math.max(milestone.attempt, 1), lastError: milestone.lastError.message };
}

/** What changed between two statuses, as events. Pure. */
export function eventsBetween(before: SpaStatus | undefined, after: SpaStatus): EventDraft[] {
  const events: EventDraft[] = [];
  for (const now of after.milestones ?? []) {
    const old = before?.milestones?.find((m) => m.key === now.key);
    const about = { milestone: now.key, attempt: now.attempt };
    if (now.state === "Done" && old?.state !== "Done") {
      events.push({ severity: "Info", reason: now.key, message: `${now.title}: done`, ...about });
    } else if (now.state !== "Pending" && now.state !== "Done" && (old?.state ?? "Pending") === "Pending") {
      events.push({ severity: "Info", reason: "Started", message: now.title, ...about });
    }
    const error = now.state === "Done" ? undefined : now.lastError;
    if (error && (error.since !== old?.lastError?.since || error.count !== old?.lastError?.count)) {
      const [kind, name] = (error.object ?? "/").split("/");
      events.push({
        severity: now.state === "Blocked" ? "Error" : "Warn",
        reason: error.code,
        message: error.message,
        ...about,
        ...(kind && name ? { involvedObject: { kind, name } } : {}),
      });
    }
  }
  const { deletion } = after;
  if (deletion?.way === "ByLedger" && before?.deletion?.way !== "ByLedger") {
    events.push({
      severity: "Warn",
      reason: "DeletionByLedger",
      message: `going on by the ledger of what was made: ${deletion.why ?? ""}`,
    });
  }
  if (after.state && after.state !== before?.state) {
    events.push({
      severity: after.state === "Error" ? "Error" : "Info",
      reason: after.state,
      message: `the cluster is ${after.state}`,
    });
  }
  return events;
}

/** What the plane gets to see. Pure. */
export function clusterStatus({ spec, status }: Spa): ClusterStatus {
  const side = activeSide(status?.pivot);
  return {
    clusterUid: spec.clusterUid,
    state: status?.state ?? "Pending",
    pivoted: side === "workload" && status?.pivot?.step === "Done",
    ...(status?.observedCounter === undefined ? {} : { observedCounter: status.observedCounter }),
    conditions: (status?.conditions ?? []).map(
      ({ type, status: is, reason, message, lastTransitionTime }) => ({
        type,
        status: is,
        reason,
        message,
        lastTransitionTime,
      }),
    ),
    milestones: status?.milestones ?? [],
    machines: status?.machines ?? [],
    ...(status?.endpoint ? { endpoint: status.endpoint } : {}),
    ...(status?.agent ? { agentVersion: status.agent.version } : {}),
  };
}

/** Writes events, status and the plane's copy. Returns the SPA as it is now, undefined when it is gone. */
export async function reportSpa(
  { deps, events, backoff }: ReportDeps,
  seen: SpaSeen,
  plan: SpaPlan,
  failure: Fault | undefined,
): Promise<Spa | undefined> {
  const key = { namespace: seen.names.namespace, name: seen.spa.metadata.name };
  const now = deps.clock.now();
  const milestones = milestonesAfter(seen, plan, failure, now, backoff, deps.random);
  const drafts = conditionsAfter(seen, plan, failure);
  const stored = await deps.store.get(spa, key);
  if (!stored) return undefined;
  const next = statusAfter(stored.status, seen, plan, drafts, milestones, now);
  if (sameJson(stored.status, next)) return stored;
  // Events first: said twice they merge, unsaid they would be lost.
  for (const event of eventsBetween(seen.spa.status, next)) await events.say(seen.names.uid, event);
  return modify(
    deps.store,
    spa,
    key,
    (object) => {
      const status = statusAfter(object.status, seen, plan, drafts, milestones, now);
      return sameJson(object.status, status) ? undefined : { ...object, status };
    },
    "status",
  );
}
