// What to do about a cluster on its way up, given everything we saw. Pure. The way down is in plan-delete.ts.
//
// A cluster's life is a row of stages. Each looks at the world and says "done", or what is left to do and what is in the way; the
// first that is not done is where the cluster stands, and all after it are pending. Nothing is remembered from an earlier round but
// the pivot's journal.
//
//   L1. The credential is written to the gateway's side only while that side owns the cluster; a pivot alone moves it.
//   L2. The four kinds are written before the Cluster, which comes last: Cluster API then finds all it refers to at its first look,
//       and not at its next pass 30 s later.
//   L3. Once a cluster has objects, its wish is not judged again: what exists is Cluster API's to drive.
//   L4. A pivot under way is seen through: what led to it is not judged again, so that it says itself what a silent side means.
import type { ConditionDraft } from "#core";
import type { ClusterState } from "#proto";
import { isSettled } from "../pivot/journal.ts";
import { milestoneKeys, type MilestoneKey, type Standing } from "../milestones.ts";
import type { SpaSeen } from "./seen.ts";
import type { SpaAction } from "./action.ts";
import type { SpaPlan } from "./spa-plan.ts";
import type { PlanOptions, Stage } from "./stage.ts";
import { validate, reserve, image } from "./stages/ready.ts";
import { infrastructure, firstNode, kubeconfig } from "./stages/build.ts";
import { install, zones, pivot, deliver, controlPlaneNodes, workerNodes } from "./stages/handover.ts";
import { adoptionSettled } from "./held.ts";
import { mirrorActions } from "../mirror/due.ts";
import {
  gatewayUpkeep,
  heardCommand,
  installUpkeep,
  upkeepActions,
  healthCondition,
  providersCondition,
  machinesSeen,
} from "./upkeep.ts";
import { resolvedEndpoint, templateSeen } from "./rendered.ts";
import { planRevived, revivedUpkeep } from "./revived.ts";

interface Part {
  readonly milestone: MilestoneKey;
  readonly look: (seen: SpaSeen, options: PlanOptions) => Stage;
}

const parts: readonly Part[] = [
  { milestone: "ImageResolutionDone", look: validate },
  { milestone: "CloudInfrastructureReady", look: reserve },
  { milestone: "ImageResolutionDone", look: image },
  { milestone: "CloudInfrastructureReady", look: infrastructure },
  { milestone: "BootstrappingDone", look: firstNode },
  { milestone: "KubeConfigReady", look: kubeconfig },
  { milestone: "ImagePullSecretPropagationDone", look: install },
  { milestone: "ImagePullSecretPropagationDone", look: zones },
  { milestone: "PivotCompleted", look: pivot },
  { milestone: "PivotCompleted", look: deliver },
  { milestone: "ControlPlaneNodeAdditionDone", look: controlPlaneNodes },
  { milestone: "WorkerNodeAdditionDone", look: workerNodes },
];

const beforePivot: ReadonlySet<MilestoneKey> = new Set(
  parts
    .slice(
      0,
      parts.findIndex((part) => part.milestone === "PivotCompleted"),
    )
    .map((part) => part.milestone),
);

/** The way up: from a wish to a running cluster. */
export function planCluster(seen: SpaSeen, options: PlanOptions): SpaPlan {
  const revived = planRevived(seen);
  if (revived) return revived;
  if (isSilentlyRunning(seen)) return standStill(seen, options);
  const standings: Partial<Record<MilestoneKey, Standing>> = {};
  const conditions: ConditionDraft[] = [];
  const actions: SpaAction[] = [];
  let open: (Stage & { kind: "open" }) | undefined;
  let at: MilestoneKey | undefined;
  const passed = isSettled(seen.spa.status?.pivot) ? new Set<MilestoneKey>() : beforePivot; // L4
  for (const { milestone, look } of parts) {
    if (open) break;
    if (passed.has(milestone)) {
      standings[milestone] = { state: "Done" };
      continue;
    }
    at = milestone;
    const stage = look(seen, options);
    conditions.push(...(stage.conditions ?? []));
    if (stage.kind === "done") {
      standings[milestone] = { state: "Done", ...(stage.progress ? { progress: stage.progress } : {}) };
      continue;
    }
    open = stage;
    actions.push(...(stage.actions ?? []));
    standings[milestone] = {
      state: "InProgress",
      ...(stage.trouble ? { trouble: stage.trouble } : {}),
      ...(stage.waiting ? { waiting: true } : {}),
      ...(stage.progress ? { progress: stage.progress } : {}),
    };
  }
  for (const key of milestoneKeys) standings[key] ??= unseen(seen, key);
  const reserved = standings.CloudInfrastructureReady?.state === "Done";
  const upkeep = [
    ...heardCommand(seen),
    ...revivedUpkeep(seen),
    ...gatewayUpkeep(seen),
    ...(reserved ? upkeepActions(seen) : []),
    ...mirrorActions(seen, options.now),
  ];
  const onGateway =
    at === "ImageResolutionDone" || at === "CloudInfrastructureReady" || at === "BootstrappingDone";
  return {
    actions: [
      ...(seen.spa.metadata.finalizers?.length ? [] : [{ do: "add finalizer" as const }]),
      ...upkeep,
      ...actions,
      ...installUpkeep(seen, options),
    ],
    conditions: [
      ...conditions,
      ...healthCondition(seen, options.now),
      ...providersCondition(seen, options),
      ...adoptionSettled(seen),
    ],
    standings,
    state: stateOf(seen, open),
    trouble: open?.trouble,
    machines: machinesSeen(seen),
    endpoint: resolvedEndpoint(seen),
    template: templateSeen(seen),
    pace: open ? (onGateway ? "watched" : "busy") : "steady",
  };
}

/** A milestone that was not looked at: what a cluster has behind it when it manages itself stays behind it. */
function unseen(seen: SpaSeen, key: MilestoneKey): Standing {
  const old = seen.spa.status?.milestones?.find((m) => m.key === key);
  return { state: seen.side === "workload" && old?.state === "Done" ? "Done" : "Pending" };
}

/** A cluster that ran and does not answer: our line may be cut. Silence is not failure, and takes no milestone back. */
function isSilentlyRunning(seen: SpaSeen): boolean {
  return (
    seen.spa.status?.state === "Running" && seen.side === "workload" && seen.workload.kind !== "reachable"
  );
}

function standStill(seen: SpaSeen, options: PlanOptions): SpaPlan {
  return {
    actions: [],
    conditions: healthCondition(seen, options.now),
    standings: "kept",
    state: "Running",
    pace: "steady",
  };
}

function stateOf(seen: SpaSeen, open: (Stage & { kind: "open" }) | undefined): ClusterState {
  if (!open) return "Running";
  if (seen.spa.status?.state === "Running" && seen.side === "workload") return "Running"; // day 2: milestones tell the rest
  return open.trouble?.blocked ? "Error" : "Provisioning";
}
