// The session at work: runs the machine over a line, with a clock, and joins it to a mailbox. Decides nothing itself.
import { Fault, type CancelTimer, type Clock, type Logger } from "#core";
import { CloseCode, type Hello, type Welcome } from "#proto/generated/tunnel/link.ts";
import type { Attachment, Carrier, Mailbox } from "../durable/mailbox.ts";
import type { Place } from "../durable/inbox-store.ts";
import type { Transport } from "../transport/transport.ts";
import { decodeFrame, encodeFrame, frame, type Frame } from "./frame.ts";
import {
  deadlineOf,
  eventOf,
  heard,
  startDialling,
  startGreeting,
  step,
  type Outcome,
  type Session as State,
  type SessionAction,
  type SessionEvent,
  type SessionTimes,
  type Step,
} from "./machine.ts";
import { Outgoing } from "./outgoing.ts";

/** What the hub says about a peer that knocks. */
export type Judgement =
  | { readonly admit: true; readonly welcome: Welcome; readonly mailbox: Mailbox }
  | { readonly admit: false; readonly code: CloseCode; readonly reason: string };

export interface SessionDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly transport: Transport;
  readonly times: SessionTimes;
  onOpen(): void;
  onRtt(rttMs: number): void;
}

/** The dialling side: sends `hello` at once. */
export function dialSession(deps: SessionDeps, mailbox: Mailbox, hello: Hello): Session {
  return new Session(deps, startDialling(hello, deps.clock.now(), deps.times), {
    mailbox,
    told: placeOf(hello.cursor),
    judge: () => Promise.reject(new Fault("Bug", "the dialling side judges nobody")),
  });
}

/** The listening side: waits for HELLO and asks `judge`. */
export function greetSession(deps: SessionDeps, judge: (hello: Hello) => Promise<Judgement>): Session {
  return new Session(deps, startGreeting(deps.clock.now(), deps.times), {
    mailbox: undefined,
    told: placeOf(undefined),
    judge,
  });
}

interface Side {
  mailbox: Mailbox | undefined;
  /** The position we told the peer. */
  told: Place;
  readonly judge: (hello: Hello) => Promise<Judgement>;
}

export class Session implements Carrier {
  readonly #deps: SessionDeps;
  readonly #side: Side;
  readonly #outgoing: Outgoing;
  #state: State;
  #attachment: Attachment | undefined;
  #timer: { readonly at: number; readonly cancel: CancelTimer } | undefined;
  #finish: (outcome: Outcome) => void = () => {};
  /** Resolves with the one outcome (T5); never rejects. */
  readonly done: Promise<Outcome>;

  constructor(deps: SessionDeps, start: Step, side: Side) {
    this.#deps = deps;
    this.#side = side;
    this.done = new Promise((resolve) => (this.#finish = resolve));
    this.#outgoing = new Outgoing((out) => deps.transport.send(encodeFrame(out)));
    this.#state = start.session;
    deps.transport.start({
      onFrame: (bytes) => this.#onFrame(bytes),
      onWritable: () => this.#outgoing.writable(),
      onClosed: (why) => this.#take({ kind: "lost", reason: why?.message ?? "the peer closed the line" }),
    });
    this.#apply(start);
  }

  get state(): State {
    return this.#state;
  }

  /** Says goodbye and ends; `done` resolves within endMs. Nothing of the log goes out any more. */
  close(code: CloseCode, reason: string): void {
    this.#take({ kind: "close", code, reason });
  }

  wake(): void {
    this.#outgoing.pump();
  }

  sendAck(seq: number): void {
    this.#outgoing.control(frame("ack", { seq }));
  }

  sendSample(sample: Extract<Frame, { type: "pub" }>): void {
    const dropped = this.#outgoing.sample(sample);
    if (dropped > 0) this.#deps.log.debug("dropped samples", { dropped });
  }

  failed(error: unknown): void {
    this.close(CloseCode.INTERNAL, `reading the outbox: ${Fault.from(error).message}`);
  }

  #onFrame(bytes: Uint8Array): void {
    this.#state = heard(this.#state, this.#deps.clock.now());
    this.#take(eventOf(decodeFrame(bytes)));
  }

  #take(event: SessionEvent): void {
    this.#apply(step(this.#state, event, this.#deps.clock.now(), this.#deps.times));
  }

  #apply({ session, actions }: Step): void {
    this.#state = session;
    for (const action of actions) this.#act(action);
    if (this.#state.kind === "closed") this.#timer?.cancel();
    else this.#arm();
  }

  #act(action: SessionAction): void {
    switch (action.do) {
      case "send":
        if (action.frame.type === "goaway") {
          this.#attachment?.detach();
          this.#outgoing.goodbye(action.frame);
        } else this.#outgoing.control(action.frame);
        break;
      case "judge":
        void this.#judge(action.hello);
        break;
      case "attach":
        this.#attach(action.peer);
        break;
      case "deliver": {
        const wrong = this.#attachment?.take(action.frame);
        if (wrong !== undefined) this.#take({ kind: "malformed", reason: wrong });
        break;
      }
      case "measured":
        this.#deps.onRtt(action.rttMs);
        break;
      case "end":
        this.#deps.transport.end();
        break;
      case "abort":
        this.#outgoing.close();
        this.#deps.transport.abort();
        break;
      case "finish":
        this.#attachment?.detach();
        this.#finish(action.outcome);
        break;
    }
  }

  async #judge(hello: Hello): Promise<void> {
    try {
      const judgement = await this.#side.judge(hello);
      if (!judgement.admit)
        return this.#take({ kind: "refuse", code: judgement.code, reason: judgement.reason });
      this.#side.mailbox = judgement.mailbox;
      this.#side.told = placeOf(judgement.welcome.cursor);
      this.#take({ kind: "admit", welcome: judgement.welcome });
    } catch (error) {
      this.#deps.log.error("admitting a peer failed", { error: Fault.from(error) });
      this.close(CloseCode.INTERNAL, "admitting the peer failed");
    }
  }

  #attach(peer: Hello | Welcome): void {
    const { mailbox, told } = this.#side;
    if (!mailbox) return;
    const cursor = placeOf(peer.cursor);
    if (mailbox.isBehind(cursor)) {
      this.#deps.log.warn("our database went back in time; what is left goes out under a new epoch", {
        cursor: cursor.seq,
      });
      void mailbox.outbox
        .beginEpoch()
        .catch((error: unknown) =>
          this.#deps.log.error("beginning an epoch failed", { error: Fault.from(error) }),
        )
        .then(() => this.close(CloseCode.EPOCH, "this side's database went back in time"));
      return;
    }
    const attachment = mailbox.attach(this, { epoch: peer.epoch, cursor, told });
    this.#attachment = attachment;
    this.#outgoing.from(() => attachment.next());
    this.#deps.onOpen();
  }

  /** Keeps a timer that goes off at the deadline or before: a deadline that only moves away costs nothing. */
  #arm(): void {
    const deadline = deadlineOf(this.#state, this.#deps.times);
    if (this.#timer && this.#timer.at <= deadline) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    const waitMs = Math.max(0, deadline - this.#deps.clock.now());
    const cancel = this.#deps.clock.after(waitMs, () => {
      this.#timer = undefined;
      this.#take({ kind: "tick" });
    });
    this.#timer = { at: deadline, cancel };
  }
}

/** A cursor of the wire; absent means that nothing was ever received. */
export function placeOf(cursor: { epoch: string; seq: number } | undefined): Place {
  return { epoch: cursor?.epoch ?? "", seq: cursor?.seq ?? 0 };
}
