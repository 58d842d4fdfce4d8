import { describe, expect, test } from "vitest";
import { MessageClass } from "#proto/generated/tunnel/link.ts";
import { frame, type Frame, type FrameOf } from "./frame.ts";
import { Outgoing } from "./outgoing.ts";

function pub(seq: number): FrameOf<"pub"> {
  return frame("pub", {
    seq,
    prev: seq - 1,
    class: MessageClass.EVENT,
    topic: "t",
    key: "",
    body: "1",
    at: 0,
  });
}

/** A line that takes so many frames before it says no. */
function line(room: number) {
  const sent: Frame[] = [];
  const outgoing = new Outgoing((out) => (sent.push(out), sent.length < room));
  const more = (frames: number) => {
    room += frames;
    outgoing.writable();
  };
  return { sent, outgoing, more, kinds: () => sent.map((out) => out.type) };
}

function source(...frames: Frame[]): () => Frame | undefined {
  return () => frames.shift();
}

describe("what goes out next", () => {
  test("nothing while the line is full, then control frames before the log before samples", () => {
    const { outgoing, more, kinds } = line(1);
    outgoing.control(frame("ping", { token: 1 })); // taken, and the line is full
    outgoing.sample(pub(0));
    outgoing.from(source(pub(1)));
    outgoing.control(frame("ack", { seq: 5 }));
    outgoing.control(frame("pong", { token: 2 }));
    expect(kinds()).toEqual(["ping"]);
    more(10);
    expect(kinds()).toEqual(["ping", "pong", "ack", "pub", "pub"]);
  });

  test("of unsent control frames of a kind only the newest goes out", () => {
    const { outgoing, more, sent } = line(1);
    outgoing.control(frame("ping", { token: 1 }));
    for (let seq = 1; seq <= 1_000; seq++) outgoing.control(frame("ack", { seq }));
    more(10);
    expect(sent).toEqual([frame("ping", { token: 1 }), frame("ack", { seq: 1_000 })]);
  });

  test("too many samples push the oldest out, and say how many", () => {
    const sent: Frame[] = [];
    const outgoing = new Outgoing((out) => (sent.push(out), false), 2);
    outgoing.control(frame("ping", { token: 1 }));
    expect([1, 2, 3, 4].map((seq) => outgoing.sample(pub(seq)))).toEqual([0, 0, 1, 1]);
    outgoing.writable();
    expect(sent.at(-1)).toEqual(pub(3));
  });

  test("the goodbye goes out even on a full line, and nothing after it (T3)", () => {
    const { outgoing, more, kinds } = line(1);
    outgoing.control(frame("ping", { token: 1 }));
    outgoing.control(frame("ack", { seq: 1 }));
    outgoing.from(source(pub(1)));
    outgoing.goodbye(frame("goaway", { code: 1, reason: "", retryAfterMs: 0 }));
    outgoing.control(frame("pong", { token: 1 }));
    more(10);
    expect(kinds()).toEqual(["ping", "goaway"]);
  });
});
