// Fresh looks at all IPAddresses of a pool, shared by all who ask for one before it begins: a look that many wait for costs as much
// as one that a single claim waits for.
import type { ResourceStore } from "#core";
import type { IPAddress } from "#proto";
import { addressesOf } from "./in-use.ts";
import { placeText, type PoolPlace } from "./words.ts";

export class Looks {
  readonly #store: ResourceStore;
  readonly #running = new Map<string, Promise<readonly IPAddress[]>>();
  readonly #next = new Map<string, Promise<readonly IPAddress[]>>();

  /** `store` answers from what was written, never from a copy. */
  constructor(store: ResourceStore) {
    this.#store = store;
  }

  /** All IPAddresses of the pool, by a read that begins after this call: it shows every write that was answered before. */
  look(place: PoolPlace): Promise<readonly IPAddress[]> {
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

  #begin(text: string, place: PoolPlace): Promise<readonly IPAddress[]> {
    this.#next.delete(text);
    const running = addressesOf(this.#store, place).finally(() => {
      if (this.#running.get(text) === running) this.#running.delete(text);
    });
    this.#running.set(text, running);
    return running;
  }
}
