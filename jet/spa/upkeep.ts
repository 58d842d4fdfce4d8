// What follows the wish and the world without being a milestone.
import type { ConditionDraft } from "#core";
import { inClusterIPPool, secret, type MachineStatus, type SecretObject, type SpectroCluster } from "#proto";
import { machineStatuses } from "#proto/render/machines.ts";
import { includes } from "#proto/render/shape.ts";
import { commandOf } from "../pivot/command.ts";
import { isSettled } from "../pivot/journal.ts";
import { deploymentKeys, isAvailable } from "../providers.ts";
import type { SpaSeen } from "./seen.ts";
import { type SpaAction, apply, keep } from "./action.ts";
import { identityOf, childPools, etcdSecretsOf } from "./rendered.ts";
import { condition, type PlanOptions } from "./stage.ts";
import { vcenterUpkeep } from "./vcenter-upkeep.ts";

/** A corrected password, another way to vCenter, and a renewed certificate for etcd reach a cluster that is not moving. */
export function gatewayUpkeep(seen: SpaSeen): SpaAction[] {
  const owns = seen.side === "gateway" && isSettled(seen.spa.status?.pivot); // L1
  if (!owns) return [];
  const identity = identityOf(seen);
  const stale = identity && seen.identity && !includes(seen.identity, { data: identity.data });
  return [
    ...(stale ? [apply(secret, identity, true)] : []),
    ...vcenterUpkeep(seen, "gateway"),
    ...staleEtcd(seen, seen.etcd?.made ?? []).map((object) => apply(secret, object, true)),
  ];
}

/** The Secrets of an external etcd that are there and say something else. Machines get what is in them when they are made. */
function staleEtcd(seen: SpaSeen, have: readonly SecretObject[]) {
  return etcdSecretsOf(seen).filter((wanted) =>
    have.some((one) => one.metadata.name === wanted.metadata.name && !includes(one.data, wanted.data)),
  );
}

/** A person's word to the pivot, heard once. "rollback" holds for as long as it stands: the pivot's stage heeds it. */
export function heardCommand(seen: SpaSeen): SpaAction[] {
  const said = commandOf(seen.spa);
  return said === "resume" || said === "resume-without-source" ? [{ do: "resume pivot" }] : [];
}

/** Things that follow the wish without being a milestone: a changed password, vCenter's new certificate, a larger pool. */
export function upkeepActions(seen: SpaSeen): SpaAction[] {
  if (seen.side !== "workload" || seen.workload.kind !== "reachable") return [];
  if (seen.workload.lost) return []; // nothing there is for anybody; least of all the credential
  const actions: SpaAction[] = [];
  const { kubeconfig: renewed } = seen.workload;
  if (renewed !== undefined && renewed !== seen.kubeconfig.kept) actions.push(keep(renewed)); // its certificate lasts a year
  const identity = identityOf(seen);
  if (identity && !includes(seen.workload.identity, { data: identity.data })) {
    actions.push({ do: "apply", on: "workload", kind: secret, object: identity, hold: true }); // L1: this side owns the cluster
  }
  actions.push(...vcenterUpkeep(seen, "workload"));
  for (const object of staleEtcd(seen, seen.workload.etcd ?? [])) {
    actions.push({ do: "apply", on: "workload", kind: secret, object, hold: true });
  }
  for (const pool of childPools(seen)) {
    const have = seen.workload.childPools.find((p) => p.metadata.name === pool.metadata.name);
    if (!includes(have?.spec, pool.spec))
      actions.push({ do: "apply", on: "workload", kind: inClusterIPPool, object: pool, hold: true });
  }
  return actions;
}

/** Whether all that is wanted in the workload cluster was written there. */
export function isInstalled({ workload, images }: SpaSeen, { digest }: Pick<PlanOptions, "digest">): boolean {
  return workload.kind === "reachable" && workload.installed?.digest === digest(images?.source ?? {});
}

/** A cluster that manages itself gets newer programs when the gateway has newer ones, and newer certificates in time. */
export function installUpkeep(seen: SpaSeen, options: PlanOptions): SpaAction[] {
  const { side, workload, spa } = seen;
  if (side !== "workload" || workload.kind !== "reachable" || !isSettled(spa.status?.pivot)) return [];
  if (refusedInstall(seen, options) !== undefined) return [];
  const isDue = (workload.installed?.renewAt ?? Infinity) <= options.now;
  return isDue || !isInstalled(seen, options) ? [{ do: "install" }] : [];
}

/** Why what runs there must not be replaced by what this gateway has: it is newer, or too old. */
function refusedInstall({ workload }: SpaSeen, { providers }: PlanOptions): string | undefined {
  const release = workload.kind === "reachable" ? workload.installed?.release : undefined;
  return release === undefined ? undefined : providers.refuses?.(release);
}

/** How it stands with the programs in a cluster that manages itself: an upgrade may be refused, under way, or not come up. */
export function providersCondition(seen: SpaSeen, options: PlanOptions): ConditionDraft[] {
  const { side, workload, spa, names } = seen;
  if (side !== "workload" || workload.kind !== "reachable" || !isSettled(spa.status?.pivot)) return [];
  const type = "ProvidersReady";
  const refused = refusedInstall(seen, options);
  if (refused !== undefined) return [condition(type, "False", "NotUpgraded", refused)];
  const { release = "" } = options.providers;
  if (!isInstalled(seen, options)) return [condition(type, "False", "Installing", release)];
  const idle = deploymentKeys(names.uid, options.providers)
    .map((at) => `${at.namespace}/${at.name}`)
    .filter((at) => !isAvailable(workload.deployments.get(at)));
  return idle.length > 0
    ? [condition(type, "False", "WaitingForDeployments", `Deployment ${idle.join(", ")} is not available`)]
    : [condition(type, "True", "Available", release)];
}

/** Ours: a beat every 30 s, in doubt after 2 minutes, unhealthy after 10 (Palette's figure). */
const doubtAfterMs = 2 * 60_000;

const unhealthyAfterMs = 10 * 60_000;

export function healthCondition(seen: SpaSeen, now: number): ConditionDraft[] {
  if (seen.side !== "workload" || !isSettled(seen.spa.status?.pivot)) return [];
  const { workload } = seen;
  if (workload.kind === "unreachable") {
    return [condition("Healthy", "Unknown", "EndpointNotAnswering", workload.fault.message)];
  }
  if (workload.kind !== "reachable") return [];
  if (workload.lost) return [condition("Healthy", "False", "ObjectsLost", lostText(seen))];
  return [beating(workload.spectroCluster, now), ...agentsWord(workload.spectroCluster)];
}

/** What the agent alone can say is said here too. */
function agentsWord(object: SpectroCluster | undefined): ConditionDraft[] {
  const said = object?.status?.conditions?.find((c) => c.type === "RemediationBlocked");
  return said ? [condition(said.type, said.status, said.reason, said.message)] : [];
}

/** That nobody manages the cluster any more, and what to do. */
function lostText({ names }: SpaSeen): string {
  return `its own API holds no Cluster ${names.namespace}/${names.cluster} any more, so nobody manages its machines; bring its objects back from the mirror: pcg cluster revive ${names.cluster}`;
}

function beating(object: SpectroCluster | undefined, now: number): ConditionDraft {
  const beat = object?.status?.heartbeat?.lastHeartbeat;
  const silentMs = beat ? now - Date.parse(beat) : 0;
  if (silentMs < doubtAfterMs) return condition("Healthy", "True", "Beating");
  const status = silentMs < unhealthyAfterMs ? "Unknown" : "False";
  return condition("Healthy", status, "HeartbeatMissing", `the agent's last heartbeat was at ${beat}`);
}

export function machinesSeen(seen: SpaSeen): readonly MachineStatus[] | undefined {
  if (seen.side === "gateway") return machineStatuses(seen.gateway.objects);
  if (seen.workload.kind !== "reachable") return undefined;
  const told = seen.workload.spectroCluster?.status?.machines;
  return told?.length ? told : undefined;
}
