// From an API that answers to a cluster that manages itself and knows what is wanted of it.
import { conditionsOf, type MachineStatus } from "#proto";
import { zoneObjects } from "#proto/render/zones.ts";
import { withAdvice } from "../../advice.ts";
import { commandOf } from "../../pivot/command.ts";
import { isBeforeDecision, isSettled, stepText } from "../../pivot/journal.ts";
import { deploymentKeys, isAvailable } from "../../providers.ts";
import type { SpaSeen } from "../seen.ts";
import { type PlanOptions, type Stage, condition, isAnnounced, silence } from "../stage.ts";
import { deliverAction } from "../action.ts";
import { isInstalled } from "../upkeep.ts";
import { hasZone } from "./build.ts";

/** Controllers and agent in the workload cluster; done when they run and the agent has spoken. */
export function install(seen: SpaSeen, options: PlanOptions): Stage {
  const type = "ImagePullSecretPropagationDone";
  const { workload } = seen;
  if (seen.side !== "gateway") return { kind: "done", conditions: [condition(type, "True", "Completed")] };
  if (workload.kind !== "reachable") return { kind: "open" };
  const wanted = deploymentKeys(seen.names.uid, options.providers);
  const absent = wanted.filter((at) => !workload.deployments.has(`${at.namespace}/${at.name}`));
  if (absent.length > 0 || !isInstalled(seen, options) || !workload.spectroCluster) {
    return {
      kind: "open",
      conditions: [
        condition(
          type,
          "False",
          "Installing",
          `${wanted.length - absent.length} of ${wanted.length} deployments written`,
        ),
      ],
      actions: [{ do: "install" }, deliverAction(seen)],
    };
  }
  const idle = wanted.filter((at) => !isAvailable(workload.deployments.get(`${at.namespace}/${at.name}`)));
  const progress = { done: wanted.length - idle.length, total: wanted.length };
  if (idle.length > 0) {
    const waiting = `waiting for ${idle.map((at) => `Deployment ${at.namespace}/${at.name}`).join(", ")}`;
    const trouble = workload.pods && withAdvice(workload.pods, seen.spa.spec);
    const message = trouble ? `${waiting}: ${trouble.object}: ${trouble.message}` : waiting;
    return {
      kind: "open",
      conditions: [condition(type, "False", trouble?.code ?? "WaitingForDeployments", message)],
      progress,
      waiting: true,
      ...(trouble ? { trouble } : {}),
    };
  }
  if (workload.silent !== undefined) {
    return {
      kind: "open",
      conditions: [condition(type, "False", "WaitingForWebhooks", workload.silent)],
      progress,
    };
  }
  if (!workload.spectroCluster.status?.heartbeat) {
    return {
      kind: "open",
      conditions: [
        condition(type, "False", "ConnectivityIssue", "the agent runs, but has not written its heartbeat"),
      ],
      progress,
    };
  }
  return { kind: "done", conditions: [condition(type, "True", "Completed")] };
}

/** The places of the machines, which do not move: the other side gets its own before anything arrives that refers to them. */
export function zones(seen: SpaSeen): Stage {
  const type = "ImagePullSecretPropagationDone";
  if (seen.side !== "gateway" || !seen.zones) return { kind: "done" };
  const have = seen.zones.workload;
  const missing = zoneObjects(seen.spa.spec).filter(
    ({ kind, object }) => !hasZone(have, kind, object.metadata.name),
  );
  if (missing.length === 0) return { kind: "done" };
  return {
    kind: "open",
    conditions: [
      condition(type, "False", "CreatingFailureDomains", `${missing.length} objects are not there yet`),
    ],
    actions: missing.map(({ kind, object }) => ({ do: "apply", on: "workload", kind, object })),
  };
}

/** The hand-over, by the journal. */
export function pivot(seen: SpaSeen): Stage {
  const type = "PivotCompleted";
  const journal = seen.spa.status?.pivot;
  if (journal?.direction === "ToWorkload" && journal.step === "Done") {
    return { kind: "done", conditions: [condition(type, "True", "Completed", `epoch ${journal.epoch}`)] };
  }
  const underWay = journal && !isSettled(journal) ? journal : undefined;
  if (commandOf(seen.spa) === "rollback" && (!underWay || isBeforeDecision(underWay))) {
    const message = "taken back by a person; to begin again: pcg cluster pivot resume";
    return {
      kind: "open",
      conditions: [condition(type, "False", underWay ? "RollBack" : "HeldBack", message)],
      actions: underWay ? [{ do: "roll back" }] : [],
    };
  }
  const text = underWay ? stepText(underWay) : "";
  return {
    kind: "open",
    conditions: [condition(type, "False", underWay?.step ?? "Starting", text)],
    // A round may see it through to its end; it begins in a round of its own, so that its beginning is told before its steps.
    actions: isAnnounced(seen, type) ? [{ do: "pivot", direction: "ToWorkload" }] : [],
    ...(underWay?.objects ? { progress: underWay.objects } : {}),
  };
}

/** The wish, as the plane has it now, lies in the cluster; the agent has it. */
export function deliver(seen: SpaSeen): Stage {
  const type = "DesiredStateDelivered";
  if (seen.workload.kind !== "reachable") {
    return { kind: "done", conditions: [condition(type, "Unknown", "EndpointNotAnswering")] }; // the next part says what is wrong
  }
  const have = seen.workload.spectroCluster?.spec;
  if (have && have.counter >= seen.spa.spec.counter) {
    const observed = seen.workload.spectroCluster?.status?.observedCounter;
    const conditions = [
      condition(
        type,
        "True",
        "Delivered",
        `counter ${have.counter}${observed === undefined ? "" : `, the agent works on ${observed}`}`,
      ),
    ];
    return { kind: "done", conditions };
  }
  return {
    kind: "open",
    conditions: [condition(type, "False", "Delivering", `counter ${seen.spa.spec.counter}`)],
    actions: [deliverAction(seen)],
  };
}

export function controlPlaneNodes(seen: SpaSeen): Stage {
  return agentStage(
    seen,
    "ControlPlaneNodeAdditionDone",
    seen.spa.spec.controlPlane.replicas,
    "control-plane",
  );
}

export function workerNodes(seen: SpaSeen): Stage {
  return agentStage(
    seen,
    "WorkerNodeAdditionDone",
    seen.spa.spec.workerPools.reduce((sum, pool) => sum + pool.size, 0),
    "worker",
  );
}

/** What the agent says of its nodes is what we say. */
function agentStage(seen: SpaSeen, type: string, total: number, role: MachineStatus["role"]): Stage {
  const trouble = silence(seen);
  if (seen.workload.kind !== "reachable") return { kind: "open", ...(trouble ? { trouble } : {}) };
  const object = seen.workload.spectroCluster;
  const said = object && conditionsOf(object).find((c) => c.type === type);
  const ready = (object?.status?.machines ?? []).filter(
    (m) => m.role === role && m.phase === "Running",
  ).length;
  const progress = { done: Math.min(ready, total), total };
  const current = (object?.status?.observedCounter ?? 0) >= (object?.spec.counter ?? 1);
  if (said?.status === "True" && current)
    return { kind: "done", conditions: [condition(type, "True", said.reason, said.message)], progress };
  const message = said && current ? said.message : "the agent has not looked at it yet";
  return {
    kind: "open",
    conditions: [condition(type, "False", said?.reason ?? "Waiting", message)],
    progress,
    waiting: true,
  };
}
