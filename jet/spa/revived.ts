// A cluster that has lost its objects, or got them back from its mirror, in a round of its SPA. Pure; when it may be is decided in
// mirror/plan-revival.ts.
import { cluster } from "#proto";
import { revivedAsleep } from "../mirror/revive.ts";
import { planRevival } from "../mirror/plan-revival.ts";
import { commandOf } from "../pivot/command.ts";
import { isRevival, isSettled } from "../pivot/journal.ts";
import type { SpaAction } from "./action.ts";
import type { SpaPlan } from "./spa-plan.ts";
import { objectsOf, type SpaSeen } from "./seen.ts";
import { condition } from "./stage.ts";

/** What a person's word comes to; undefined where none was said. Nothing else is done meanwhile: upkeep would give the credential back. */
export function planRevived(seen: SpaSeen): SpaPlan | undefined {
  if (commandOf(seen.spa) !== "revive") return undefined;
  const { workload, spa, mirror, names } = seen;
  const revival = planRevival({
    clusterName: names.cluster,
    journal: spa.status?.pivot,
    mirror: mirror?.about,
    api: workload.kind === "reachable" ? { kind: "answers", lost: workload.lost } : { kind: "silent" },
  });
  const actions: SpaAction[] =
    revival.do === "heard"
      ? [{ do: "hear revive", ...(revival.why === undefined ? {} : { why: revival.why }) }]
      : revival.do === "revive"
        ? [{ do: "revive" }]
        : [];
  return {
    actions,
    conditions: revival.do === "wait" ? [condition("Healthy", "False", "RevivalWaits", revival.message)] : [],
    standings: "kept",
    state: spa.status?.state ?? "Pending",
    pace: "busy",
  };
}

/** What came back asleep wakes up, once the gateway owns it; what is written in the cluster from memory goes. */
export function revivedUpkeep(seen: SpaSeen): SpaAction[] {
  const journal = seen.spa.status?.pivot;
  if (!isRevival(journal) || !isSettled(journal)) return [];
  const [whole] = objectsOf(seen.gateway, cluster);
  const { workload } = seen;
  return [
    ...(whole?.metadata.annotations?.[revivedAsleep] === undefined ? [] : [{ do: "wake" as const }]),
    ...(workload.kind === "reachable" && workload.ruins ? [{ do: "clear ruins" as const }] : []),
  ];
}
