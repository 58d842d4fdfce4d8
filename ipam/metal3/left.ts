import { hasFinalizer, isDeleting, type ResourceStore } from "#core";
import type { Reservation } from "../reservation.ts";
import { flavours } from "./observe.ts";

/** Whether the claim of a reservation, of either flavour, is gone or was let go. Once true it stays true. */
export async function isLeft(store: ResourceStore, { claim, claimUid }: Reservation): Promise<boolean> {
  for (const { claimKind, claimFinalizer } of Object.values(flavours)) {
    const object = await store.get(claimKind, claim);
    const isLetGo = object && isDeleting(object) && !hasFinalizer(object, claimFinalizer);
    if (object?.metadata.uid === claimUid) return isLetGo ?? false;
  }
  return true;
}
