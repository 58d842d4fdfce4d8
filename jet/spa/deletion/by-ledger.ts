// The other way down, for a cluster that cannot be asked: what was made for it is removed by the ledger. Pure.
//
//   B1. Control planes go first: when none is left nobody can act for the cluster any more, whatever is cut from whom. The credential
//       of a side that does not answer cannot be taken away; its power can.
//   B2. Objects on the gateway are fenced before a VM is touched, and forgotten after the last one is gone: none of their controllers acts.
//   B3. "None is left" is seen twice, some time apart: a clone may have been under way.
//   B4. Without vCenter nothing of this can be proved. It is waited for; only a forced deletion gives up, and then tells what it could
//       not verify, and leaves those addresses leased.
import { formatTime } from "#core";
import { cluster } from "#proto";
import { objectsOf, type SpaSeen, type Stray } from "../seen.ts";
import { cloudTrouble } from "./blockers.ts";
import { endingParts } from "./ending.ts";
import { settleMs } from "./memory.ts";
import { elapsed, type DeletionView, type Open, type Part } from "./part.ts";
import { hasGivenUp } from "./unverified.ts";

export const ledgerParts: readonly Part[] = [
  { milestone: "ManagementReturned", look: fence },
  { milestone: "ManagementReturned", look: controlPlanes },
  { milestone: "WorkerNodeDeletionDone", look: workers },
  { milestone: "ControlPlaneNodeDeletionDone", look: forget },
  { milestone: "ControlPlaneNodeDeletionDone", look: settle },
  ...endingParts,
];

/** B2 */
function fence({ gateway, identity }: SpaSeen): Open | undefined {
  const [whole] = objectsOf(gateway, cluster);
  const awake = whole !== undefined && whole.spec.paused !== true;
  const armed = gateway.objects.length > 0 && identity !== undefined;
  return awake || armed
    ? { actions: [{ do: "fence" }], message: "taking the credential from the gateway's own controllers" }
    : undefined;
}

/** B1 */
function controlPlanes(seen: SpaSeen, view: DeletionView): Open | undefined {
  return removing(seen, view, (vm) => vm.role !== "worker", "the cluster is deleted by the ledger");
}

function workers(seen: SpaSeen, view: DeletionView): Open | undefined {
  return removing(seen, view, () => true, "the cluster is deleted by the ledger");
}

function removing(
  seen: SpaSeen,
  view: DeletionView,
  which: (vm: Stray) => boolean,
  why: string,
): Open | undefined {
  const { strays, ledger } = seen;
  if (strays.kind !== "counted") {
    if (view.memory.provedAt !== undefined) return undefined;
    if (ledger.vms.length === 0 || hasGivenUp(seen, view)) return undefined;
    return strays.kind === "failed" ? { trouble: cloudTrouble(seen, strays.fault) } : { waiting: true };
  }
  const vms = strays.vms.filter(which);
  if (vms.length === 0) return undefined;
  return {
    actions: [{ do: "destroy", vms, why }],
    message: `removing ${vms.map((vm) => vm.name).join(", ")}`,
    progress: { done: Math.max(ledger.vms.length - strays.vms.length, 0), total: ledger.vms.length },
  };
}

function forget({ gateway }: SpaSeen): Open | undefined {
  return gateway.objects.length > 0
    ? { actions: [{ do: "forget objects" }], message: "forgetting the objects" }
    : undefined;
}

/** B3 */
function settle({ ledger, strays }: SpaSeen, view: DeletionView): Open | undefined {
  const { memory, now } = view;
  if (ledger.vms.length === 0 || memory.provedAt !== undefined || strays.kind !== "counted") return undefined;
  const again = formatTime(now + settleMs(view) - elapsed(memory.emptySince, now));
  return { waiting: true, message: `vCenter knows none of its VMs; looking once more at ${again}` };
}
