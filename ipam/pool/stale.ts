import type { ResourceStore } from "#core";
import { ipAddress, ipAddressClaim } from "#proto";
import { addressesOf } from "../in-use.ts";
import { digitsOf, type Reservation, type Reservations } from "../reservation.ts";
import { poolTerms } from "../terms.ts";
import type { Pool, PoolPlace } from "../words.ts";

/** A reservation lives for a moment; one this old was probably left behind. Removing one too early would be harmless (V2). */
const staleAfterMs = 60_000;

/** The reservations of a pool that no longer serve: their claim is gone or has an address, or an IPAddress bears what they hold. */
export async function staleReservations(
  store: ResourceStore,
  reservations: Reservations,
  place: PoolPlace,
  pool: Pool,
  now: number,
  signal: AbortSignal,
): Promise<readonly Reservation[]> {
  const old = (await reservations.of(place, pool, signal)).filter(
    ({ lease }) => now - Date.parse(lease.metadata.creationTimestamp) >= staleAfterMs,
  );
  if (old.length === 0) return [];
  const terms = poolTerms(pool);
  const borne = new Set(
    (await addressesOf(store, place, signal)).flatMap(({ spec }) => {
      const value = terms.kind === "terms" ? terms.read(spec.address) : undefined;
      return value === undefined ? [] : [digitsOf(value)];
    }),
  );
  const stale: Reservation[] = [];
  for (const reservation of old) {
    const claim = await store.get(ipAddressClaim, reservation.claim, signal);
    const isGone = claim?.metadata.uid !== reservation.claimUid;
    const isBound = (await store.get(ipAddress, reservation.claim, signal)) !== undefined;
    if (isGone || isBound || borne.has(reservation.digits)) stale.push(reservation);
  }
  return stale;
}
