import { randomBelow } from "./chance.ts";
import type { FreeIndex } from "./free-index.ts";

/**
 * The beginning of an order of all free values, every order equally likely. It is drawn as far as somebody asks, and what was drawn
 * stays, so that it can be looked at before it is given. Whoever comes first in it is any free value with equal chance, at any time:
 * what comes free gets its place by chance among all, and what is taken leaves the others in their order.
 */
export class RandomOrder {
  readonly #random: () => number;
  #drawn: bigint[] = [];

  /** `random` is in [0, 1). */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** The first so many of the free values; all, where there are fewer. */
  first(count: number, free: FreeIndex): readonly bigint[] {
    while (this.#drawn.length < count && BigInt(this.#drawn.length) < free.free)
      this.#drawn.push(this.#draw(free));
    return this.#drawn.slice(0, count);
  }

  /** The value is one of so many free ones now. As much is known as before: the last that was drawn gives way. */
  add(value: bigint, free: bigint): void {
    if (this.#drawn.length === 0) return;
    const place = randomBelow(free, this.#random);
    if (place >= BigInt(this.#drawn.length)) return;
    this.#drawn.splice(Number(place), 0, value);
    this.#drawn.pop();
  }

  remove(value: bigint): void {
    const at = this.#drawn.indexOf(value);
    if (at >= 0) this.#drawn.splice(at, 1);
  }

  /** What was drawn and is not taken. */
  get drawn(): readonly bigint[] {
    return [...this.#drawn];
  }

  /** Draws anew. */
  clear(): void {
    this.#drawn = [];
  }

  /** Any of the free values that are not drawn yet. */
  #draw(free: FreeIndex): bigint {
    let rank = randomBelow(free.free - BigInt(this.#drawn.length), this.#random);
    for (const drawn of [...this.#drawn].sort((a, b) => (a < b ? -1 : 1)))
      if (drawn <= (free.nth(rank) as bigint)) rank++;
    return free.nth(rank) as bigint;
  }
}
