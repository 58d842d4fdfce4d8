// What was asked of the wire about the addresses that a pool would give next. Whoever serves the pool says which those are, and leaves
// out what is taken.
//
//   L1. An address that is in use on the wire rests: it is not given, and is probed again when its rest is over.
//   L2. What was found free counts for a while; what was not probed yet may be given, since waiting could be for ever.
import type { Clock, Logger, Resource, ResourceStore } from "#core";
import { formatAddress, type Address } from "../address.ts";
import { sayEvent } from "../events.ts";
import type { Prober } from "./probe.ts";

export const probeAnnotation = "ipam.pcg.dev/probe";

/** How many addresses are looked at ahead. */
export const depth = 16;
/** How long one that is in use is left out. */
export const restMs = 600_000;
const freeForMs = 60_000;
/** When a pool is looked at again, before what was learnt is old. */
export const lookAgainMs = freeForMs / 2;

export function wantsProbe(pool: Resource | undefined): boolean {
  return pool?.metadata.annotations?.[probeAnnotation] === "arp";
}

export interface LookAheadDeps {
  readonly store: ResourceStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly prober: Prober;
}

/** Of all pools that one controller looks at. */
export class LookAhead {
  readonly #deps: LookAheadDeps;
  /** By pool ("InClusterIPPool c/nodes"): what was found free, and until when that counts. */
  readonly #free = new Map<string, Map<string, number>>();

  constructor(deps: LookAheadDeps) {
    this.#deps = deps;
  }

  looksAt(pool: string): boolean {
    return this.#free.has(pool);
  }

  forget(pool: string): void {
    this.#free.delete(pool);
  }

  /** Probes those of `next` of which nothing is known; calls `avoid` for each that is taken (L1), and says so by an event on the pool. */
  async probe(
    pool: { readonly name: string; readonly object: Resource },
    next: readonly Address[],
    avoid: (address: Address) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock, log, prober } = this.#deps;
    const now = clock.now();
    const known = new Map([...(this.#free.get(pool.name) ?? [])].filter(([, until]) => until > now));
    this.#free.set(pool.name, known);
    await Promise.all(
      next.map(async (address) => {
        const text = formatAddress(address);
        if (known.has(text)) return;
        const result = await prober.probe(address, signal);
        if (result.kind !== "taken") {
          known.set(text, clock.now() + freeForMs); // L2
          return;
        }
        avoid(address);
        log.warn("an address is in use on the network", { pool: pool.name, address: text, mac: result.mac });
        await sayEvent(this.#deps, {
          about: pool.object,
          type: "Warning",
          reason: "AddressInUse",
          message: `${text} of ${pool.name} is in use on the network by ${result.mac}, but was given to nobody; it is left out`,
        });
      }),
    );
  }
}
