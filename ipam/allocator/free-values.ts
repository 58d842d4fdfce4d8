// The values that may be given out, and which of them goes next: lowest first, any, or the one released longest ago.
import { FreeIndex } from "./free-index.ts";
import { subtract, toSet, type IntervalSet } from "./intervals.ts";
import { RandomOrder } from "./random-order.ts";
import { ReleaseOrder } from "./release-order.ts";

export const strategies = ["lowest", "random", "least-recently-released"] as const;
export type Strategy = (typeof strategies)[number];

export class FreeValues {
  #strategy: Strategy = "lowest";
  #all = new FreeIndex([]);
  /** Free and never used; kept only for the strategy that asks. */
  #fresh: FreeIndex | undefined;
  readonly #worn = new ReleaseOrder();
  /** Drawn from only where chance decides. */
  readonly #byChance: RandomOrder;

  /** `random` is in [0, 1). */
  constructor(random: () => number) {
    this.#byChance = new RandomOrder(random);
  }

  /** All of `open` but `kept`. In which order they were released is remembered; what comes by chance is, unless more is free now. */
  reset(open: IntervalSet, kept: readonly bigint[], strategy: Strategy = "lowest"): void {
    const former = this.#all;
    this.#strategy = strategy;
    this.#all = new FreeIndex(open, single(kept));
    if (strategy !== "random" || subtract([...this.#all.intervals()], [...former.intervals()]).length > 0)
      this.#byChance.clear();
    else for (const value of this.#byChance.drawn) if (!this.#all.isFree(value)) this.#byChance.remove(value);
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
        return this.#byChance.first(1, this.#all)[0];
      case "least-recently-released":
        return this.#fresh?.lowest() ?? this.#worn.first();
      default:
        return this.#all.lowest();
    }
  }

  /** The values that go next, in order, as long as nothing comes free. What chance brings is drawn for it, and stays so. */
  ahead(count: number): readonly bigint[] {
    switch (this.#strategy) {
      case "random":
        return this.#byChance.first(count, this.#all);
      case "least-recently-released":
        return first(count, this.#fresh ? valuesOf(this.#fresh) : [], this.#worn);
      default:
        return first(count, valuesOf(this.#all));
    }
  }

  remove(value: bigint): void {
    this.#all.reserve(value);
    this.#byChance.remove(value);
    this.#fresh?.reserve(value);
    this.#worn.remove(value);
  }

  /** False where it was free, or does not belong here. `worn`: it was in use before. */
  add(value: bigint, worn: boolean): boolean {
    if (!this.#all.release(value)) return false;
    this.#byChance.add(value, this.#all.free);
    if (worn) this.#worn.add(value);
    else this.#fresh?.release(value);
    return true;
  }
}

function single(values: readonly bigint[]): IntervalSet {
  return toSet(values.map((value) => ({ low: value, high: value })));
}

function* valuesOf(index: FreeIndex): Generator<bigint> {
  for (const { low, high } of index.intervals()) for (let value = low; value <= high; value++) yield value;
}

/** The first so many of all these, one list after the other. */
function first(count: number, ...lists: readonly Iterable<bigint>[]): readonly bigint[] {
  const values: bigint[] = [];
  for (const list of lists)
    for (const value of list) {
      if (values.length >= count) return values;
      values.push(value);
    }
  return values;
}
