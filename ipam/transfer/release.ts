// Giving an address back by hand. The plan is pure.
import { deleteIfExists, keyText, type Key, type Kind, type ResourceStore } from "#core";
import { formatAddress, parseAddress } from "../address.ts";
import {
  addressOfClaim,
  consumerOf,
  pointerText,
  type Inventory,
  type KnownAddress,
  type KnownClaim,
} from "../inventory/index.ts";

export interface ReleasePlan {
  /** What is deleted; the controllers do the rest. */
  readonly remove: readonly { readonly kind: Kind; readonly key: Key; readonly uid: string }[];
  /** In words for people. */
  readonly says: string;
  /** Why it should not be done without being told so. */
  readonly doubts: readonly string[];
}

export function planReleaseOfClaim(claim: KnownClaim, inventory: Inventory): ReleasePlan {
  const address = addressOfClaim(inventory, claim)?.object.spec.address;
  const consumer = consumerOf(claim);
  const name = `${claim.kind.kind} ${keyText(claim.key)}`;
  return {
    remove: [{ kind: claim.kind, key: claim.key, uid: claim.object.metadata.uid }],
    says: `${name} is deleted${address ? `, ${address} goes back to ${pointerText(claim.pool)}` : ""}`,
    doubts: consumer ? [`it belongs to ${consumer}: deleting that releases it in order`] : [],
  };
}

/** Undefined: nobody holds it. Several bearers: the claim has to be named. */
export function planReleaseOfAddress(text: string, inventory: Inventory): ReleasePlan | undefined {
  const parsed = parseAddress(text);
  const canonical = parsed && formatAddress(parsed);
  const bearers = inventory.addresses.filter(
    (each) => each.address && formatAddress(each.address) === canonical,
  );
  const [first, ...others] = bearers;
  if (!first) return undefined;
  const claim = inventory.claims.find((each) => addressOfClaim(inventory, each) === first);
  const plan = claim ? planReleaseOfClaim(claim, inventory) : planOrphan(first);
  const doubt = `${bearers.length} IPAddresses bear ${text}: name the claim instead (pcg ip explain ${text})`;
  return others.length > 0 ? { ...plan, doubts: [...plan.doubts, doubt] } : plan;
}

function planOrphan({ kind, key, object, pool }: KnownAddress): ReleasePlan {
  return {
    remove: [{ kind, key, uid: object.metadata.uid }],
    says: `${kind.kind} ${keyText(key)}, whose claim is gone, is deleted; ${object.spec.address} goes back to ${pointerText(pool)}`,
    doubts: [],
  };
}

export async function actRelease(store: ResourceStore, { remove }: ReleasePlan): Promise<void> {
  for (const { kind, key, uid } of remove) await deleteIfExists(store, kind, key, { uid });
}
