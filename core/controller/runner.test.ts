import { afterEach, describe, expect, test } from "vitest";
import { Fault } from "../fault.ts";
import { defineKind } from "../resource/kind.ts";
import { keyText, type Key, type Resource } from "../resource/meta.ts";
import type { Controller, Plan, Result } from "./reconciler.ts";
import { runControllers } from "./runner.ts";
import { steps } from "./steps.ts";
import { recordingLogger, stage, type Stage } from "./testing.ts";

interface Thing extends Resource {
  spec: { size: number };
  status?: { seen: number };
}
interface Part extends Resource {
  spec: { of: string };
}
const things = defineKind<Thing>({ group: "test.pcg.dev", version: "v1", kind: "Thing", plural: "things" });
const parts = defineKind<Part>({ group: "test.pcg.dev", version: "v1", kind: "Part", plural: "parts" });
const thing = (name: string, namespace = "a") => ({ metadata: { namespace, name }, spec: { size: 1 } });

const stages: Stage[] = [];
afterEach(async () => {
  for (const open of stages.splice(0)) await open.stop();
});

/** A stage with one controller that does what `round` says. */
async function staged(
  round: (key: Key, signal: AbortSignal) => Promise<Result>,
  more: Partial<Controller> = {},
) {
  const log = recordingLogger();
  const rounds: string[] = [];
  const made = await stage(
    () => [
      {
        name: "things",
        kind: things,
        follows: [],
        backoff: { baseMs: 100, capMs: 10_000, jitter: 0 },
        resyncMs: 3_600_000,
        reconciler: {
          reconcile: (key, signal) => {
            rounds.push(keyText(key));
            return round(key, signal);
          },
        },
        ...more,
      },
    ],
    { log },
  );
  stages.push(made);
  return { ...made, log, rounds };
}

describe("the runner", () => {
  test("gives every object a round at start and at each change", async () => {
    const { store, quiet, rounds } = await staged(() => Promise.resolve({}));
    const one = await store.create(things, thing("one"));
    await quiet();
    await store.update(things, { ...one, spec: { size: 2 } });
    await quiet();
    await store.delete(things, { namespace: "a", name: "one" });
    await quiet();
    expect(rounds).toEqual(["a/one", "a/one", "a/one"]);
  });

  test("never works on one key twice at once, and a change during a round brings one more", async () => {
    let inside = 0;
    const open: (() => void)[] = [];
    const { store, quiet, rounds, clock } = await staged(async () => {
      expect(++inside).toBe(1);
      await new Promise<void>((resolve) => open.push(resolve));
      inside--;
      return {};
    });
    let object = await store.create(things, thing("one"));
    for (let i = 0; i < 10; i++) await clock.advance(0);
    for (const size of [2, 3, 4]) object = await store.update(things, { ...object, spec: { size } });
    for (let i = 0; i < 10; i++) await clock.advance(0);
    expect(rounds).toHaveLength(1);
    open.shift()?.();
    for (let i = 0; i < 10; i++) await clock.advance(0);
    expect(rounds).toHaveLength(2);
    open.shift()?.();
    await quiet();
    expect(rounds).toHaveLength(2);
  });

  test("works on several keys at once, no more than told", async () => {
    let inside = 0;
    let most = 0;
    const { store, quiet, clock } = await staged(
      async (_key, signal) => {
        most = Math.max(most, ++inside);
        await new Promise<void>((resolve) => void clock.after(50, resolve));
        inside--;
        return signal.aborted ? {} : {};
      },
      { concurrency: 3 },
    );
    for (let i = 0; i < 10; i++) await store.create(things, thing(`t${i}`));
    for (let i = 0; i < 10; i++) await clock.advance(50);
    await quiet();
    expect(most).toBe(3);
  });

  test("a followed kind wakes whom it concerns, before and after its change", async () => {
    const { store, quiet, rounds } = await staged(() => Promise.resolve({}), {
      follows: [{ kind: parts, affects: (part) => [{ namespace: "a", name: (part as Part).spec.of }] }],
    });
    const part = await store.create(parts, { metadata: { namespace: "a", name: "p" }, spec: { of: "x" } });
    await quiet();
    expect(rounds.splice(0)).toEqual(["a/x"]);
    await store.update(parts, { ...part, spec: { of: "y" } });
    await quiet();
    expect(rounds.splice(0).sort()).toEqual(["a/x", "a/y"]);
  });

  test("a mapping that fails is tried again until it knows whom a change concerns", async () => {
    let failures = 3;
    const { store, run, rounds } = await staged(() => Promise.resolve({}), {
      follows: [
        {
          kind: parts,
          affects: async (part) => {
            await Promise.resolve();
            if (failures-- > 0) throw new Fault("Unavailable", "away");
            return [{ namespace: "a", name: (part as Part).spec.of }];
          },
        },
      ],
    });
    await store.create(parts, { metadata: { namespace: "a", name: "p" }, spec: { of: "x" } });
    await run(5_000);
    expect(rounds).toEqual(["a/x"]);
  });

  test("only its own namespace, where told", async () => {
    const { store, quiet, rounds } = await staged(() => Promise.resolve({}), {
      namespace: "a",
      follows: [{ kind: parts, affects: () => [{ namespace: "b", name: "x" }] }],
    });
    await store.create(things, thing("mine", "a"));
    await store.create(things, thing("other", "b"));
    await store.create(parts, { metadata: { namespace: "a", name: "p" }, spec: { of: "x" } });
    await quiet();
    expect(rounds).toEqual(["a/mine"]);
  });

  test("comes back when a round asks for it, and at least every resync", async () => {
    let after: number | undefined = 5_000;
    const { store, run, rounds, clock } = await staged(
      () => Promise.resolve(after === undefined ? {} : { after }),
      { resyncMs: 60_000 },
    );
    await store.create(things, thing("one"));
    await run(10_000);
    expect(rounds.splice(0)).toHaveLength(3);
    after = undefined;
    await run(5_000);
    rounds.splice(0);
    await clock.advance(60_000);
    expect(rounds).toHaveLength(1);
  });

  test("a failing round comes again with back-off, loudly only when it lasts, and tells when it is over", async () => {
    let failing = true;
    const { store, run, rounds, log, health } = await staged(() =>
      failing ? Promise.reject(new Fault("Unavailable", "vCenter is away")) : Promise.resolve({}),
    );
    await store.create(things, thing("one"));
    await run(1_600);
    expect(rounds).toHaveLength(5); // 0, 100, 300, 700, 1500 ms
    expect(health()[0]?.failing).toMatchObject([
      { key: "a/one", failures: 5, code: "Unavailable", message: "vCenter is away" },
    ]);
    await run(600_000);
    expect([...new Set(log.lines.map((line) => line.level))]).toEqual(["info", "warn", "error"]);
    failing = false;
    await run(10_000);
    expect(log.lines.at(-1)).toMatchObject({
      level: "info",
      message: "recovered",
      fields: { controller: "things", key: "a/one" },
    });
    expect(health()[0]?.failing).toEqual([]);
  });

  test("what is invalid is not tried again until it changes", async () => {
    const { store, run, rounds, log } = await staged(() =>
      Promise.reject(new Fault("Invalid", "spec.size is too small")),
    );
    const one = await store.create(things, thing("one"));
    await run(600_000);
    expect(rounds).toHaveLength(1);
    expect(log.lines).toHaveLength(1);
    expect(log.lines[0]).toMatchObject({ level: "warn" });
    await store.update(things, { ...one, spec: { size: 2 } });
    await run(2_000);
    expect(rounds).toHaveLength(2);
    expect(log.lines).toHaveLength(1); // the same mistake is not told twice
  });

  test("the other side's wish to wait is respected", async () => {
    const { store, run, rounds } = await staged(() =>
      Promise.reject(new Fault("Busy", "slow down", { retryAfterMs: 7_000 })),
    );
    await store.create(things, thing("one"));
    await run(6_000);
    expect(rounds).toHaveLength(1);
    await run(2_000);
    expect(rounds).toHaveLength(2);
  });

  test("a failing controller does not chase its own status writes", async () => {
    const { store, run, rounds } = await staged(async (key) => {
      const object = await stages[0]?.store.get(things, key);
      if (!object) return {};
      await stages[0]?.store.updateStatus(things, {
        ...object,
        status: { seen: (object.status?.seen ?? 0) + 1 },
      });
      throw new Fault("Unavailable", "away");
    });
    await store.create(things, thing("one"));
    await run(60_000);
    expect(rounds.length).toBeLessThan(70); // at most one a second
  });

  test("cancelled rounds are not talked about", async () => {
    let cancelled = 3;
    const { store, run, rounds, log } = await staged(() =>
      cancelled-- > 0 ? Promise.reject(new Fault("Cancelled", "never mind")) : Promise.resolve({}),
    );
    await store.create(things, thing("one"));
    await run(5_000);
    expect(rounds).toHaveLength(4);
    expect(log.lines).toEqual([]);
  });

  test("on abort a running round gets the signal, nothing new starts, and it ends within a second", async () => {
    const { store, clock } = await staged(() => Promise.resolve({}));
    const stop = new AbortController();
    let signalled = false;
    const running = runControllers(
      { store, clock, log: recordingLogger(), random: () => 0 },
      [
        {
          name: "stubborn",
          kind: things,
          follows: [],
          reconciler: {
            reconcile: (_key, signal) => {
              signal.addEventListener("abort", () => (signalled = true));
              return new Promise<Result>(() => {});
            },
          },
        },
      ],
      stop.signal,
    );
    await running.ready;
    await store.create(things, thing("one"));
    for (let i = 0; i < 10; i++) await clock.advance(0);
    let ended = false;
    void running.stopped.then(() => (ended = true));
    stop.abort();
    expect(signalled).toBe(true);
    await clock.advance(999);
    expect(ended).toBe(false);
    await clock.advance(1);
    expect(ended).toBe(true);
  });

  test("stopped before it was ready, it says so", async () => {
    const { store, clock } = await staged(() => Promise.resolve({}));
    const stop = new AbortController();
    const running = runControllers(
      { store, clock, log: recordingLogger(), random: () => 0 },
      [{ name: "x", kind: things, follows: [], reconciler: { reconcile: () => Promise.resolve({}) } }],
      stop.signal,
    );
    stop.abort();
    await expect(running.ready).rejects.toMatchObject({ code: "Cancelled" });
    await running.stopped;
  });
});

describe("steps", () => {
  type Action = { do: string };
  function spec(plan: Plan<Action>, fail: { act?: string; report?: boolean } = {}) {
    const log: string[] = [];
    const lines = recordingLogger();
    const reconciler = steps<Thing, Action>(
      {
        observe: (key) =>
          Promise.resolve(key.name === "gone" ? undefined : ({ metadata: { name: key.name } } as Thing)),
        plan: () => plan,
        act: (_seen, action) => {
          log.push(action.do);
          return action.do === fail.act
            ? Promise.reject(new Fault("Busy", `${action.do} failed`))
            : Promise.resolve();
        },
        report: (_seen, _plan, failure) => {
          log.push(failure === undefined ? "report" : `report: ${(failure as Error).message}`);
          return fail.report ? Promise.reject(new Fault("Conflict", "report failed")) : Promise.resolve();
        },
      },
      { clock: { now: () => 0, after: () => () => {} }, log: lines },
    );
    const run = (name = "one") => reconciler.reconcile({ name }, new AbortController().signal);
    return { run, log, lines: lines.lines };
  }
  const plan = { actions: [{ do: "a" }, { do: "b" }, { do: "c" }], conditions: [], after: 9 };

  test("acts in order, reports once, says each action in the log", async () => {
    const { run, log, lines } = spec(plan);
    expect(await run()).toEqual({ after: 9 });
    expect(log).toEqual(["a", "b", "c", "report"]);
    expect(lines.map((line) => line.message)).toEqual(["a", "b", "c"]);
  });

  test("stops at the first failure, reports it, then throws it", async () => {
    const { run, log } = spec(plan, { act: "b", report: true });
    await expect(run()).rejects.toMatchObject({ code: "Busy" });
    expect(log).toEqual(["a", "b", "report: b failed"]);
  });

  test("a report that fails is thrown when nothing else was", async () => {
    await expect(spec(plan, { report: true }).run()).rejects.toMatchObject({ code: "Conflict" });
  });

  test("what is gone needs no round, and a round that changes nothing is silent", async () => {
    const gone = spec(plan);
    expect(await gone.run("gone")).toEqual({});
    expect(gone.log).toEqual([]);
    const quiet = spec({ actions: [], conditions: [] });
    expect(await quiet.run()).toEqual({});
    expect(quiet.lines).toEqual([]);
  });
});
