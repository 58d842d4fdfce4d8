// What a gateway whose store may be older than the world does about one cluster, given everything it knows. Pure.
//
//   V1. Nobody acts on a guess. Where it is not proved which side owns a cluster, the gateway's copy of the credential goes, nothing is
//       made, and a person is asked (AdoptionRequired); the answer may also come by itself, when the cluster can be asked again.
//   V2. A mirror, and a decision record that says Active, prove that the cluster owned itself at their epoch. Only a later epoch says
//       otherwise. A mirror of the epoch of a pivot that the store believes under way proves that it ended.
//   V3. What the store holds of a cluster that owns itself is a thing of the past: it goes, first the credential (I1).
//   V4. A cluster that was seen to its end is not brought back by a snapshot, nor by a mirror.
//   V5. A store that is not behind is believed: an ordinary restart changes nothing.
//   V6. A cluster's leases hold the very addresses that it has; where another holds one by now, a person is asked.
import { activeSide, placeOf, type PivotJournal } from "../pivot/journal.ts";

export interface RecoverySeen {
  /** The SPA, if the store has it. */
  readonly spa:
    | {
        readonly counter: number;
        readonly journal: PivotJournal | undefined;
        /** Why it is held, where it is. */
        readonly held: string | undefined;
        /** A person's word. */
        readonly word: "gateway" | "workload" | undefined;
      }
    | undefined;
  /** Whether the store has anything of Cluster API's in the cluster's namespace, and whether its first machine is a node already. */
  readonly objects: "none" | "incomplete" | "complete";
  readonly mirror: { readonly id: string; readonly epoch: number; readonly counter: number } | undefined;
  /** It was deleted. */
  readonly forgotten: boolean;
  /** The decision record in the cluster itself. */
  readonly target:
    | { readonly kind: "unasked" }
    | { readonly kind: "silent" }
    | {
        readonly kind: "answered";
        readonly decision:
          { readonly id: string; readonly epoch: number; readonly state: string } | undefined;
      };
  /** How its leases are against the mirror; unasked where there is no reason to doubt them. */
  readonly leases: { readonly todo: number; readonly conflicts: readonly string[] } | "unasked";
  /** The store is behind what this gateway did. */
  readonly behind: boolean;
}

export type Recovery =
  | { readonly do: "nothing" }
  /** What a snapshot brought back of a cluster that is gone. */
  | { readonly do: "bury" }
  /** The cluster owns itself: the gateway's copies go, and its journal says so. */
  | { readonly do: "yield"; readonly id: string; readonly epoch: number }
  /** There is no SPA: it is made from the mirror. */
  | { readonly do: "rebuild" }
  /** The mirror's wish is newer than the store's. */
  | { readonly do: "raise" }
  /** Leases are missing, or hold other addresses than the cluster has. */
  | { readonly do: "lease" }
  | { readonly do: "hold"; readonly reason: string; readonly message: string }
  /** It is known by now that the gateway owns it. */
  | { readonly do: "release" };

export interface RecoveryPlan {
  /** The gateway's copy of the credential must go before any manager runs. */
  readonly fence: boolean;
  readonly recovery: Recovery;
}

/** Held since it was ordered: the plane knows that it runs, and this gateway does not know it. */
export const knownToPlane = "KnownToPlane";

const nothing: RecoveryPlan = { fence: false, recovery: { do: "nothing" } };
const fenced = (recovery: Recovery): RecoveryPlan => ({ fence: true, recovery });

export function planRecovery(seen: RecoverySeen): RecoveryPlan {
  const { spa, mirror } = seen;
  if (seen.forgotten) return spa || seen.objects !== "none" ? fenced({ do: "bury" }) : nothing; // V4
  if (!spa) return mirror ? fenced({ do: "rebuild" }) : nothing;
  const { journal } = spa;
  const proof = proofOf(seen);
  if (proof && isNewer(proof.epoch, journal)) return fenced({ do: "yield", ...proof }); // V2, V3
  const side = activeSide(journal);
  if (side === "workload") return planOwned(seen, spa);
  if (journal?.direction === "ToGateway") return nothing; // a later epoch than any proof
  if (spa.word === "workload")
    return fenced({ do: "yield", id: journal?.id ?? "adopted", epoch: journal?.epoch ?? 1 });
  if (spa.word === "gateway") return spa.held ? unfenced({ do: "release" }) : nothing;
  if (!seen.behind && spa.held === undefined) return side === "none" ? fenceOnly : nothing; // V5
  if (side === "none") return fenced(hold("HandOverUnderWay", "management was being handed over"));
  // The first node was all that the gateway ever makes, and it is in the store.
  if (seen.objects === "complete" && isUndecided(seen))
    return spa.held ? unfenced({ do: "release" }) : nothing;
  if (spa.held?.startsWith(`${knownToPlane}: `))
    return fenced({ do: "hold", reason: knownToPlane, message: spa.held.slice(knownToPlane.length + 2) });
  return fenced(doubt(seen)); // V1
}

/** It manages itself, and the store knows it. */
function planOwned(
  { objects, leases, mirror, behind }: RecoverySeen,
  { journal, counter, held }: NonNullable<RecoverySeen["spa"]>,
): RecoveryPlan {
  if (journal?.direction === "ToWorkload" && journal.step === "Done" && objects !== "none")
    return fenced({ do: "yield", id: journal.id, epoch: journal.epoch }); // V3: left by a recovery that was interrupted
  if (leases !== "unasked" && leases.conflicts.length > 0) {
    const message = `addresses that the cluster has are held by others: ${leases.conflicts.join("; ")}`;
    return unfenced({ do: "hold", reason: "AddressTaken", message }); // V6
  }
  if (leases !== "unasked" && leases.todo > 0) return unfenced({ do: "lease" });
  if (behind && mirror && mirror.counter > counter) return unfenced({ do: "raise" });
  return held === undefined ? nothing : unfenced({ do: "release" });
}

const unfenced = (recovery: Recovery): RecoveryPlan => ({ fence: false, recovery });
/** The journal is past the decision: the engine goes on, and the credential is not for this side any more. */
const fenceOnly: RecoveryPlan = { fence: true, recovery: { do: "nothing" } };

/** V2 */
function proofOf({
  mirror,
  target,
}: RecoverySeen): { readonly id: string; readonly epoch: number } | undefined {
  const decision = target.kind === "answered" ? target.decision : undefined;
  const proofs = [mirror, decision?.state === "Active" ? decision : undefined].filter((p) => p !== undefined);
  const best = proofs.sort((a, b) => b.epoch - a.epoch)[0];
  return best && { id: best.id, epoch: best.epoch };
}

/** Whether a proof of this epoch tells more than the journal does. */
function isNewer(epoch: number, journal: PivotJournal | undefined): boolean {
  if (!journal || epoch > journal.epoch) return true;
  return (
    epoch === journal.epoch && journal.direction === "ToWorkload" && placeOf(journal.step) < placeOf("Done")
  );
}

/** The cluster itself says that no hand-over was decided. */
function isUndecided({ target }: RecoverySeen): boolean {
  return target.kind === "answered" && target.decision === undefined;
}

function doubt({ target, objects }: RecoverySeen): Recovery {
  if (target.kind === "answered" && target.decision)
    return hold("HandOverUnderWay", `its decision record says ${target.decision.state}`);
  if (objects === "none" || objects === "incomplete")
    return hold(
      "MadeMeanwhile",
      "it was being made, and vCenter may have VMs of it that the store does not know",
    );
  return hold(
    "OwnerUnknown",
    "its API does not answer, so it cannot be asked whether it manages itself by now",
  );
}

function hold(reason: string, why: string): Recovery & { do: "hold" } {
  return { do: "hold", reason, message: `the gateway's store was restored to an older state: ${why}` };
}
