// The dialling side: keeps one session to the plane, and the mailbox behind it whether there is a session or not.
//
//   E1. One line at a time. Its end leads to the next attempt; retry.ts says when.
//   E2. Publishing never waits for the line.
//   E3. Teardown is prompt: nothing that cannot be aborted is awaited.
import { Fault, sleep, type Clock, type Database, type Logger } from "#core";
import { CloseCode, Role, type Hello } from "#proto/generated/tunnel/link.ts";
import { openMailbox, type Mailbox } from "../durable/mailbox.ts";
import { openTunnelDatabase } from "../durable/schema.ts";
import type { Gap, Link, LinkState, Message, MessageDraft, MessageHandler, PeerIdentity } from "../link.ts";
import { Listeners } from "../listeners.ts";
import { mailboxOptionsOf, randomName, timesOf, type TunnelOptions } from "../options.ts";
import { features, versions } from "../session/machine.ts";
import { dialSession, type Session } from "../session/session.ts";
import type { Dial, Transport } from "../transport/transport.ts";
import { defaultRetry, retryAfter, type Attempt, type RetryOptions } from "./retry.ts";

export interface LinkDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** In [0, 1). */
  readonly random: () => number;
  /** A path, opened and closed by the link, or a database that is shared and stays open. */
  readonly database: string | Database;
  readonly dial: Dial;
}

export interface LinkOptions extends TunnelOptions {
  /** Who we are; the same as the certificate says. */
  readonly identity: Pick<PeerIdentity, "role" | "uid" | "tenantUid">;
  /** How long one dial may take. 10 s unless told. */
  readonly dialMs?: number;
  readonly retry?: Partial<RetryOptions>;
}

/** Opens the mailbox and begins to dial; resolves before there is a line. Aborting the signal closes the link. */
export async function openLink(deps: LinkDeps, options: LinkOptions, signal: AbortSignal): Promise<Link> {
  if (signal.aborted) throw new Fault("Cancelled", "opening the link was cancelled");
  const { database, close } = await openTunnelDatabase(deps.database);
  const link = new DialledLink(deps, options);
  const stop = () => void link.close();
  try {
    await link.open(database, async () => {
      signal.removeEventListener("abort", stop);
      await close();
    });
  } catch (error) {
    await close();
    throw error;
  }
  signal.addEventListener("abort", stop);
  if (signal.aborted) await link.close();
  return link;
}

/** One log for each identity: after pairing anew, what was meant for the old tenant does not reach the new one. */
function mailboxName({ identity: { tenantUid, role, uid } }: LinkOptions): string {
  return `plane/${tenantUid}/${role}/${uid}`;
}

class DialledLink implements Link {
  readonly #deps: LinkDeps;
  readonly #options: LinkOptions;
  readonly #stop = new AbortController();
  readonly #handlers = new Map<string, MessageHandler>();
  readonly #states: Listeners<[LinkState]>;
  readonly #gaps: Listeners<[Gap]>;
  #state: LinkState = { kind: "connecting", attempt: 1 };
  #mailbox: Mailbox | undefined;
  #session: Session | undefined;
  #running: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;
  #closeDatabase: () => Promise<void> = () => Promise.resolve();

  constructor(deps: LinkDeps, options: LinkOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#states = new Listeners(deps.log);
    this.#gaps = new Listeners(deps.log);
  }

  async open(database: Database, closeDatabase: () => Promise<void>): Promise<void> {
    const { clock, log, random } = this.#deps;
    this.#closeDatabase = closeDatabase;
    const mailbox = await openMailbox(
      {
        ...{ database, clock, log, random },
        newEpoch: () => randomName(random),
        handlerOf: (topic) => this.#handlers.get(topic),
        onGap: (gap) => this.#gaps.tell(gap),
      },
      mailboxName(this.#options),
      mailboxOptionsOf(this.#options),
    );
    this.#mailbox = mailbox;
    this.#running = this.#supervise(mailbox);
  }

  get state(): LinkState {
    return this.#state;
  }

  onState(listener: (state: LinkState) => void): () => void {
    const stop = this.#states.add(listener);
    listener(this.#state);
    return stop;
  }

  onGap(listener: (gap: Gap) => void): () => void {
    return this.#gaps.add(listener);
  }

  async publish(draft: MessageDraft): Promise<void> {
    await this.#open().publish(draft);
  }

  handle(topic: string, handler: (message: Message) => Promise<void>): void {
    if (this.#handlers.has(topic)) throw new Fault("Bug", `topic "${topic}" has a handler already`);
    this.#handlers.set(topic, handler);
    this.#open().inbox.handlerAdded(topic);
  }

  async backlog(): Promise<number> {
    return this.#open().outbox.backlog();
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  #open(): Mailbox {
    if (!this.#mailbox || this.#closing) throw new Fault("Unavailable", "the link is closed");
    return this.#mailbox;
  }

  async #close(): Promise<void> {
    this.#stop.abort();
    this.#session?.close(CloseCode.CLOSING, "the program stops");
    await this.#running;
    await this.#mailbox?.close();
    await this.#closeDatabase();
    this.#become({ kind: "closed" });
  }

  async #supervise(mailbox: Mailbox): Promise<void> {
    const { clock, log, random } = this.#deps;
    const options = { ...defaultRetry, ...this.#options.retry };
    for (let failed = 0; !this.#stop.signal.aborted;) {
      const attempt = await this.#attempt(mailbox, failed + 1);
      if (this.#stop.signal.aborted) return;
      const retry = retryAfter(attempt, failed, options, random);
      failed = retry.attempt;
      const fields = { reason: retry.reason, attempt: retry.attempt, retryMs: retry.waitMs };
      if (retry.refused) log.error("the plane refuses the link", fields);
      else if (retry.attempt > 3) log.warn("no link to the plane", fields);
      else log.info("no link to the plane", fields);
      this.#become(
        retry.refused
          ? { kind: "refused", reason: retry.reason }
          : {
              kind: "waiting",
              until: clock.now() + retry.waitMs,
              attempt: retry.attempt,
              lastError: retry.reason,
            },
      );
      await sleep(clock, retry.waitMs, this.#stop.signal).catch(() => {}); // aborted: the loop ends
    }
  }

  /** Dials and serves one line to its end. Never rejects. */
  async #attempt(mailbox: Mailbox, number: number): Promise<Attempt> {
    const { clock } = this.#deps;
    const last = this.#state.kind === "waiting" ? { lastError: this.#state.lastError } : {};
    if (this.#state.kind !== "refused") this.#become({ kind: "connecting", attempt: number, ...last });
    let transport: Transport;
    try {
      transport = await this.#dial();
    } catch (error) {
      return { kind: "undialled", reason: Fault.from(error).message };
    }
    let since: number | undefined;
    const session = dialSession(
      {
        ...{ clock, log: this.#deps.log, transport, times: timesOf(this.#options) },
        onOpen: () => {
          since = clock.now();
          this.#deps.log.info("the link is up", { transport: transport.name });
          this.#become({ kind: "connected", since, transport: transport.name });
        },
        onRtt: (rttMs) => {
          if (this.#state.kind !== "connected" || this.#state.rttMs === rttMs) return;
          this.#become({ ...this.#state, rttMs });
        },
      },
      mailbox,
      this.#hello(mailbox),
    );
    this.#session = session;
    if (this.#stop.signal.aborted) session.close(CloseCode.CLOSING, "the program stops");
    const outcome = await session.done;
    this.#session = undefined;
    return { kind: "ended", outcome, upMs: since === undefined ? 0 : clock.now() - since };
  }

  async #dial(): Promise<Transport> {
    const { clock, dial } = this.#deps;
    const dialMs = this.#options.dialMs ?? 10_000;
    const giveUp = new AbortController();
    const over = new AbortController(); // lets go of timer and listener
    const abandoned = new Promise<never>((_, reject) => {
      const give = (fault: Fault) => {
        reject(fault);
        giveUp.abort(fault);
      };
      const tooLong = new Fault("TimedOut", `dialling the plane took more than ${dialMs} ms`);
      const cancel = clock.after(dialMs, () => give(tooLong));
      const stopped = () => give(new Fault("Cancelled", "the link is closing"));
      over.signal.addEventListener("abort", cancel, { once: true });
      if (this.#stop.signal.aborted) stopped();
      else this.#stop.signal.addEventListener("abort", stopped, { once: true, signal: over.signal });
    });
    abandoned.catch(() => {}); // the race below may be over before
    const dialled = dial(giveUp.signal);
    try {
      return await Promise.race([dialled, abandoned]);
    } catch (error) {
      dialled.then(
        (late) => late.abort(), // E3: a dial that ignores its signal
        () => {},
      );
      throw error;
    } finally {
      over.abort();
    }
  }

  #hello(mailbox: Mailbox): Hello {
    const { role, uid, tenantUid } = this.#options.identity;
    return {
      minVersion: versions.min,
      maxVersion: versions.max,
      features,
      role: role === "gateway" ? Role.GATEWAY : Role.AGENT,
      uid,
      tenantUid,
      sessionId: randomName(this.#deps.random),
      epoch: mailbox.outbox.epoch,
      cursor: mailbox.inbox.position,
      software: this.#options.software ?? "",
    };
  }

  #become(state: LinkState): void {
    this.#state = state;
    this.#states.tell(state);
  }
}
