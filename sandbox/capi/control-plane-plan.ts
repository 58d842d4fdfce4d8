// What a control plane does next about its machines (P1 in control-plane.ts). Pure.
import { isDeleting } from "#core";
import type { KubeadmControlPlane, Machine } from "#proto";
import { machineHealth, nodeOf, type ControlPlaneSeen } from "./control-plane-health.ts";
import { awaitsRemediation } from "./machine-health.ts";
import { annotations } from "./names.ts";

export type ReplicaStep =
  | { readonly do: "create"; readonly first: boolean }
  | { readonly do: "delete"; readonly machine: Machine }
  | { readonly do: "wait"; readonly why: string }
  | { readonly do: "nothing" };

/** The next change of the set of machines, if any is due and may be made now (P1). */
export function planReplicas(object: KubeadmControlPlane, seen: ControlPlaneSeen): ReplicaStep {
  const { machines } = seen;
  const desired = object.spec.replicas;
  if (seen.blocked && machines.length < desired) return { do: "wait", why: seen.blocked };
  if (machines.length === 0)
    return desired > 0 ? { do: "create", first: !seen.world?.initialized } : { do: "nothing" };
  const broken = machines.find(awaitsRemediation);
  if (broken && mayRemediate(broken, seen)) return { do: "delete", machine: broken };
  const outdated = machines.filter((m) => !isUpToDate(object, m));
  const surging = machines.length > desired && outdated.length > 0;
  const shrinking = machines.length > desired;
  const growing = machines.length < desired || (outdated.length > 0 && !surging);
  if (!growing && !shrinking) return { do: "nothing" };
  const why = notReadyForChange(seen);
  if (why) return { do: "wait", why };
  if (growing) return { do: "create", first: false };
  const [victim = machines[0]] = outdated;
  return victim ? { do: "delete", machine: victim } : { do: "nothing" };
}

/** KCP gives up on a machine only when others keep the quorum, and one at a time. */
function mayRemediate(broken: Machine, { machines, world }: ControlPlaneSeen): boolean {
  if (!world?.initialized || machines.length < 2 || machines.some(isDeleting)) return false;
  const healthy = machines.filter((m) => m !== broken && !awaitsRemediation(m) && m.status?.nodeRef).length;
  return healthy >= Math.floor((machines.length - 1) / 2) + 1;
}

/** Why no machine may be added or removed now. */
function notReadyForChange(seen: ControlPlaneSeen): string | undefined {
  if (!seen.world?.initialized) return "the control plane is not initialized";
  for (const machine of seen.machines) {
    if (isDeleting(machine)) return `Machine ${machine.metadata.name} is deleting`;
    const node = nodeOf(machine, seen);
    if (!node || !machine.status?.nodeRef) return `Machine ${machine.metadata.name} has no Node yet`;
    const broken = machineHealth(machine, seen).find(
      (c) => c.type.endsWith("Healthy") && c.status !== "True",
    );
    if (broken)
      return `Machine ${machine.metadata.name} reports ${broken.type} condition is ${broken.status}`;
  }
  return undefined;
}

export function isUpToDate(object: KubeadmControlPlane, machine: Machine): boolean {
  const template = machine.metadata.annotations?.[annotations.clonedFromName];
  return (
    machine.spec.version === object.spec.version &&
    (template === undefined || template === object.spec.machineTemplate.spec.infrastructureRef.name)
  );
}
