// The values that may be given out, and which of them goes next: lowest first, any, or the one released longest ago.
import { randomBelow } from "./chance.ts";
import { FreeIndex } from "./free-index.ts";
import { toSet, type IntervalSet } from "./intervals.ts";
import { ReleaseOrder } from "./release-order.ts";

export const strategies = ["lowest", "random", "least-recently-released"] as const;
export type Strategy = (typeof strategies)[number];

export class FreeValues {
  readonly #random: () => number;
  #strategy: Strategy = "lowest";
  #all = new FreeIndex([]);
  /** Free and never used; kept only for the strategy that asks. */
  #fresh: FreeIndex | undefined;
  readonly #worn = new ReleaseOrder();

  /** `random` is in [0, 1). */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** All of `open` but `kept`. In which order they were released is remembered. */
  reset(open: IntervalSet, kept: readonly bigint[], strategy: Strategy = "lowest"): void {
    this.#strategy = strategy;
    this.#all = new FreeIndex(open, single(kept));
    for (const value of [...this.#worn]) if (!this.#all.isFree(value)) this.#worn.remove(value);
    this.#fresh =
      strategy === "least-recently-released"
        ? new FreeIndex(open, single([...kept, ...this.#worn]))
        : undefined;
  }

  get count(): bigint {
    return this.#all.free;
  }

  has(value: bigint): boolean {
    return this.#all.isFree(value);
  }

  /** Whether it was in use before. */
  isWorn(value: bigint): boolean {
    return this.#worn.has(value);
  }

  /** The value that goes next. It stays free until it is removed. */
  next(): bigint | undefined {
    switch (this.#strategy) {
      case "random":
        return this.#all.nth(randomBelow(this.#all.free, this.#random));
      case "least-recently-released":
        return this.#fresh?.lowest() ?? this.#worn.first();
      default:
        return this.#all.lowest();
    }
  }

  /** The values that go next, in order; none where chance decides. */
  ahead(count: number): readonly bigint[] {
    if (this.#strategy === "random") return [];
    const values: bigint[] = [];
    for (const { low, high } of (this.#fresh ?? this.#all).intervals())
      for (let value = low; value <= high; value++) {
        if (values.length === count) return values;
        values.push(value);
      }
    return values;
  }

  remove(value: bigint): void {
    this.#all.reserve(value);
    this.#fresh?.reserve(value);
    this.#worn.remove(value);
  }

  /** False where it was free, or does not belong here. `worn`: it was in use before. */
  add(value: bigint, worn: boolean): boolean {
    if (!this.#all.release(value)) return false;
    if (worn) this.#worn.add(value);
    else this.#fresh?.release(value);
    return true;
  }
}

function single(values: readonly bigint[]): IntervalSet {
  return toSet(values.map((value) => ({ low: value, high: value })));
}
