// Probes the addresses that a Metal3 pool would give next, in order or by chance, as conflicts/ahead.ts does for the other kinds.
import { type Controller, type Kind } from "#core";
import { metal3IPPool } from "#proto";
import { depth, lookAgainMs, LookAhead, restMs, wantsProbe } from "../conflicts/look-ahead.ts";
import type { Prober } from "../conflicts/probe.ts";
import type { Metal3Deps } from "./index.ts";
import { flavours, observe, poolKeyOf, type Flavour } from "./observe.ts";
import { nextOf } from "./free.ts";
import { poolText } from "./words.ts";

export function metal3AheadController(deps: Metal3Deps & { readonly prober: Prober }): Controller {
  const { store, clock, memories } = deps;
  const name = "ipam-ahead-metal3";
  const ahead = new LookAhead({ ...deps, log: deps.log.child({ controller: name }) });
  return {
    name,
    kind: metal3IPPool,
    concurrency: 2,
    follows: (Object.keys(flavours) as Flavour[]).map((flavour) => ({
      kind: flavours[flavour].addressKind as Kind,
      affects: (object) => {
        const key = poolKeyOf(flavour, object);
        return key && ahead.looksAt(poolText(key)) ? [key] : [];
      },
    })),
    reconciler: {
      async reconcile(key, signal) {
        const pool = await store.get(metal3IPPool, key, signal);
        if (!pool || !wantsProbe(pool)) {
          ahead.forget(poolText(key));
          return {};
        }
        const memory = memories.of(key);
        const seen = await observe({ ...deps, now: clock.now, memory }, key, signal);
        if (!seen) return {};
        const avoid = (address: Parameters<typeof memory.avoid>[0]) =>
          memory.avoid(address, clock.now() + restMs);
        await ahead.probe({ name: poolText(key), object: pool }, nextOf(seen, depth), avoid, signal);
        return { after: lookAgainMs };
      },
    },
  };
}
