// Prefixes as numbers: the block n of length L is the network whose first L bits are n. So a pool that gives out prefixes is one that
// gives out numbers, in intervals like addresses. All functions are pure.
import type { Interval } from "./intervals.ts";

/** The number of the block of `length` bits that holds an address of `bits` bits. */
export function blockOf(address: bigint, length: number, bits: number): bigint {
  return address >> BigInt(bits - length);
}

/** The addresses of a block. */
export function networkOf(block: bigint, length: number, bits: number): Interval {
  const low = block << BigInt(bits - length);
  return { low, high: low + (1n << BigInt(bits - length)) - 1n };
}

/** The blocks that lie wholly in an interval of addresses; undefined where none does. */
export function blocksWithin({ low, high }: Interval, length: number, bits: number): Interval | undefined {
  const size = 1n << BigInt(bits - length);
  const first = (low + size - 1n) / size;
  const last = (high + 1n) / size - 1n;
  return first <= last ? { low: first, high: last } : undefined;
}

/** The blocks of which some address lies in the interval. */
export function blocksTouching({ low, high }: Interval, length: number, bits: number): Interval {
  return { low: blockOf(low, length, bits), high: blockOf(high, length, bits) };
}
