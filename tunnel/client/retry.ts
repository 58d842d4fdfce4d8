// When to dial again. Pure.
//
//   R1. Full jitter: 0 to 1 s at first, doubling, never more than 30 s. A thousand gateways do not come back in one wave.
//   R2. Only a line that held for healthyMs resets the back-off; a plane that flaps does not.
//   R3. A refusal is final for an operator's eyes, and asked again slowly, in case one lifted it.
//   R4. Who was superseded waits longest: two programs with one identity must not fight.
import { backoffDelay } from "#core";
import { CloseCode } from "#proto/generated/tunnel/link.ts";
import type { Outcome } from "../session/machine.ts";

export interface RetryOptions {
  readonly baseMs: number;
  readonly capMs: number;
  readonly healthyMs: number;
  readonly refusedMs: number;
}

export const defaultRetry: RetryOptions = {
  baseMs: 1_000,
  capMs: 30_000,
  healthyMs: 30_000,
  refusedMs: 5 * 60_000,
};

/** How one attempt went. */
export type Attempt =
  | { readonly kind: "undialled"; readonly reason: string }
  | { readonly kind: "ended"; readonly outcome: Outcome; readonly upMs: number };

export interface Retry {
  /** Tries since the last healthy line, this one included. */
  readonly attempt: number;
  readonly waitMs: number;
  readonly reason: string;
  /** Only an operator can help. */
  readonly refused: boolean;
}

/** What follows an attempt; `failed` is how many went before it since the last healthy line. */
export function retryAfter(
  attempt: Attempt,
  failed: number,
  options: RetryOptions,
  random: () => number,
): Retry {
  const healthy = attempt.kind === "ended" && attempt.upMs >= options.healthyMs;
  const tries = healthy ? 1 : failed + 1; // R2
  const reason = reasonOf(attempt);
  const backoff = { baseMs: options.baseMs, capMs: options.capMs, factor: 2, jitter: 1 };
  const waitMs = backoffDelay(tries, backoff, random); // R1
  if (attempt.kind === "undialled" || attempt.outcome.kind !== "away") {
    return { attempt: tries, waitMs, reason, refused: false };
  }
  const { code, retryAfterMs } = attempt.outcome;
  switch (code) {
    case CloseCode.REFUSED:
    case CloseCode.VERSION:
    case CloseCode.IDENTITY:
      return { attempt: tries, waitMs: between(options.refusedMs, random), reason, refused: true }; // R3
    case CloseCode.SUPERSEDED:
      return { attempt: tries, waitMs: between(options.capMs, random), reason, refused: false }; // R4
    default: {
      const asked = Math.round(retryAfterMs * (1 + random()));
      return { attempt: tries, waitMs: Math.max(waitMs, asked), reason, refused: false };
    }
  }
}

/** Between half of it and all of it. */
function between(ms: number, random: () => number): number {
  return Math.round((ms * (1 + random())) / 2);
}

function reasonOf(attempt: Attempt): string {
  if (attempt.kind === "undialled") return attempt.reason;
  const { outcome } = attempt;
  return outcome.kind === "away" ? `the plane closed the link: ${outcome.reason}` : outcome.reason;
}
