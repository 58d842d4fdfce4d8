import type { Reservation, Reservations } from "../reservation.ts";
import type { Pool, PoolPlace } from "../words.ts";

/** A reservation lives for a moment; one this old was probably left behind. */
const staleAfterMs = 60_000;

/** The old reservations of a pool that may go (reservation.ts, V2). */
export async function staleReservations(
  reservations: Reservations,
  place: PoolPlace,
  pool: Pool,
  now: number,
  signal: AbortSignal,
): Promise<readonly Reservation[]> {
  const stale: Reservation[] = [];
  for (const reservation of await reservations.of(place, pool, signal)) {
    const { creationTimestamp } = reservation.lease.metadata;
    if (now - Date.parse(creationTimestamp) < staleAfterMs) continue;
    if (await reservations.isOver(reservation)) stale.push(reservation);
  }
  return stale;
}
