import { describe, expect, it } from "vitest";
import { silentLogger } from "#core";
import { fakeClock } from "#core/time/fake-clock.ts";
import type { Answer } from "./decide.ts";
import type { Spawn } from "./process.ts";
import { Program } from "./program.ts";

/** A program whose life the test decides. */
function scene() {
  const clock = fakeClock();
  const lives: { end(how: string): void; say(line: string): void; signals: string[] }[] = [];
  let answer: () => Promise<Answer> = () => Promise.reject(new Error("silent"));
  const spawn: Spawn = (_command, onLine) => {
    let end = (_how: string) => {};
    const ended = new Promise<string>((resolve) => (end = resolve));
    const signals: string[] = [];
    lives.push({ end, say: onLine, signals });
    return {
      pid: 4711,
      ended,
      kill(signal) {
        signals.push(signal);
        if (signal === "SIGKILL") end(signal);
      },
    };
  };
  const program = new Program(
    {
      name: "etcd",
      version: "1",
      command: () => ({ path: "/etcd", args: [], env: {}, cwd: "/" }),
      probe: () => answer(),
      stopMs: 2000,
      dataDir: "/data",
    },
    { clock, log: silentLogger, random: () => 0.5, spawn },
  );
  return {
    clock,
    lives,
    program,
    answers: (next: Answer | undefined) =>
      (answer = () => (next ? Promise.resolve(next) : Promise.reject(new Error("silent")))),
  };
}

const signal = () => new AbortController().signal;

describe("a supervised program", () => {
  it("is ready when it says so, and stopped when it is told", async () => {
    const { clock, lives, program, answers } = scene();
    const ready = program.ready(signal());
    await clock.advance(500);
    expect(await program.status()).toMatchObject({ state: "starting", restarts: 0 });
    answers({ ready: true });
    await clock.advance(200);
    await ready;
    expect(await program.status()).toMatchObject({ state: "ready", pid: 4711 });

    const stopped = program.stop();
    await clock.advance(0);
    expect(lives[0]?.signals).toEqual(["SIGTERM"]);
    lives[0]?.end("status 0");
    await stopped;
    expect(await program.status()).toMatchObject({ state: "stopped" });
    expect(lives).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });

  it("is killed when it does not listen", async () => {
    const { clock, lives, program } = scene();
    program.start();
    await clock.advance(10);
    const stopped = program.stop();
    await clock.advance(2000);
    await stopped;
    expect(lives[0]?.signals).toEqual(["SIGTERM", "SIGKILL"]);
  });

  it("is started again after a pause, and the reason is kept until it is ready", async () => {
    const { clock, lives, program, answers } = scene();
    program.start();
    await clock.advance(10);
    lives[0]?.say("write /data/etcd/member/wal: no space left on device");
    lives[0]?.end("status 1");
    await clock.advance(10);
    expect(await program.status()).toMatchObject({
      state: "backing-off",
      message: expect.stringContaining("the disk of /data is full: free space there") as string,
    });
    await clock.advance(1000);
    expect(lives).toHaveLength(2);
    expect((await program.status()).message).toMatch(/is full/);
    answers({ ready: true });
    await clock.advance(200);
    expect(await program.status()).toMatchObject({ state: "ready", restarts: 1 });
    expect((await program.status()).message).toBeUndefined();
    await settle(program, lives);
  });

  it("that ends three times in a row is a crash loop: whoever waits is told why, and it is tried on and on", async () => {
    const { clock, lives, program, answers } = scene();
    const ready = program.ready(signal()).catch((error: unknown) => error);
    for (let round = 0; round < 3; round++) {
      await clock.advance(2000);
      lives.at(-1)?.say("listen tcp 127.0.0.1:20000: bind: address already in use");
      lives.at(-1)?.end("status 1");
    }
    await clock.advance(10);
    expect(await program.status()).toMatchObject({ state: "crash-looping" });
    expect(await ready).toMatchObject({
      code: "Unavailable",
      message: expect.stringMatching(/^etcd does not start: .*another program has taken its port/) as string,
    });
    answers({ ready: true });
    await clock.advance(60_000);
    expect(await program.status()).toMatchObject({ state: "ready" });
    await settle(program, lives);
  });

  it("whose pauses grow begins with short ones again after it held", async () => {
    const { clock, lives, program, answers } = scene();
    program.start();
    for (let round = 0; round < 6; round++) {
      await clock.advance(0);
      lives.at(-1)?.end("status 1");
      await clock.advance(60_000);
    }
    answers({ ready: true });
    await clock.advance(70_000);
    const before = lives.length;
    lives.at(-1)?.end("status 1");
    await clock.advance(700);
    expect(lives.length).toBe(before + 1);
    await settle(program, lives);
  });

  it("waiting for it can be cancelled", async () => {
    const { clock, lives, program } = scene();
    const stop = new AbortController();
    const ready = program.ready(stop.signal).catch((error: unknown) => error);
    await clock.advance(10);
    stop.abort();
    expect(await ready).toMatchObject({ code: "Cancelled" });
    await settle(program, lives);
  });
});

async function settle(program: Program, lives: { end(how: string): void }[]): Promise<void> {
  const stopped = program.stop();
  lives.at(-1)?.end("status 0");
  await stopped;
}
