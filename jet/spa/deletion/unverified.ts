// What a forced deletion could not prove. Pure.
import { vmText } from "../../ledger.ts";
import type { SpaSeen } from "../seen.ts";
import { elapsed, type DeletionView } from "./part.ts";

/** Whether vCenter has been silent for so long that a forced deletion goes on without it (by-ledger.ts, B4). */
export function hasGivenUp({ strays }: SpaSeen, { forced, memory, now, deadAfterMs }: DeletionView): boolean {
  const silent = strays.kind === "failed" && elapsed(memory.cloudSilentSince, now) >= deadAfterMs;
  return forced && silent && memory.provedAt === undefined;
}

/** The VMs of which nobody can say whether they are gone. */
export function unverified(seen: SpaSeen, view: DeletionView): readonly string[] {
  return view.memory.way === "ByLedger" && hasGivenUp(seen, view) ? seen.ledger.vms.map(vmText) : [];
}
