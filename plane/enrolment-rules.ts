// What becomes of a try to redeem a code. Pure; plane/enrolment.ts reads, writes and words it.
//
//   R1. A code gives an identity to one key. The same request again (its answer was lost) gets the same identity again, until the
//       code ends; any other request meets "used".
//   R2. A wrong proof counts against the code, five lock it for good. An unknown code counts against the address, five within the
//       window lock the address for a window.
import { formatTime } from "#core";
import type { Role } from "#tunnel/identity/uri.ts";
import { Refusal } from "./refusal.ts";

export const maxWrongTries = 5;

export interface CodeSeen {
  readonly role: Role;
  /** Milliseconds since 1970; undefined: it does not expire by time. */
  readonly expiresAt: number | undefined;
  readonly wrong: number;
  readonly used: { readonly at: number; readonly csrDigest: string; readonly uid: string } | undefined;
}

export interface Try {
  readonly role: Role;
  readonly csrDigest: string;
  readonly proofHolds: boolean;
  readonly now: number;
}

export type Verdict =
  | { readonly kind: "claim" }
  | { readonly kind: "again"; readonly uid: string }
  | { readonly kind: "unknown" }
  | { readonly kind: "wrong"; readonly left: number }
  | { readonly kind: "locked" }
  | { readonly kind: "used"; readonly at: number }
  | { readonly kind: "expired"; readonly at: number };

export function judge(code: CodeSeen | undefined, attempt: Try): Verdict {
  if (!code || code.role !== attempt.role) return { kind: "unknown" };
  if (code.wrong >= maxWrongTries) return { kind: "locked" };
  const expired = code.expiresAt !== undefined && attempt.now >= code.expiresAt;
  if (!attempt.proofHolds) {
    const left = maxWrongTries - code.wrong - 1;
    return left > 0 ? { kind: "wrong", left } : { kind: "locked" };
  }
  if (code.used && (expired || code.used.csrDigest !== attempt.csrDigest))
    return { kind: "used", at: code.used.at };
  if (expired) return { kind: "expired", at: code.expiresAt ?? 0 };
  return code.used ? { kind: "again", uid: code.used.uid } : { kind: "claim" }; // R1
}

/** The refusal in an operator's words. */
export function refusal(verdict: Exclude<Verdict, { kind: "claim" | "again" }>, role: Role): Refusal {
  const thing = role === "gateway" ? "pairing code" : "enrolment token";
  const again = role === "gateway" ? "make a new one" : "ask the plane for a new one";
  const word = role === "gateway" ? "PairingCode" : "EnrolmentToken";
  switch (verdict.kind) {
    case "unknown":
      return new Refusal(
        "NotFound",
        `${word}Unknown`,
        `the ${thing} is unknown at this plane: check it for typing mistakes, or ${again}`,
      );
    case "wrong":
      return new Refusal(
        "Forbidden",
        `${word}Mismatch`,
        `the request does not carry the proof of the ${thing}: it was changed on its way; ${verdict.left} more wrong tries lock it`,
      );
    case "locked":
      return new Refusal(
        "Forbidden",
        `${word}Locked`,
        `the ${thing} is locked after ${maxWrongTries} wrong tries; ${again}`,
      );
    case "used":
      return new Refusal(
        "Conflict",
        `${word}Used`,
        `the ${thing} was used at ${formatTime(verdict.at)}; ${again}`,
      );
    case "expired":
      return new Refusal(
        "Gone",
        `${word}Expired`,
        `the ${thing} expired at ${formatTime(verdict.at)}; ${again}`,
      );
  }
}

export interface AddressTries {
  readonly count: number;
  readonly since: number;
  readonly lockedUntil: number;
}

/** An address after one more unknown code (R2). */
export function afterUnknown(tries: AddressTries | undefined, now: number, windowMs: number): AddressTries {
  const fresh = !tries || now - tries.since >= windowMs;
  const count = fresh ? 1 : tries.count + 1;
  const since = fresh ? now : tries.since;
  return { count, since, lockedUntil: count >= maxWrongTries ? now + windowMs : 0 };
}
