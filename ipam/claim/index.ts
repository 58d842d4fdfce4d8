import {
  isDeleting,
  keyOf,
  keyText,
  steps,
  timestamp,
  type Clock,
  type Controller,
  type Follow,
  type Key,
  type Kind,
  type Logger,
  type NearStore,
  type ResourceStore,
} from "#core";
import { cluster, ipAddress, ipAddressClaim, type IPAddress } from "#proto";
import type { Books } from "../books.ts";
import type { IpamGauges } from "../gauges.ts";
import { Waiters } from "../waiters.ts";
import { placeOf, placeText, poolPlace, type Pool } from "../words.ts";
import { act, type Rivals } from "./act.ts";
import { awaited, clusterText, isPaused, observe, stateText, type Seen } from "./observe.ts";
import { planClaim, type ClaimAction } from "./plan.ts";
import { report } from "./report.ts";

export interface ClaimDeps {
  readonly store: NearStore;
  /** Answers from what was written. */
  readonly truth: ResourceStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly books: Books;
  readonly rivals: Rivals | undefined;
  /** Which claims are ours to serve, of those on our pools. */
  readonly serves: (claim: { readonly metadata: { readonly labels?: Record<string, string> } }) => boolean;
  readonly kinds: readonly Kind<Pool>[];
  readonly gauges?: IpamGauges | undefined;
  readonly concurrency?: number;
}

/** So many rounds at once where each needs a look at all IPAddresses of its pool (looks.ts): the more share one, the fewer there are. */
const sharingLooks = 256;

/** Gives addresses to IPAddressClaims on our pools, and takes them back. */
export function claimController(deps: ClaimDeps): Controller {
  const { store, truth, clock, books, rivals } = deps;
  const waiters = new Waiters();
  const orphans = new Map<string, { readonly uid: string; readonly since: number }>();
  /** Claims whose round found nothing free. */
  const exhausted = new Set<string>();

  const orphanSince = (key: Key, address: IPAddress | undefined): number => {
    const known = orphans.get(keyText(key));
    if (!address) orphans.delete(keyText(key));
    if (!address || known?.uid === address.metadata.uid) return known?.since ?? clock.now();
    orphans.set(keyText(key), { uid: address.metadata.uid, since: clock.now() });
    return clock.now();
  };

  const inner = steps<Seen, ClaimAction>(
    {
      observe: (key, signal) =>
        observe({ store, truth, books, isLed: rivals === undefined, orphanSince }, key, signal),
      plan: (seen, now) => {
        const plan = planClaim(seen, now);
        const key = keyOf(seen.kind === "claim" ? seen.claim : seen.address);
        if (seen.kind !== "claim" || (plan.conditions.some(isReady) && plan.actions.length === 0))
          waiters.drop(key);
        else if (seen.offer?.kind === "exhausted") {
          exhausted.add(keyText(key));
          waiters.note(key, awaited(seen.claim, true));
        }
        return plan;
      },
      act: (seen, action) => act(deps, seen, action),
      async report(seen, plan, failure) {
        const isBinding = await report(store, seen, plan, failure, timestamp(clock));
        if (isBinding && seen.kind === "claim")
          deps.gauges?.noteBound(clock.now() - Date.parse(seen.claim.metadata.creationTimestamp));
      },
    },
    {
      clock,
      log: deps.log.child({ controller: "ipam-claims" }),
      describe: (action) => (action.do === "allocate address" ? { address: action.text } : {}),
    },
  );

  return {
    name: "ipam-claims",
    kind: ipAddressClaim,
    concurrency: deps.concurrency ?? (rivals ? sharingLooks : 64),
    follows: [followAddresses, followClusters(waiters), ...followPools(store, deps.kinds, waiters)],
    begin(means) {
      for (const kind of [ipAddressClaim, ipAddress, cluster, ...deps.kinds]) {
        const each = kind as unknown as Kind;
        store.follow(each, means.cache(each));
      }
      books.begin(means);
    },
    reconciler: {
      async reconcile(key, signal) {
        const claim = await store.get(ipAddressClaim, key, signal);
        const place = claim && poolPlace(claim);
        if (claim && (!place || !deps.kinds.includes(place.kind) || !deps.serves(claim))) {
          waiters.drop(key);
          return {};
        }
        if (claim)
          waiters.note(key, awaited(claim, false)); // before looking: what changes from now on wakes it
        else waiters.drop(key);
        exhausted.delete(keyText(key));
        try {
          return await inner.reconcile(key, signal);
        } finally {
          books.settle(key, exhausted.has(keyText(key)));
          if (!claim) {
            books.forget(key);
            await rivals?.reservations.forget(key).catch(() => {}); // then it is swept
          }
        }
      },
    },
  };
}

function isReady({ type, status }: { readonly type: string; readonly status: string }): boolean {
  return type === "Ready" && status === "True";
}

/** An address concerns its claim. Who waits for one to come free is woken by the pool's book. */
const followAddresses: Follow = {
  kind: ipAddress as unknown as Kind,
  affects(object) {
    const address = object as IPAddress;
    if (!poolPlace(address)) return [];
    const { namespace } = address.metadata;
    return [{ ...(namespace === undefined ? {} : { namespace }), name: address.spec.claimRef.name }];
  },
};

/**
 * A pool concerns those who wait for it, when something changed that they could wait for: its counters are not that. Who waits for
 * room alone hears of it only when it appears, is paused or goes; the book wakes them when there is room.
 */
function followPools(store: NearStore, kinds: readonly Kind<Pool>[], waiters: Waiters): Follow[] {
  const states = new Map<string, string>();
  const shapes = new Map<string, string>();
  const follow = (kind: Kind<Pool>): Follow => ({
    kind: kind as unknown as Kind,
    async affects(object) {
      const pool = object as Pool;
      const place = placeOf(kind, pool);
      const text = placeText(place);
      const isThere = (await store.get(kind, place.key))?.metadata.uid === pool.metadata.uid;
      const { uid, generation, annotations } = pool.metadata;
      const isNew = (known: Map<string, string>, now: unknown) => {
        const value = JSON.stringify(now);
        const changed = known.get(text) !== value;
        known.set(text, value);
        return changed;
      };
      const byState = isNew(states, [uid, isThere, isPaused(pool), isDeleting(pool)]);
      const byShape = isNew(shapes, [uid, generation, annotations]);
      return [
        ...(byState ? waiters.at(stateText(text)) : []),
        ...(byState || byShape ? waiters.at(text) : []),
      ];
    },
  });
  return kinds.map(follow);
}

function followClusters(waiters: Waiters): Follow {
  return { kind: cluster, affects: (object) => waiters.at(clusterText(keyOf(object))) };
}
