// What a Metal3 pool has left to give, and in which order. Pure.
import type { Metal3IPPool } from "#proto";
import type { Address } from "../address.ts";
import { FreeIndex, includes, randomBelow } from "../allocator/index.ts";
import type { Reservation } from "../reservation.ts";
import type { Metal3Seen } from "./observe.ts";
import { metal3Ranges, type Metal3Range, type Metal3Ranges } from "./ranges.ts";
import { reservedAnnotation } from "./words.ts";

export function rangesOf(pool: Metal3IPPool): Metal3Ranges {
  return metal3Ranges(pool.spec, pool.metadata.annotations?.[reservedAnnotation] === "true");
}

/** What is left, without `more`. */
export function freeOf(
  { pool, addresses, reservations, avoided, seed }: Metal3Seen,
  ranges: Metal3Ranges,
  more: readonly Address[] = [],
): FreePick | undefined {
  if (ranges.kind !== "ranges") return undefined;
  const taken = [
    ...addresses.flatMap(({ address }) => (address ? [address] : [])),
    ...reservations.flatMap(({ digits }) => both(digits)),
    ...avoided.map(({ address }) => address),
    ...more,
  ];
  return new FreePick(ranges.ranges, taken, pool?.spec.allocationStrategy === "random" ? seed : undefined);
}

/** The addresses that claims would get next, in order. Pure. */
export function nextOf(seen: Metal3Seen, count: number): Address[] {
  const free = seen.pool && freeOf(seen, rangesOf(seen.pool));
  const next: Address[] = [];
  for (let address = free?.take(); address && next.length < count; address = free?.take()) next.push(address);
  return next;
}

/** Reservations by the uid of their claim, the oldest first: revisions grow, and nothing changes a reservation. */
export function byClaim(reservations: readonly Reservation[]): ReadonlyMap<string, readonly Reservation[]> {
  const revision = ({ lease }: Reservation) => BigInt(lease.metadata.resourceVersion);
  const found = new Map<string, Reservation[]>();
  for (const each of [...reservations].sort((a, b) => (revision(a) < revision(b) ? -1 : 1))) {
    const others = found.get(each.claimUid);
    if (others) others.push(each);
    else found.set(each.claimUid, [each]);
  }
  return found;
}

/** What a claim gets by its reservations: the address of the oldest that may be given. */
export function firstReserved(
  reservations: readonly Reservation[] | undefined,
  mayBeGiven: (address: Address) => boolean,
): Address | undefined {
  return reservations?.flatMap(({ digits }) => both(digits)).find(mayBeGiven);
}

/** The address of a reservation: its digits do not tell the family. */
function both(digits: string): Address[] {
  const value = BigInt(`0x${digits}`);
  return value < 1n << 32n
    ? [
        { family: 4, value },
        { family: 6, value },
      ]
    : [{ family: 6, value }];
}

/** What is left of a pool's entries, in their order. */
export class FreePick {
  readonly #parts: readonly { readonly range: Metal3Range; readonly free: FreeIndex }[];
  readonly #random: (() => number) | undefined;

  constructor(ranges: readonly Metal3Range[], taken: readonly Address[], seed: number | undefined) {
    this.#random = seed === undefined ? undefined : chanceFrom(seed);
    this.#parts = ranges.map((range) => {
      const free = new FreeIndex(range.allocatable);
      for (const { family, value } of taken) if (family === range.family) free.reserve(value);
      return { range, free };
    });
  }

  take(): Address | undefined {
    const total = this.#parts.reduce((sum, { free }) => sum + free.free, 0n);
    if (total === 0n) return undefined;
    let at = this.#random ? randomBelow(total, this.#random) : 0n;
    for (const { range, free } of this.#parts) {
      const value = free.nth(at);
      if (value !== undefined) return this.#taken({ family: range.family, value });
      at -= free.free;
    }
    return undefined;
  }

  /** False where it is no longer free. An address that only its claim may have counts as free. */
  reserve(address: Address): boolean {
    const parts = this.#parts.filter(
      ({ range }) => range.family === address.family && includes(range.allocatable, address.value),
    );
    if (parts.length === 0) return true;
    return this.#taken(address, parts) !== undefined;
  }

  #taken(address: Address, parts = this.#parts): Address | undefined {
    let got = false;
    for (const { range, free } of parts)
      if (range.family === address.family && free.reserve(address.value)) got = true;
    return got ? address : undefined;
  }
}

/** Numbers in [0, 1) that follow from the seed alone, so that the plan is pure (mulberry32). */
function chanceFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}
