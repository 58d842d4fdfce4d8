// A pool: held by a finalizer while addresses of it are in use, with counters and conditions in its status. One controller per kind.
import {
  ensureFinalizer,
  Fault,
  hasFinalizer,
  isDeleting,
  keyOf,
  keyText,
  removeFinalizer,
  steps,
  timestamp,
  type Clock,
  type Controller,
  type Follow,
  type Kind,
  type Logger,
  type NearStore,
  type Plan,
  type ResourceStore,
} from "#core";
import { ipAddress, type IPAddress } from "#proto";
import type { Books } from "../books.ts";
import { isPaused } from "../claim/observe.ts";
import { addressesOf } from "../in-use.ts";
import { poolPolicy } from "../policy.ts";
import type { Reservation, Reservations } from "../reservation.ts";
import type { PoolTerms } from "../terms.ts";
import { placeOf, poolName, poolPlace, protectPool, type Pool, type PoolPlace } from "../words.ts";
import { staleReservations } from "./stale.ts";
import { differs, poolStatus, type PoolView } from "./status.ts";
import { WriteBudget } from "./write-budget.ts";

export interface PoolSeen {
  readonly pool: Pool;
  readonly place: PoolPlace;
  readonly terms: PoolTerms;
  readonly view: PoolView;
  /** IPAddresses of a pool that is being deleted, looked at afresh. */
  readonly inUse: number;
  /** Reservations that no longer serve. */
  readonly stale: readonly Reservation[];
  /** For how long no status is written: many changes share one. */
  readonly restMs: number;
  /** When reservations are to be looked over again, though nothing else happens; undefined: there is no need. */
  readonly sweepInMs: number | undefined;
}

export type PoolAction =
  { readonly do: "protect pool" } | { readonly do: "let pool go" } | { readonly do: "sweep reservations" };

/** What to do about a pool. Pure. */
export function planPool({ pool, inUse, stale, restMs, sweepInMs }: PoolSeen): Plan<PoolAction> {
  if (isPaused(pool)) return { actions: [], conditions: [] };
  const actions: PoolAction[] = [];
  if (stale.length > 0) actions.push({ do: "sweep reservations" });
  if (!isDeleting(pool)) {
    if (!hasFinalizer(pool, protectPool)) actions.push({ do: "protect pool" });
  } else if (inUse === 0 && hasFinalizer(pool, protectPool)) actions.push({ do: "let pool go" });
  const after = Math.min(restMs > 0 ? restMs : Infinity, sweepInMs ?? Infinity);
  return { actions, conditions: [], ...(after < Infinity ? { after } : {}) };
}

export interface PoolDeps {
  /** Answers from copies where it may. */
  readonly store: NearStore;
  /** Answers from what was written. */
  readonly truth: ResourceStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly books: Books;
  readonly reservations: Reservations;
  readonly serves: (pool: Pool) => boolean;
}

/** How often a pool's reservations are looked over. */
const sweepEveryMs = 60_000;

export function poolController(deps: PoolDeps, kind: Kind<Pool>): Controller {
  const { store, truth, clock, books, reservations } = deps;
  const name = `ipam-${kind.plural}`;
  const budgets = new Map<string, WriteBudget>();
  const sweptAt = new Map<string, number>();
  /** The server's schema has no place for conditions: it leaves them out. */
  let prunes = false;

  async function observe(pool: Pool, signal: AbortSignal): Promise<PoolSeen> {
    const place = placeOf(kind, pool);
    const text = keyText(place.key);
    const now = clock.now();
    const terms = books.shape(place, pool);
    const book = books.of(place);
    const counts = book.counts();
    const problems = terms.kind === "terms" ? poolPolicy(pool, terms).problems : [];
    const view: PoolView = { terms, counts, oddities: () => book.oddities(), problems };
    const inUse = isDeleting(pool) ? (await addressesOf(truth, place, signal)).length : counts.used;
    const sinceMs = now - (sweptAt.get(text) ?? -Infinity);
    const isSwept = sinceMs < sweepEveryMs;
    if (!isSwept) sweptAt.set(text, now);
    const found = isSwept ? [] : await reservations.of(place, pool, signal);
    const stale = await staleReservations(reservations, found, now);
    // What this round was woken by may leave one; whoever made it may be dead by then.
    const sweepInMs = isSwept
      ? sweepEveryMs - sinceMs
      : found.length > stale.length
        ? sweepEveryMs
        : undefined;
    const isDue = differs(pool, wanted(pool, view));
    const restMs = isDue ? (budgets.get(text)?.restMs(now) ?? 0) : 0;
    return { pool, place, terms, view, inUse, stale, restMs, sweepInMs };
  }

  function wanted(pool: Pool, view: PoolView) {
    return poolStatus(pool, view, { now: timestamp(clock), conditions: !prunes });
  }

  async function report(
    { pool, place, terms, view, restMs }: PoolSeen,
    plan: Plan<PoolAction>,
  ): Promise<void> {
    if (isPaused(pool) || plan.actions.some((action) => action.do === "let pool go")) return;
    const text = keyText(place.key);
    // Read again: the finalizer may have been written since.
    const fresh = await store.get(kind, place.key);
    if (fresh?.metadata.uid === pool.metadata.uid && restMs === 0) {
      const status = wanted(fresh, view);
      if (differs(fresh, status)) {
        const budget = budgets.get(text) ?? new WriteBudget();
        budgets.set(text, budget);
        budget.spend(clock.now());
        const written = await store.updateStatus(kind, { ...fresh, status });
        if (!written.status?.conditions) prunes = true;
      }
    }
    if (terms.kind === "terms") return;
    const mistakes = terms.problems.map(({ field, message }) => `${field} ${message}`).join("; ");
    throw new Fault("Invalid", `${poolName(place)} cannot be used: ${mistakes}`, {
      problems: terms.problems,
    });
  }

  return {
    name,
    kind: kind as unknown as Kind,
    follows: [followAddresses(kind)],
    begin(means) {
      store.follow(kind, means.cache(kind));
    },
    reconciler: steps<PoolSeen, PoolAction>(
      {
        async observe(key, signal) {
          const pool = await store.get(kind, key, signal);
          return pool && deps.serves(pool) ? observe(pool, signal) : undefined;
        },
        plan: planPool,
        act: (seen, action) => act(store, reservations, seen, action),
        report: (seen, plan) => report(seen, plan),
      },
      { clock, log: deps.log.child({ controller: name }) },
    ),
  };
}

function followAddresses(kind: Kind<Pool>): Follow {
  return {
    kind: ipAddress as unknown as Kind,
    affects: (address) => {
      const place = poolPlace(address as IPAddress);
      return place?.kind === kind ? [place.key] : [];
    },
  };
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
