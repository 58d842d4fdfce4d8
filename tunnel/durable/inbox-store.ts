// The inbox on disk: the cursor, messages set aside, receipts. SQL only; inbox.ts decides.
import type { Database, Transaction } from "#core";
import type { Message, MessageClass } from "../link.ts";

export interface StoredMessage {
  readonly epoch: string;
  readonly seq: number;
  readonly class: MessageClass;
  readonly topic: string;
  readonly key: string;
  /** JSON text. */
  readonly body: string;
  readonly at: number;
}

/** A message's place, enough to find its row. */
export type Place = Pick<StoredMessage, "epoch" | "seq">;

/** What one commit changes. */
export interface InboxChange {
  readonly epoch: string;
  readonly cursor: number;
  /** Messages to keep until they are handled. */
  readonly store: readonly StoredMessage[];
  /** Messages handled ahead of the cursor, never stored: only their number is kept. */
  readonly receipts: readonly Place[];
  /** Stored messages that are handled now. */
  readonly done: readonly Place[];
}

export interface InboxStart {
  readonly epoch: string;
  readonly cursor: number;
  /** Numbers above the cursor of this epoch that need not come again. */
  readonly settled: readonly number[];
  /** Topics and keys with stored messages that wait. */
  readonly waiting: readonly { readonly topic: string; readonly key: string; readonly count: number }[];
}

export class InboxStore {
  readonly #database: Database;
  readonly #peer: string;

  constructor(database: Database, peer: string) {
    this.#database = database;
    this.#peer = peer;
  }

  async load(): Promise<InboxStart> {
    const row = await this.#database.get<{ in_epoch: string; in_cursor: number }>(
      "SELECT in_epoch, in_cursor FROM tunnel_peer WHERE peer = ?",
      this.#peer,
    );
    const epoch = row?.in_epoch ?? "";
    const cursor = row?.in_cursor ?? 0;
    const settled = await this.#database.all<{ seq: number }>(
      "SELECT seq FROM tunnel_inbox WHERE peer = ? AND epoch = ? AND seq > ?",
      this.#peer,
      epoch,
      cursor,
    );
    const waiting = await this.#database.all<{ topic: string; key: string; count: number }>(
      "SELECT topic, key, COUNT(*) AS count FROM tunnel_inbox WHERE peer = ? AND done = 0 GROUP BY topic, key",
      this.#peer,
    );
    return { epoch, cursor, settled: settled.map((s) => s.seq), waiting };
  }

  /** Waiting messages of a topic in order of arrival, without those of keys that rest. */
  async waiting(topic: string, restingKeys: readonly string[], limit: number): Promise<StoredMessage[]> {
    const rows = await this.#database.all<StoredMessage & Record<string, string | number>>(
      `SELECT epoch, seq, class, topic, key, body, at FROM tunnel_inbox
       WHERE peer = ? AND topic = ? AND done = 0 AND key NOT IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT ?`,
      this.#peer,
      topic,
      JSON.stringify(restingKeys),
      limit,
    );
    return rows;
  }

  /** All or nothing. Says by how much the number of waiting messages changed. */
  apply(change: InboxChange): Promise<number> {
    return this.#database.write(async (tx) => {
      let waiting = 0;
      for (const message of change.store) {
        const added = await this.#insert(tx, message, 0);
        waiting += added;
        if (added > 0 && message.class === "state") waiting -= await this.#supersede(tx, message);
      }
      for (const { epoch, seq } of change.receipts) {
        await this.#insert(tx, { epoch, seq, class: "event", topic: "", key: "", body: "", at: 0 }, 1);
      }
      for (const { epoch, seq } of change.done) {
        const done = await tx.run(
          "UPDATE tunnel_inbox SET done = 1 WHERE peer = ? AND epoch = ? AND seq = ? AND done = 0",
          this.#peer,
          epoch,
          seq,
        );
        waiting -= done.changes;
      }
      await tx.run(
        "UPDATE tunnel_peer SET in_epoch = ?, in_cursor = ? WHERE peer = ?",
        change.epoch,
        change.cursor,
        this.#peer,
      );
      await tx.run(
        "DELETE FROM tunnel_inbox WHERE peer = ? AND done = 1 AND (epoch <> ? OR seq <= ?)",
        this.#peer,
        change.epoch,
        change.cursor,
      );
      return waiting;
    });
  }

  /** A newer state is stored: the older ones of its key need no handling any more. */
  async #supersede(tx: Transaction, newer: StoredMessage): Promise<number> {
    const { changes } = await tx.run(
      `UPDATE tunnel_inbox SET done = 1 WHERE peer = ? AND topic = ? AND key = ? AND done = 0 AND class = 'state'
       AND NOT (epoch = ? AND seq = ?)`,
      ...[this.#peer, newer.topic, newer.key, newer.epoch, newer.seq],
    );
    return changes;
  }

  async #insert(tx: Transaction, m: StoredMessage, done: 0 | 1): Promise<number> {
    const { changes } = await tx.run(
      `INSERT OR IGNORE INTO tunnel_inbox (peer, epoch, seq, class, topic, key, body, at, done)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      ...[this.#peer, m.epoch, m.seq, m.class, m.topic, m.key, m.body, m.at, done],
    );
    return changes;
  }
}

/** The message as a handler gets it. Throws when the body is no JSON. */
export function messageOf(stored: StoredMessage): Message {
  return { ...stored, body: JSON.parse(stored.body) as unknown };
}
