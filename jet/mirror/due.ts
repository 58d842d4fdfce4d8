// When Jet copies a cluster's objects by itself, although the agent does: where the agent's copies do not arrive. Pure.
//
//   D1. An agent that has no line to the plane, or seals for a key that is not ours any more, is known by what it notes in its cluster.
//   D2. What is on its way is given a minute; a copy of Jet's own is good for five.
import { isSettled } from "../pivot/journal.ts";
import type { SpaAction } from "../spa/action.ts";
import type { SpaSeen } from "../spa/seen.ts";

const onItsWayMs = 60_000;
const goodForMs = 5 * 60_000;

export function mirrorActions(seen: SpaSeen, now: number): SpaAction[] {
  const { mirror, workload } = seen;
  if (!mirror || seen.side !== "workload" || workload.kind !== "reachable") return [];
  if (!isSettled(seen.spa.status?.pivot) || !workload.spectroCluster) return [];
  const { about } = mirror;
  const said = workload.spectroCluster.status?.mirror;
  if (said && now - Date.parse(said.at) < onItsWayMs) return []; // D2
  if (about && now - Date.parse(about.takenAt) < goodForMs) return [];
  const arrived = about && said?.digest === about.digest && said.reader === about.reader; // D1
  return arrived ? [] : [{ do: "mirror" }];
}
