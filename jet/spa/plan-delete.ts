// The way down: from whatever there is to nothing at all. Pure.
//
//   X1. The Cluster is deleted by Cluster API, on the gateway, with a credential that works: first management comes back.
//   X2. Addresses are given back when no VM is left, the credential goes last of all.
//   X3. What blocks is named, with its object; a corrected credential is taken up at once.
//   X4. Nothing is forgotten silently: VMs that outlive their objects are counted, shown, and only then removed.
//   X5. An orphan keeps its machines and its addresses: nothing that acts on them is awake when its objects go.
import { isDeleting, type ConditionDraft, type Kind } from "#core";
import {
  cluster,
  clusterApiKinds,
  inClusterIPPool,
  ipAddressClaim,
  isPausedNow,
  machine,
  namespace,
  secret,
} from "#proto";
import { deepestCause } from "../causes.ts";
import { deletionKeys, type MilestoneKey, type Standing, type Trouble } from "../milestones.ts";
import { reportsPause } from "../pivot/step.ts";
import { isBeforeDecision, isSettled, stepText } from "../pivot/journal.ts";
import { keptKubeconfigName, objectsOf, type SpaSeen } from "./seen.ts";
import { gatewayUpkeep, heardCommand } from "./upkeep.ts";
import { identityOf } from "./rendered.ts";
import { isAnnounced } from "./stage.ts";
import type { SpaAction } from "./action.ts";
import type { SpaPlan } from "./plan.ts";

interface Open {
  readonly actions?: readonly SpaAction[];
  readonly trouble?: Trouble;
  readonly waiting?: boolean;
  /** What is being waited for, where nothing is wrong. */
  readonly message?: string;
  readonly progress?: Standing["progress"];
}

type Look = (seen: SpaSeen) => Open | undefined;

const parts: readonly { readonly milestone: MilestoneKey; readonly look: Look }[] = [
  { milestone: "ManagementReturned", look: bringBack },
  { milestone: "WorkerNodeDeletionDone", look: deleteObjects },
  { milestone: "ControlPlaneNodeDeletionDone", look: awaitObjects },
  { milestone: "ControlPlaneNodeDeletionDone", look: census },
  { milestone: "ResourcesReleased", look: release },
  { milestone: "ResourcesReleased", look: finish },
];

export function planDeletion(seen: SpaSeen): SpaPlan {
  const orphan = seen.spa.spec.deletePolicy === "Orphan";
  const standings: Partial<Record<MilestoneKey, Standing>> = {};
  let open: Open | undefined;
  for (const { milestone, look } of orphan ? orphanParts : parts) {
    open = look(seen);
    if (!open) {
      standings[milestone] = { state: "Done" };
      continue;
    }
    standings[milestone] = {
      state: "InProgress",
      ...(open.trouble ? { trouble: open.trouble } : {}),
      ...(open.waiting ? { waiting: true } : {}),
      ...(open.progress ? { progress: open.progress } : {}),
    };
    break;
  }
  for (const key of deletionKeys) standings[key] ??= { state: "Pending" };
  const onGateway = seen.side === "gateway" && isSettled(seen.spa.status?.pivot);
  return {
    actions: [...heardCommand(seen), ...gatewayUpkeep(seen), ...(open?.actions ?? [])],
    conditions: [blockedCondition(open)],
    standings,
    state: "Deleting",
    trouble: open?.trouble,
    endpoint: seen.spa.status?.endpoint,
    template: seen.spa.status?.template,
    pace: onGateway ? "watched" : "busy",
  };
}

function blockedCondition(open: Open | undefined): ConditionDraft {
  const { trouble, message } = open ?? {};
  if (!trouble)
    return { type: "DeletionBlocked", status: "False", reason: "Progressing", message: message ?? "" };
  const text = trouble.object ? `${trouble.object}: ${trouble.message}` : trouble.message;
  return { type: "DeletionBlocked", status: "True", reason: trouble.code, message: text };
}

const orphanParts: typeof parts = [
  { milestone: "ControlPlaneNodeDeletionDone", look: forget },
  { milestone: "ResourcesReleased", look: finish },
];

/** X5: an orphan's objects go only when every controller has said that it holds still; one that does not would take the VMs down. */
function forget(seen: SpaSeen): Open | undefined {
  if (seen.side !== "gateway" || seen.gateway.objects.length === 0) return undefined;
  const [whole] = objectsOf(seen.gateway, cluster);
  if (whole && whole.spec.paused !== true)
    return { actions: [{ do: "pause" }], message: "pausing the Cluster" };
  const busy = whole && seen.gateway.objects.find((o) => reportsPause(o) && !isPausedNow(o));
  if (busy) {
    return {
      waiting: true,
      message: `waiting for the controller of ${busy.kind}/${busy.metadata.name} to hold still`,
    };
  }
  return { actions: [{ do: "forget objects" }], message: "forgetting the objects" };
}

/** X1: an undecided pivot is taken back, a decided one ends first, a finished one is reversed. */
function bringBack(seen: SpaSeen): Open | undefined {
  const journal = seen.spa.status?.pivot;
  if (!journal || (seen.side === "gateway" && isSettled(journal))) return undefined;
  if (isGone(seen)) return undefined;
  if (journal.direction === "ToWorkload" && journal.step === "RollBack")
    return { actions: [{ do: "roll back" }], message: journal.step };
  if (journal.direction === "ToWorkload" && isBeforeDecision(journal)) {
    return { actions: [{ do: "roll back" }], message: "taking an unfinished hand-over back" };
  }
  if (seen.workload.kind !== "reachable") {
    const why =
      seen.workload.kind === "unreachable" ? seen.workload.fault.message : "its kubeconfig is not here";
    const left = seen.strays.kind === "counted" ? `; ${seen.strays.vms.length} of its VMs still exist` : "";
    return {
      trouble: {
        code: "WorkloadUnreachable",
        message: `the cluster manages itself, and its API does not answer (${why})${left}. Bring its control plane back, or delete its VMs in vCenter`,
        object: `Cluster/${seen.names.cluster}`,
      },
    };
  }
  const ending = journal.direction === "ToWorkload" && journal.step !== "Done";
  const direction = ending ? "ToWorkload" : "ToGateway";
  return {
    actions: isAnnounced(seen, "ManagementReturned") ? [{ do: "pivot", direction }] : [],
    message: stepText(journal),
    ...(journal.objects ? { progress: journal.objects } : {}),
  };
}

/** The API is dead and vCenter knows none of its VMs any more: there is nothing left to bring back. */
function isGone(seen: SpaSeen): boolean {
  const known = (seen.spa.status?.machines ?? []).some((m) => m.biosUUID);
  return (
    seen.side !== "gateway" &&
    known &&
    seen.workload.kind !== "reachable" &&
    seen.strays.kind === "counted" &&
    seen.strays.vms.length === 0
  );
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

function at({ metadata }: { readonly metadata: { readonly name: string; readonly namespace?: string } }) {
  return { name: metadata.name, ...(metadata.namespace ? { namespace: metadata.namespace } : {}) };
}

function isOwned(
  object: SpaSeen["gateway"]["objects"][number],
  among: SpaSeen["gateway"]["objects"],
): boolean {
  return (object.metadata.ownerReferences ?? []).some((ref) => among.some((o) => o.metadata.uid === ref.uid));
}

/** Cluster API removes the machines; what hinders it is named. */
function awaitObjects(seen: SpaSeen): Open | undefined {
  const { objects } = seen.gateway;
  if (objects.length === 0) return undefined;
  const machines = objectsOf(seen.gateway, machine);
  const credential = credentialTrouble(seen);
  if (credential) return { trouble: credential, waiting: true };
  const cause = deepestCause(objects.filter(isDeleting)) ?? deepestCause(objects);
  const known = Math.max(seen.spa.status?.machines?.length ?? 0, machines.length);
  const progress = { done: known - machines.length, total: known };
  const message = `waiting for ${machines.length} machines and ${objects.length - machines.length} other objects to go`;
  return cause?.failed
    ? {
        trouble: { code: cause.code, message: cause.message, object: cause.object },
        waiting: true,
        progress,
        message,
      }
    : { waiting: true, progress, message };
}

function credentialTrouble(seen: SpaSeen): Trouble | undefined {
  const { credential } = seen;
  if (identityOf(seen) || credential.kind === "found") return undefined;
  return {
    code: "SecretMissing",
    message: credential.message,
    object: `Secret/${seen.spa.spec.cloud.credentialRef.name}`,
    blocked: true,
  };
}

/** X4 */
function census(seen: SpaSeen): Open | undefined {
  if (seen.strays.kind === "unasked") return undefined; // nothing was ever made, or it was counted as gone
  if (seen.strays.kind === "failed") {
    const neverBorn = (seen.spa.status?.machines ?? []).length === 0;
    if (neverBorn) return undefined; // a cluster that never had a machine needs no vCenter to go
    const { code, message } = seen.strays.fault;
    return { trouble: { code, message, object: `VCenter/${seen.spa.spec.cloud.server}` } };
  }
  return seen.strays.vms.length === 0
    ? undefined
    : {
        actions: [{ do: "destroy strays" }],
        message: `removing VMs that nobody manages: ${seen.strays.vms.map((vm) => vm.name).join(", ")}`,
      };
}

/** X2 */
function release(seen: SpaSeen): Open | undefined {
  const actions: SpaAction[] = [
    ...seen.childPools
      .filter((pool) => !isDeleting(pool))
      .map((pool) => ({ do: "delete" as const, kind: inClusterIPPool, ...at(pool) })),
    ...seen.leaseClaims
      .filter((claim) => !isDeleting(claim))
      .map((claim) => ({ do: "delete" as const, kind: ipAddressClaim, ...at(claim) })),
  ];
  const left = seen.childPools.length + seen.leaseClaims.length;
  return left === 0 ? undefined : { actions, message: `giving ${seen.leaseClaims.length} addresses back` };
}

function finish(seen: SpaSeen): Open | undefined {
  const ns = seen.names.namespace;
  const held = seen.leaseClaims.some((claim) => claim.metadata.namespace === ns); // X5: an orphan's, on a global pool
  return {
    actions: [
      { do: "delete", kind: secret, namespace: ns, name: keptKubeconfigName },
      { do: "delete", kind: secret, namespace: ns, name: seen.names.identity },
      { do: "say deleted" },
      ...(held ? [] : [{ do: "delete" as const, kind: namespace, name: ns }]),
      { do: "remove finalizer" },
    ],
    message: held ? "leaving the namespace to the leases in it" : "removing the namespace",
  };
}
