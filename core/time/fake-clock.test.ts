import { expect, test } from "vitest";
import { sleep } from "./clock.ts";
import { fakeClock } from "./fake-clock.ts";

test("time stands still until it is moved", async () => {
  const clock = fakeClock(1000);
  expect(clock.now()).toBe(1000);
  await clock.advance(250);
  expect(clock.now()).toBe(1250);
});

test("timers go off in the order of their times, each at its own time", async () => {
  const clock = fakeClock(0);
  const fired: [string, number][] = [];
  clock.after(20, () => fired.push(["late", clock.now()]));
  clock.after(10, () => fired.push(["early", clock.now()]));
  clock.after(10, () => fired.push(["early, second", clock.now()]));
  clock.after(31, () => fired.push(["never", clock.now()]));
  await clock.advance(30);
  expect(fired).toEqual([
    ["early", 10],
    ["early, second", 10],
    ["late", 20],
  ]);
  expect(clock.pending).toBe(1);
});

test("a timer that is cancelled does not go off, and cancelling twice is nothing", async () => {
  const clock = fakeClock();
  let fired = 0;
  const cancel = clock.after(5, () => fired++);
  cancel();
  cancel();
  await clock.advance(10);
  expect(fired).toBe(0);
  expect(clock.pending).toBe(0);
});

test("timers set by timers, and by what waits for them, go off in the same move", async () => {
  const clock = fakeClock(0);
  const at: number[] = [];
  void (async () => {
    for (let i = 0; i < 3; i++) {
      await sleep(clock, 10);
      at.push(clock.now());
    }
  })();
  clock.after(1, () => clock.after(1, () => at.push(clock.now())));
  await clock.advance(30);
  expect(at).toEqual([2, 10, 20, 30]);
});

test("sleeping ends with the signal, and leaves no timer behind", async () => {
  const clock = fakeClock();
  const stop = new AbortController();
  const sleeping = sleep(clock, 1000, stop.signal);
  stop.abort();
  await expect(sleeping).rejects.toMatchObject({ code: "Cancelled" });
  await expect(sleep(clock, 1, AbortSignal.abort())).rejects.toMatchObject({ code: "Cancelled" });
  expect(clock.pending).toBe(0);
});
