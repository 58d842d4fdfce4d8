// The progress of a cluster as lines for a person: one for each milestone that was reached, one for each new trouble. Pure.
import type { Milestone } from "#proto";
import type { ClusterStatusBody } from "#plane";

export interface ProgressLine {
  readonly sign: "done" | "trouble" | "state";
  readonly text: string;
}

/** What is new between two looks at a cluster. `sinceMs` is the time since the request, for the lines. */
export function progressLines(
  before: Pick<ClusterStatusBody, "state" | "milestones"> | undefined,
  now: Pick<ClusterStatusBody, "state" | "milestones">,
  sinceMs: number,
): ProgressLine[] {
  const at = `${(sinceMs / 1000).toFixed(1).padStart(5)} s`;
  const lines: ProgressLine[] = [];
  for (const milestone of now.milestones) {
    const old = before?.milestones.find((m) => m.key === milestone.key);
    if (milestone.state === "Done" && old?.state !== "Done")
      lines.push({ sign: "done", text: `${at}  ${milestone.title}${counted(milestone)}` });
    const trouble = milestone.lastError?.message;
    if (trouble && milestone.state !== "Done" && trouble !== old?.lastError?.message) {
      lines.push({ sign: "trouble", text: `${at}  ${milestone.title}: ${trouble}` });
    }
  }
  if (now.state !== before?.state) lines.push({ sign: "state", text: `${at}  cluster is ${now.state}` });
  return lines;
}

function counted({ progress }: Milestone): string {
  return progress && progress.total > 1 ? ` (${progress.done} of ${progress.total})` : "";
}
