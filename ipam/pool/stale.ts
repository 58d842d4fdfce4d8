import type { Reservation, Reservations } from "../reservation.ts";

/** A reservation lives for a moment; one this old was probably left behind. */
const staleAfterMs = 60_000;

/** Those of a pool's reservations that are old and may go (reservation.ts, V2). */
export async function staleReservations(
  reservations: Reservations,
  found: readonly Reservation[],
  now: number,
): Promise<readonly Reservation[]> {
  const stale: Reservation[] = [];
  for (const reservation of found) {
    const { creationTimestamp } = reservation.lease.metadata;
    const isOld = now - Date.parse(creationTimestamp) >= staleAfterMs;
    if (isOld && (await reservations.isOver(reservation))) stale.push(reservation);
  }
  return stale;
}
