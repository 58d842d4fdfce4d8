// Events of gateways and clusters: each stored once, in the order of arrival, the last 1000 of each subject kept.
import type { Clock, Database, Row, Transaction } from "#core";
import { formatTime } from "#core";
import type { ClusterEvent } from "#proto/messages.ts";
import { newUid } from "./uid.ts";

export const eventsKept = 1000;

/** What an event is about. */
export interface Subject {
  readonly kind: "spectrocluster" | "overlord";
  readonly uid: string;
}

export interface StoredEvent {
  readonly sequence: number;
  readonly event: ClusterEvent;
}

export interface Events {
  /** Stores an event; one with an id that this source sent before is dropped. */
  add(tx: Transaction, source: string, subject: Subject, event: ClusterEvent): Promise<void>;
  /** An event of the plane's own. */
  say(
    tx: Transaction,
    subject: Subject,
    said: Pick<ClusterEvent, "severity" | "reason" | "message">,
  ): Promise<void>;
  /** Newest first; `before`: only those with a smaller sequence; `after`: only those with a greater one. */
  list(
    subject: Subject,
    limit: number,
    bounds?: { before?: number | undefined; after?: number | undefined },
  ): Promise<StoredEvent[]>;
  count(subject: Subject): Promise<number>;
  /** Forgets a subject's events. */
  drop(tx: Transaction, subject: Subject): Promise<void>;
}

export function eventDesk(db: Database, clock: Clock): Events {
  const self: Events = {
    async add(tx, source, subject, event) {
      const { changes } = await tx.run(
        "INSERT OR IGNORE INTO events (source, id, subject_kind, subject, received_at, body) VALUES (?, ?, ?, ?, ?, ?)",
        ...[source, event.id, subject.kind, subject.uid, clock.now(), JSON.stringify(event)],
      );
      if (changes === 0) return;
      await tx.run(
        `DELETE FROM events WHERE subject_kind = ?1 AND subject = ?2 AND seq <=
          (SELECT seq FROM events WHERE subject_kind = ?1 AND subject = ?2 ORDER BY seq DESC LIMIT 1 OFFSET ${eventsKept})`,
        ...[subject.kind, subject.uid],
      );
    },
    say(tx, subject, said) {
      const event: ClusterEvent = {
        id: newUid(),
        at: formatTime(clock.now()),
        component: "plane",
        ...(subject.kind === "spectrocluster" ? { clusterUid: subject.uid } : {}),
        ...said,
      };
      return self.add(tx, "plane", subject, event);
    },
    async list(subject, limit, { before, after } = {}) {
      const rows = await db.all<Row & { seq: number; body: string }>(
        "SELECT seq, body FROM events WHERE subject_kind = ? AND subject = ? AND seq < ? AND seq > ? ORDER BY seq DESC LIMIT ?",
        ...[subject.kind, subject.uid, before ?? Number.MAX_SAFE_INTEGER, after ?? 0, limit],
      );
      return rows.map((row) => ({ sequence: row.seq, event: JSON.parse(row.body) as ClusterEvent }));
    },
    async count(subject) {
      const row = await db.get<{ n: number }>(
        "SELECT count(*) AS n FROM events WHERE subject_kind = ? AND subject = ?",
        ...[subject.kind, subject.uid],
      );
      return row?.n ?? 0;
    },
    async drop(tx, subject) {
      await tx.run("DELETE FROM events WHERE subject_kind = ? AND subject = ?", subject.kind, subject.uid);
    },
  };
  return self;
}
