// What the plane says of a cluster, from what the gateway and the agent last said. Pure.
//
//   V1. Until the pivot the gateway speaks for the cluster. After it the agent does, for machines and conditions; what the agent does
//       not mention (milestones, conditions of the provisioning) stays as the gateway left it.
//   V2. Once deletion was asked for, the gateway alone decides the state, and until it has heard of it the state is Deleting.
import type { ClusterState } from "#proto/kinds/spa.ts";
import type { ClusterStatus } from "#proto/messages.ts";

export interface ClusterSeen {
  readonly gateway: ClusterStatus | undefined;
  readonly agent: ClusterStatus | undefined;
  readonly deleteRequested: boolean;
  readonly deleted: boolean;
}

export type ClusterView = Omit<ClusterStatus, "clusterUid">;

export function viewOf(seen: ClusterSeen): ClusterView {
  const { gateway, agent } = seen;
  const pivoted = isPivoted(seen);
  const speaker = pivoted ? (agent ?? gateway) : (gateway ?? agent);
  const endpoint = gateway?.endpoint ?? agent?.endpoint;
  const agentVersion = agent?.agentVersion ?? gateway?.agentVersion;
  return {
    state: stateOf(seen, speaker),
    pivoted,
    conditions: pivoted
      ? overlaid(gateway?.conditions, agent?.conditions, (c) => c.type)
      : [...(speaker?.conditions ?? [])],
    milestones: pivoted
      ? overlaid(gateway?.milestones, agent?.milestones, (m) => m.key)
      : [...(speaker?.milestones ?? [])],
    machines: seen.deleted
      ? []
      : [...(pivoted && agent?.machines.length ? agent.machines : (gateway?.machines ?? []))],
    ...(speaker?.observedCounter === undefined ? {} : { observedCounter: speaker.observedCounter }),
    ...(endpoint ? { endpoint } : {}),
    ...(agentVersion ? { agentVersion } : {}),
  };
}

/** True while the cluster's Cluster API objects live in the cluster itself. */
export function isPivoted({ gateway, agent, deleteRequested }: ClusterSeen): boolean {
  if (deleteRequested && (gateway?.state === "Deleting" || gateway?.state === "Deleted"))
    return gateway.pivoted;
  return Boolean(gateway?.pivoted || agent?.pivoted);
}

function stateOf(
  { gateway, deleteRequested, deleted }: ClusterSeen,
  speaker: ClusterStatus | undefined,
): ClusterState {
  if (deleted) return "Deleted";
  if (deleteRequested) return gateway?.state === "Deleted" ? "Deleted" : "Deleting"; // V2
  return speaker?.state ?? "Pending";
}

/** `below` with the entries of `above` in place of those of the same key; new ones at the end. */
function overlaid<T>(
  below: readonly T[] | undefined,
  above: readonly T[] | undefined,
  key: (entry: T) => string,
): T[] {
  const own = new Map((above ?? []).map((entry) => [key(entry), entry]));
  const list = (below ?? []).map((entry) => own.get(key(entry)) ?? entry);
  const known = new Set(list.map(key));
  return [...list, ...(above ?? []).filter((entry) => !known.has(key(entry)))];
}
