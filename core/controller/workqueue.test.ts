import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { WorkQueue, type Outcome } from "./workqueue.ts";

const backoff = { baseMs: 10, capMs: 1_000, jitter: 0 };
const newQueue = (gapMs = 0) => new WorkQueue({ backoff, gapMs, random: () => 0 });
const ok: Outcome = { kind: "ok" };
const failed: Outcome = { kind: "failed" };

describe("the work queue", () => {
  test("hands out keys in the order in which they fell due", () => {
    const queue = newQueue();
    queue.add("late", 0, 50);
    queue.add("a", 0);
    queue.add("b", 0);
    expect([queue.take(0), queue.take(0)]).toEqual([
      { kind: "key", key: "a" },
      { kind: "key", key: "b" },
    ]);
    expect(queue.take(20)).toEqual({ kind: "wait", ms: 30 });
    queue.add("c", 55);
    expect(queue.take(60)).toEqual({ kind: "key", key: "late" });
    expect(queue.take(60)).toEqual({ kind: "key", key: "c" });
    expect(queue.take(60)).toEqual({ kind: "empty" });
  });

  test("of several asks for a key the earliest counts", () => {
    const queue = newQueue();
    queue.add("a", 0, 100);
    queue.add("a", 0, 10);
    queue.add("a", 0, 200);
    expect(queue.take(0)).toEqual({ kind: "wait", ms: 10 });
    expect(queue.take(10)).toEqual({ kind: "key", key: "a" });
    queue.done("a", ok, 10);
    expect(queue.take(1_000)).toEqual({ kind: "empty" });
  });

  test("back-off grows with failures in a row and starts anew after a success", () => {
    const queue = newQueue();
    queue.add("a", 0);
    let now = 0;
    const delays: (number | undefined)[] = [];
    for (const outcome of [failed, failed, failed, ok, failed]) {
      expect(queue.take(now)).toEqual({ kind: "key", key: "a" });
      const delay = queue.done("a", outcome, now);
      delays.push(delay);
      if (delay === undefined) queue.add("a", now);
      now += delay ?? 0;
    }
    expect(delays).toEqual([10, 20, 40, undefined, 10]);
  });

  test("a failing key that is touched comes back sooner, though not at once", () => {
    const queue = newQueue(15);
    queue.add("a", 0);
    queue.take(0);
    queue.add("a", 1); // touched by its own write
    expect(queue.done("a", { kind: "failed", atLeastMs: 500 }, 2)).toBe(15);
    expect(queue.take(16)).toEqual({ kind: "wait", ms: 1 });
    expect(queue.take(17)).toEqual({ kind: "key", key: "a" });
  });

  test("a refused key waits for a touch", () => {
    const queue = newQueue();
    queue.add("a", 0);
    queue.take(0);
    expect(queue.done("a", { kind: "refused" }, 0)).toBeUndefined();
    expect(queue.take(1e9)).toEqual({ kind: "empty" });
    queue.add("a", 1e9);
    expect(queue.take(1e9)).toEqual({ kind: "key", key: "a" });
  });

  test("giving back what was not taken is a mistake", () => {
    expect(() => newQueue().done("a", ok, 0)).toThrow("without having been taken");
  });
});

// Laws under random use. The model knows, for each key, from when on somebody is owed a round of it.
type Step =
  | { do: "add"; key: number; after: number }
  | { do: "take" }
  | { do: "done"; pick: number; outcome: Outcome }
  | { do: "pass"; ms: number };

const outcomes: fc.Arbitrary<Outcome> = fc.oneof(
  fc.constant<Outcome>({ kind: "ok" }),
  fc.nat(50).map((after): Outcome => ({ kind: "ok", after })),
  fc.nat(50).map((atLeastMs): Outcome => ({ kind: "failed", atLeastMs })),
  fc.constant<Outcome>({ kind: "refused" }),
);
const stepList: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant("add" as const), key: fc.nat(4), after: fc.nat(30) }),
    fc.record({ do: fc.constant("take" as const) }),
    fc.record({ do: fc.constant("done" as const), pick: fc.nat(9), outcome: outcomes }),
    fc.record({ do: fc.constant("pass" as const), ms: fc.nat(40) }),
  ),
  { maxLength: 120 },
);

test("never two at once, none lost, once for many touches, neither too soon nor too late", () => {
  fc.assert(
    fc.property(stepList, (list) => {
      const gapMs = 5;
      const queue = newQueue(gapMs);
      let now = 0;
      const working: string[] = [];
      const failures = new Map<string, number>();
      /** While a key is failing: not before this. */
      const notBefore = new Map<string, number>();
      /** When the key must be offered: neither later nor sooner. */
      const owed = new Map<string, number>();
      const owe = (key: string, at: number) => owed.set(key, Math.min(at, owed.get(key) ?? Infinity));
      const take = () => {
        const taken = queue.take(now);
        if (taken.kind !== "key") {
          const idle = [...owed].filter(([key]) => !working.includes(key));
          // None lost: what is owed by now would have been handed out.
          expect(idle.filter(([, at]) => at <= now)).toEqual([]);
          const wait = taken.kind === "wait" ? taken.ms : Infinity;
          expect(now + wait).toBe(Math.min(Infinity, ...idle.map(([, at]) => at)));
          return false;
        }
        expect(working).not.toContain(taken.key); // never two at once
        expect(owed.has(taken.key)).toBe(true); // nothing nobody asked for, and once for many touches
        const due = owed.get(taken.key) ?? Infinity;
        expect(due).toBeLessThanOrEqual(now); // nothing too soon
        for (const [key, at] of owed) if (!working.includes(key)) expect(at).toBeGreaterThanOrEqual(due); // fair
        owed.delete(taken.key);
        working.push(taken.key);
        return true;
      };
      const done = (key: string, outcome: Outcome) => {
        working.splice(working.indexOf(key), 1);
        const again = queue.done(key, outcome, now);
        if (outcome.kind === "ok") {
          failures.delete(key);
          notBefore.delete(key);
          if (outcome.after !== undefined) owe(key, now + outcome.after);
        } else {
          const count = (failures.get(key) ?? 0) + 1;
          failures.set(key, count);
          notBefore.set(key, now + gapMs);
          expect(queue.failures(key)).toBe(count);
          const touched = owed.get(key);
          if (touched !== undefined) owed.set(key, Math.max(touched, now + gapMs));
          if (outcome.kind === "failed")
            owe(key, now + Math.max(Math.min(1_000, 10 * 2 ** (count - 1)), outcome.atLeastMs ?? 0));
        }
        expect(again === undefined).toBe(!owed.has(key));
      };
      for (const step of list) {
        if (step.do === "pass") now += step.ms;
        else if (step.do === "take") take();
        else if (step.do === "add") {
          queue.add(`${step.key}`, now, step.after);
          owe(`${step.key}`, Math.max(now + step.after, notBefore.get(`${step.key}`) ?? 0));
        } else if (working.length > 0) done(working[step.pick % working.length] ?? "", step.outcome);
        expect(queue.working).toBe(working.length);
      }
      for (const key of [...working]) done(key, ok);
      // In the end everything owed is offered.
      now += 10_000;
      while (take());
      expect([...owed.keys()]).toEqual([]);
    }),
    { numRuns: 2_000 },
  );
});
