import { describe, expect, test } from "vitest";
import { CloseCode } from "#proto/generated/tunnel/link.ts";
import type { Outcome } from "../session/machine.ts";
import { defaultRetry as options, retryAfter, type Attempt } from "./retry.ts";

const top = () => 0.999999;
const refusedDial: Attempt = { kind: "undialled", reason: "connection refused" };

function ended(outcome: Outcome, upMs = 0): Attempt {
  return { kind: "ended", outcome, upMs };
}
function away(code: CloseCode, retryAfterMs = 0): Attempt {
  return ended({ kind: "away", code, reason: "so", retryAfterMs });
}

describe("when to dial again", () => {
  test("full jitter: 0 to 1 s first, doubling, never above 30 s (R1)", () => {
    const most = [0, 1, 2, 3, 4, 5, 6, 50].map(
      (failed) => retryAfter(refusedDial, failed, options, top).waitMs,
    );
    expect(most).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    expect(retryAfter(refusedDial, 5, options, () => 0).waitMs).toBe(0);
  });

  test("a plane that flaps does not reset the back-off; 30 s of health do (R2)", () => {
    const lost: Outcome = { kind: "lost", reason: "reset" };
    expect(retryAfter(ended(lost, 29_999), 4, options, top)).toMatchObject({ attempt: 5, waitMs: 16_000 });
    expect(retryAfter(ended(lost, 30_000), 4, options, top)).toMatchObject({ attempt: 1, waitMs: 1_000 });
  });

  test.each([CloseCode.REFUSED, CloseCode.VERSION, CloseCode.IDENTITY])(
    "close code %i is for an operator (R3)",
    (code) => {
      expect(retryAfter(away(code), 0, options, () => 0)).toMatchObject({ refused: true, waitMs: 150_000 });
    },
  );

  test("who was superseded waits longest (R4)", () => {
    expect(retryAfter(away(CloseCode.SUPERSEDED), 0, options, () => 0)).toMatchObject({
      refused: false,
      waitMs: 15_000,
    });
  });

  test("a wish of the plane is obeyed, spread out", () => {
    expect(retryAfter(away(CloseCode.CLOSING, 10_000), 0, options, () => 0.5).waitMs).toBe(15_000);
    expect(retryAfter(away(CloseCode.CLOSING), 0, options, top).waitMs).toBe(1_000);
  });

  test("the reason names what happened", () => {
    expect(retryAfter(refusedDial, 0, options, top).reason).toBe("connection refused");
    expect(retryAfter(away(CloseCode.CLOSING), 0, options, top).reason).toBe("the plane closed the link: so");
  });
});
