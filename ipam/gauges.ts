// Figures of the pools of one process, for metrics.
import type { Counts } from "./allocator/index.ts";

export interface PoolGauge extends Counts {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** Claims that wait for room. */
  readonly waiting: number;
}

/** Given to the controllers, which fill it. */
export class IpamGauges {
  /** The pools as the process knows them now. */
  read: () => readonly PoolGauge[] = () => [];
  /** Claims bound by this process, and how long they had waited since their creation, all together. */
  bound = 0;
  boundMs = 0;

  noteBound(waitedMs: number): void {
    this.bound++;
    this.boundMs += Math.max(0, waitedMs);
  }
}
