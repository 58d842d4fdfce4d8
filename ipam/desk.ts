// The counter at which claims on one pool are served, within one process: many claims share one look at the pool, and no two are
// offered the same address. This is for speed and order; what keeps addresses unique among processes is the reservation.
//
//   D1. A look begins after it was asked for: it shows every write that was answered before.
//   D2. An address offered is offered to nobody else until a look that began after the round ended: by then the IPAddress shows.
//   D3. The claim that already holds a reservation is offered that address again.
import type { ResourceStore } from "#core";
import type { IPAddress, IPAddressClaim } from "#proto";
import { parseAddress, type Address } from "./address.ts";
import { FreeIndex } from "./allocator/free-index.ts";
import { addressesOf } from "./in-use.ts";
import { includes } from "./allocator/intervals.ts";
import type { PoolRanges } from "./ranges.ts";
import type { Reservation, Reservations } from "./reservation.ts";
import type { Pool, PoolPlace } from "./words.ts";

/** What a claim hears at the counter. */
export interface Offer {
  /** The address it may try to get; undefined when none is free. */
  readonly address: Address | undefined;
  /** Distinct addresses in use. */
  readonly used: number;
  /** None is free now, but some are only being tried for: it is worth looking again soon. */
  readonly contended: boolean;
}

interface Look {
  readonly number: number;
  readonly addresses: readonly IPAddress[];
  readonly reservations: readonly Reservation[];
  /** Made at the first offer; by pool version, since the pool's text decides. */
  index: { readonly version: string; readonly free: FreeIndex } | undefined;
}

interface Offered {
  readonly value: bigint;
  /** The number of the last look that had begun when the round ended; undefined while it goes on. */
  endedAt: number | undefined;
}

export class Desk {
  readonly #store: ResourceStore;
  readonly #reservations: Reservations;
  readonly #place: PoolPlace;
  readonly #offered = new Map<string, Offered>();
  #looks = 0;
  #running: Promise<Look> | undefined;
  #next: Promise<Look> | undefined;

  constructor(store: ResourceStore, reservations: Reservations, place: PoolPlace) {
    this.#store = store;
    this.#reservations = reservations;
    this.#place = place;
  }

  /** A fresh look at the pool (D1), shared by all who ask before it begins. */
  look(pool: Pool): Promise<Pick<Look, "addresses" | "reservations">> {
    return this.#look(pool);
  }

  /** An address for the claim, until `settle`. */
  async offer(pool: Pool, ranges: PoolRanges & { kind: "ranges" }, claim: IPAddressClaim): Promise<Offer> {
    const look = await this.#look(pool);
    const free = this.#indexOf(look, pool, ranges);
    const { uid } = claim.metadata;
    const own = look.reservations.find(({ claimUid }) => claimUid === uid);
    const ownValue = own && BigInt(`0x${own.digits}`);
    const value = ownValue !== undefined && isUnused(look, ranges, ownValue) ? ownValue : free.take(); // D3
    if (value !== undefined) this.#offered.set(uid, { value, endedAt: undefined });
    const used = new Set(look.addresses.map(({ spec }) => spec.address)).size;
    const contended = value === undefined && (this.#offered.size > 0 || look.reservations.length > 0);
    return { address: value === undefined ? undefined : { family: ranges.family, value }, used, contended };
  }

  /** The claim's round has ended, well or not. Twice is once. */
  settle(claimUid: string): void {
    const offered = this.#offered.get(claimUid);
    if (offered && offered.endedAt === undefined) offered.endedAt = this.#looks;
  }

  #look(pool: Pool): Promise<Look> {
    if (!this.#running) return this.#begin(pool);
    const begin = () => this.#begin(pool);
    return (this.#next ??= this.#running.then(begin, begin));
  }

  #begin(pool: Pool): Promise<Look> {
    const number = ++this.#looks;
    this.#next = undefined;
    const running: Promise<Look> = this.#read(pool, number).finally(() => {
      if (this.#running === running) this.#running = undefined;
    });
    this.#running = running;
    return running;
  }

  async #read(pool: Pool, number: number): Promise<Look> {
    // Reservations first: one that goes between the two reads has left its IPAddress for the second.
    const reservations = await this.#reservations.of(this.#place, pool);
    const addresses = await addressesOf(this.#store, this.#place);
    return { number, addresses, reservations, index: undefined };
  }

  #indexOf(look: Look, pool: Pool, ranges: PoolRanges & { kind: "ranges" }): FreeIndex {
    const version = `${pool.metadata.uid} ${pool.metadata.generation}`;
    if (look.index?.version === version) return look.index.free;
    const free = new FreeIndex(ranges.allocatable);
    for (const { spec } of look.addresses) {
      const address = parseAddress(spec.address);
      if (address?.family === ranges.family) free.reserve(address.value);
    }
    for (const { digits } of look.reservations) free.reserve(BigInt(`0x${digits}`));
    for (const [uid, { value, endedAt }] of this.#offered) {
      if (endedAt !== undefined && endedAt < look.number)
        this.#offered.delete(uid); // D2
      else free.reserve(value);
    }
    look.index = { version, free };
    return free;
  }
}

/** Whether the pool may give the address out, and no IPAddress bears it. */
function isUnused(look: Look, ranges: PoolRanges & { kind: "ranges" }, value: bigint): boolean {
  const isBorne = ({ spec }: IPAddress) => parseAddress(spec.address)?.value === value;
  return includes(ranges.allocatable, value) && !look.addresses.some(isBorne);
}
