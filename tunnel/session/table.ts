// What each state makes of each event: the whole table, so that a new state or event does not compile until every cell is decided.
// SPEC.md beside the folder shows the same table; a test compares the two, and drives the machine through every cell.

export const stateKinds = ["dialling", "greeting", "admitting", "open", "ending", "closed"] as const;
export type StateKind = (typeof stateKinds)[number];

export const eventKinds = [
  /** HELLO came. */
  "hello",
  "welcome",
  "ping",
  "pong",
  "goaway",
  /** PUB, ACK or GAP came. */
  "message",
  /** A frame of the byte streams came. */
  "stream",
  /** A frame of a type from 128 on came. */
  "ignorable",
  /** Something that is no frame came, or what stands above found a frame against the rules. */
  "malformed",
  /** The hub lets the peer in. */
  "admit",
  /** The hub does not, or no longer. */
  "refuse",
  /** A deadline of the state may have passed. */
  "tick",
  /** This side wants to stop. */
  "close",
  /** The line closed. */
  "lost",
] as const;
export type EventKind = (typeof eventKinds)[number];

/** The next state, or: stay as it is and act; ignore it; it breaks the rules (ends the session with PROTOCOL). */
export type Verdict = StateKind | "stay" | "ignore" | "violation";

export const table: Readonly<Record<StateKind, Readonly<Record<EventKind, Verdict>>>> = {
  // The dialling side has sent HELLO.
  dialling: {
    hello: "violation",
    welcome: "open",
    ping: "violation",
    pong: "violation",
    goaway: "closed",
    message: "violation",
    stream: "violation",
    ignorable: "ignore",
    malformed: "violation",
    admit: "ignore",
    refuse: "ignore",
    tick: "stay",
    close: "ending",
    lost: "closed",
  },
  // The listening side waits for HELLO.
  greeting: {
    hello: "admitting",
    welcome: "violation",
    ping: "violation",
    pong: "violation",
    goaway: "closed",
    message: "violation",
    stream: "violation",
    ignorable: "ignore",
    malformed: "violation",
    admit: "ignore",
    refuse: "ending",
    tick: "stay",
    close: "ending",
    lost: "closed",
  },
  // The listening side asks whether the peer may come in. The peer says nothing until WELCOME.
  admitting: {
    hello: "violation",
    welcome: "violation",
    ping: "violation",
    pong: "violation",
    goaway: "closed",
    message: "violation",
    stream: "violation",
    ignorable: "ignore",
    malformed: "violation",
    admit: "open",
    refuse: "ending",
    tick: "stay",
    close: "ending",
    lost: "closed",
  },
  open: {
    hello: "violation",
    welcome: "violation",
    ping: "stay",
    pong: "stay",
    goaway: "closed",
    message: "stay",
    stream: "violation", // until streams are built and offered
    ignorable: "ignore",
    malformed: "violation",
    admit: "ignore",
    refuse: "ending",
    tick: "stay",
    close: "ending",
    lost: "closed",
  },
  // GOAWAY is sent; the line is ending. What still comes in is not looked at.
  ending: {
    hello: "ignore",
    welcome: "ignore",
    ping: "ignore",
    pong: "ignore",
    goaway: "closed",
    message: "ignore",
    stream: "ignore",
    ignorable: "ignore",
    malformed: "ignore",
    admit: "ignore",
    refuse: "ignore",
    tick: "stay",
    close: "ignore",
    lost: "closed",
  },
  closed: {
    hello: "ignore",
    welcome: "ignore",
    ping: "ignore",
    pong: "ignore",
    goaway: "ignore",
    message: "ignore",
    stream: "ignore",
    ignorable: "ignore",
    malformed: "ignore",
    admit: "ignore",
    refuse: "ignore",
    tick: "ignore",
    close: "ignore",
    lost: "ignore",
  },
};
