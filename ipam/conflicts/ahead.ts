// Probes the addresses that a pool would give next, before anybody asks for them; claims never wait for a probe. For pools that ask
// for it (annotation ipam.pcg.dev/probe: arp) and give out in order.
//
//   L1. An address that is in use on the wire rests: it is not given, and is probed again when its rest is over.
//   L2. What was found free counts for a while; what was not probed yet may be given, since waiting could be for ever.
import { type Clock, type Controller, type Key, type Kind, type Logger, type ResourceStore } from "#core";
import { ipAddress } from "#proto";
import { sayEvent } from "../events.ts";
import type { Books } from "../books.ts";
import { placeOf, placeText, poolName, poolPlace, type Pool } from "../words.ts";
import type { Prober } from "./probe.ts";

export const probeAnnotation = "ipam.pcg.dev/probe";

/** How many addresses are looked at ahead. */
const depth = 16;
const freeForMs = 60_000;
const restMs = 600_000;

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

function aheadController({ store, clock, log, books, prober }: AheadDeps, kind: Kind<Pool>): Controller {
  const probed = new Map<string, Map<bigint, number>>();
  const name = `ipam-ahead-${kind.plural}`;

  async function reconcile(key: Key, signal: AbortSignal) {
    const pool = await store.get(kind, key, signal);
    if (pool?.metadata.annotations?.[probeAnnotation] !== "arp") {
      probed.delete(placeText({ kind, key }));
      return {};
    }
    const place = placeOf(kind, pool);
    const terms = books.shape(place, pool);
    if (terms.kind === "wrong" || terms.word !== "address") return {};
    const book = books.of(place);
    const now = clock.now();
    const next = book.ahead(depth);
    const known = new Map([...(probed.get(placeText(place)) ?? [])].filter(([, until]) => until > now));
    probed.set(placeText(place), known);
    await Promise.all(
      next
        .filter((value) => !known.has(value))
        .map(async (value) => {
          const result = await prober.probe({ family: terms.family, value }, signal);
          if (result.kind !== "taken") {
            known.set(value, clock.now() + freeForMs); // L2
            return;
          }
          book.avoid(value, restMs); // L1
          const message = `${terms.text(value)} of ${poolName(place)} is in use on the network by ${result.mac}, but was given to nobody; it is left out`;
          log.warn("an address is in use on the network", {
            controller: name,
            address: terms.text(value),
            mac: result.mac,
          });
          await sayEvent({ store, clock }, { about: pool, type: "Warning", reason: "AddressInUse", message });
        }),
    );
    return { after: freeForMs / 2 };
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
          return place?.kind === kind && probed.has(placeText(place)) ? [place.key] : [];
        },
      },
    ],
    reconciler: { reconcile },
  };
}
