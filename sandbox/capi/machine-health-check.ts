// Cluster API's MachineHealthCheck controller: marks machines that are unhealthy; their owner replaces them.
import { isDeleting, matches, matchLabels, type Controller } from "#core";
import {
  cluster as clusterKind,
  machine as machineKind,
  machineHealthCheck,
  node as nodeKind,
  type Cluster,
  type Machine,
  type MachineHealthCheck,
  type Node,
} from "#proto";
import {
  no,
  oldNo,
  oldYes,
  withConditions,
  withOldConditions,
  withoutConditions,
  yes,
  type Draft,
} from "./conditions.ts";
import {
  clusterOf,
  hasPausedAnnotation,
  inCluster,
  now,
  ofCluster,
  pausedCondition,
  remoteOf,
  type CapiDeps,
} from "./context.ts";
import { controllerOf, follow, later } from "./controller.ts";
import { addLabels, addOwner, edit, editStatus } from "./edit.ts";
import { isRemediationAllowed, judge, remediationsAllowed, type Health } from "./machine-health.ts";
import { machineOrder } from "./machine-status.ts";

const order = ["RemediationAllowed", "Paused"];
const skipRemediation = "cluster.x-k8s.io/skip-remediation";

export function machineHealthCheckController(deps: CapiDeps): Controller {
  return controllerOf(deps, {
    name: "capi-machinehealthcheck",
    kind: machineHealthCheck,
    follows: [follow(clusterKind, inCluster(deps, machineHealthCheck))],
    async round(object) {
      const cluster = await clusterOf(deps, object);
      if (!cluster || isDeleting(object)) return {};
      const paused = pausedCondition("MachineHealthCheck", cluster, object);
      if (cluster.spec.paused || hasPausedAnnotation(object)) {
        await report(deps, object, [paused]);
        return {};
      }
      await edit(deps.store, machineHealthCheck, object, (o) => {
        addOwner(o, clusterKind, cluster);
        addLabels(o, { "cluster.x-k8s.io/cluster-name": cluster.metadata.name });
      });
      return check(deps, object, cluster, paused);
    },
  });
}

async function check(deps: CapiDeps, object: MachineHealthCheck, cluster: Cluster, paused: Draft) {
  const selector = matchLabels(object.spec.selector.matchLabels ?? {});
  const all = await ofCluster(deps, machineKind, cluster);
  const targets = all.filter((m) => !isDeleting(m) && matches(selector, m.metadata.labels));
  const nodes = await nodesOf(deps, cluster);
  if (!nodes) return later(deps.knobs.healthMs); // an API that does not answer says nothing about machines
  const judged = targets.map((machine) => {
    const node = nodes.find((n) => n.metadata.name === machine.status?.nodeRef?.name);
    return {
      machine,
      health: judge({ machine, cluster, ...(node ? { node } : {}) }, object.spec.checks, deps.clock.now()),
    };
  });
  const unhealthy = judged.filter(({ health }) => health.kind === "unhealthy");
  const limit = object.spec.remediation?.triggerIf?.unhealthyLessThanOrEqualTo;
  const allowed = isRemediationAllowed(limit, targets.length, unhealthy.length);
  for (const { machine, health } of judged) await mark(deps, machine, health, allowed);
  const message = `Remediation is not allowed, the number of not started or unhealthy machines exceeds maxUnhealthy (total: ${targets.length}, unhealthy: ${unhealthy.length}, maxUnhealthy: ${limit})`;
  await report(
    deps,
    object,
    [
      allowed
        ? yes("RemediationAllowed", "RemediationAllowed")
        : no("RemediationAllowed", "TooManyUnhealthy", message),
      paused,
    ],
    {
      expectedMachines: targets.length,
      currentHealthy: targets.length - unhealthy.length,
      remediationsAllowed: remediationsAllowed(limit, targets.length, unhealthy.length),
      targets: targets.map((m) => m.metadata.name).sort(),
    },
  );
  const soonest = Math.min(
    deps.knobs.healthMs,
    ...judged.map(({ health }) => (health.kind === "ailing" ? Math.max(health.forMs, 1) : Infinity)),
  );
  return later(soonest);
}

async function nodesOf(deps: CapiDeps, cluster: Cluster): Promise<Node[] | undefined> {
  const remote = await remoteOf(deps, cluster);
  return remote && (await remote.list(nodeKind)).items;
}

/** What the check says on the Machine; with it, where allowed, the request to its owner. */
async function mark(deps: CapiDeps, machine: Machine, health: Health, allowed: boolean): Promise<void> {
  const at = now(deps);
  const skip = machine.metadata.annotations?.[skipRemediation] !== undefined || hasPausedAnnotation(machine);
  await editStatus(deps.store, machineKind, machine, (o) => {
    const status = (o.status ??= {});
    const { generation } = o.metadata;
    const old = status.deprecated?.v1beta1?.conditions;
    if (health.kind !== "unhealthy") {
      const kept = withoutConditions(status.conditions, ["OwnerRemediated"]);
      const well = yes("HealthCheckSucceeded", "HealthCheckSucceeded");
      status.conditions = withConditions(kept, [well], machineOrder, generation, at);
      const conditions = withOldConditions(old, [oldYes("HealthCheckSucceeded")], at);
      status.deprecated = { v1beta1: { conditions } };
      return;
    }
    const drafts = [
      no("HealthCheckSucceeded", health.reason, health.message),
      ...(allowed && !skip ? [no("OwnerRemediated", "WaitingForRemediation")] : []),
    ];
    status.conditions = withConditions(status.conditions, drafts, machineOrder, generation, at);
    const failed = oldNo("HealthCheckSucceeded", "Warning", health.reason, health.message);
    status.deprecated = { v1beta1: { conditions: withOldConditions(old, [failed], at) } };
  });
}

async function report(
  deps: CapiDeps,
  object: MachineHealthCheck,
  drafts: readonly Draft[],
  facts: Partial<NonNullable<MachineHealthCheck["status"]>> = {},
): Promise<void> {
  await editStatus(deps.store, machineHealthCheck, object, (o) => {
    const status = (o.status ??= {});
    Object.assign(status, facts, { observedGeneration: o.metadata.generation });
    status.conditions = withConditions(status.conditions, drafts, order, o.metadata.generation, now(deps));
  });
}
