// What the agent has to say to the plane beside its status.
//
//   V1. Ids are unique over restarts: they carry the time of the start.
//   V2. The same thing said again within ten minutes, but for numbers and ids in it, is not told again.
import { formatTime } from "#core";
import type { ClusterEvent } from "#proto";
import { masked } from "#proto/render/masked.ts";
import type { AgentDeps } from "./ports.ts";

export type AgentEvent = Pick<ClusterEvent, "reason" | "message"> &
  Partial<Pick<ClusterEvent, "severity" | "milestone" | "involvedObject">>;

const mergeWithinMs = 10 * 60_000;
/** Things said that are remembered; the oldest is forgotten first. */
const remembered = 200;

export function agentEvents({ clock, random, outlet }: AgentDeps, clusterUid: string) {
  const start = `${clock.now().toString(36)}${Math.floor(random() * 36 ** 4).toString(36)}`;
  const said = new Map<string, number>();
  let count = 0;
  return async (event: AgentEvent): Promise<void> => {
    const now = clock.now();
    const key = mergeKey(event);
    const last = said.get(key);
    said.delete(key);
    said.set(key, now);
    if (said.size > remembered) said.delete(said.keys().next().value!);
    if (last !== undefined && now - last < mergeWithinMs) return; // V2
    await outlet?.event({
      id: `${clusterUid}-agent-${start}-${++count}`,
      at: formatTime(now),
      clusterUid,
      severity: event.severity ?? "Info",
      reason: event.reason,
      message: event.message,
      component: "cluster-management-agent",
      ...(event.involvedObject ? { involvedObject: event.involvedObject } : {}),
      ...(event.milestone ? { milestone: event.milestone } : {}),
    });
  };
}

/** Milestones are news each time: what is added is counted in their message. */
function mergeKey({ severity, reason, message, involvedObject, milestone }: AgentEvent): string {
  const object = `${involvedObject?.kind ?? ""}/${involvedObject?.name ?? ""}`;
  return [severity ?? "Info", reason, object, milestone ? message : masked(message)].join("\n");
}
