import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as wire from "#proto/generated/tunnel/link.ts";
import { maxFrameBytes } from "../transport/transport.ts";
import { decodeFrame, encodeFrame, frame, type Frame } from "./frame.ts";

const seq = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const text = fc.string({ unit: "grapheme", maxLength: 40 });
const cursor = fc.option(fc.record({ epoch: text, seq }), { nil: undefined });
const stream = fc.integer({ min: 1, max: 2 ** 31 - 1 });

const anyFrame: fc.Arbitrary<Frame> = fc.oneof(
  fc
    .record({
      ...{ minVersion: fc.nat(9), maxVersion: fc.nat(9), features: seq, role: fc.constantFrom(0, 1, 2) },
      ...{ uid: text, tenantUid: text, sessionId: text, epoch: text, cursor, software: text },
    })
    .map((body) => frame("hello", body as wire.Hello)),
  fc
    .record({ version: fc.nat(9), features: seq, epoch: text, cursor, software: text, generation: seq })
    .map((body) => frame("welcome", body)),
  fc.record({ token: seq }).map((body) => frame("ping", body)),
  fc.record({ token: seq }).map((body) => frame("pong", body)),
  fc
    .record({ code: fc.constantFrom(1, 2, 3, 11), reason: text, retryAfterMs: fc.nat() })
    .map((body) => frame("goaway", body as wire.Goaway)),
  fc
    .record({ seq, prev: seq, class: fc.constantFrom(1, 2, 3), topic: text, key: text, body: text, at: seq })
    .map((body) => frame("pub", body as wire.Pub)),
  fc.record({ seq }).map((body) => frame("ack", body)),
  fc.record({ seq, prev: seq, first: seq, count: seq, reason: text }).map((body) => frame("gap", body)),
  fc.record({ offset: seq }).map((body) => frame("sessionMax", body)),
  fc
    .tuple(stream, text, seq)
    .map(([id, service, maxData]) => ({ type: "open" as const, stream: id, body: { service, maxData } })),
  fc.tuple(stream, fc.uint8Array()).map(([id, body]) => ({ type: "data" as const, stream: id, body })),
  fc.tuple(stream, seq).map(([id, offset]) => ({ type: "maxData" as const, stream: id, body: { offset } })),
  fc.tuple(stream, text).map(([id, reason]) => ({ type: "rst" as const, stream: id, body: { reason } })),
);

describe("frames", () => {
  test("what is encoded is decoded to the same", () => {
    fc.assert(
      fc.property(anyFrame, (made) => {
        expect(decodeFrame(encodeFrame(made))).toEqual(made);
      }),
    );
  });

  test("no bytes make the decoder throw, and what it takes it can encode", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const decoded = decodeFrame(bytes);
        if (decoded.type !== "malformed" && decoded.type !== "ignorable") encodeFrame(decoded);
      }),
      { numRuns: 5_000 },
    );
  });

  test("no change of a true frame's bytes makes the decoder throw", () => {
    const change = fc.record({ at: fc.nat(), value: fc.nat(255), cut: fc.nat() });
    fc.assert(
      fc.property(anyFrame, fc.array(change, { minLength: 1, maxLength: 5 }), (made, changes) => {
        let bytes = encodeFrame(made);
        for (const { at, value, cut } of changes) {
          bytes[at % bytes.length] = value;
          if (cut % 4 === 0) bytes = bytes.slice(0, Math.max(1, cut % bytes.length));
        }
        const decoded = decodeFrame(bytes);
        expect(decoded.type).toBeTypeOf("string");
      }),
      { numRuns: 5_000 },
    );
  });

  test.each([
    ["nothing", []],
    ["one byte", [1]],
    ["a type of zero", [0, 0, 0]],
    ["an unknown type below 128", [99, 0, 0]],
    ["a PING of a stream", [wire.FrameType.PING, 0, 1]],
    ["DATA of no stream", [wire.FrameType.DATA, 0, 0, 1]],
    ["a stream id that does not end", [wire.FrameType.DATA, 0, 128, 128, 128, 128, 128, 1]],
    ["a stream id of 32 bits", [wire.FrameType.DATA, 0, 255, 255, 255, 255, 15]],
    ["a number above 2^53", [wire.FrameType.ACK, 0, 0, 8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]],
    ["a payload that breaks off", [wire.FrameType.GOAWAY, 0, 0, 18, 200]],
  ])("malformed: %s", (_, bytes) => {
    expect(decodeFrame(Uint8Array.from(bytes))).toMatchObject({ type: "malformed" });
  });

  test("an unknown type from 128 on is ignorable, whatever follows", () => {
    expect(decodeFrame(Uint8Array.from([128, 7, 255, 255]))).toEqual({ type: "ignorable", number: 128 });
  });

  test("flags are ignored: they are room to grow", () => {
    const bytes = encodeFrame(frame("ping", { token: 7 }));
    bytes[1] = 255;
    expect(decodeFrame(bytes)).toEqual(frame("ping", { token: 7 }));
  });

  test("a frame above the limit is malformed; the largest message fits", () => {
    expect(decodeFrame(new Uint8Array(maxFrameBytes + 1).fill(1))).toMatchObject({ type: "malformed" });
    const body = "x".repeat(256 * 1024);
    const pub = {
      seq: 2 ** 53 - 1,
      prev: 2 ** 53 - 2,
      class: 1 as const,
      topic: "t".repeat(128),
      key: "k".repeat(512),
      body,
      at: 2e12,
    };
    expect(encodeFrame(frame("pub", pub)).length).toBeLessThanOrEqual(maxFrameBytes);
  });
});
