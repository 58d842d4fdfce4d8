import {
  isDeleting,
  keyOf,
  keyText,
  parseKey,
  sameJson,
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
import { cluster, metal3IPPool } from "#proto";
import type { Reservations } from "../reservation.ts";
import { act } from "./act.ts";
import { clusterKeys, flavours, observe, poolKeyOf, type Flavour, type Metal3Seen } from "./observe.ts";
import type { PoolMemories } from "./memory.ts";
import { indexesOf, planMetal3, type Metal3Action } from "./plan.ts";

export interface Metal3Deps {
  readonly store: ResourceStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly reservations: Reservations;
  /** For pools that give out addresses at random. */
  readonly random: () => number;
  readonly memories: PoolMemories;
}

/** Serves Metal3's IPPools: their IPClaims, and Cluster API's IPAddressClaims on them. A round is for a pool with all its claims. */
export function metal3Controller(deps: Metal3Deps): Controller {
  const { clock } = deps;
  const { memories } = deps;
  const waiting = new Map<string, Set<string>>();
  const log = deps.log.child({ controller: "ipam-metal3" });
  return {
    name: "ipam-metal3",
    kind: metal3IPPool,
    follows: [
      ...(Object.keys(flavours) as Flavour[]).flatMap(followFlavour),
      { kind: cluster, affects: (object) => [...(waiting.get(keyText(keyOf(object))) ?? [])].map(parseKey) },
    ],
    reconciler: steps<Metal3Seen, Metal3Action>(
      {
        observe: async (key, signal) => {
          const seen = await observe({ ...deps, now: clock.now, memory: memories.of(key) }, key, signal);
          if (!seen) memories.forget(key);
          else
            for (const text of clusterKeys(seen))
              waiting.set(text, (waiting.get(text) ?? new Set()).add(keyText(key)));
          return seen;
        },
        plan: planMetal3,
        act: async (seen, action) => {
          try {
            await act(deps, seen, action);
          } finally {
            if (action.do === "give addresses") memories.of(seen.key).drawAnew();
          }
        },
        report: (seen) => report(deps, seen),
      },
      { clock, log, describe: countOf },
    ),
  };
}

function followFlavour(flavour: Flavour): Follow[] {
  const follow = (kind: Kind): Follow => ({
    kind,
    affects: (object) => {
      const key: Key | undefined = poolKeyOf(flavour, object);
      return key ? [key] : [];
    },
  });
  const { claimKind, addressKind } = flavours[flavour];
  return [follow(claimKind), follow(addressKind)];
}

function countOf(action: Metal3Action) {
  switch (action.do) {
    case "protect claims":
      return { count: action.claims.length };
    case "let claims go":
      return { count: action.leaving.length };
    case "give addresses":
      return { count: action.grants.length };
    case "release addresses":
      return { count: action.addresses.length };
    default:
      return {};
  }
}

/** status.indexes as they were at the look; what this round changed comes with the next, which its own writes bring. */
async function report({ store, clock }: Metal3Deps, seen: Metal3Seen): Promise<void> {
  const { pool, key } = seen;
  if (!pool || isDeleting(pool)) return;
  const indexes = indexesOf(seen);
  if (pool.status?.lastUpdated !== undefined && sameJson(pool.status.indexes ?? {}, indexes)) return;
  const fresh = await store.get(metal3IPPool, key);
  if (fresh?.metadata.uid !== pool.metadata.uid) return;
  const { indexes: _former, ...rest } = fresh.status ?? {};
  await store.updateStatus(metal3IPPool, {
    ...fresh,
    status: {
      ...rest,
      ...(Object.keys(indexes).length > 0 ? { indexes } : {}),
      lastUpdated: timestamp(clock),
    },
  });
}
