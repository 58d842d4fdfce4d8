// One gRPC call as a line; the same code on both sides. What differs (how a call ends) comes in.
import type { Fault, Logger } from "#core";
import type { Transport, TransportListener } from "./transport.ts";

/** HTTP/2 windows, stream and connection: 64 KiB per round trip, the default, is 1 MB/s over 50 ms. */
export const windowBytes = 8 * 1024 * 1024;

/** Unsent bytes above which `send` says no: control frames never wait behind more. */
const highWaterBytes = 64 * 1024;

/** What grpc-js' two duplex streams have in common. */
export interface FrameCall {
  write(message: { frame: Buffer }, sent: () => void): boolean;
  end(): void;
  on(event: "data", listener: (message: { frame: Uint8Array }) => void): unknown;
  on(event: "end", listener: () => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  pause(): unknown;
  resume(): unknown;
}

export class GrpcLine implements Transport {
  readonly name = "grpc";
  readonly #call: FrameCall;
  readonly #tearDown: (why: Fault | undefined) => void;
  #listener: TransportListener | undefined;
  #unsent = 0;
  #full = false;
  #ending = false;
  #closed: { readonly why: Fault | undefined } | undefined;

  /** `tearDown` ends the call at once. */
  constructor(call: FrameCall, tearDown: (why: Fault | undefined) => void) {
    this.#call = call;
    this.#tearDown = tearDown;
  }

  start(listener: TransportListener): void {
    queueMicrotask(() => {
      this.#listener = listener;
      if (this.#closed) return listener.onClosed(this.#closed.why);
      this.#call.on("data", ({ frame }) => {
        if (!this.#closed) listener.onFrame(frame);
      });
    });
  }

  send(frame: Uint8Array): boolean {
    if (this.#closed || this.#ending) return true;
    const { length } = frame;
    this.#unsent += length;
    this.#call.write({ frame: Buffer.from(frame.buffer, frame.byteOffset, length) }, () =>
      this.#sent(length),
    );
    this.#full = this.#unsent >= highWaterBytes;
    return !this.#full;
  }

  end(): void {
    if (this.#closed || this.#ending) return;
    this.#ending = true;
    this.#call.end();
  }

  abort(why?: Fault): void {
    if (this.#closed) return;
    this.closed(why);
    this.#tearDown(why);
  }

  /** The call is over. The first word counts (L3). */
  closed(why: Fault | undefined): void {
    if (this.#closed) return;
    this.#closed = { why };
    const listener = this.#listener;
    if (listener) queueMicrotask(() => listener.onClosed(why));
  }

  #sent(length: number): void {
    this.#unsent -= length;
    if (this.#closed || !this.#full || this.#unsent >= highWaterBytes) return;
    this.#full = false;
    this.#listener?.onWritable();
  }
}

/** Options that both sides share. */
export function commonOptions(maxFrameBytes: number): Record<string, number> {
  const most = maxFrameBytes + 1_024;
  return {
    "grpc.max_receive_message_length": most,
    "grpc.max_send_message_length": most,
    // Sessions notice a dead peer by themselves; this frees sockets whose session is long gone.
    "grpc.keepalive_time_ms": 20_000,
    "grpc.keepalive_timeout_ms": 10_000,
  };
}

/** Says once that uploads will be slow, if they will. */
export function warnOfWindows(log: Logger | undefined, raised: boolean): void {
  if (!raised) {
    log?.warn(
      "the gRPC library's server windows could not be raised: each peer uploads at most 64 KiB per round trip",
    );
  }
}
