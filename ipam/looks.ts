// Fresh looks at all IPAddresses of a pool, shared by all who ask for one before it begins: a look that many wait for costs as much
// as one that a single claim waits for.
import { keyOf, keyText, type ResourceStore } from "#core";
import type { IPAddress } from "#proto";
import { addressesOf } from "./in-use.ts";
import type { Terms } from "./terms.ts";
import { placeText, type PoolPlace } from "./words.ts";

/** What was seen. */
export class Look {
  readonly #addresses: readonly IPAddress[];
  #bearers: { readonly terms: Terms; readonly by: ReadonlyMap<bigint, readonly IPAddress[]> } | undefined;

  constructor(addresses: readonly IPAddress[]) {
    this.#addresses = addresses;
  }

  /** Another IPAddress than the one of this key that bears the value, as the pool's text has it. */
  rival(terms: Terms, value: bigint, owner: string): IPAddress | undefined {
    return this.#bearersOf(terms)
      .get(value)
      ?.find((address) => keyText(keyOf(address)) !== owner);
  }

  /** Sorted once for all who share the look. */
  #bearersOf(terms: Terms): ReadonlyMap<bigint, readonly IPAddress[]> {
    if (this.#bearers?.terms === terms) return this.#bearers.by;
    const by = new Map<bigint, IPAddress[]>();
    for (const address of this.#addresses) {
      const value = terms.read(address.spec.address);
      if (value === undefined) continue;
      const others = by.get(value);
      if (others) others.push(address);
      else by.set(value, [address]);
    }
    this.#bearers = { terms, by };
    return by;
  }
}

export class Looks {
  readonly #store: ResourceStore;
  readonly #running = new Map<string, Promise<Look>>();
  readonly #next = new Map<string, Promise<Look>>();

  /** `store` answers from what was written, never from a copy. */
  constructor(store: ResourceStore) {
    this.#store = store;
  }

  /** All IPAddresses of the pool, by a read that begins after this call: it shows every write that was answered before. */
  look(place: PoolPlace): Promise<Look> {
    const text = placeText(place);
    const running = this.#running.get(text);
    if (!running) return this.#begin(text, place);
    let next = this.#next.get(text);
    if (!next) {
      const begin = () => this.#begin(text, place);
      this.#next.set(text, (next = running.then(begin, begin)));
    }
    return next;
  }

  #begin(text: string, place: PoolPlace): Promise<Look> {
    this.#next.delete(text);
    const seeing = addressesOf(this.#store, place).then((addresses) => new Look(addresses));
    const running = seeing.finally(() => {
      if (this.#running.get(text) === running) this.#running.delete(text);
    });
    this.#running.set(text, running);
    return running;
  }
}
