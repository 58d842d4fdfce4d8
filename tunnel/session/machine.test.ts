import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CloseCode, Role, type Hello, type Welcome } from "#proto/generated/tunnel/link.ts";
import { frame } from "./frame.ts";
import {
  commonVersion,
  deadlineOf,
  defaultTimes as times,
  eventOf,
  heard,
  startDialling,
  startGreeting,
  step,
  type Session,
  type SessionEvent,
} from "./machine.ts";
import { eventKinds, stateKinds, table, type EventKind, type StateKind, type Verdict } from "./table.ts";

const now = 1_000_000;
const hello: Hello = {
  ...{ minVersion: 1, maxVersion: 1, features: 0, role: Role.GATEWAY, uid: "g", tenantUid: "t" },
  ...{ sessionId: "s", epoch: "e", cursor: undefined, software: "" },
};
const welcome: Welcome = {
  version: 1,
  features: 0,
  epoch: "p",
  cursor: undefined,
  software: "",
  generation: 1,
};

const sessions: Record<StateKind, Session> = {
  dialling: startDialling(hello, now, times).session,
  greeting: startGreeting(now, times).session,
  admitting: { kind: "admitting", deadline: now + times.handshakeMs, hello },
  open: step(startDialling(hello, now, times).session, { kind: "welcome", welcome }, now, times).session,
  ending: {
    kind: "ending",
    deadline: now + times.endMs,
    outcome: { kind: "closed", code: 1, reason: "first" },
  },
  closed: { kind: "closed", outcome: { kind: "closed", code: 1, reason: "first" } },
};

const events: Record<EventKind, SessionEvent> = {
  hello: { kind: "hello", hello },
  welcome: { kind: "welcome", welcome },
  ping: { kind: "ping", token: 1 },
  pong: { kind: "pong", token: 1 },
  goaway: { kind: "goaway", code: CloseCode.CLOSING, reason: "bye", retryAfterMs: 0 },
  message: { kind: "message", frame: frame("ack", { seq: 1 }) },
  stream: { kind: "stream" },
  ignorable: { kind: "ignorable" },
  malformed: { kind: "malformed", reason: "rubbish" },
  admit: { kind: "admit", welcome },
  refuse: { kind: "refuse", code: CloseCode.REFUSED, reason: "revoked" },
  tick: { kind: "tick" },
  close: { kind: "close", code: CloseCode.CLOSING, reason: "stop" },
  lost: { kind: "lost", reason: "reset" },
};

/** The state after an event of this verdict. */
function expected(from: StateKind, verdict: Verdict): StateKind {
  if (verdict === "stay" || verdict === "ignore") return from;
  return verdict === "violation" ? "ending" : verdict;
}

describe("the table", () => {
  test.each(
    stateKinds.flatMap((from) => eventKinds.map((event) => [from, event, table[from][event]] as const)),
  )("%s, %s: %s", (from, event, verdict) => {
    const { session, actions } = step(sessions[from], events[event], now, times);
    expect(session.kind).toBe(expected(from, verdict));
    if (verdict === "ignore") expect({ session, actions }).toEqual({ session: sessions[from], actions: [] });
    if (verdict === "violation") {
      expect(actions[0]).toMatchObject({
        do: "send",
        frame: { type: "goaway", body: { code: CloseCode.PROTOCOL } },
      });
    }
    const finishes = actions.filter((action) => action.do === "finish").length;
    expect(finishes).toBe(session.kind === "closed" && from !== "closed" ? 1 : 0); // T5
  });

  test("SPEC.md shows the same table", () => {
    const rows = stateKinds.map(
      (from) => `| ${[from, ...eventKinds.map((event) => table[from][event])].join(" | ")} |`,
    );
    const spec = readFileSync(new URL("../SPEC.md", import.meta.url), "utf8");
    const shown = spec.split("\n").map((line) => line.replace(/ +/g, " "));
    for (const row of rows) expect(shown).toContain(row);
  });
});

describe("the handshake", () => {
  test.each([
    [1, 1, 1],
    [1, 9, 1],
    [0, 1, 1],
    [2, 9, undefined],
    [0, 0, undefined],
    [2, 1, undefined],
  ])("a peer of versions %i to %i: %s", (min, max, version) => {
    expect(commonVersion(min, max)).toBe(version);
  });

  test("no version in common ends with VERSION, and says which ones there are", () => {
    const { actions } = step(
      sessions.greeting,
      { kind: "hello", hello: { ...hello, minVersion: 7, maxVersion: 9 } },
      now,
      times,
    );
    expect(actions[0]).toMatchObject({
      frame: { body: { code: CloseCode.VERSION, reason: expect.stringContaining("7 to 9") as string } },
    });
  });

  test("features of the other side that we do not know are not in force", () => {
    const { session } = step(
      sessions.dialling,
      { kind: "welcome", welcome: { ...welcome, features: 7 } },
      now,
      times,
    );
    expect(session).toMatchObject({ kind: "open", features: 0 });
  });

  test.each(["dialling", "greeting", "admitting"] as const)("%s ends at its deadline, not before", (kind) => {
    const before = step(sessions[kind], events.tick, now + times.handshakeMs - 1, times);
    expect(before.session.kind).toBe(kind);
    expect(step(sessions[kind], events.tick, now + times.handshakeMs, times).session).toMatchObject({
      kind: "closed",
      outcome: { kind: "lost" },
    });
  });
});

describe("keepalive", () => {
  test("an open session pings every keepaliveMs and gives up after deadMs of silence (T2)", () => {
    let session = sessions.open;
    const pings: number[] = [];
    while (session.kind === "open") {
      const at = deadlineOf(session, times);
      const next = step(session, events.tick, at, times);
      if (next.actions.some((action) => action.do === "send")) pings.push(at - now);
      session = next.session;
      if (session.kind === "closed") expect(at - now).toBe(times.deadMs);
    }
    expect(pings).toEqual([5_000, 10_000]);
  });

  test("anything heard puts the end off", () => {
    const late = heard(sessions.open, now + 14_999);
    expect(step(late, events.tick, now + 15_000, times).session.kind).toBe("open");
  });

  test("a clock that is set back delays neither the next PING nor the end", () => {
    const dayBefore = now - 86_400_000;
    const { session } = step(sessions.open, events.tick, dayBefore, times);
    expect(deadlineOf(session, times)).toBe(dayBefore + times.keepaliveMs);
    expect(step(session, events.tick, dayBefore + times.deadMs, times).session.kind).toBe("closed");
  });

  test("the round trip is taken from the PONG to the last PING only", () => {
    const pinged = step(sessions.open, events.tick, now + 5_000, times).session;
    expect(step(pinged, { kind: "pong", token: 1 }, now + 5_040, times).actions).toEqual([
      { do: "measured", rttMs: 40 },
    ]);
    expect(step(pinged, { kind: "pong", token: 9 }, now + 5_040, times).actions).toEqual([]);
    expect(step(sessions.open, { kind: "pong", token: 0 }, now, times).actions).toEqual([]);
  });
});

describe("laws", () => {
  const anyEvent = fc.constantFrom(...eventKinds).map((kind) => events[kind]);
  const walk = fc.array(fc.tuple(anyEvent, fc.nat(6_000)), { maxLength: 60 });

  test("any walk: one outcome, GOAWAY last, messages only while open, a deadline unless closed (T1, T3, T4, T5)", () => {
    fc.assert(
      fc.property(fc.boolean(), walk, (dials, steps) => {
        let at = now;
        let { session, actions } = dials ? startDialling(hello, at, times) : startGreeting(at, times);
        const sent: string[] = [];
        let finishes = 0;
        for (const [event, later] of steps) {
          at += later;
          const from = session.kind;
          ({ session, actions } = step(heard(session, at), event, at, times));
          for (const action of actions) {
            if (action.do === "send") sent.push(action.frame.type);
            if (action.do === "deliver") expect(from).toBe("open");
            if (action.do === "finish") finishes++;
          }
          if (session.kind !== "closed") expect(deadlineOf(session, times)).toBeLessThan(Infinity);
        }
        expect(finishes).toBe(session.kind === "closed" ? 1 : 0);
        const goodbye = sent.indexOf("goaway");
        if (goodbye >= 0) expect(goodbye).toBe(sent.length - 1);
      }),
    );
  });
});

test("every frame is an event", () => {
  expect(eventOf({ type: "data", stream: 1, body: new Uint8Array() })).toEqual({ kind: "stream" });
  expect(eventOf({ type: "ignorable", number: 200 })).toEqual({ kind: "ignorable" });
  expect(eventOf(frame("goaway", { code: 1, reason: "r", retryAfterMs: 5 }))).toEqual({
    ...{ kind: "goaway", code: 1, reason: "r", retryAfterMs: 5 },
  });
});
