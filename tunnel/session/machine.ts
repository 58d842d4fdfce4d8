// The session as a value: what a state makes of an event, and what to do about it. Pure; SPEC.md has the invariants.
//
//   T1. No frame of the log is sent or taken before the state is open.
//   T2. A side that heard nothing for deadMs is done with the line; it hears itself at least every keepaliveMs.
//   T3. GOAWAY is the last frame a side sends; after it nothing that comes is looked at.
//   T4. Every state but closed has a deadline.
//   T5. A session ends with exactly one outcome.
import { CloseCode, type Hello, type Welcome } from "#proto/generated/tunnel/link.ts";
import { frame, type Decoded, type Frame, type FrameOf } from "./frame.ts";
import { table, type EventKind } from "./table.ts";

export const versions = { min: 1, max: 1 } as const;
/** Feature bits this program offers. Streams will be the first. */
export const features = 0;

export interface SessionTimes {
  /** Between two PINGs. */
  readonly keepaliveMs: number;
  /** Silence after which the peer counts as dead. */
  readonly deadMs: number;
  /** From the line's start to open. */
  readonly handshakeMs: number;
  /** From GOAWAY to the line's end. */
  readonly endMs: number;
}

export const defaultTimes: SessionTimes = {
  keepaliveMs: 5_000,
  deadMs: 15_000,
  handshakeMs: 10_000,
  endMs: 1_000,
};

/** How a session ended. */
export type Outcome =
  /** This side wanted it. */
  | { readonly kind: "closed"; readonly code: CloseCode; readonly reason: string }
  /** The line broke, or the peer fell silent. */
  | { readonly kind: "lost"; readonly reason: string }
  /** The peer said goodbye. */
  | {
      readonly kind: "away";
      readonly code: CloseCode;
      readonly reason: string;
      readonly retryAfterMs: number;
    }
  /** The peer broke the rules. */
  | { readonly kind: "violation"; readonly reason: string };

export type Session =
  | { readonly kind: "dialling"; readonly deadline: number }
  | { readonly kind: "greeting"; readonly deadline: number }
  | { readonly kind: "admitting"; readonly deadline: number; readonly hello: Hello }
  | {
      readonly kind: "open";
      readonly version: number;
      readonly features: number;
      readonly heardAt: number;
      readonly pingAt: number;
      readonly token: number;
      readonly pingedAt: number;
    }
  | { readonly kind: "ending"; readonly deadline: number; readonly outcome: Outcome }
  | { readonly kind: "closed"; readonly outcome: Outcome };

export type SessionEvent =
  | { readonly kind: "hello"; readonly hello: Hello }
  | { readonly kind: "welcome"; readonly welcome: Welcome }
  | { readonly kind: "ping"; readonly token: number }
  | { readonly kind: "pong"; readonly token: number }
  | {
      readonly kind: "goaway";
      readonly code: CloseCode;
      readonly reason: string;
      readonly retryAfterMs: number;
    }
  | { readonly kind: "message"; readonly frame: MessageFrame }
  | { readonly kind: "stream" }
  | { readonly kind: "ignorable" }
  | { readonly kind: "malformed"; readonly reason: string }
  | { readonly kind: "admit"; readonly welcome: Welcome }
  | { readonly kind: "refuse"; readonly code: CloseCode; readonly reason: string }
  | { readonly kind: "tick" }
  | { readonly kind: "close"; readonly code: CloseCode; readonly reason: string }
  | { readonly kind: "lost"; readonly reason: string };

export type MessageFrame = FrameOf<"pub"> | FrameOf<"ack"> | FrameOf<"gap">;

export type SessionAction =
  | { readonly do: "send"; readonly frame: Frame }
  /** Ask whether this peer may come in; answer with "admit" or "refuse". */
  | { readonly do: "judge"; readonly hello: Hello }
  /** The session is open: both logs may flow, from where the peer says it stands. */
  | { readonly do: "attach"; readonly peer: Hello | Welcome }
  | { readonly do: "deliver"; readonly frame: MessageFrame }
  | { readonly do: "measured"; readonly rttMs: number }
  /** End the line in order, after what was sent. */
  | { readonly do: "end" }
  | { readonly do: "abort" }
  | { readonly do: "finish"; readonly outcome: Outcome };

export interface Step {
  readonly session: Session;
  readonly actions: readonly SessionAction[];
}

export function startDialling(hello: Hello, now: number, times: SessionTimes): Step {
  return {
    session: { kind: "dialling", deadline: now + times.handshakeMs },
    actions: [{ do: "send", frame: frame("hello", hello) }],
  };
}

export function startGreeting(now: number, times: SessionTimes): Step {
  return { session: { kind: "greeting", deadline: now + times.handshakeMs }, actions: [] };
}

/** What a frame is to the session. */
export function eventOf(decoded: Decoded): SessionEvent {
  switch (decoded.type) {
    case "hello":
      return { kind: "hello", hello: decoded.body };
    case "welcome":
      return { kind: "welcome", welcome: decoded.body };
    case "ping":
      return { kind: "ping", token: decoded.body.token };
    case "pong":
      return { kind: "pong", token: decoded.body.token };
    case "goaway":
      return { kind: "goaway", ...decoded.body };
    case "pub":
    case "ack":
    case "gap":
      return { kind: "message", frame: decoded };
    case "open":
    case "opened":
    case "data":
    case "maxData":
    case "fin":
    case "rst":
    case "sessionMax":
      return { kind: "stream" };
    case "ignorable":
      return { kind: "ignorable" };
    case "malformed":
      return { kind: "malformed", reason: decoded.reason };
  }
}

/** When "tick" is due. Infinity when closed. */
export function deadlineOf(session: Session, times: SessionTimes): number {
  switch (session.kind) {
    case "open":
      return Math.min(session.pingAt, session.heardAt + times.deadMs);
    case "closed":
      return Infinity;
    case "dialling":
    case "greeting":
    case "admitting":
    case "ending":
      return session.deadline; // T4
  }
}

/** Something came from the peer: it lives. */
export function heard(session: Session, now: number): Session {
  return session.kind === "open" ? { ...session, heardAt: now } : session;
}

/** A wall clock may be set back: nothing of a session may then wait longer than it would have. */
function sane(session: Session, now: number, times: SessionTimes): Session {
  switch (session.kind) {
    case "dialling":
    case "greeting":
    case "admitting":
      return { ...session, deadline: Math.min(session.deadline, now + times.handshakeMs) };
    case "open": {
      const heardAt = Math.min(session.heardAt, now);
      return { ...session, heardAt, pingAt: Math.min(session.pingAt, now + times.keepaliveMs) };
    }
    case "ending":
      return { ...session, deadline: Math.min(session.deadline, now + times.endMs) };
    case "closed":
      return session;
  }
}

/** One step. The table decides whether; what follows decides how. */
export function step(before: Session, event: SessionEvent, now: number, times: SessionTimes): Step {
  const session = sane(before, now, times);
  const verdict = table[session.kind][event.kind];
  if (verdict === "ignore") return { session, actions: [] };
  if (verdict === "violation") return violate(describe(event, session), now, times);
  switch (event.kind) {
    case "hello":
      return greet(session, event.hello, now, times);
    case "welcome":
      return welcomed(event.welcome, now, times);
    case "admit":
      return admitted(session, event.welcome, now, times);
    case "ping":
      return stay(session, { do: "send", frame: frame("pong", { token: event.token }) });
    case "pong":
      return ponged(session, event.token, now);
    case "message":
      return stay(session, { do: "deliver", frame: event.frame });
    case "goaway":
      return closed(session, {
        kind: "away",
        code: event.code,
        reason: event.reason,
        retryAfterMs: event.retryAfterMs,
      });
    case "refuse":
    case "close":
      return leave({ kind: "closed", code: event.code, reason: event.reason }, now, times);
    case "lost":
      return closed(session, { kind: "lost", reason: event.reason });
    case "tick":
      return tick(session, now, times);
    case "stream":
    case "ignorable":
    case "malformed":
      return violate(describe(event, session), now, times); // no state has another verdict for these today
  }
}

function stay(session: Session, ...actions: SessionAction[]): Step {
  return { session, actions };
}

function greet(session: Session, hello: Hello, now: number, times: SessionTimes): Step {
  if (session.kind !== "greeting") return { session, actions: [] };
  if (commonVersion(hello.minVersion, hello.maxVersion) === undefined) {
    const reason = `this side speaks versions ${versions.min} to ${versions.max}, the peer ${hello.minVersion} to ${hello.maxVersion}`;
    return leave({ kind: "closed", code: CloseCode.VERSION, reason }, now, times);
  }
  return {
    session: { kind: "admitting", deadline: session.deadline, hello },
    actions: [{ do: "judge", hello }],
  };
}

function welcomed(welcome: Welcome, now: number, times: SessionTimes): Step {
  if (commonVersion(welcome.version, welcome.version) === undefined) {
    return violate(`WELCOME with version ${welcome.version}, which was not offered`, now, times);
  }
  return {
    session: opened(welcome.version, welcome.features & features, now, times),
    actions: [{ do: "attach", peer: welcome }],
  };
}

function admitted(session: Session, welcome: Welcome, now: number, times: SessionTimes): Step {
  if (session.kind !== "admitting") return { session, actions: [] };
  const { hello } = session;
  const version = commonVersion(hello.minVersion, hello.maxVersion) ?? versions.max;
  const answer: Welcome = { ...welcome, version, features: hello.features & features };
  return {
    session: opened(version, answer.features, now, times),
    actions: [
      { do: "send", frame: frame("welcome", answer) },
      { do: "attach", peer: hello },
    ],
  };
}

function opened(version: number, inForce: number, now: number, times: SessionTimes): Session {
  const pingAt = now + times.keepaliveMs;
  return { kind: "open", version, features: inForce, heardAt: now, pingAt, token: 0, pingedAt: now };
}

/** The highest version both sides speak. */
export function commonVersion(min: number, max: number): number | undefined {
  const highest = Math.min(max, versions.max);
  return highest >= Math.max(min, versions.min) ? highest : undefined;
}

function ponged(session: Session, token: number, now: number): Step {
  if (session.kind !== "open" || token !== session.token || token === 0) return { session, actions: [] };
  return stay(session, { do: "measured", rttMs: now - session.pingedAt });
}

function tick(session: Session, now: number, times: SessionTimes): Step {
  if (now < deadlineOf(session, times)) return { session, actions: [] };
  switch (session.kind) {
    case "dialling":
      return abandon(
        session,
        `the plane did not answer within ${times.handshakeMs} ms; a firewall or proxy may swallow the connection`,
      );
    case "greeting":
    case "admitting":
      return abandon(session, `no HELLO admitted within ${times.handshakeMs} ms`);
    case "ending":
      return abandon(session, "the line did not end in time");
    case "open": {
      if (now - session.heardAt >= times.deadMs) {
        return abandon(session, `heard nothing for ${now - session.heardAt} ms`); // T2
      }
      const token = session.token + 1;
      return stay(
        { ...session, token, pingedAt: now, pingAt: now + times.keepaliveMs },
        { do: "send", frame: frame("ping", { token }) },
      );
    }
    case "closed":
      return { session, actions: [] };
  }
}

/** The line is useless: no goodbye. */
function abandon(session: Session, reason: string): Step {
  return closed(session, { kind: "lost", reason });
}

function violate(reason: string, now: number, times: SessionTimes): Step {
  return leave({ kind: "violation", reason }, now, times);
}

/** Says goodbye and ends (T3). */
function leave(outcome: Outcome, now: number, times: SessionTimes): Step {
  const code = outcome.kind === "closed" ? outcome.code : CloseCode.PROTOCOL;
  const goodbye = frame("goaway", { code, reason: outcome.reason, retryAfterMs: 0 });
  return {
    session: { kind: "ending", deadline: now + times.endMs, outcome },
    actions: [{ do: "send", frame: goodbye }, { do: "end" }],
  };
}

/** The end; a session that was already ending keeps the outcome it had (T5). */
function closed(session: Session, outcome: Outcome): Step {
  const final = session.kind === "ending" ? session.outcome : outcome;
  return {
    session: { kind: "closed", outcome: final },
    actions: [{ do: "abort" }, { do: "finish", outcome: final }],
  };
}

function describe(event: SessionEvent, session: Session): string {
  if (event.kind === "malformed") return event.reason;
  const names: Partial<Record<EventKind, string>> = { message: "a message", stream: "a stream frame" };
  return `${names[event.kind] ?? event.kind.toUpperCase()} while ${session.kind}`;
}
