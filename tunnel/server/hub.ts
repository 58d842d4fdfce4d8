// The listening side: all peers of a plane, each with its mailbox, connected or not.
//
//   H1. A peer is who its certificate says; HELLO must say the same.
//   H2. Of two lines of one identity the newer wins at once; the older is told SUPERSEDED.
//   H3. `allow` is asked at every HELLO. A cut peer that comes back is asked about again.
//   H4. What is published for a peer, or came from it, survives this process.
import { Fault, type Clock, type Database, type Logger } from "#core";
import { CloseCode, Role, type Hello, type Welcome } from "#proto/generated/tunnel/link.ts";
import { openMailbox, type Mailbox } from "../durable/mailbox.ts";
import { openTunnelDatabase } from "../durable/schema.ts";
import type { Gap, Hub, Message, MessageDraft, PeerIdentity } from "../link.ts";
import { Listeners } from "../listeners.ts";
import { mailboxOptionsOf, randomName, timesOf, type TunnelOptions } from "../options.ts";
import { greetSession, placeOf, type Judgement, type Session } from "../session/session.ts";
import type { AcceptedTransport, Listen, Listener } from "../transport/transport.ts";

export interface HubDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** In [0, 1). */
  readonly random: () => number;
  /** A path, opened and closed by the hub, or a database that is shared and stays open. */
  readonly database: string | Database;
  readonly listen: Listen;
}

export interface HubOptions extends TunnelOptions {
  /** Whether a peer may come in. A rejection counts as trouble on our side: the peer comes back with back-off. */
  readonly allow: (identity: PeerIdentity) => boolean | Promise<boolean>;
  /** Lines that may wait for admission at once; more are turned away at once. 1024 unless told. */
  readonly maxKnocking?: number;
}

export type PeerName = Pick<PeerIdentity, "role" | "uid">;
type PeerHandler = (from: PeerIdentity, message: Message) => Promise<void>;

/** Opens the mailboxes and begins to listen. Aborting the signal closes the hub. */
export async function openHub(
  deps: HubDeps,
  options: HubOptions,
  signal: AbortSignal,
): Promise<Hub & { readonly port: number }> {
  if (signal.aborted) throw new Fault("Cancelled", "opening the hub was cancelled");
  const { database, close } = await openTunnelDatabase(deps.database);
  const stop = () => void hub.close();
  const hub = new ListeningHub(deps, options, database, async () => {
    signal.removeEventListener("abort", stop);
    await close();
  });
  try {
    await hub.open();
  } catch (error) {
    await hub.close();
    throw error;
  }
  signal.addEventListener("abort", stop);
  if (signal.aborted) await hub.close();
  return hub;
}

/** One line of a peer. */
interface Visit {
  readonly identity: PeerIdentity;
  readonly transport: string;
  readonly session: Session;
  /** Of two, the higher one came later. */
  readonly generation: number;
  /** Set once it is open. */
  since: number | undefined;
}

class ListeningHub implements Hub {
  readonly #deps: HubDeps;
  readonly #options: HubOptions;
  readonly #database: Database;
  readonly #closeDatabase: () => Promise<void>;
  readonly #handlers = new Map<string, PeerHandler>();
  readonly #mailboxes = new Map<string, Promise<Mailbox>>();
  readonly #identities = new Map<string, PeerIdentity>();
  /** Every line there is. */
  readonly #visits = new Set<Visit>();
  /** The one line of a peer that was let in. */
  readonly #current = new Map<string, Visit>();
  readonly #watchers: Listeners<[PeerIdentity, boolean]>;
  readonly #gaps: Listeners<[PeerIdentity, Gap]>;
  #listener: Listener | undefined;
  #generation = 0;
  #closing: Promise<void> | undefined;

  constructor(deps: HubDeps, options: HubOptions, database: Database, closeDatabase: () => Promise<void>) {
    this.#deps = deps;
    this.#options = options;
    this.#database = database;
    this.#closeDatabase = closeDatabase;
    this.#watchers = new Listeners(deps.log);
    this.#gaps = new Listeners(deps.log);
  }

  async open(): Promise<void> {
    const known = await this.#database.all<{ peer: string; identity: string }>(
      "SELECT peer, identity FROM tunnel_peer WHERE identity IS NOT NULL",
    );
    for (const { peer, identity } of known) this.#identities.set(peer, JSON.parse(identity) as PeerIdentity);
    const waiting = await this.#database.all<{ peer: string }>(
      "SELECT DISTINCT peer FROM tunnel_inbox WHERE done = 0",
    );
    for (const { peer } of waiting) if (this.#identities.has(peer)) await this.#mailbox(peer); // H4
    this.#listener = await this.#deps.listen((line) => this.#receive(line));
  }

  get port(): number {
    return this.#listener?.port ?? 0;
  }

  async publish(to: PeerName, draft: MessageDraft): Promise<void> {
    await (await this.#mailbox(nameOf(to))).publish(draft);
  }

  async backlog(to: PeerName): Promise<number> {
    return (await this.#mailbox(nameOf(to))).outbox.backlog();
  }

  handle(topic: string, handler: PeerHandler): void {
    if (this.#handlers.has(topic)) throw new Fault("Bug", `topic "${topic}" has a handler already`);
    this.#handlers.set(topic, handler);
    for (const opening of this.#mailboxes.values()) {
      void opening.then(
        (mailbox) => mailbox.inbox.handlerAdded(topic),
        () => {}, // whoever opened it was told
      );
    }
  }

  peers(): readonly {
    readonly identity: PeerIdentity;
    readonly since: number;
    readonly transport: string;
  }[] {
    return [...this.#current.values()].flatMap(({ identity, since, transport }) =>
      since === undefined ? [] : [{ identity, since, transport }],
    );
  }

  onPeers(listener: (identity: PeerIdentity, connected: boolean) => void): () => void {
    return this.#watchers.add(listener);
  }

  onGap(listener: (from: PeerIdentity, gap: Gap) => void): () => void {
    return this.#gaps.add(listener);
  }

  disconnect(to: PeerName): void {
    for (const visit of this.#visits) {
      if (nameOf(visit.identity) === nameOf(to))
        visit.session.close(CloseCode.DISCONNECTED, "cut by the plane"); // H3
    }
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    const visits = [...this.#visits];
    for (const { session } of visits) session.close(CloseCode.CLOSING, "the plane stops");
    await Promise.all(visits.map(({ session }) => session.done));
    await this.#listener?.close();
    const mailboxes = await Promise.allSettled(this.#mailboxes.values());
    for (const opened of mailboxes) if (opened.status === "fulfilled") await opened.value.close();
    await this.#closeDatabase();
  }

  #receive(line: AcceptedTransport): void {
    const knocking = [...this.#visits].filter(({ since }) => since === undefined).length;
    if (this.#closing || knocking >= (this.#options.maxKnocking ?? 1024)) {
      line.abort(new Fault("Busy", "too many lines wait for admission"));
      return;
    }
    const generation = ++this.#generation;
    const { clock, log } = this.#deps;
    const about = { role: line.identity.role, uid: line.identity.uid, generation };
    const session = greetSession(
      {
        ...{ clock, log: log.child(about), transport: line, times: timesOf(this.#options) },
        onOpen: () => {
          visit.since = clock.now();
          log.info("a peer is connected", { ...about, transport: line.name });
          this.#watchers.tell(visit.identity, true);
        },
        onRtt: () => {},
      },
      (hello) => this.#judge(visit, hello),
    );
    const visit: Visit = {
      identity: line.identity,
      transport: line.name,
      session,
      generation,
      since: undefined,
    };
    this.#visits.add(visit);
    void session.done.then((outcome) => {
      this.#visits.delete(visit);
      log.info("a line ended", { ...about, outcome: outcome.kind, reason: outcome.reason });
      this.#leave(visit);
    });
  }

  async #judge(visit: Visit, hello: Hello): Promise<Judgement> {
    const { identity } = visit;
    const name = nameOf(identity);
    if (!isSame(hello, identity)) {
      const reason = `HELLO says ${hello.uid}, the certificate ${identity.uid}`;
      return { admit: false, code: CloseCode.IDENTITY, reason }; // H1
    }
    if (!(await this.#options.allow(identity))) {
      const reason = `${identity.role} ${identity.uid} is not admitted (revoked or unknown)`;
      return { admit: false, code: CloseCode.REFUSED, reason }; // H3
    }
    const mailbox = await this.#mailbox(name);
    await this.#remember(name, identity);
    const cursor = placeOf(hello.cursor);
    if (mailbox.isBehind(cursor)) {
      this.#deps.log.warn("our database went back in time; what is left goes out under a new epoch", {
        peer: name,
      });
      await mailbox.outbox.beginEpoch();
    }
    // Nothing is awaited from here on: of two lines one is the newer, and stays it.
    const other = this.#current.get(name);
    if (other && other.generation > visit.generation) {
      return { admit: false, code: CloseCode.SUPERSEDED, reason: "a newer line took over" };
    }
    if (other) {
      other.session.close(CloseCode.SUPERSEDED, "a newer line took over"); // H2
      this.#leave(other);
    }
    if (visit.session.state.kind !== "admitting") {
      return { admit: false, code: CloseCode.DISCONNECTED, reason: "cut while being admitted" };
    }
    this.#current.set(name, visit);
    return { admit: true, mailbox, welcome: this.#welcome(mailbox, visit.generation) };
  }

  #welcome(mailbox: Mailbox, generation: number): Welcome {
    return {
      version: 0, // the session fills in what was agreed
      features: 0,
      epoch: mailbox.outbox.epoch,
      cursor: mailbox.inbox.position,
      software: this.#options.software ?? "",
      generation,
    };
  }

  /** Takes a line off the list of peers; tells the watchers if it was on it. */
  #leave(visit: Visit): void {
    const name = nameOf(visit.identity);
    if (this.#current.get(name) !== visit) return;
    this.#current.delete(name);
    if (visit.since !== undefined) this.#watchers.tell(visit.identity, false);
  }

  #mailbox(name: string): Promise<Mailbox> {
    if (this.#closing) return Promise.reject(new Fault("Unavailable", "the hub is closed"));
    let opening = this.#mailboxes.get(name);
    if (!opening) {
      opening = this.#openMailbox(name);
      this.#mailboxes.set(name, opening);
      opening.catch(() => this.#mailboxes.delete(name)); // the next one tries again
    }
    return opening;
  }

  #openMailbox(name: string): Promise<Mailbox> {
    const { clock, log, random } = this.#deps;
    return openMailbox(
      {
        ...{ database: this.#database, clock, random, log: log.child({ peer: name }) },
        newEpoch: () => randomName(random),
        handlerOf: (topic) => {
          const handler = this.#handlers.get(topic);
          const from = this.#identities.get(name);
          return handler && from && ((message) => handler(from, message));
        },
        onGap: (gap) => {
          const from = this.#identities.get(name);
          if (from) this.#gaps.tell(from, gap);
        },
      },
      name,
      mailboxOptionsOf(this.#options),
    );
  }

  async #remember(name: string, identity: PeerIdentity): Promise<void> {
    const text = JSON.stringify(identity);
    if (JSON.stringify(this.#identities.get(name)) === text) return;
    await this.#database.write(async (tx) => {
      await tx.run("UPDATE tunnel_peer SET identity = ? WHERE peer = ?", text, name);
    });
    this.#identities.set(name, identity);
  }
}

function nameOf({ role, uid }: PeerName): string {
  return `${role}/${uid}`;
}

function isSame(hello: Hello, identity: PeerIdentity): boolean {
  const role = identity.role === "gateway" ? Role.GATEWAY : Role.AGENT;
  return hello.role === role && hello.uid === identity.uid && hello.tenantUid === identity.tenantUid;
}
