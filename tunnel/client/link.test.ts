// The supervisor: dialling, giving up, closing. The rest of a link's life is in tunnel/link.test.ts.
import { afterEach, describe, expect, test } from "vitest";
import { Fault, silentLogger } from "#core";
import { fakeClock, type FakeClock } from "#core/time/fake-clock.ts";
import type { Link, LinkState } from "../link.ts";
import { memoryPair } from "../transport/memory.ts";
import type { Dial } from "../transport/transport.ts";
import { openLink } from "./link.ts";

const identity = { role: "agent", uid: "c", tenantUid: "t" } as const;
const links: { link: Link; clock: FakeClock }[] = [];
afterEach(async () => {
  for (const { link, clock } of links.splice(0)) await Promise.all([link.close(), clock.advance(2_000)]);
});

async function start(
  dial: Dial,
  signal = new AbortController().signal,
): Promise<{ link: Link; clock: FakeClock; states: LinkState[] }> {
  const clock = fakeClock();
  const deps = { clock, log: silentLogger, random: () => 0.5, database: ":memory:", dial };
  const link = await openLink(deps, { identity }, signal);
  const states: LinkState[] = [];
  link.onState((state) => states.push(state));
  links.push({ link, clock });
  return { link, clock, states };
}

describe("the supervisor", () => {
  test("a dial that never answers is given up after 10 s, told so, and its late line closed", async () => {
    const signals: AbortSignal[] = [];
    let answer: () => void = () => {};
    const { dialled, accepted } = memoryPair({ clock: fakeClock() });
    let closed = false;
    accepted.start({ onFrame() {}, onWritable() {}, onClosed: () => (closed = true) });
    const { link, clock } = await start((signal) => {
      signals.push(signal);
      return new Promise((resolve) => (answer = () => resolve(dialled)));
    });
    await clock.advance(9_999);
    expect([link.state.kind, signals[0]?.aborted]).toEqual(["connecting", false]);
    await clock.advance(1);
    expect(link.state).toMatchObject({
      kind: "waiting",
      lastError: "dialling the plane took more than 10000 ms",
    });
    expect(signals[0]?.aborted).toBe(true);
    answer();
    await clock.advance(0);
    expect(closed).toBe(true);
  });

  test("a line without WELCOME is given up after 10 s", async () => {
    const clock = fakeClock();
    const { link, clock: own } = await start(() => Promise.resolve(memoryPair({ clock }).dialled));
    await own.advance(10_000);
    expect(link.state).toMatchObject({
      kind: "waiting",
      lastError: expect.stringContaining("did not answer") as string,
    });
  });

  test("failed dials wait longer and longer, up to 30 s, and name the last error", async () => {
    let dials = 0;
    const { clock, states } = await start(() =>
      Promise.reject(new Fault("Unavailable", `refused ${++dials}`)),
    );
    await clock.advance(120_000);
    const waits = states.flatMap((state) => (state.kind === "waiting" ? [state] : []));
    const pauses = waits.slice(1).map((wait, at) => wait.until - (waits[at]?.until ?? 0));
    expect(pauses.slice(0, 6)).toEqual([1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
    expect(waits.slice(0, 3).map((wait) => [wait.attempt, wait.lastError])).toEqual([
      [1, "refused 1"],
      [2, "refused 2"],
      [3, "refused 3"],
    ]);
  });

  test("a dial under way ends with the link, and nothing of it stays", async () => {
    let aborted = false;
    const { link, clock } = await start(
      (signal) =>
        new Promise((_, reject) =>
          signal.addEventListener("abort", () => ((aborted = true), reject(new Error("gone")))),
        ),
    );
    await clock.advance(100);
    await link.close();
    expect([aborted, link.state.kind, clock.pending]).toEqual([true, "closed", 0]);
  });

  test("the signal closes the link; one that has gone off already opens none", async () => {
    const stop = new AbortController();
    const { link, clock } = await start(() => new Promise(() => {}), stop.signal);
    stop.abort();
    await link.close();
    expect([link.state.kind, clock.pending]).toEqual(["closed", 0]);
    await expect(start(() => new Promise(() => {}), AbortSignal.abort())).rejects.toMatchObject({
      code: "Cancelled",
    });
  });

  test("a listener that throws is logged and harms nobody", async () => {
    const { link, clock } = await start(() => Promise.reject(new Fault("Unavailable", "no")));
    let seen = 0;
    let first = true;
    link.onState(() => {
      if (!first) throw new Error("listener");
      first = false;
    });
    const stop = link.onState(() => seen++);
    await clock.advance(60_000);
    expect(seen).toBeGreaterThan(4);
    stop();
    const before = seen;
    await clock.advance(60_000);
    expect(seen).toBe(before);
  });
});
