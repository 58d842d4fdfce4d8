import fc from "fast-check";
import { expect, test } from "vitest";
import { FreeIndex } from "./free-index.ts";
import { includes, sizeOf, subtract, toSet, type Interval } from "./intervals.ts";

/** The simplest thing that is right: a flag per address. */
class Bitmap {
  readonly #base: bigint;
  readonly #member: boolean[] = [];
  readonly #free: boolean[] = [];

  constructor(universe: readonly Interval[], base: bigint, length: number) {
    this.#base = base;
    for (let i = 0; i < length; i++) {
      const inside = universe.some(({ low, high }) => low <= base + BigInt(i) && base + BigInt(i) <= high);
      this.#member.push(inside);
      this.#free.push(inside);
    }
  }
  get free(): bigint {
    return BigInt(this.#free.filter(Boolean).length);
  }
  take(): bigint | undefined {
    const at = this.#free.indexOf(true);
    if (at < 0) return undefined;
    this.#free[at] = false;
    return this.#base + BigInt(at);
  }
  reserve(address: bigint): boolean {
    const at = Number(address - this.#base);
    const was = this.#free[at] ?? false;
    if (was) this.#free[at] = false;
    return was;
  }
  release(address: bigint): boolean {
    const at = Number(address - this.#base);
    const may = (this.#member[at] ?? false) && !this.#free[at];
    if (may) this.#free[at] = true;
    return may;
  }
  intervals(): Interval[] {
    return [
      ...toSet(
        this.#free.flatMap((free, i) =>
          free ? [{ low: this.#base + BigInt(i), high: this.#base + BigInt(i) }] : [],
        ),
      ),
    ];
  }
}

const universeOf = (base: bigint, length: number) =>
  fc
    .array(fc.tuple(fc.nat(length - 1), fc.nat(length - 1)), { minLength: 1, maxLength: 6 })
    .map((pairs) =>
      toSet(
        pairs.map(([a, b]) => ({ low: base + BigInt(Math.min(a, b)), high: base + BigInt(Math.max(a, b)) })),
      ),
    );
const operation = (length: number) =>
  fc.tuple(fc.constantFrom("take", "take", "reserve", "release", "release"), fc.nat(length - 1));

// Both families, in the middle of their space and at its very ends: arithmetic must neither wrap nor go negative.
const bases: [string, bigint][] = [
  ["IPv4", 0x0a000000n],
  ["IPv4 at the end", 2n ** 32n - 200n],
  ["IPv6", 0x20010db8n << 96n],
  ["IPv6 at the end", 2n ** 128n - 200n],
  ["at zero", 0n],
];

test.each(bases)("behaves like a bitmap over %s", (_name, base) => {
  const length = 200;
  fc.assert(
    fc.property(
      universeOf(base, length),
      fc.array(operation(length), { minLength: 50, maxLength: 300 }),
      (universe, list) => {
        const index = new FreeIndex(universe);
        const model = new Bitmap(universe, base, length);
        for (const [what, offset] of list) {
          const address = base + BigInt(offset);
          if (what === "take") expect(index.take()).toBe(model.take());
          else if (what === "reserve") expect(index.reserve(address)).toBe(model.reserve(address));
          else expect(index.release(address)).toBe(model.release(address));
        }
        expect([...index.intervals()]).toEqual(model.intervals());
        expect(index.free).toBe(model.free);
        for (let i = 0; i < length; i++) {
          const address = base + BigInt(i);
          expect(index.isFree(address)).toBe(includes(model.intervals(), address));
        }
      },
    ),
    { numRuns: 40 },
  );
});

test("200,000 random operations on a /16 agree with a bitmap, in seconds", () => {
  const size = 65_536;
  const base = 0x0a000000n;
  const index = new FreeIndex([{ low: base, high: base + BigInt(size - 1) }]);
  const free = new Uint8Array(size).fill(1);
  let lowest = 0; // nothing below is free
  let count = size;
  let seed = 42;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return seed % below;
  };
  for (let i = 0; i < 200_000; i++) {
    const at = random(size);
    // Fills first, then churns around a half-full, fragmented pool.
    const what = i < 50_000 ? 0 : random(4);
    if (what === 0) {
      while (lowest < size && !free[lowest]) lowest++;
      const want = lowest < size ? base + BigInt(lowest) : undefined;
      if (want !== undefined) count -= free[lowest] ?? 0;
      if (want !== undefined) free[lowest] = 0;
      if (index.take() !== want) throw new Error(`operation ${i}: took another than the lowest`);
    } else if (what === 1) {
      const was = free[at] === 1;
      if (was) count--;
      free[at] = 0;
      if (index.reserve(base + BigInt(at)) !== was) throw new Error(`operation ${i}: reserve ${at}`);
    } else {
      const may = free[at] === 0;
      if (may) count++;
      free[at] = 1;
      lowest = Math.min(lowest, at);
      if (index.release(base + BigInt(at)) !== may) throw new Error(`operation ${i}: release ${at}`);
    }
  }
  expect(index.free).toBe(BigInt(count));
});

test("a universe larger than any counter is no trouble", () => {
  const index = new FreeIndex([{ low: 0n, high: 2n ** 128n - 1n }]);
  expect(index.free).toBe(2n ** 128n);
  expect(index.take()).toBe(0n);
  expect(index.reserve(2n ** 127n)).toBe(true);
  expect([...index.intervals()]).toEqual([
    { low: 1n, high: 2n ** 127n - 1n },
    { low: 2n ** 127n + 1n, high: 2n ** 128n - 1n },
  ]);
});

test("sets: subtracting and joining agree with counting one by one", () => {
  const interval = fc
    .tuple(fc.nat(40), fc.nat(10))
    .map(([low, more]) => ({ low: BigInt(low), high: BigInt(low + more) }));
  fc.assert(
    fc.property(fc.array(interval), fc.array(interval), (a, b) => {
      const within = (list: readonly Interval[], value: bigint) =>
        list.some(({ low, high }) => low <= value && value <= high);
      const left = subtract(toSet(a), toSet(b));
      let count = 0n;
      for (let value = 0n; value <= 60n; value++) {
        expect(includes(toSet(a), value)).toBe(within(a, value));
        expect(includes(left, value)).toBe(within(a, value) && !within(b, value));
        if (includes(left, value)) count++;
      }
      expect(sizeOf(left)).toBe(count);
      expect(toSet(left)).toEqual(left);
    }),
  );
});
