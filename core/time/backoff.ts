export interface BackoffOptions {
  /** First delay, milliseconds. */
  readonly baseMs: number;
  /** No delay is longer than this, milliseconds. */
  readonly capMs: number;
  /** Factor from one delay to the next; 2 unless told. */
  readonly factor?: number;
  /** Share of the delay that is random: 0 none, 1 full jitter. 0.2 unless told. */
  readonly jitter?: number;
}

/** The delay before try number `attempt` (1 for the first retry), milliseconds. Pure but for `random` in [0, 1). */
export function backoffDelay(attempt: number, options: BackoffOptions, random: () => number): number {
  const { baseMs, capMs, factor = 2, jitter = 0.2 } = options;
  const full = Math.min(capMs, baseMs * factor ** Math.min(Math.max(attempt, 1) - 1, 64));
  return Math.round(full * (1 - jitter) + full * jitter * random());
}
