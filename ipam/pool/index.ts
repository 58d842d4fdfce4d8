// A pool: held by a finalizer while addresses of it are in use, with counters in its status. One controller per kind of pool.
import {
  ensureFinalizer,
  Fault,
  hasFinalizer,
  isDeleting,
  keyOf,
  removeFinalizer,
  steps,
  type Clock,
  type Controller,
  type Follow,
  type Key,
  type Kind,
  type Logger,
  type Plan,
  type ResourceStore,
} from "#core";
import { ipAddress, ipAddressClaim, type IPAddress } from "#proto";
import { addressDigits, parseAddress } from "../address.ts";
import { roomOf, type Room } from "../capacity.ts";
import { addressesOf } from "../in-use.ts";
import { isPaused } from "../claim/observe.ts";
import { poolRanges } from "../ranges.ts";
import type { Reservation, Reservations } from "../reservation.ts";
import { placeOf, poolName, poolPlace, protectPool, type Pool, type PoolPlace } from "../words.ts";

/** A reservation lives for a moment; one this old was probably left behind. Removing one too early would be harmless (V2). */
const staleAfterMs = 60_000;

export interface PoolSeen {
  readonly pool: Pool;
  readonly place: PoolPlace;
  readonly inUse: readonly IPAddress[];
  /** Reservations that no longer serve: their claim is gone or has an address, or an IPAddress bears what they hold. */
  readonly stale: readonly Reservation[];
}

export type PoolAction =
  { readonly do: "protect pool" } | { readonly do: "let pool go" } | { readonly do: "sweep reservations" };

/** What to do about a pool. Pure. */
export function planPool({ pool, inUse, stale }: PoolSeen): Plan<PoolAction> {
  if (isPaused(pool)) return { actions: [], conditions: [] };
  const actions: PoolAction[] = [];
  if (stale.length > 0) actions.push({ do: "sweep reservations" });
  if (!isDeleting(pool)) {
    if (!hasFinalizer(pool, protectPool)) actions.push({ do: "protect pool" });
  } else if (inUse.length === 0 && hasFinalizer(pool, protectPool)) actions.push({ do: "let pool go" });
  return { actions, conditions: [] };
}

/** The counters for the pool's status; undefined where its text has no meaning. Pure. */
export function poolCounters({ pool, inUse }: PoolSeen): Room | undefined {
  const ranges = poolRanges(pool.spec);
  return ranges.kind === "ranges" ? roomOf(ranges, inUse) : undefined;
}

export function poolController(
  deps: {
    readonly store: ResourceStore;
    readonly clock: Clock;
    readonly log: Logger;
    readonly reservations: Reservations;
  },
  kind: Kind<Pool>,
): Controller {
  const { store, clock, reservations } = deps;
  const name = `ipam-${kind.plural}`;
  return {
    name,
    kind,
    follows: [followAddresses(kind)],
    reconciler: steps<PoolSeen, PoolAction>(
      {
        observe: (key, signal) => observe(store, reservations, kind, key, clock.now(), signal),
        plan: planPool,
        act: (seen, action) => act(store, reservations, seen, action),
        report: (seen, plan) => report(store, seen, plan),
      },
      { clock, log: deps.log.child({ controller: name }) },
    ),
  };
}

function followAddresses(kind: Kind<Pool>): Follow {
  return {
    kind: ipAddress,
    affects: (address) => {
      const place = poolPlace(address as IPAddress);
      return place?.kind === kind ? [place.key] : [];
    },
  };
}

async function observe(
  store: ResourceStore,
  reservations: Reservations,
  kind: Kind<Pool>,
  key: Key,
  now: number,
  signal: AbortSignal,
): Promise<PoolSeen | undefined> {
  const pool = await store.get(kind, key, signal);
  if (!pool) return undefined;
  const place = placeOf(kind, pool);
  const inUse = await addressesOf(store, place, signal);
  const borne = new Set(
    inUse.flatMap(({ spec }) => {
      const address = parseAddress(spec.address);
      return address ? [addressDigits(address)] : [];
    }),
  );
  const stale: Reservation[] = [];
  for (const reservation of await reservations.of(place, pool, signal)) {
    if (now - Date.parse(reservation.lease.metadata.creationTimestamp) < staleAfterMs) continue;
    const claim = await store.get(ipAddressClaim, reservation.claim, signal);
    const isGone = claim?.metadata.uid !== reservation.claimUid;
    const isBound = (await store.get(ipAddress, reservation.claim, signal)) !== undefined;
    if (isGone || isBound || borne.has(reservation.digits)) stale.push(reservation);
  }
  return { pool, place, inUse, stale };
}

async function act(
  store: ResourceStore,
  reservations: Reservations,
  { pool, place, stale }: PoolSeen,
  action: PoolAction,
): Promise<void> {
  switch (action.do) {
    case "protect pool":
      await ensureFinalizer(store, place.kind, pool, protectPool);
      return;
    case "let pool go":
      await removeFinalizer(store, place.kind, keyOf(pool), protectPool);
      return;
    case "sweep reservations":
      for (const { lease } of stale) await reservations.remove(lease);
      return;
  }
}

async function report(store: ResourceStore, seen: PoolSeen, plan: Plan<PoolAction>): Promise<void> {
  const { pool, place } = seen;
  if (isPaused(pool) || plan.actions.some((action) => action.do === "let pool go")) return;
  const counters = poolCounters(seen);
  if (!counters) {
    const ranges = poolRanges(pool.spec);
    const problems = ranges.kind === "wrong" ? ranges.problems : [];
    const mistakes = problems.map(({ field, message }) => `${field} ${message}`).join("; ");
    throw new Fault("Invalid", `${poolName(place)} cannot be used: ${mistakes}`, { problems });
  }
  const have = pool.status?.ipAddresses;
  const { total, used, free, outOfRange } = counters;
  if (have?.total === total && have.used === used && have.free === free && have.outOfRange === outOfRange)
    return;
  // Read again: the finalizer may have been written since.
  const fresh = await store.get(place.kind, place.key);
  if (fresh?.metadata.uid !== pool.metadata.uid) return;
  await store.updateStatus(place.kind, {
    ...fresh,
    status: { ...fresh.status, ipAddresses: { ...counters } },
  });
}
