// Until when a claim on a Metal3 pool counts, and what it has: for reservations and IPAddresses among several processes.
import { ownerOf, type Key, type Resource, type ResourceStore } from "#core";
import type { IPAddressClaim, Metal3IPClaim } from "#proto";
import { countsBy } from "../going.ts";
import type { Reservation } from "../reservation.ts";
import { flavours, type Flavour } from "./observe.ts";

/** Whether this is the claim of that uid, and not let go yet. Once false it stays false. Pure. */
export function counts(flavour: Flavour, claim: Resource | undefined, uid: string): boolean {
  return countsBy(flavours[flavour].claimFinalizer, claim, uid);
}

/** The uid of the claim that the IPAddress is of. Pure. */
export function ownerUid(flavour: Flavour, address: Resource): string | undefined {
  return ownerOf(address, flavours[flavour].claimKind)?.uid;
}

/** Whether the IPAddress is this very claim's, not only of its name. Pure. */
export function isOwn(flavour: Flavour, address: Resource, claimUid: string): boolean {
  return ownerUid(flavour, address) === claimUid;
}

/** The name of the IPAddress that the claim was told. Pure. */
export function toldName(flavour: Flavour, claim: Resource): string | undefined {
  return flavour === "metal3"
    ? (claim as Metal3IPClaim).status?.address?.name
    : (claim as IPAddressClaim).status?.addressRef?.name;
}

/**
 * Whether a reservation has done its work (reservation.ts, V2): its claim, of either flavour, counts no more, or was told of an
 * IPAddress of its own. `store` answers from what was written.
 */
export async function isOver(store: ResourceStore, { claim: key, claimUid }: Reservation): Promise<boolean> {
  for (const flavour of Object.keys(flavours) as Flavour[]) {
    const claim = await store.get(flavours[flavour].claimKind, key);
    if (claim?.metadata.uid === claimUid)
      return !counts(flavour, claim, claimUid) || (await hasOwn(store, flavour, claim, key));
  }
  return true;
}

async function hasOwn(store: ResourceStore, flavour: Flavour, claim: Resource, key: Key): Promise<boolean> {
  const name = toldName(flavour, claim);
  const address = name ? await store.get(flavours[flavour].addressKind, { ...key, name }) : undefined;
  return address !== undefined && isOwn(flavour, address, claim.metadata.uid);
}
