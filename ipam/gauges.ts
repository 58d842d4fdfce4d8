// Figures of the pools of one process, for metrics, and for who asks whether there is room.
import type { Counts } from "./allocator/index.ts";
import type { Pool, PoolPlace } from "./words.ts";

export interface PoolGauge extends Counts {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** Claims that wait for room. */
  readonly waiting: number;
}

/** What newcomers may have of a pool, as the process that gives out of it knows. */
export interface Outlook {
  readonly now: bigint;
  /** Addresses that were released and are not given out yet. */
  readonly resting: number;
  /** When each further one is to be had, though nobody lets go of any; milliseconds since 1970, the earliest first. */
  readonly later: readonly number[];
}

/** Given to the controllers, which fill it. */
export class IpamGauges {
  /** The pools as the process knows them now. */
  read: () => readonly PoolGauge[] = () => [];
  /** Undefined where the process knows nothing of this version of the pool. */
  outlook: (place: PoolPlace, pool: Pool) => Outlook | undefined = () => undefined;
  /** Claims bound by this process, and how long they had waited since their creation, all together. */
  bound = 0;
  boundMs = 0;

  noteBound(waitedMs: number): void {
    this.bound++;
    this.boundMs += Math.max(0, waitedMs);
  }
}
