// What goes out next. Control frames first, then the log, then samples; nothing while the line is full.
//
// Control frames need no queue: of each kind only the newest says anything, so memory is bounded by the number of kinds.
import type { Frame, FrameName, FrameOf } from "./frame.ts";

const urgent = ["hello", "welcome", "pong", "ack", "ping"] as const satisfies readonly FrameName[];
type Urgent = (typeof urgent)[number];

/** Where frames of the log come from: the next one that may be sent now, or undefined. */
export type Source = () => Frame | undefined;

export class Outgoing {
  readonly #send: (frame: Frame) => boolean;
  readonly #slots = new Map<Urgent, Frame>();
  readonly #samples: FrameOf<"pub">[] = [];
  readonly #maxSamples: number;
  #source: Source = () => undefined;
  #writable = true;
  #closed = false;

  /** `send` hands a frame to the line and says whether it takes more. */
  constructor(send: (frame: Frame) => boolean, maxSamples = 256) {
    this.#send = send;
    this.#maxSamples = maxSamples;
  }

  /** Sends a control frame as soon as the line takes it, in place of an unsent one of its kind. */
  control(frame: Frame): void {
    if (!isUrgent(frame.type)) throw new TypeError(`${frame.type} is no control frame`);
    this.#slots.set(frame.type, frame);
    this.pump();
  }

  /** Sends a sample when nothing else waits; the oldest of too many are dropped. Says how many were. */
  sample(frame: FrameOf<"pub">): number {
    this.#samples.push(frame);
    const dropped = Math.max(0, this.#samples.length - this.#maxSamples);
    this.#samples.splice(0, dropped);
    this.pump();
    return dropped;
  }

  /** Where the log's frames come from. Call `pump` when it has new ones. */
  from(source: Source): void {
    this.#source = source;
    this.pump();
  }

  writable(): void {
    this.#writable = true;
    this.pump();
  }

  /** Sends what may be sent now. */
  pump(): void {
    while (this.#writable && !this.#closed) {
      const next = this.#nextControl() ?? this.#source() ?? this.#samples.shift();
      if (!next) return;
      this.#writable = this.#send(next);
    }
  }

  /** Hands over the last frame, even to a full line, which may never be writable again; nothing goes out after it (T3). */
  goodbye(frame: FrameOf<"goaway">): void {
    if (!this.#closed) this.#send(frame);
    this.close();
  }

  /** Nothing goes out any more. */
  close(): void {
    this.#closed = true;
    this.#slots.clear();
    this.#samples.length = 0;
    this.#source = () => undefined;
  }

  #nextControl(): Frame | undefined {
    for (const kind of urgent) {
      const frame = this.#slots.get(kind);
      if (frame && this.#slots.delete(kind)) return frame;
    }
    return undefined;
  }
}

function isUrgent(type: FrameName): type is Urgent {
  return (urgent as readonly FrameName[]).includes(type);
}
