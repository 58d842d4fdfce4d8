// Sets of addresses as sorted lists of intervals that neither overlap nor touch. All functions are pure.

/** Both ends belong to it. */
export interface Interval {
  readonly low: bigint;
  readonly high: bigint;
}

/** Sorted; between any two lies at least one address that is in neither. */
export type IntervalSet = readonly Interval[];

/** Any intervals, in any order, made a set. */
export function toSet(intervals: readonly Interval[]): IntervalSet {
  const sorted = intervals
    .filter(({ low, high }) => low <= high)
    .sort((a, b) => (a.low < b.low ? -1 : a.low > b.low ? 1 : 0));
  const set: { low: bigint; high: bigint }[] = [];
  for (const { low, high } of sorted) {
    const last = set.at(-1);
    if (last && low <= last.high + 1n) last.high = high > last.high ? high : last.high;
    else set.push({ low, high });
  }
  return set;
}

/** What is in `from` and not in `what`. */
export function subtract(from: IntervalSet, what: IntervalSet): IntervalSet {
  const left: Interval[] = [];
  let at = 0;
  for (const { low, high } of from) {
    let start = low;
    while (at < what.length && (what[at] as Interval).high < start) at++;
    for (let i = at; i < what.length; i++) {
      const hole = what[i] as Interval;
      if (hole.low > high) break;
      if (hole.low > start) left.push({ low: start, high: hole.low - 1n });
      start = hole.high + 1n;
    }
    if (start <= high) left.push({ low: start, high });
  }
  return left;
}

/** What is in both. */
export function intersect(a: IntervalSet, b: IntervalSet): IntervalSet {
  return subtract(a, subtract(a, b));
}

/** How many addresses are in it. */
export function sizeOf(set: IntervalSet): bigint {
  return set.reduce((sum, { low, high }) => sum + high - low + 1n, 0n);
}

/** The interval that holds the value, by binary search. */
export function find(set: IntervalSet, value: bigint): Interval | undefined {
  let from = 0;
  let to = set.length - 1;
  while (from <= to) {
    const middle = (from + to) >> 1;
    const interval = set[middle] as Interval;
    if (value < interval.low) to = middle - 1;
    else if (value > interval.high) from = middle + 1;
    else return interval;
  }
  return undefined;
}

export function includes(set: IntervalSet, value: bigint): boolean {
  return find(set, value) !== undefined;
}
