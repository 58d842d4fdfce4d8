// How claims stand. Pure.
import { isDeleting } from "#core";
import { addressOfClaim, consumerOf, type Inventory, type KnownClaim, type PoolPointer } from "./read.ts";

export type ClaimState = "bound" | "waiting" | "releasing" | "unseen";

export interface ClaimView {
  /** "IPAddressClaim" or "IPClaim". */
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly pool: PoolPointer;
  readonly state: ClaimState;
  readonly address?: string;
  readonly cluster?: string;
  /** What it was made for: "VSphereVM c/x". */
  readonly for?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly createdAt: string;
}

export function claimViews(inventory: Inventory): ClaimView[] {
  return inventory.claims.map((claim) => claimView(claim, inventory));
}

export function claimView(claim: KnownClaim, inventory: Inventory): ClaimView {
  const address = addressOfClaim(inventory, claim)?.object.spec.address;
  const consumer = consumerOf(claim);
  const state = stateOf(claim);
  return {
    kind: claim.kind.kind,
    namespace: claim.key.namespace ?? "",
    name: claim.key.name,
    pool: claim.pool,
    state,
    ...(address === undefined ? {} : { address }),
    ...(claim.cluster === undefined ? {} : { cluster: claim.cluster }),
    ...(consumer === undefined ? {} : { for: consumer }),
    ...(claim.reason === undefined ? {} : { reason: claim.reason }),
    ...(claim.message === undefined || state === "bound" ? {} : { message: claim.message }),
    createdAt: claim.object.metadata.creationTimestamp,
  };
}

function stateOf({ object, bound, reason }: KnownClaim): ClaimState {
  if (isDeleting(object)) return "releasing";
  if (bound) return "bound";
  return reason === undefined ? "unseen" : "waiting";
}
