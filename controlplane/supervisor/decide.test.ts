import { describe, expect, it } from "vitest";
import { decide, failuresAfter, heard, patience, type Decision, type Life } from "./decide.ts";

const s = 1000;
const running = (rest: object = {}): Life & { kind: "running" } => ({ kind: "running", since: 0, ...rest });

interface Row {
  readonly name: string;
  readonly life: Life;
  readonly now: number;
  readonly failures?: number;
  readonly expected: Partial<Decision>;
}

const rows: readonly Row[] = [
  {
    name: "nothing runs: start it",
    life: { kind: "absent" },
    now: 0,
    expected: { do: "start", state: "starting" },
  },
  {
    name: "a fresh start is asked soon again",
    life: running(),
    now: 1 * s,
    expected: { do: "probe", thenMs: 100, state: "starting" },
  },
  {
    name: "S1 a slow start is called slow, and left to run",
    life: running(),
    now: 25 * s,
    expected: {
      do: "probe",
      state: "starting",
      message: "slow start: running for 25 s and not ready yet",
    },
  },
  {
    name: "S1 a slow start that says why is quoted",
    life: running({ says: "not ready: etcd" }),
    now: 25 * s,
    expected: { message: "slow start: running for 25 s and not ready yet (not ready: etcd)" },
  },
  { name: "S1 one that hangs is killed", life: running(), now: 300 * s, expected: { do: "kill" } },
  {
    name: "S1 ten failures before do not make a slow start a hung one",
    life: running(),
    now: 200 * s,
    failures: 10,
    expected: { do: "probe" },
  },
  {
    name: "S2 after an end: the pause first",
    life: { kind: "ended", at: 10 * s, startAt: 12 * s },
    now: 11 * s,
    failures: 1,
    expected: { do: "wait", ms: 1 * s, state: "backing-off" },
  },
  {
    name: "S2 then a start",
    life: { kind: "ended", at: 10 * s, startAt: 12 * s },
    now: 12 * s,
    failures: 1,
    expected: { do: "start" },
  },
  {
    name: "S3 the third end in a row is a crash loop",
    life: { kind: "ended", at: 10 * s, startAt: 12 * s },
    now: 11 * s,
    failures: 3,
    expected: { do: "wait", state: "crash-looping" },
  },
  {
    name: "ready is asked now and then",
    life: running({ wasReady: true, readySince: 2 * s, lastAnswer: 9 * s }),
    now: 10 * s,
    expected: { do: "probe", thenMs: 5 * s, state: "ready" },
  },
  {
    name: "S4 silence after having been ready is told",
    life: running({ wasReady: true, lastAnswer: 10 * s }),
    now: 20 * s,
    expected: { do: "probe", state: "starting", message: "has not answered for 10 s" },
  },
  {
    name: "S4 long silence ends it",
    life: running({ wasReady: true, lastAnswer: 10 * s }),
    now: 70 * s,
    expected: { do: "kill" },
  },
  {
    name: "S4 one that says what it waits for is left alone for ever",
    life: running({ wasReady: true, lastAnswer: 10 * s, says: "not ready: etcd" }),
    now: 5000 * s,
    expected: { do: "probe", state: "starting", message: "not ready: etcd" },
  },
];

describe("what to do about a program", () => {
  it.each(rows)("$name", ({ life, now, failures = 0, expected }) => {
    expect(decide({ now, life, failures })).toMatchObject(expected);
  });
});

describe("S5 while another is missing", () => {
  it("silence is waiting", () => {
    const life = running({ wasReady: true, lastAnswer: 10 * s });
    expect(decide({ now: 500 * s, life, failures: 0, misses: "etcd" })).toMatchObject({
      do: "probe",
      message: "waits for etcd",
    });
    const hung = running();
    expect(decide({ now: 500 * s, life: hung, failures: 0, misses: "etcd" })).toMatchObject({ do: "probe" });
  });

  it("one that ended is tried again all the same, and one that is ready is ready", () => {
    const ended: Life = { kind: "ended", at: 0, startAt: 1 };
    expect(decide({ now: 2, life: ended, failures: 9, misses: "etcd" })).toMatchObject({ do: "start" });
    const ready = running({ wasReady: true, readySince: 1 });
    expect(decide({ now: 2, life: ready, failures: 0, misses: "etcd" })).toMatchObject({ state: "ready" });
  });
});

describe("what was heard", () => {
  it("ready since the first answer of an unbroken row", () => {
    let life = heard(running(), { ready: true }, 5);
    life = heard(life, { ready: true }, 9);
    expect(life).toMatchObject({ wasReady: true, readySince: 5, lastAnswer: 9 });
    life = heard(life, undefined, 12);
    expect(life).toEqual({ kind: "running", since: 0, wasReady: true, lastAnswer: 9 });
    expect(heard(life, { ready: true }, 20)).toMatchObject({ readySince: 20 });
  });

  it("a no is an answer", () => {
    const life = heard(running(), { ready: false, says: "not ready: etcd" }, 5);
    expect(life).toEqual({ kind: "running", since: 0, lastAnswer: 5, says: "not ready: etcd" });
  });
});

describe("ends in a row", () => {
  it("one that held begins anew, one that did not goes on", () => {
    const held = running({ wasReady: true, readySince: 0 });
    expect(failuresAfter(7, held, patience.steadyMs)).toBe(1);
    expect(failuresAfter(7, held, patience.steadyMs - 1)).toBe(8);
    expect(failuresAfter(7, running(), 10 * patience.steadyMs)).toBe(8);
  });
});
