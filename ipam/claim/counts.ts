// Until when a claim counts as the holder of an address: for reservations and IPAddresses among several processes.
import { ownerOf, type ResourceStore } from "#core";
import { ipAddress, ipAddressClaim, type IPAddress, type IPAddressClaim } from "#proto";
import { countsBy } from "../going.ts";
import type { Reservation } from "../reservation.ts";
import { releaseAddress } from "../words.ts";

/** Whether this is the claim of that uid, and not let go yet. Once false it stays false. Pure. */
export function counts(claim: IPAddressClaim | undefined, uid: string): boolean {
  return countsBy(releaseAddress, claim, uid);
}

/** Whether the IPAddress is this very claim's, not only of its name. Pure. */
export function isOwn(address: IPAddress, uid: string): boolean {
  return ownerOf(address, ipAddressClaim)?.uid === uid;
}

/** Whether a reservation has done its work (reservation.ts, V2). `store` answers from what was written. */
export async function isOver(
  store: ResourceStore,
  { claim: key, claimUid }: Reservation,
  signal?: AbortSignal,
): Promise<boolean> {
  if (!counts(await store.get(ipAddressClaim, key, signal), claimUid)) return true;
  const address = await store.get(ipAddress, key, signal);
  return address !== undefined && isOwn(address, claimUid);
}
