// A line without a network: two ends joined in this process, with knobs for bad manners.
import { Fault, type CancelTimer, type Clock } from "#core";
import type { PeerIdentity } from "../link.ts";
import type { AcceptedTransport, Dial, Listen, Transport, TransportListener } from "./transport.ts";

/** What goes wrong on a memory line. Changing a field takes effect at once. */
export interface MemoryLine {
  /** Frames to the plane stay under way until thawed; neither side is told. */
  freezeUp(frozen: boolean): void;
  freezeDown(frozen: boolean): void;
  /** Both directions: a silent blackhole. */
  freeze(frozen: boolean): void;
  /** Closes both ends as a reset would; frames under way are lost. */
  cut(): void;
  readonly open: boolean;
}

export interface MemoryLineOptions {
  readonly clock: Clock;
  /** One way, milliseconds; 0 delivers in the next microtask. */
  readonly delayMs?: number;
  /** How many undelivered bytes make an end say "no more". 64 KiB unless told. */
  readonly highWaterBytes?: number;
}

/** Two connected ends and their knobs. */
export function memoryPair(options: MemoryLineOptions): {
  dialled: Transport;
  accepted: Transport;
  line: MemoryLine;
} {
  const up = new Pipe(options);
  const down = new Pipe(options);
  const dialled = new End(up, down);
  const accepted = new End(down, up);
  dialled.other = accepted;
  accepted.other = dialled;
  const line: MemoryLine = {
    freezeUp: (frozen) => up.freeze(frozen),
    freezeDown: (frozen) => down.freeze(frozen),
    freeze: (frozen) => [up, down].forEach((pipe) => pipe.freeze(frozen)),
    cut: () => dialled.abort(new Fault("Unavailable", "the line was cut")),
    get open() {
      return !dialled.closed || !accepted.closed;
    },
  };
  return { dialled, accepted, line };
}

/** One direction: a queue that delivers in order, later. */
class Pipe {
  readonly #options: MemoryLineOptions;
  readonly #queue: { item: Uint8Array | "end"; dueAt: number }[] = [];
  #bytes = 0;
  #frozen = false;
  #scheduled: CancelTimer | undefined;
  #receive: ((item: Uint8Array | "end") => void) | undefined;
  onDrained: () => void = () => {};

  constructor(options: MemoryLineOptions) {
    this.#options = options;
  }

  push(item: Uint8Array | "end"): boolean {
    this.#queue.push({ item, dueAt: this.#options.clock.now() + (this.#options.delayMs ?? 0) });
    this.#bytes += item.length;
    this.#schedule();
    return !this.full;
  }

  get full(): boolean {
    return this.#bytes >= (this.#options.highWaterBytes ?? 64 * 1024);
  }

  receiver(receive: (item: Uint8Array | "end") => void): void {
    this.#receive = receive;
    this.#schedule();
  }

  freeze(frozen: boolean): void {
    this.#frozen = frozen;
    this.#schedule();
  }

  drop(): void {
    this.#queue.length = 0;
    this.#bytes = 0;
    this.#receive = undefined;
    this.#scheduled?.();
  }

  #schedule(): void {
    const head = this.#queue[0];
    if (!head || this.#frozen || !this.#receive || this.#scheduled) return;
    const waitMs = head.dueAt - this.#options.clock.now();
    const deliver = () => {
      this.#scheduled = undefined;
      this.#deliver();
    };
    if (waitMs > 0) {
      this.#scheduled = this.#options.clock.after(waitMs, deliver);
    } else {
      let off = false;
      this.#scheduled = () => (off = true);
      queueMicrotask(() => {
        if (!off) deliver();
      });
    }
  }

  #deliver(): void {
    const now = this.#options.clock.now();
    const wasFull = this.full;
    for (let head = this.#queue[0]; head && head.dueAt <= now; head = this.#queue[0]) {
      if (this.#frozen || !this.#receive) break;
      this.#queue.shift();
      this.#bytes -= head.item.length;
      this.#receive(head.item);
    }
    if (wasFull && !this.full) this.onDrained();
    this.#schedule();
  }
}

class End implements Transport {
  readonly name = "memory";
  readonly #out: Pipe;
  readonly #in: Pipe;
  #listener: TransportListener | undefined;
  #ending = false;
  /** Set when closed; told to the listener once there is one (L3). */
  #closed: { why: Fault | undefined } | undefined;
  #told = false;
  other: End | undefined;

  constructor(out: Pipe, incoming: Pipe) {
    this.#out = out;
    this.#in = incoming;
    out.onDrained = () => this.#listener?.onWritable();
  }

  get closed(): boolean {
    return this.#closed !== undefined;
  }

  start(listener: TransportListener): void {
    this.#listener = listener;
    if (this.#closed) return this.#tell();
    this.#in.receiver((item) => {
      if (item === "end") {
        this.#close(undefined);
        this.other?.endedByPeer();
      } else if (!this.#closed) listener.onFrame(item);
    });
  }

  send(frame: Uint8Array): boolean {
    if (this.#closed || this.#ending) return true;
    return this.#out.push(frame.slice()); // a real line keeps no reference either
  }

  end(): void {
    if (this.#closed || this.#ending) return;
    this.#ending = true;
    this.#out.push("end");
  }

  abort(why?: Fault): void {
    if (this.#closed) return;
    this.#out.drop();
    this.#in.drop();
    this.#close(why);
    this.other?.reset(why);
  }

  /** The peer has read our end, or ended itself. */
  endedByPeer(): void {
    this.#close(undefined);
  }

  reset(why: Fault | undefined): void {
    this.#close(why ?? new Fault("Unavailable", "the peer closed the line"));
  }

  #close(why: Fault | undefined): void {
    if (this.#closed) return;
    this.#closed = { why };
    this.#tell();
  }

  #tell(): void {
    if (this.#told || !this.#listener || !this.#closed) return;
    this.#told = true;
    const { why } = this.#closed;
    queueMicrotask(() => this.#listener?.onClosed(why));
  }
}

/** A network in memory: a hub listens on it, links dial it. */
export interface MemoryNetwork {
  readonly listen: Listen;
  /** A way to dial as this identity. */
  dialAs(identity: PeerIdentity): Dial;
  /** All lines ever made, oldest first. */
  readonly lines: readonly MemoryLine[];
  /** The newest line. Throws when there is none yet. */
  readonly line: MemoryLine;
  /** While true, dials fail with Unavailable. */
  down: boolean;
}

export function memoryNetwork(options: MemoryLineOptions): MemoryNetwork {
  const lines: MemoryLine[] = [];
  let accept: ((line: AcceptedTransport) => void) | undefined;
  return {
    down: false,
    lines,
    get line() {
      const newest = lines.at(-1);
      if (!newest) throw new Fault("NotFound", "nothing was dialled yet");
      return newest;
    },
    listen(take) {
      accept = take;
      return Promise.resolve({
        port: 0,
        close() {
          if (accept === take) accept = undefined;
          return Promise.resolve();
        },
      });
    },
    dialAs(identity) {
      return async (signal) => {
        if (signal.aborted) throw new Fault("Cancelled", "dialling was cancelled");
        if (this.down || !accept) throw new Fault("Unavailable", "dialling the plane: connection refused");
        const { dialled, accepted, line } = memoryPair(options);
        lines.push(line);
        accept(Object.assign(accepted, { identity }));
        return Promise.resolve(dialled);
      };
    },
  };
}
