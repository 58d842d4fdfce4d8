// What the agent has to say to the plane beside its status.
import { formatTime } from "#core";
import type { ClusterEvent } from "#proto";
import type { AgentDeps } from "./ports.ts";

export type AgentEvent = Pick<ClusterEvent, "reason" | "message"> &
  Partial<Pick<ClusterEvent, "severity" | "milestone">>;

/** Ids are unique over restarts: they carry the time of the start. */
export function agentEvents({ clock, random, outlet }: AgentDeps, clusterUid: string) {
  const start = `${clock.now().toString(36)}${Math.floor(random() * 36 ** 4).toString(36)}`;
  let count = 0;
  return async (event: AgentEvent): Promise<void> => {
    await outlet?.event({
      id: `${clusterUid}-agent-${start}-${++count}`,
      at: formatTime(clock.now()),
      clusterUid,
      severity: event.severity ?? "Info",
      reason: event.reason,
      message: event.message,
      component: "cluster-management-agent",
      ...(event.milestone ? { milestone: event.milestone } : {}),
    });
  };
}
