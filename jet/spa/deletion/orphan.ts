// The way down that leaves the machines alone. Pure.
import { cluster, isPausedNow } from "#proto";
import { reportsPause } from "../../pivot/step.ts";
import { objectsOf, type SpaSeen } from "../seen.ts";
import { finish } from "./ending.ts";
import type { Open, Part } from "./part.ts";

export const orphanParts: readonly Part[] = [
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
