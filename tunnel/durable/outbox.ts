// The log towards one peer: what it has not acknowledged, on disk.
//
//   D1. A publish that resolved is on disk and has a number above all numbers before it, across restarts.
//   D2. A state message takes a new number and removes the older one of its topic and key. (Never its number: the peer may have
//       that one already, and would take the new body for a duplicate.)
//   D3. What is removed unacknowledged leaves a gap row at the number of the last one removed, in the same commit: never silence.
//       State is never trimmed; the application bounds its keys.
//   D4. Acknowledged rows are removed, and `acked` raised, in one commit.
import { Fault, type Clock, type Database, type Transaction } from "#core";
import { MessageClass } from "#proto/generated/tunnel/link.ts";
import type { MessageDraft } from "../link.ts";
import { frame, type FrameOf } from "../session/frame.ts";
import { checkDraft } from "./draft.ts";

export interface OutboxLimits {
  /** Events kept for a peer; the oldest go when there are more, leaving a gap. */
  readonly maxEvents: number;
  /** Their bodies together, in bytes. */
  readonly maxEventBytes: number;
  /** Older events go, milliseconds. */
  readonly maxAgeMs: number;
}

export const defaultOutboxLimits: OutboxLimits = {
  maxEvents: 100_000,
  maxEventBytes: 256 * 1024 * 1024,
  maxAgeMs: 7 * 24 * 3_600_000,
};

/** An outgoing frame without its `prev`, which the attachment knows. */
export type LogFrame = FrameOf<"pub"> | FrameOf<"gap">;

interface OutboxRow {
  readonly [column: string]: string | number;
  readonly seq: number;
  readonly class: "event" | "state" | "gap";
  readonly topic: string;
  readonly key: string;
  readonly body: string;
  readonly at: number;
  readonly bytes: number;
}

interface GapBody {
  readonly first: number;
  readonly count: number;
  readonly reason: string;
}

export interface OutboxDeps {
  readonly database: Database;
  readonly clock: Clock;
  readonly newEpoch: () => string;
}

/** Loads the log towards `peer`, or begins it. */
export async function openOutbox(deps: OutboxDeps, peer: string, limits: OutboxLimits): Promise<Outbox> {
  const fresh = deps.newEpoch();
  const start = await deps.database.write(async (tx) => {
    await tx.run("INSERT OR IGNORE INTO tunnel_peer VALUES (?, ?, 0, '', 0, NULL)", peer, fresh);
    const row = await tx.get<{ epoch: string; acked: number }>(
      "SELECT epoch, acked FROM tunnel_peer WHERE peer = ?",
      peer,
    );
    const log = await tx.get<{ last: number; events: number; bytes: number }>(
      `SELECT COALESCE(MAX(seq), 0) AS last, COALESCE(SUM(class = 'event'), 0) AS events,
              COALESCE(SUM(CASE class WHEN 'event' THEN bytes END), 0) AS bytes
       FROM tunnel_outbox WHERE peer = ?`,
      peer,
    );
    if (!row || !log) throw new Fault("Bug", `the outbox of ${peer} has no row`);
    return { ...row, ...log, last: Math.max(log.last, row.acked) };
  });
  return new Outbox(deps, peer, limits, start);
}

interface CheckedDraft {
  readonly class: MessageDraft["class"];
  readonly topic: string;
  readonly key: string;
  readonly body: string;
  readonly bytes: number;
}

interface Start {
  readonly epoch: string;
  readonly acked: number;
  readonly last: number;
  readonly events: number;
  readonly bytes: number;
}

export class Outbox {
  readonly #deps: OutboxDeps;
  readonly #peer: string;
  readonly #limits: OutboxLimits;
  #epoch: string;
  /** The highest number given out, committed or not. */
  #last: number;
  /** The peer has everything up to here; the rows may still be there for a moment. */
  #acked: number;
  #events: number;
  #bytes: number;
  /** Drafts whose write job has not begun. */
  #batch: { readonly drafts: CheckedDraft[]; readonly written: Promise<void> } | undefined;
  #sweptAt = -Infinity;
  #sweeping: Promise<void> | undefined;
  #forgetting: Promise<void> | undefined;
  /** Called after each commit of new rows. One attachment at a time listens. */
  onAppend: () => void = () => {};

  constructor(deps: OutboxDeps, peer: string, limits: OutboxLimits, start: Start) {
    this.#deps = deps;
    this.#peer = peer;
    this.#limits = limits;
    this.#epoch = start.epoch;
    this.#last = start.last;
    this.#acked = start.acked;
    this.#events = start.events;
    this.#bytes = start.bytes;
  }

  get epoch(): string {
    return this.#epoch;
  }

  get last(): number {
    return this.#last;
  }

  get acked(): number {
    return this.#acked;
  }

  /** Resolves when the message is on disk (D1). Throws Invalid for a message that can never be sent. */
  async publish(draft: MessageDraft): Promise<void> {
    const { body, bytes } = checkDraft(draft);
    await this.#write({ ...draft, body, bytes });
    if (draft.class === "event") {
      this.#events++;
      this.#bytes += bytes;
    }
    this.onAppend();
    await this.sweep().catch(() => {}); // the message is on disk, whatever becomes of older ones
  }

  /** Drafts of the same moment share one write job; each is on disk when it resolves, or all failed. */
  #write(draft: CheckedDraft): Promise<void> {
    const joined = this.#batch;
    if (joined && joined.drafts.length < 256) {
      joined.drafts.push(draft);
      return joined.written;
    }
    const drafts = [draft];
    const over = () => {
      if (this.#batch?.drafts === drafts) this.#batch = undefined; // who comes later needs the next job
    };
    const written = this.#deps.database.write(async (tx) => {
      over();
      for (const each of drafts) await this.#insert(tx, each);
    });
    written.then(over, over); // a job that never began
    this.#batch = { drafts, written };
    return written;
  }

  async #insert(tx: Transaction, draft: CheckedDraft): Promise<void> {
    const { topic, key, body, bytes } = draft;
    if (draft.class === "state") {
      await tx.run(
        "DELETE FROM tunnel_outbox WHERE peer = ? AND topic = ? AND key = ? AND class = 'state'", // D2
        ...[this.#peer, topic, key],
      );
    }
    await tx.run(
      "INSERT INTO tunnel_outbox (peer, seq, class, topic, key, body, at, bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
      ...[this.#peer, ++this.#last, draft.class, topic, key, body, this.#deps.clock.now(), bytes],
    );
  }

  /** Rows after `after`, in order. */
  async read(after: number, limit: number): Promise<{ frame: LogFrame; bytes: number }[]> {
    const rows = await this.#deps.database.all<OutboxRow>(
      "SELECT * FROM tunnel_outbox WHERE peer = ? AND seq > ? ORDER BY seq LIMIT ?",
      this.#peer,
      after,
      limit,
    );
    return rows.map((row) => ({ frame: frameOf(row), bytes: row.bytes }));
  }

  /** The peer has everything up to `seq`: rows go, later and together (D4). */
  acknowledge(seq: number): void {
    if (seq <= this.#acked) return;
    this.#acked = seq;
    this.#forgetting ??= this.#forget();
  }

  /** How many rows the peer has not acknowledged. */
  async backlog(): Promise<number> {
    const row = await this.#deps.database.get<{ n: number }>(
      "SELECT COUNT(*) AS n FROM tunnel_outbox WHERE peer = ? AND seq > ? AND class <> 'gap'",
      this.#peer,
      this.#acked,
    );
    return row?.n ?? 0;
  }

  /** The database went back in time (the peer has numbers that it never gave): what is left goes out under a new epoch. */
  async beginEpoch(): Promise<void> {
    const epoch = this.#deps.newEpoch();
    await this.#deps.database.write(async (tx) => {
      await tx.run("UPDATE tunnel_peer SET epoch = ?, acked = 0 WHERE peer = ?", epoch, this.#peer);
    });
    this.#epoch = epoch;
    this.#acked = 0;
  }

  /** Trims events that are too many, too big together, or too old. Called by `publish`; cheap when there is nothing to do. */
  sweep(): Promise<void> {
    const now = this.#deps.clock.now();
    const { maxEvents, maxEventBytes } = this.#limits;
    const due = now - this.#sweptAt >= 60_000;
    if (this.#events <= maxEvents && this.#bytes <= maxEventBytes && !due) return Promise.resolve();
    this.#sweptAt = now;
    return (this.#sweeping ??= this.#trim(now).finally(() => (this.#sweeping = undefined)));
  }

  /** Waits for removals under way. */
  async settle(): Promise<void> {
    while (this.#forgetting) await this.#forgetting;
  }

  async #forget(): Promise<void> {
    try {
      for (let done = -1; done < this.#acked;) done = await this.#removeUpTo(this.#acked);
    } catch {
      // The rows stay until the next acknowledgement.
    }
    this.#forgetting = undefined; // in the tick of the last look: an acknowledgement that comes later begins anew
  }

  async #removeUpTo(seq: number): Promise<number> {
    const gone = await this.#deps.database.write(async (tx) => {
      const sums = await eventsUpTo(tx, this.#peer, seq);
      await tx.run("DELETE FROM tunnel_outbox WHERE peer = ? AND seq <= ?", this.#peer, seq);
      await tx.run("UPDATE tunnel_peer SET acked = MAX(acked, ?) WHERE peer = ?", seq, this.#peer);
      return sums;
    });
    this.#events -= gone.events;
    this.#bytes -= gone.bytes;
    return seq;
  }

  async #trim(now: number): Promise<void> {
    const { maxEvents, maxEventBytes, maxAgeMs } = this.#limits;
    for (;;) {
      const tooMany = this.#events > maxEvents;
      const tooBig = this.#bytes > maxEventBytes;
      // A tenth more than needed, so that a full outbox does not trim at every publish.
      const spare = tooMany
        ? this.#events - Math.ceil(maxEvents * 0.9)
        : tooBig
          ? Math.ceil(this.#events / 10)
          : 0;
      const reason = tooMany ? "too many events" : tooBig ? "too many bytes" : "too old";
      const gone = await this.#deps.database.write((tx) =>
        removeOldest(tx, this.#peer, { spare, before: now - maxAgeMs, now, reason }),
      );
      this.#events -= gone.events;
      this.#bytes -= gone.bytes;
      if (gone.events === 0 || (!tooMany && !tooBig)) return;
    }
  }
}

interface Removal {
  /** At least so many of the oldest events, */
  readonly spare: number;
  /** and all from before this time. */
  readonly before: number;
  readonly now: number;
  readonly reason: string;
}

/** Removes events and leaves one gap row for them and for gaps before them (D3). */
async function removeOldest(
  tx: Transaction,
  peer: string,
  { spare, before, now, reason }: Removal,
): Promise<{ events: number; bytes: number }> {
  if (spare === 0) {
    const oldest = await tx.get<{ at: number }>(
      "SELECT at FROM tunnel_outbox WHERE peer = ? AND class = 'event' ORDER BY seq LIMIT 1",
      peer,
    );
    if (!oldest || oldest.at >= before) return { events: 0, bytes: 0 }; // the usual case costs one row
  }
  const span = await tx.get<{ last: number | null }>(
    `SELECT MAX(seq) AS last FROM (
       SELECT seq, at, ROW_NUMBER() OVER (ORDER BY seq) AS place FROM tunnel_outbox WHERE peer = ? AND class = 'event'
     ) WHERE place <= ? OR at < ?`,
    peer,
    spare,
    before,
  );
  const last = span?.last;
  if (typeof last !== "number") return { events: 0, bytes: 0 };
  const removed = await tx.all<OutboxRow>(
    `SELECT seq, class, CASE class WHEN 'gap' THEN body ELSE '' END AS body, bytes FROM tunnel_outbox
     WHERE peer = ? AND seq <= ? AND class IN ('event', 'gap') ORDER BY seq`,
    peer,
    last,
  );
  const gap = removed.reduce<GapBody>(
    (sum, row) => {
      const old = row.class === "gap" ? (JSON.parse(row.body) as GapBody) : { first: row.seq, count: 1 };
      return { ...sum, first: Math.min(sum.first, old.first), count: sum.count + old.count };
    },
    { first: last, count: 0, reason },
  );
  await tx.run(
    "DELETE FROM tunnel_outbox WHERE peer = ? AND seq <= ? AND class IN ('event', 'gap')",
    peer,
    last,
  );
  await tx.run(
    "INSERT INTO tunnel_outbox (peer, seq, class, topic, key, body, at, bytes) VALUES (?, ?, 'gap', '', '', ?, ?, 0)",
    ...[peer, last, JSON.stringify(gap), now],
  );
  const events = removed.filter((row) => row.class === "event");
  return { events: events.length, bytes: events.reduce((sum, row) => sum + row.bytes, 0) };
}

async function eventsUpTo(
  tx: Transaction,
  peer: string,
  seq: number,
): Promise<{ events: number; bytes: number }> {
  const row = await tx.get<{ events: number; bytes: number }>(
    `SELECT COUNT(*) AS events, COALESCE(SUM(bytes), 0) AS bytes
     FROM tunnel_outbox WHERE peer = ? AND seq <= ? AND class = 'event'`,
    peer,
    seq,
  );
  return row ?? { events: 0, bytes: 0 };
}

function frameOf(row: OutboxRow): LogFrame {
  if (row.class === "gap") {
    return frame("gap", { seq: row.seq, prev: 0, ...(JSON.parse(row.body) as GapBody) });
  }
  const kind = row.class === "state" ? MessageClass.STATE : MessageClass.EVENT;
  return frame("pub", {
    seq: row.seq,
    prev: 0,
    class: kind,
    topic: row.topic,
    key: row.key,
    body: row.body,
    at: row.at,
  });
}
