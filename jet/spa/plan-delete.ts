// The way down: from whatever there is to nothing at all. Pure. The ways are in deletion/, this chooses among them.
//
//   X1. The Cluster is deleted by Cluster API, on the gateway, with a credential that works: first management comes back.
//   X2. Addresses are given back when no VM is left, the credential goes last of all.
//   X3. What blocks is named, with its object and what to do; a corrected credential is taken up at once.
//   X4. Nothing is forgotten silently: VMs that outlive their objects are counted, shown, and only then removed.
//   X5. An orphan keeps its machines and its addresses: nothing that acts on them is awake when its objects go.
//   X6. What cannot be asked is deleted by the ledger: a cluster whose API is dead, and whatever is in the way of a forced deletion.
//       That is decided once, written down, and only then done.
import { type ConditionDraft } from "#core";
import { deletionKeys, type MilestoneKey, type Standing } from "../milestones.ts";
import { isSettled } from "../pivot/journal.ts";
import { ledgerParts } from "./deletion/by-ledger.ts";
import { gracefulParts, needsItsApi } from "./deletion/graceful.ts";
import { remembered } from "./deletion/memory.ts";
import { orphanParts } from "./deletion/orphan.ts";
import { elapsed, type DeletionOptions, type DeletionView, type Open, type Part } from "./deletion/part.ts";
import type { SpaPlan } from "./spa-plan.ts";
import type { SpaSeen } from "./seen.ts";
import { gatewayUpkeep, heardCommand } from "./upkeep.ts";

export type { DeletionOptions } from "./deletion/part.ts";

export function planDeletion(seen: SpaSeen, options: DeletionOptions): SpaPlan {
  const { deletePolicy } = seen.spa.spec;
  const memory = remembered(seen, options);
  const view: DeletionView = { ...options, memory, forced: deletePolicy === "Force" };
  if (deletePolicy === "Orphan") return planOf(seen, view, walk(orphanParts, seen, view));
  if (memory.way === "ByLedger") return planOf(seen, view, walk(ledgerParts, seen, view));
  const walked = walk(gracefulParts, seen, view);
  const why = whyByLedger(seen, view, walked);
  if (why === undefined) return planOf(seen, view, walked);
  // X6: the next round acts on it.
  const { trouble: _, actions: _none, ...open } = walked.open ?? {};
  const turned: Open = { ...open, message: `going on by the ledger: ${why}` };
  const at = walked.at ?? "ManagementReturned";
  const standings = { ...walked.standings, [at]: { state: "InProgress" as const } };
  return planOf(
    seen,
    { ...view, memory: { ...memory, way: "ByLedger", why } },
    { open: turned, at, standings },
  );
}

interface Walked {
  readonly open: Open | undefined;
  /** The milestone of the open part. */
  readonly at: MilestoneKey | undefined;
  readonly standings: Partial<Record<MilestoneKey, Standing>>;
}

/** Along the row to the first part that is not done. */
function walk(parts: readonly Part[], seen: SpaSeen, view: DeletionView): Walked {
  const standings: Partial<Record<MilestoneKey, Standing>> = {};
  for (const { milestone, look } of parts) {
    const open = look(seen, view);
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
    return { open, at: milestone, standings };
  }
  return { open: undefined, at: undefined, standings };
}

/** Why a deletion cannot go on gracefully; undefined where it can, or where it is worth waiting (X6). */
function whyByLedger(seen: SpaSeen, view: DeletionView, { open, at }: Walked): string | undefined {
  const { forced, memory, now, deadAfterMs } = view;
  if (needsItsApi(seen) && seen.workload.kind !== "reachable") {
    if (seen.strays.kind === "counted" && seen.strays.vms.length === 0 && seen.ledger.vms.length > 0)
      return "its API does not answer, and vCenter knows none of its VMs any more";
    if (forced) return "its API does not answer, and the deletion is forced";
    const silent = memory.apiSilentSince !== undefined && elapsed(memory.apiSilentSince, now) >= deadAfterMs;
    return silent ? `its API has not answered since ${memory.apiSilentSince}` : undefined;
  }
  if (seen.workload.kind === "reachable" && seen.workload.lost)
    return "it has lost its own Cluster API objects";
  if (!forced || !open) return undefined;
  if (open.trouble) return `the deletion is forced, and ${open.trouble.object ?? "something"} is in the way`;
  const begun = seen.spa.status?.milestones?.find((m) => m.key === at)?.startedAt;
  return elapsed(begun, now) >= deadAfterMs
    ? `the deletion is forced, and nothing has moved since ${begun}`
    : undefined;
}

function planOf(seen: SpaSeen, view: DeletionView, { open, standings }: Walked): SpaPlan {
  const all = { ...standings };
  for (const key of deletionKeys) all[key] ??= { state: "Pending" };
  const onGateway = seen.side === "gateway" && isSettled(seen.spa.status?.pivot);
  const upkeep = view.memory.way === "Graceful" ? gatewayUpkeep(seen) : [];
  return {
    actions: [...heardCommand(seen), ...upkeep, ...(open?.actions ?? [])],
    conditions: [blockedCondition(open)],
    standings: all,
    state: "Deleting",
    trouble: open?.trouble,
    endpoint: seen.spa.status?.endpoint,
    template: seen.spa.status?.template,
    deletion: view.memory,
    pace: onGateway && view.memory.way === "Graceful" ? "watched" : "busy",
  };
}

function blockedCondition(open: Open | undefined): ConditionDraft {
  const { trouble, message } = open ?? {};
  if (!trouble)
    return { type: "DeletionBlocked", status: "False", reason: "Progressing", message: message ?? "" };
  const text = trouble.object ? `${trouble.object}: ${trouble.message}` : trouble.message;
  return { type: "DeletionBlocked", status: "True", reason: trouble.code, message: text };
}
