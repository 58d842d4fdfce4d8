// Both logs of one peer, whichever line they travel on. One attachment at a time: a new one takes the old one's place.
import type { Clock, Database, Logger } from "#core";
import { MessageClass } from "#proto/generated/tunnel/link.ts";
import type { Gap, Message, MessageDraft } from "../link.ts";
import { frame, type Frame } from "../session/frame.ts";
import type { MessageFrame } from "../session/machine.ts";
import { checkDraft } from "./draft.ts";
import { InboxStore, type Place } from "./inbox-store.ts";
import { openInbox, type Inbox, type InboxOptions } from "./inbox.ts";
import { openOutbox, type Outbox, type OutboxLimits } from "./outbox.ts";
import { Sender, type Window } from "./sender.ts";

export interface MailboxDeps {
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  readonly newEpoch: () => string;
  readonly handlerOf: (topic: string) => ((message: Message) => Promise<void>) | undefined;
  readonly onGap: (gap: Gap) => void;
}

export interface MailboxOptions {
  readonly window: Window;
  readonly outbox: OutboxLimits;
  readonly inbox: Omit<InboxOptions, "window">;
}

export async function openMailbox(
  deps: MailboxDeps,
  peer: string,
  options: MailboxOptions,
): Promise<Mailbox> {
  const outbox = await openOutbox(deps, peer, options.outbox);
  const store = new InboxStore(deps.database, peer);
  const inbox = await openInbox({ ...deps, store }, { ...options.inbox, window: options.window });
  return new Mailbox(deps, options, outbox, inbox);
}

/** What the mailbox needs of the line it is attached to. */
export interface Carrier {
  /** Frames of the log may be pulled by `next` again. */
  wake(): void;
  sendAck(seq: number): void;
  sendSample(sample: Extract<Frame, { type: "pub" }>): void;
  /** Reading the outbox failed: the attachment must end and come again. */
  failed(error: unknown): void;
}

/** Where the peer says both logs stand. */
export interface PeerPosition {
  /** Epoch of its own log. */
  readonly epoch: string;
  /** What it has of ours. */
  readonly cursor: Place;
  /** What we told it that we have of its log. */
  readonly told: Place;
}

export class Mailbox {
  readonly #deps: MailboxDeps;
  readonly #options: MailboxOptions;
  readonly outbox: Outbox;
  readonly inbox: Inbox;
  #attached: Attachment | undefined;

  constructor(deps: MailboxDeps, options: MailboxOptions, outbox: Outbox, inbox: Inbox) {
    this.#deps = deps;
    this.#options = options;
    this.outbox = outbox;
    this.inbox = inbox;
  }

  /** True when the peer has numbers of our log that we never gave: our database went back in time. */
  isBehind(cursor: Place): boolean {
    return cursor.epoch === this.outbox.epoch && cursor.seq > this.outbox.last;
  }

  /** Lets both logs flow over a line. Ends the attachment there was. */
  attach(carrier: Carrier, peer: PeerPosition): Attachment {
    this.#attached?.detach();
    this.inbox.attach(peer.epoch, peer.told);
    const ours = peer.cursor.epoch === this.outbox.epoch;
    if (ours) this.outbox.acknowledge(peer.cursor.seq);
    const sender = new Sender(this.outbox, {
      cursor: ours ? peer.cursor.seq : 0,
      window: this.#options.window,
      wake: () => carrier.wake(),
      onFault: (error) => carrier.failed(error),
    });
    this.inbox.onAck = (seq) => carrier.sendAck(seq);
    const attachment = new Attachment(this.inbox, sender, carrier, () => {
      if (this.#attached === attachment) this.#attached = undefined;
    });
    this.#attached = attachment;
    return attachment;
  }

  /** As Link.publish. */
  async publish(draft: MessageDraft): Promise<void> {
    if (draft.class !== "sample") return this.outbox.publish(draft);
    const { body } = checkDraft(draft);
    const { topic, key } = draft;
    this.#attached?.carrier.sendSample(
      frame("pub", {
        seq: 0,
        prev: 0,
        class: MessageClass.SAMPLE,
        topic,
        key,
        body,
        at: this.#deps.clock.now(),
      }),
    );
  }

  async close(): Promise<void> {
    this.#attached?.detach();
    await this.inbox.close();
    await this.outbox.settle();
  }
}

/** Both logs on one line. */
export class Attachment {
  readonly #inbox: Inbox;
  readonly #sender: Sender;
  readonly #onDetach: () => void;
  readonly carrier: Carrier;
  #detached = false;

  constructor(inbox: Inbox, sender: Sender, carrier: Carrier, onDetach: () => void) {
    this.#inbox = inbox;
    this.#sender = sender;
    this.carrier = carrier;
    this.#onDetach = onDetach;
  }

  next(): Frame | undefined {
    return this.#sender.next();
  }

  /** Takes a frame of the log. Says what is wrong with it, or undefined. */
  take(incoming: MessageFrame): string | undefined {
    if (this.#detached) return undefined;
    switch (incoming.type) {
      case "pub":
        return this.#inbox.receive(incoming.body);
      case "gap":
        return this.#inbox.receiveGap(incoming.body);
      case "ack":
        return this.#sender.acknowledge(incoming.body.seq)
          ? undefined
          : `ACK of ${incoming.body.seq}, which was not sent`;
    }
  }

  /** Nothing goes to the line or comes from it any more. Twice is once. */
  detach(): void {
    if (this.#detached) return;
    this.#detached = true;
    this.#sender.stop();
    this.#onDetach();
  }
}
