// Probes the addresses that a pool of the in-cluster provider's kinds would give next, before anybody asks for them; claims never wait
// for a probe. For pools that ask for it (annotation ipam.pcg.dev/probe: arp), whatever decides what comes next.
import { type Clock, type Controller, type Key, type Kind, type Logger, type ResourceStore } from "#core";
import { ipAddress } from "#proto";
import type { Books } from "../books.ts";
import { placeOf, poolName, poolPlace, type Pool } from "../words.ts";
import { depth, lookAgainMs, LookAhead, restMs, wantsProbe } from "./look-ahead.ts";
import type { Prober } from "./probe.ts";

export interface AheadDeps {
  readonly store: ResourceStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly books: Books;
  readonly prober: Prober;
  readonly kinds: readonly Kind<Pool>[];
}

/** One controller per kind of pool: a round probes what is next, and comes again before what it learnt is old. */
export function aheadControllers(deps: AheadDeps): Controller[] {
  return deps.kinds.map((kind) => aheadController(deps, kind));
}

function aheadController({ books, ...deps }: AheadDeps, kind: Kind<Pool>): Controller {
  const name = `ipam-ahead-${kind.plural}`;
  const ahead = new LookAhead({ ...deps, log: deps.log.child({ controller: name }) });

  async function reconcile(key: Key, signal: AbortSignal) {
    const pool = await deps.store.get(kind, key, signal);
    if (!pool || !wantsProbe(pool)) {
      ahead.forget(poolName({ kind, key }));
      return {};
    }
    const place = placeOf(kind, pool);
    const terms = books.shape(place, pool);
    if (terms.kind === "wrong" || terms.word !== "address") return {};
    const { family } = terms;
    const book = books.of(place);
    const next = book.ahead(depth).map((value) => ({ family, value }));
    const about = { name: poolName({ kind, key }), object: pool };
    await ahead.probe(about, next, ({ value }) => book.avoid(value, restMs), signal);
    return { after: lookAgainMs };
  }

  return {
    name,
    kind,
    concurrency: 2,
    follows: [
      {
        kind: ipAddress as Kind,
        affects: (address) => {
          const place = poolPlace(address as never);
          return place?.kind === kind && ahead.looksAt(poolName(place)) ? [place.key] : [];
        },
      },
    ],
    reconciler: { reconcile },
  };
}
