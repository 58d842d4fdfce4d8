import { describe, expect, it } from "vitest";
import { masked } from "#proto/render/masked.ts";
import { milestoneAfter, sameTrouble, type Standing } from "./milestones.ts";

const backoff = { baseMs: 5_000, capMs: 300_000, jitter: 0 };
const t0 = Date.UTC(2026, 0, 1);
const after = (old: Parameters<typeof milestoneAfter>[1], standing: Standing, ms: number) =>
  milestoneAfter("ImageResolutionDone", old, standing, t0 + ms, backoff, () => 0.5);
const trouble = {
  code: "Unavailable",
  message: "vCenter 10.0.0.1 did not answer in 312 ms",
  object: "SPA/c1",
};
const failing: Standing = { state: "InProgress", trouble };

describe("a milestone", () => {
  it("remembers when it began and when it ended", () => {
    const begun = after(undefined, { state: "InProgress" }, 0);
    const done = after(begun, { state: "Done" }, 60_000);
    expect(done).toMatchObject({
      state: "Done",
      startedAt: "2026-01-01T00:00:00Z",
      endedAt: "2026-01-01T00:01:00Z",
    });
    expect(after(done, { state: "Done" }, 120_000)).toEqual(done);
  });

  it("counts a try when it is due, doubling the wait, whatever woke us earlier", () => {
    const first = after(undefined, failing, 0);
    expect(first).toMatchObject({ attempt: 1, nextRetryAt: "2026-01-01T00:00:05Z", lastError: { count: 1 } });
    const early = after(
      first,
      { ...failing, trouble: { ...trouble, message: "vCenter 10.0.0.1 did not answer in 290 ms" } },
      2_000,
    );
    expect(early).toEqual(first); // nothing changes, so nothing is written, so nothing wakes us
    const second = after(early, failing, 5_000);
    expect(second).toMatchObject({
      attempt: 2,
      nextRetryAt: "2026-01-01T00:00:15Z",
      lastError: { count: 2, since: "2026-01-01T00:00:00Z" },
    });
  });

  it("never waits longer than the cap", () => {
    let now = 0;
    let one = after(undefined, failing, now);
    for (let tries = 0; tries < 20; tries++) {
      now = Date.parse(one.nextRetryAt!) - t0;
      one = after(one, failing, now);
    }
    expect(Date.parse(one.nextRetryAt!) - t0 - now).toBe(300_000);
  });

  it("starts anew with another trouble, and forgets it when it is over", () => {
    const first = after(after(undefined, failing, 0), failing, 5_000);
    const other = after(
      first,
      { state: "InProgress", trouble: { code: "Invalid", message: "no such folder", blocked: true } },
      6_000,
    );
    expect(other).toMatchObject({ state: "Blocked", attempt: 1, lastError: { code: "Invalid", count: 1 } });
    expect(after(other, { state: "InProgress" }, 7_000).lastError).toBeUndefined();
  });

  it("announces no try for what is only waited for", () => {
    const waiting = after(undefined, { ...failing, waiting: true }, 0);
    expect(waiting).toMatchObject({ state: "InProgress", lastError: { code: "Unavailable" } });
    expect(waiting.nextRetryAt).toBeUndefined();
  });
});

describe("the same failure", () => {
  it("is known by its words, not by its numbers", () => {
    expect(sameTrouble(trouble, { ...trouble, message: "vCenter 10.0.0.2 did not answer in 9 ms" })).toBe(
      true,
    );
    expect(sameTrouble(trouble, { ...trouble, message: "vCenter refused" })).toBe(false);
    expect(sameTrouble(trouble, { ...trouble, object: "SPA/c2" })).toBe(false);
    expect(masked("task 52f4e6c0-1111-2222-3333-444455556666 at deadbeefdeadbeef00")).toBe(
      "task <uuid> at <hex>",
    );
  });
});
