// What the allocator answers, and what it counts.

export type Answer =
  | {
      readonly kind: "given";
      readonly value: bigint;
      /** How it came to this value. */
      readonly by: "strategy" | "wish" | "reservation" | "memory" | "again";
    }
  | ({ readonly kind: "exhausted" } & Shortage)
  /** The group may hold no more. */
  | { readonly kind: "over quota"; readonly group: string; readonly limit: number; readonly held: number }
  /** The wished-for value cannot be had, though others might be. */
  | {
      readonly kind: "refused";
      readonly why: "outside" | "held" | "resting" | "reserved" | "draining" | "set aside";
      /** When it will be free by itself, where that is known. */
      readonly until?: number;
    };

/** Why nothing is left. */
export interface Shortage {
  readonly used: number;
  readonly resting: number;
  readonly reserved: number;
  /** Free, but set aside for others. */
  readonly setAside: number;
  /** When one will be free by itself at the earliest; undefined: only when somebody lets go. */
  readonly nextAt: number | undefined;
}

/** Counters at a moment. free = total - what is held, rests, is reserved or drains. */
export interface Counts {
  readonly total: bigint;
  readonly free: bigint;
  /** Distinct values held, wherever they lie. */
  readonly used: number;
  /** Of these, outside of the universe. */
  readonly outOfRange: number;
  readonly resting: number;
  readonly reserved: number;
  readonly draining: number;
  /** Values borne by more than one owner. */
  readonly duplicates: number;
}
