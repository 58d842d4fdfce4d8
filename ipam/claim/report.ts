import {
  Fault,
  isDeleting,
  sameJson,
  setCondition,
  type Condition,
  type Plan,
  type ResourceStore,
} from "#core";
import { ipAddressClaim, type IPAddressClaim } from "#proto";
import type { Seen } from "./observe.ts";
import type { ClaimAction } from "./plan.ts";

type ClaimStatus = NonNullable<IPAddressClaim["status"]>;

/** The claim's status after a round. Pure; the same object when nothing is to be said. */
export function claimStatus(
  seen: Seen,
  plan: Plan<ClaimAction>,
  failure: unknown,
  now: string,
): ClaimStatus | undefined {
  if (seen.kind !== "claim" || isDeleting(seen.claim)) return undefined;
  const have = seen.claim.status;
  const drafts = [...plan.conditions];
  if (failure !== undefined) {
    const fault = Fault.from(failure);
    // Somebody was faster, or we are being stopped: nothing is known that would be worth saying.
    if (fault.code === "Conflict" || fault.code === "Cancelled") return have;
    drafts.splice(0, drafts.length, {
      type: "Ready",
      status: "False",
      reason: "AllocationFailed",
      message: fault.message,
    });
  }
  if (drafts.length === 0) return have;
  const conditions = drafts.reduce<readonly Condition[]>(
    (list, draft) => setCondition(list, draft, now),
    have?.conditions ?? [],
  );
  const isBound = drafts.some(({ type, status }) => type === "Ready" && status === "True");
  return {
    ...have,
    ...(isBound ? { addressRef: { name: seen.claim.metadata.name } } : {}),
    conditions: [...conditions],
    deprecated: { v1beta1: { conditions: conditions.map(asV1beta1) } },
  };
}

/** CAPV derives a VSphereVM's conditions from a claim's in both forms as soon as the claim has any in the newer one. */
export function asV1beta1({ type, status, reason, message, lastTransitionTime }: Condition) {
  const trouble = status === "False" ? { severity: "Warning", reason, message } : {};
  return { type, status, lastTransitionTime, ...trouble };
}

/** Writes the status if it differs. Returns whether the claim was bound by this. */
export async function report(
  store: ResourceStore,
  seen: Seen,
  plan: Plan<ClaimAction>,
  failure: unknown,
  now: string,
): Promise<boolean> {
  const status = claimStatus(seen, plan, failure, now);
  if (seen.kind !== "claim" || status === undefined || status === seen.claim.status) return false;
  if (sameJson(status, seen.round.claim.status)) return false; // a server orders members its own way
  await store.updateStatus(ipAddressClaim, { ...seen.round.claim, status });
  return status.addressRef !== undefined && seen.claim.status?.addressRef === undefined;
}
