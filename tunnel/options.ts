// What a link and a hub can be told, beyond the defaults.
import { defaultInboxOptions, type InboxOptions } from "./durable/inbox.ts";
import type { MailboxOptions } from "./durable/mailbox.ts";
import { defaultOutboxLimits, type OutboxLimits } from "./durable/outbox.ts";
import { defaultWindow, type Window } from "./durable/sender.ts";
import { defaultTimes, type SessionTimes } from "./session/machine.ts";

export interface TunnelOptions extends Partial<SessionTimes> {
  /** Program and version, for the other side's logs. */
  readonly software?: string;
  readonly window?: Partial<Window>;
  readonly outbox?: Partial<OutboxLimits>;
  readonly inbox?: Partial<Omit<InboxOptions, "window">>;
}

export function timesOf(options: TunnelOptions): SessionTimes {
  const { keepaliveMs, deadMs, handshakeMs, endMs } = { ...defaultTimes, ...defined(options) };
  return { keepaliveMs, deadMs, handshakeMs, endMs };
}

export function mailboxOptionsOf(options: TunnelOptions): MailboxOptions {
  return {
    window: { ...defaultWindow, ...defined(options.window ?? {}) },
    outbox: { ...defaultOutboxLimits, ...defined(options.outbox ?? {}) },
    inbox: { ...defaultInboxOptions, ...defined(options.inbox ?? {}) },
  };
}

/** Without the fields that are there but undefined. */
function defined<T extends object>(options: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}

/** 128 random bits, hex: names a log or a session. */
export function randomName(random: () => number): string {
  const words = Array.from({ length: 4 }, () => Math.floor(random() * 2 ** 32));
  return words.map((word) => word.toString(16).padStart(8, "0")).join("");
}
