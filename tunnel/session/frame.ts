// Frames to bytes and back (proto/tunnel/SPEC.md F1..F6). Pure.
//
// type (1 byte) | flags (1 byte) | stream id (varint) | payload
import * as wire from "#proto/generated/tunnel/link.ts";
import { maxFrameBytes } from "../transport/transport.ts";

/** The payloads, by the name of their frame. */
interface Payloads {
  hello: wire.Hello;
  welcome: wire.Welcome;
  ping: wire.Ping;
  pong: wire.Pong;
  goaway: wire.Goaway;
  pub: wire.Pub;
  ack: wire.Ack;
  gap: wire.Gap;
  open: wire.Open;
  opened: wire.Opened;
  data: Uint8Array;
  maxData: wire.MaxData;
  fin: wire.Fin;
  rst: wire.Rst;
  sessionMax: wire.SessionMax;
}

export type FrameName = keyof Payloads;
export type FrameOf<N extends FrameName> = {
  readonly type: N;
  readonly stream: number;
  readonly body: Payloads[N];
};
export type Frame = { [N in FrameName]: FrameOf<N> }[FrameName];

/** What came of reading bytes as a frame. */
export type Decoded =
  | Frame
  /** A type that newer peers may send and we may ignore (F4). */
  | { readonly type: "ignorable"; readonly number: number }
  | { readonly type: "malformed"; readonly reason: string };

interface Shape<T> {
  readonly number: number;
  /** Whether it belongs to a byte stream: those carry a stream id, the others 0 (F3). */
  readonly streamed: boolean;
  encode(body: T): Uint8Array;
  decode(bytes: Uint8Array): T;
}

function shape<T>(number: number, fns: wire.MessageFns<T>, streamed = false): Shape<T> {
  return {
    number,
    streamed,
    encode: (body) => fns.encode(body).finish(),
    decode: (bytes) => fns.decode(bytes),
  };
}

const shapes: { readonly [N in FrameName]: Shape<Payloads[N]> } = {
  hello: shape(wire.FrameType.HELLO, wire.Hello),
  welcome: shape(wire.FrameType.WELCOME, wire.Welcome),
  ping: shape(wire.FrameType.PING, wire.Ping),
  pong: shape(wire.FrameType.PONG, wire.Pong),
  goaway: shape(wire.FrameType.GOAWAY, wire.Goaway),
  pub: shape(wire.FrameType.PUB, wire.Pub),
  ack: shape(wire.FrameType.ACK, wire.Ack),
  gap: shape(wire.FrameType.GAP, wire.Gap),
  open: shape(wire.FrameType.OPEN, wire.Open, true),
  opened: shape(wire.FrameType.OPENED, wire.Opened, true),
  data: { number: wire.FrameType.DATA, streamed: true, encode: (bytes) => bytes, decode: (bytes) => bytes },
  maxData: shape(wire.FrameType.MAX_DATA, wire.MaxData, true),
  fin: shape(wire.FrameType.FIN, wire.Fin, true),
  rst: shape(wire.FrameType.RST, wire.Rst, true),
  sessionMax: shape(wire.FrameType.SESSION_MAX, wire.SessionMax),
};

const names = new Map(
  (Object.entries(shapes) as [FrameName, Shape<unknown>][]).map(([name, { number }]) => [number, name]),
);

/** A frame that belongs to no stream. */
export function frame<N extends FrameName>(type: N, body: Payloads[N]): FrameOf<N> {
  return { type, stream: 0, body };
}

export function encodeFrame(out: Frame): Uint8Array {
  const { number, encode } = shapes[out.type] as Shape<unknown>;
  const payload = encode(out.body);
  const head = [number, 0, ...varint(out.stream)];
  const bytes = new Uint8Array(head.length + payload.length);
  bytes.set(head);
  bytes.set(payload, head.length);
  return bytes;
}

/** Never throws: what cannot be read comes back as "malformed". */
export function decodeFrame(bytes: Uint8Array): Decoded {
  if (bytes.length > maxFrameBytes) return malformed(`${bytes.length} bytes are more than a frame may have`);
  const number = bytes[0];
  if (number === undefined || bytes.length < 3) return malformed("a frame of less than 3 bytes");
  const name = names.get(number);
  if (!name) return number >= 128 ? { type: "ignorable", number } : malformed(`unknown frame type ${number}`);
  const id = readVarint(bytes, 2);
  if (!id) return malformed(`${name} with an unreadable stream id`);
  const { streamed, decode } = shapes[name] as Shape<unknown>;
  if (streamed !== id.value > 0) return malformed(`${name} with stream id ${id.value}`);
  try {
    return { type: name, stream: id.value, body: decode(bytes.subarray(id.end)) } as Frame;
  } catch (error) {
    return malformed(`${name}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function malformed(reason: string): Decoded {
  return { type: "malformed", reason };
}

/** Unsigned LEB128, as protobuf has it; stream ids have 31 bits, so at most 5 bytes. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return [...bytes, rest];
}

function readVarint(bytes: Uint8Array, start: number): { value: number; end: number } | undefined {
  let value = 0;
  for (let at = start; at < Math.min(bytes.length, start + 5); at++) {
    const byte = bytes[at] ?? 0;
    value += (byte % 128) * 128 ** (at - start);
    if (byte < 128) return value < 2 ** 31 ? { value, end: at + 1 } : undefined;
  }
  return undefined;
}
