// When a machine counts as unhealthy, and whether anything may be done about it. Pure.
// Names and reasons: Cluster API 1.13, internal/controllers/machinehealthcheck.
import { isTrue, type Condition } from "#core";
import type { Cluster, Machine, MachineHealthCheck, Node } from "#proto";

export type Health =
  | { readonly kind: "healthy" }
  /** Not well, but not for long enough yet. */
  | { readonly kind: "ailing"; readonly forMs: number }
  | { readonly kind: "unhealthy"; readonly reason: string; readonly message: string };

export interface HealthSeen {
  readonly machine: Machine;
  /** Absent: there is none (or it is gone). */
  readonly node?: Node;
  readonly cluster: Cluster;
}

/** Judges one machine by the checks. `now` in milliseconds since 1970. */
export function judge(seen: HealthSeen, checks: MachineHealthCheck["spec"]["checks"], now: number): Health {
  const { machine, node } = seen;
  const { nodeRef } = machine.status ?? {};
  if (nodeRef && !node)
    return { kind: "unhealthy", reason: "NodeDeleted", message: `Node ${nodeRef.name} has been deleted` };
  if (!node) return judgeStartup(seen, checks?.nodeStartupTimeoutSeconds ?? 600, now);
  let soonest = Infinity;
  for (const { type, status, timeoutSeconds } of checks?.unhealthyNodeConditions ?? []) {
    const found = node.status?.conditions?.find((c) => c.type === type && c.status === status);
    if (!found) continue;
    const left = Date.parse(found.lastTransitionTime ?? "") + timeoutSeconds * 1000 - now;
    if (!(left > 0)) {
      const message = `Condition ${type} on Node is reporting status ${status} for more than ${timeoutSeconds}s`;
      return { kind: "unhealthy", reason: "UnhealthyNode", message };
    }
    soonest = Math.min(soonest, left);
  }
  return soonest === Infinity ? { kind: "healthy" } : { kind: "ailing", forMs: soonest };
}

/** The clock starts at the last of: the machine's birth, its VM provisioned, cluster infrastructure and control plane there. */
function judgeStartup({ machine, cluster }: HealthSeen, timeoutSeconds: number, now: number): Health {
  if (timeoutSeconds === 0) return { kind: "healthy" };
  const since = (conditions: readonly Condition[] | undefined, type: string) => {
    const found = conditions?.find((c) => c.type === type);
    return found?.status === "True" ? Date.parse(found.lastTransitionTime) : undefined;
  };
  const infrastructure = since(cluster.status?.conditions, "InfrastructureReady");
  const initialized = since(cluster.status?.conditions, "ControlPlaneInitialized");
  if (infrastructure === undefined || initialized === undefined) return { kind: "healthy" };
  const start = Math.max(
    infrastructure,
    initialized,
    since(machine.status?.conditions, "InfrastructureReady") ?? 0,
    Date.parse(machine.metadata.creationTimestamp),
  );
  const left = start + timeoutSeconds * 1000 - now;
  if (left > 0) return { kind: "ailing", forMs: left };
  const message = `Node failed to report startup in ${timeoutSeconds}s`;
  return { kind: "unhealthy", reason: "NodeStartupTimeout", message };
}

/** How many more machines may be remediated: none when more are unhealthy than the limit says. Percentages are rounded down. */
export function remediationsAllowed(
  limit: number | string | undefined,
  total: number,
  unhealthy: number,
): number {
  const most = limit === undefined ? total : atMost(limit, total);
  return unhealthy > most ? 0 : most - unhealthy;
}

export function isRemediationAllowed(
  limit: number | string | undefined,
  total: number,
  unhealthy: number,
): boolean {
  return unhealthy <= (limit === undefined ? total : atMost(limit, total));
}

function atMost(limit: number | string, total: number): number {
  return typeof limit === "number" ? limit : Math.floor((Number.parseInt(limit, 10) / 100) * total);
}

/** True for a machine that its health check has given up on, and its owner has not dealt with. */
export function awaitsRemediation(machine: Machine): boolean {
  const conditions = machine.status?.conditions;
  const failed = conditions?.some((c) => c.type === "HealthCheckSucceeded" && c.status === "False");
  const asked = conditions?.some((c) => c.type === "OwnerRemediated" && c.status === "False");
  return failed === true && asked === true && !isTrue(conditions, "Deleting");
}
