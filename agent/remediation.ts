// Whether a machine that fails is replaced by itself, and if not, why: in the words of who owns the machines. Pure.
//
// Cluster API remediates a control-plane machine only beside another one, one at a time, and never at the price of etcd's quorum; a
// promise that is not kept is worse than none, so the exception is a condition.
import type { ConditionDraft, Resource } from "#core";
import { cluster, conditionsOf, machine, machineHealthCheck, type DesiredState } from "#proto";
import { words } from "#proto/render/names.ts";

const controlPlaneLabel = "cluster.x-k8s.io/control-plane";

interface Reason {
  readonly reason: string;
  readonly message: string;
}

/** True, with every reason in the message, where a failed machine would not be replaced; the first reason is the condition's. */
export function remediationBlocked(desired: DesiredState, objects: readonly Resource[]): ConditionDraft {
  const type = "RemediationBlocked";
  const reasons = [
    ...paused(objects),
    ...off(desired),
    ...limits(objects),
    ...refused(objects),
    ...single(desired),
  ];
  const [first] = reasons;
  if (!first) return { type, status: "False", reason: "Ready", message: "" };
  return { type, status: "True", reason: first.reason, message: reasons.map((r) => r.message).join("; ") };
}

function paused(objects: readonly Resource[]): Reason[] {
  const isPaused = objects.some(
    (o) => o.kind === cluster.kind && (o.spec as { paused?: boolean } | undefined)?.paused === true,
  );
  return isPaused
    ? [{ reason: "Paused", message: "the Cluster is paused: nothing is repaired until it is un-paused" }]
    : [];
}

function off(desired: DesiredState): Reason[] {
  return isOn(desired)
    ? []
    : [{ reason: "AutoRemediationOff", message: "automatic repair is switched off for this cluster" }];
}

/** Whether the wish has failed machines replaced; it does unless it says otherwise. */
export function isOn({ health }: DesiredState): boolean {
  return health?.autoRemediation ?? true;
}

/** A health check that sees more unhealthy machines than it may replace at once. */
function limits(objects: readonly Resource[]): Reason[] {
  return objects.flatMap((object) => {
    if (object.kind !== machineHealthCheck.kind) return [];
    const said = conditionsOf(object).find((c) => c.type === "RemediationAllowed");
    const { expectedMachines = 0, currentHealthy = 0 } = (object.status ?? {}) as {
      expectedMachines?: number;
      currentHealthy?: number;
    };
    const unhealthy = expectedMachines - currentHealthy;
    if (said?.status !== "False" || unhealthy <= 0) return [];
    const pool = object.metadata.labels?.[words.pool];
    const where = pool === undefined ? "of the control plane" : `of pool ${pool}`;
    return [
      {
        reason: "LimitReached",
        message: `${unhealthy} of ${expectedMachines} machines ${where} are unhealthy, more than may be replaced at once; look at what they have in common`,
      },
    ];
  });
}

/** A machine whose owner was asked to replace it, and does not. */
function refused(objects: readonly Resource[]): Reason[] {
  return objects.flatMap((object) => {
    if (object.kind !== machine.kind || object.metadata.deletionTimestamp) return [];
    const said = conditionsOf(object).find((c) => c.type === "OwnerRemediated");
    if (said?.status !== "False" || !(said.reason in refusals)) return [];
    const quorum =
      object.metadata.labels?.[controlPlaneLabel] !== undefined && /quorum|leadership/.test(said.message);
    const reason = quorum ? "QuorumAtRisk" : refusals[said.reason]!;
    const why = quorum ? "replacing it now could cost etcd its quorum" : said.message;
    return [{ reason, message: `machine ${object.metadata.name} is unhealthy and is not replaced: ${why}` }];
  });
}

const refusals: Readonly<Record<string, string>> = {
  CannotBeRemediated: "CannotBeReplaced",
  RemediationDeferred: "Deferred",
};

function single({ controlPlane }: DesiredState): Reason[] {
  return controlPlane.replicas > 1
    ? []
    : [
        {
          reason: "SingleControlPlane",
          message: "the only control-plane node cannot be replaced by itself; three would be",
        },
      ];
}
