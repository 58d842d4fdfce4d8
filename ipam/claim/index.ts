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
  type ResourceStore,
} from "#core";
import { cluster, ipAddress, ipAddressClaim, type IPAddress } from "#proto";
import { Desk } from "../desk.ts";
import type { Reservations } from "../reservation.ts";
import { Waiters } from "../waiters.ts";
import { placeOf, placeText, poolKinds, poolPlace, type Pool, type PoolPlace } from "../words.ts";
import { act } from "./act.ts";
import { awaited, clusterText, isPaused, observe, type Seen } from "./observe.ts";
import { planClaim, type ClaimAction } from "./plan.ts";
import { report } from "./report.ts";

/** Gives addresses to IPAddressClaims on our pools, and takes them back. */
export function claimController(deps: {
  readonly store: ResourceStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly reservations: Reservations;
}): Controller {
  const { store, clock } = deps;
  const waiters = new Waiters();
  const desks = new Map<string, Desk>();
  const orphans = new Map<string, { readonly uid: string; readonly since: number }>();

  const desk = (place: PoolPlace): Desk => {
    const text = placeText(place);
    let found = desks.get(text);
    if (!found) desks.set(text, (found = new Desk(store, deps.reservations, place)));
    return found;
  };
  const orphanSince = (key: Key, address: IPAddress | undefined): number => {
    const known = orphans.get(keyText(key));
    if (!address) orphans.delete(keyText(key));
    if (!address || known?.uid === address.metadata.uid) return known?.since ?? clock.now();
    orphans.set(keyText(key), { uid: address.metadata.uid, since: clock.now() });
    return clock.now();
  };

  const inner = steps<Seen, ClaimAction>(
    {
      observe: (key, signal) => observe({ store, desk, orphanSince }, key, signal),
      plan: (seen, now) => {
        const plan = planClaim(seen, now);
        const isAtRest =
          seen.kind !== "claim" || (plan.conditions.some(isReady) && plan.actions.length === 0);
        if (isAtRest) waiters.drop(keyOf(seen.kind === "claim" ? seen.claim : seen.address));
        return plan;
      },
      act: (seen, action) => act({ ...deps, desk }, seen, action),
      report: (seen, plan, failure) => report(store, seen, plan, failure, timestamp(clock)),
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
    concurrency: 32,
    follows: [followAddresses(store, waiters), followClusters(waiters), ...followPools(store, waiters)],
    reconciler: {
      async reconcile(key, signal) {
        const claim = await store.get(ipAddressClaim, key, signal);
        const place = claim && poolPlace(claim);
        if (!place) {
          waiters.drop(key);
          return claim ? {} : inner.reconcile(key, signal);
        }
        waiters.note(key, awaited(claim)); // before looking: what changes from now on wakes it
        try {
          return await inner.reconcile(key, signal);
        } finally {
          desks.get(placeText(place))?.settle(claim.metadata.uid);
        }
      },
    },
  };
}

function isReady({ type, status }: { readonly type: string; readonly status: string }): boolean {
  return type === "Ready" && status === "True";
}

/** An address concerns its claim; when it is gone, also those who wait for one. */
function followAddresses(store: ResourceStore, waiters: Waiters): Follow {
  const follow: Follow<IPAddress> = {
    kind: ipAddress,
    async affects(address) {
      const place = poolPlace(address);
      if (!place) return [];
      const { namespace } = address.metadata;
      const own: Key = {
        ...(namespace === undefined ? {} : { namespace }),
        name: address.spec.claimRef.name,
      };
      const waiting = waiters.at(placeText(place)).filter((key) => keyText(key) !== keyText(own));
      if (waiting.length === 0) return [own];
      const now = await store.get(ipAddress, keyOf(address));
      return now?.metadata.uid === address.metadata.uid ? [own] : [own, ...waiting];
    },
  };
  return follow as unknown as Follow;
}

/** A pool concerns those who wait for it, when something changed that they could wait for: its counters are not that. */
function followPools(store: ResourceStore, waiters: Waiters): Follow[] {
  const known = new Map<string, string>();
  const follow = (kind: Kind<Pool>): Follow => ({
    kind,
    async affects(pool) {
      const place = placeOf(kind, pool);
      const text = placeText(place);
      const { uid, generation } = pool.metadata;
      const shape = `${uid} ${generation} ${isPaused(pool)} ${isDeleting(pool)}`;
      const isKnown = known.get(text) === shape;
      known.set(text, shape);
      if (waiters.at(text).length === 0) return [];
      if (isKnown && (await store.get(kind, place.key))?.metadata.uid === uid) return [];
      return waiters.at(text);
    },
  });
  return poolKinds.map(follow);
}

function followClusters(waiters: Waiters): Follow {
  return { kind: cluster, affects: (object) => waiters.at(clusterText(keyOf(object))) };
}
