// What the session needs of a line: whole frames, in order, with back-pressure. gRPC, WebSocket and memory are interchangeable here.
//
//   L1. Frames arrive whole, in the order they were sent, each once, or the line closes.
//   L2. Nothing arrives before `start`; what came earlier is kept for it.
//   L3. `onClosed` is called exactly once, after the last frame, whoever closed and however often.
import type { Fault } from "#core";
import type { PeerIdentity } from "../link.ts";

export interface TransportListener {
  onFrame(frame: Uint8Array): void;
  /** The line takes frames again after `send` said false. */
  onWritable(): void;
  /** `why` is absent after an orderly end by either side. */
  onClosed(why: Fault | undefined): void;
}

export interface Transport {
  /** One word for logs and `LinkState`: "grpc", "memory". */
  readonly name: string;
  /** Begins delivery, never before it returns. Call it once. */
  start(listener: TransportListener): void;
  /** Takes the frame always; false asks for no more until `onWritable`. Does nothing on a closed line. */
  send(frame: Uint8Array): boolean;
  /** Ends in order: what was taken is sent first. The peer may never read it; set a deadline and `abort`. */
  end(): void;
  /** Ends at once; unsent frames are lost. Twice is once. */
  abort(why?: Fault): void;
}

/** A line that the other side dialled, with whom its certificate names. */
export interface AcceptedTransport extends Transport {
  readonly identity: PeerIdentity;
}

/** Makes one line to the plane; asks for the credentials afresh each time. Rejects when there is none, or on abort. */
export type Dial = (signal: AbortSignal) => Promise<Transport>;

export interface Listener {
  /** 0 where there is no network. */
  readonly port: number;
  /** Takes no more lines and ends those there are. Twice is once. */
  close(): Promise<void>;
}

/** Begins to take lines from peers. */
export type Listen = (accept: (line: AcceptedTransport) => void) => Promise<Listener>;

/** The largest frame any transport must carry, in bytes: a message of 256 KiB and what surrounds it. */
export const maxFrameBytes = 272 * 1024;
