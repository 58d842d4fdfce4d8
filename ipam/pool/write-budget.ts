/** How many writes there may be at once, and how long one of them takes to come back. */
const burst = 5;
const refillMs = 1_000;

/** A few writes at once, then one a second: a crowd of changes shares a write, and a single change is told at once. */
export class WriteBudget {
  #left = burst;
  #at = -Infinity;

  /** How long until the next write; 0: now. */
  restMs(now: number): number {
    this.#refill(now);
    return this.#left >= 1 ? 0 : Math.max(1, Math.ceil((1 - this.#left) * refillMs));
  }

  spend(now: number): void {
    this.#refill(now);
    this.#left = Math.max(0, this.#left - 1);
  }

  #refill(now: number): void {
    const passed = this.#at === -Infinity ? Infinity : Math.max(0, now - this.#at) / refillMs;
    this.#left = Math.min(burst, this.#left + passed);
    this.#at = now;
  }
}
