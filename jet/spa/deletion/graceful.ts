// The usual way down: management comes back to the gateway, Cluster API removes the machines, a census proves it. Pure.
import { isDeleting, type Kind, type Resource } from "#core";
import { cluster, clusterApiKinds, ipAddressClaim, machine, secret } from "#proto";
import { isBeforeDecision, isSettled, stepText } from "../../pivot/journal.ts";
import { apply, type SpaAction } from "../action.ts";
import { identityOf } from "../rendered.ts";
import { objectsOf, type SpaSeen } from "../seen.ts";
import { isAnnounced } from "../stage.ts";
import {
  cloudTrouble,
  credentialTrouble,
  providersSeen,
  providerTrouble,
  removalTrouble,
  silenceTrouble,
} from "./blockers.ts";
import { endingParts } from "./ending.ts";
import type { DeletionView, Open, Part } from "./part.ts";

export const gracefulParts: readonly Part[] = [
  { milestone: "ManagementReturned", look: bringBack },
  { milestone: "WorkerNodeDeletionDone", look: deleteObjects },
  { milestone: "ControlPlaneNodeDeletionDone", look: awaitObjects },
  { milestone: "ControlPlaneNodeDeletionDone", look: census },
  ...endingParts,
];

/** Whether the cluster's own API must answer before anything can be deleted gracefully. */
export function needsItsApi({ spa, side }: SpaSeen): boolean {
  const journal = spa.status?.pivot;
  if (!journal || (side === "gateway" && isSettled(journal))) return false;
  return !isGoingBack(journal);
}

function isGoingBack(journal: Parameters<typeof isBeforeDecision>[0]): boolean {
  return journal.direction === "ToWorkload" && (journal.step === "RollBack" || isBeforeDecision(journal));
}

/** X1: an undecided pivot is taken back, a decided one ends first, a finished one is reversed. */
function bringBack(seen: SpaSeen, view: DeletionView): Open | undefined {
  const journal = seen.spa.status?.pivot;
  if (!journal || (seen.side === "gateway" && isSettled(journal))) return undefined;
  if (isGoingBack(journal)) {
    const message = journal.step === "RollBack" ? journal.step : "taking an unfinished hand-over back";
    return { actions: [{ do: "roll back" }], message };
  }
  if (seen.workload.kind !== "reachable") return { trouble: silenceTrouble(seen, view) };
  const credential = credentialTrouble(seen);
  if (credential) return { trouble: credential };
  const ending = journal.direction === "ToWorkload" && journal.step !== "Done";
  const direction = ending ? "ToWorkload" : "ToGateway";
  const { missing, unavailable } = providersSeen(seen, view);
  const [idle] = unavailable;
  const pivot: SpaAction[] = [
    ...(missing.length > 0 ? [{ do: "install" as const }] : []), // nobody else would hold the objects still
    { do: "pivot", direction },
  ];
  return {
    actions: isAnnounced(seen, "ManagementReturned") ? pivot : [],
    ...(idle ? { trouble: providerTrouble(seen, idle), waiting: true } : {}),
    message: stepText(journal),
    ...(journal.objects ? { progress: journal.objects } : {}),
  };
}

function deleteObjects(seen: SpaSeen): Open | undefined {
  const { objects } = seen.gateway;
  const [whole] = objectsOf(seen.gateway, cluster);
  if (whole && !isDeleting(whole)) {
    const missing = credentialTrouble(seen);
    if (missing) return { trouble: missing };
    return {
      actions: [{ do: "wake" }, { do: "delete", kind: cluster, ...at(whole) }],
      message: "deleting the Cluster",
    };
  }
  if (whole) return undefined;
  // Written by an interrupted round before there was a Cluster, or left without an owner after it.
  const loose = objects.filter((o) => !isDeleting(o) && !isOwned(o, objects));
  const actions = loose.flatMap((o): SpaAction[] => {
    const kind = kindOf(o.kind);
    return kind ? [{ do: "delete", kind, ...at(o) }] : [];
  });
  return actions.length > 0 ? { actions, message: "deleting what is left" } : undefined;
}

function kindOf(name: string): Kind | undefined {
  return [...clusterApiKinds, ipAddressClaim].find((kind) => kind.kind === name);
}

function at({ metadata }: Resource) {
  return { name: metadata.name, ...(metadata.namespace ? { namespace: metadata.namespace } : {}) };
}

function isOwned(object: Resource, among: readonly Resource[]): boolean {
  return (object.metadata.ownerReferences ?? []).some((ref) => among.some((o) => o.metadata.uid === ref.uid));
}

/** Cluster API removes the machines; what hinders it is named, and what it needs is put back (X3). */
function awaitObjects(seen: SpaSeen, view: DeletionView): Open | undefined {
  const { objects } = seen.gateway;
  if (objects.length === 0) return undefined;
  const machines = objectsOf(seen.gateway, machine);
  const known = Math.max(seen.spa.status?.machines?.length ?? 0, machines.length);
  const trouble = removalTrouble(seen, view);
  return {
    actions: wakeAgain(seen),
    ...(trouble ? { trouble } : {}),
    waiting: true,
    progress: { done: known - machines.length, total: known },
    message: `waiting for ${machines.length} machines and ${objects.length - machines.length} other objects to go`,
  };
}

/** A Cluster that somebody paused, or whose credential somebody took, would go no further. */
function wakeAgain(seen: SpaSeen): SpaAction[] {
  const [whole] = objectsOf(seen.gateway, cluster);
  const identity = identityOf(seen);
  return [
    ...(whole?.spec.paused ? [{ do: "wake" as const }] : []),
    ...(whole && identity && !seen.identity ? [apply(secret, identity)] : []),
  ];
}

/** X4 */
function census(seen: SpaSeen, { memory }: DeletionView): Open | undefined {
  if (seen.strays.kind === "unasked") return undefined; // nothing was ever made, or it was counted as gone
  if (seen.strays.kind === "failed") {
    // A cluster that never had a machine needs no vCenter to go; nor does one that was counted as gone.
    if (seen.ledger.vms.length === 0 || memory.provedAt !== undefined) return undefined;
    return { trouble: cloudTrouble(seen, seen.strays.fault) };
  }
  const { vms } = seen.strays;
  return vms.length === 0
    ? undefined
    : {
        actions: [{ do: "destroy", vms, why: "it outlived its objects" }],
        message: `removing VMs that nobody manages: ${vms.map((vm) => vm.name).join(", ")}`,
      };
}
