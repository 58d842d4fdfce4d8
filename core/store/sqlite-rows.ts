// Rows in SQLite: two tables. The number of an event is the revision of the row it changed and the position of a watch.
// A row's object is text (JSON), or a blob where its resource is sealed (seal.ts). Revisions are columns, not part of the JSON.
import { open } from "node:fs/promises";
import { Fault } from "../fault.ts";
import { toJson } from "../json.ts";
import type { Resource } from "../resource/meta.ts";
import { openDatabase, type Database, type Transaction, type Value } from "../sqlite.ts";
import { forgotten } from "./memory-rows.ts";
import { pageStatement } from "./page-statement.ts";
import {
  placeText,
  withRevision,
  type Decide,
  type Logged,
  type PageQuery,
  type Place,
  type Row,
  type Rows,
} from "./rows.ts";
import type { Seal } from "./seal.ts";

/** Revision 1 is a mark in the empty log: so every list has a revision to watch from, and max(revision) is never null (L2). */
const migrations = [
  `CREATE TABLE resources (
     resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
     revision INTEGER NOT NULL, object NOT NULL,
     PRIMARY KEY (resource, namespace, name)
   ) WITHOUT ROWID;
   CREATE TABLE events (
     revision INTEGER PRIMARY KEY, type TEXT NOT NULL,
     resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
     object, before, before_revision INTEGER
   );
   INSERT INTO events (revision, type, resource, namespace, name) VALUES (1, 'Start', '', '', '')`,
  // A write is one statement: rows follow the log.
  `CREATE TRIGGER kept AFTER INSERT ON events WHEN new.type <> 'Deleted' BEGIN
     INSERT OR REPLACE INTO resources VALUES (new.resource, new.namespace, new.name, new.revision, new.object);
   END;
   CREATE TRIGGER gone AFTER INSERT ON events WHEN new.type = 'Deleted' BEGIN
     DELETE FROM resources WHERE resource = new.resource AND namespace = new.namespace AND name = new.name;
   END`,
];

/** Forgetting is done once in so many revisions. */
const forgetEvery = 256;

export interface SqliteRowsOptions {
  /** How many events are remembered; 10,000 unless told. */
  readonly history?: number;
  /** And about how many bytes of them; 64 MiB unless told. */
  readonly historyBytes?: number;
  /** As in core/sqlite.ts. */
  readonly groupSize?: number;
  readonly seal?: Seal;
  /** Group resources whose objects are sealed. */
  readonly sealed: readonly string[];
}

/** Opens (and makes, readable by its owner alone) the database at `path`. */
export async function sqliteRows(path: string, options: SqliteRowsOptions): Promise<Rows> {
  if (path !== ":memory:") {
    await open(path, "a", 0o600).then(
      (file) => file.close(),
      (cause: unknown) => {
        throw new Fault("Unavailable", `opening the database ${path}: ${(cause as Error).message}`, {
          cause,
        });
      },
    );
  }
  const { groupSize } = options;
  return new SqliteRows(
    await openDatabase(path, { migrations, ...(groupSize ? { groupSize } : {}) }),
    options,
  );
}

interface StoredRow extends Record<string, Value> {
  resource: string;
  namespace: string;
  name: string;
  revision: number;
  object: string | Uint8Array;
}

interface StoredEvent extends StoredRow {
  type: string;
  before: string | Uint8Array | null;
  before_revision: number | null;
}

class SqliteRows implements Rows {
  readonly fresh = true;
  readonly #db: Database;
  readonly #history: number;
  readonly #historyBytes: number;
  readonly #seal: Seal | undefined;
  readonly #sealed: ReadonlySet<string>;
  readonly #listeners = new Set<(change: Logged) => void>();

  constructor(db: Database, options: SqliteRowsOptions) {
    this.#db = db;
    this.#history = Math.max(options.history ?? 10_000, 1);
    this.#historyBytes = options.historyBytes ?? 64 * 1024 * 1024;
    this.#seal = options.seal;
    this.#sealed = new Set(options.seal ? options.sealed : []);
  }

  async get(place: Place): Promise<Row | undefined> {
    const row = await this.#db.get<StoredRow>(selectRow, ...columns(place));
    return row && this.#row(row);
  }

  async page(query: PageQuery): Promise<{ rows: Row[]; revision: number }> {
    const { sql, values } = pageStatement(query);
    const [head, ...rows] = await this.#db.all<StoredRow & { oldest: number }>(sql, ...values);
    if (!head) throw new Fault("Bug", "a page without its head");
    if (query.at !== undefined && (query.at > head.revision || query.at < head.oldest - 1)) {
      throw forgotten(query.at);
    }
    return { rows: rows.map((row) => this.#row(row)), revision: query.at ?? head.revision };
  }

  async change(places: readonly [Place, ...Place[]], decide: Decide): Promise<Logged | undefined> {
    const logged = await this.#db.write((tx) => this.#change(tx, places, decide), { single: true });
    if (!logged) return undefined;
    for (const heard of this.#listeners) heard(logged);
    if (logged.revision % forgetEvery === 0) this.#forget(logged.revision).catch(() => {});
    return logged;
  }

  async #change(
    tx: Transaction,
    places: readonly [Place, ...Place[]],
    decide: Decide,
  ): Promise<Logged | undefined> {
    const stored = await tx.all<StoredRow & { at: number }>(
      selectRows(places.length),
      ...places.flatMap(columns),
    );
    const found = places.map((_, at) => stored.find((row) => row.at === at));
    const rows = found.map((row) => row && this.#row(row));
    const change = decide(rows);
    if (!change) return undefined;

    const [{ resource, namespace, name }] = places;
    const event = await tx.run(
      "INSERT INTO events (type, resource, namespace, name, object, before, before_revision) VALUES (?, ?, ?, ?, ?, ?, ?)",
      change.type,
      resource,
      namespace,
      name,
      this.#encode(places[0], change.object),
      found[0]?.object ?? null,
      found[0]?.revision ?? null,
    );
    const revision = event.lastId;
    const object = withRevision(change.object, revision);
    const before = rows[0] ? { before: rows[0].object } : {};
    return { resource, namespace, name, revision, type: change.type, object, ...before };
  }

  /** In a write of its own, for which nobody waits: where it fails, the next one does its work. */
  async #forget(newest: number): Promise<void> {
    const large = await this.#db.get<{ last: number | null }>(
      `SELECT max(revision) AS last FROM
         (SELECT revision, sum(length(object) + coalesce(length(before), 0)) OVER (ORDER BY revision DESC) AS size
          FROM events WHERE revision > 1)
       WHERE size > ?`,
      this.#historyBytes,
    );
    const last = Math.max(newest - this.#history, Math.min(large?.last ?? 0, newest - 1)); // L2
    await this.#db.write((tx) => tx.run("DELETE FROM events WHERE revision <= ?", last));
  }

  async events(after: number, limit: number): Promise<{ events: Logged[]; oldest: number; newest: number }> {
    const [head, ...events] = await this.#db.all<StoredEvent & { oldest: number }>(
      `SELECT (SELECT max(revision) FROM events) AS revision, (SELECT min(revision) FROM events) AS oldest,
              'Start' AS type, '' AS resource, '' AS namespace, '' AS name,
              NULL AS object, NULL AS before, NULL AS before_revision
       UNION ALL
       SELECT * FROM (SELECT revision, NULL, type, resource, namespace, name, object, before, before_revision
                      FROM events WHERE revision > ? AND revision > 1 ORDER BY revision LIMIT ?)`,
      after,
      limit,
    );
    if (!head) throw new Fault("Bug", "events without their head");
    return { events: events.map((event) => this.#event(event)), oldest: head.oldest, newest: head.revision };
  }

  listen(heard: (change: Logged) => void): () => void {
    this.#listeners.add(heard);
    return () => void this.#listeners.delete(heard);
  }

  close(): Promise<void> {
    return this.#db.close();
  }

  #row({ resource, namespace, name, revision, object }: StoredRow): Row {
    const place = { resource, namespace, name };
    return { ...place, revision, object: this.#decode(place, object, revision) };
  }

  #event(event: StoredEvent): Logged {
    const { before, before_revision: beforeRevision } = event;
    return {
      ...this.#row(event),
      type: event.type as Logged["type"],
      ...(before === null ? {} : { before: this.#decode(event, before, beforeRevision ?? 0) }),
    };
  }

  #encode(place: Place, object: Resource): string | Uint8Array {
    const { resourceVersion: _, ...metadata } = object.metadata;
    const text = toJson({ ...object, metadata });
    if (!this.#seal || !this.#sealed.has(place.resource)) return text;
    return this.#seal.seal(Buffer.from(text), placeText(place));
  }

  #decode(place: Place, stored: string | Uint8Array, revision: number): Resource {
    if (typeof stored === "string") return withRevision(JSON.parse(stored) as Resource, revision);
    if (!this.#seal) {
      throw new Fault("Invalid", `${placeText(place)} is sealed: open the database with its key file`);
    }
    const text = Buffer.from(this.#seal.open(stored, placeText(place))).toString();
    return withRevision(JSON.parse(text) as Resource, revision);
  }
}

const selectRow = "SELECT * FROM resources WHERE resource = ? AND namespace = ? AND name = ?";

/** The rows of so many places in one statement, each with its number. */
function selectRows(count: number): string {
  return Array.from({ length: count }, (_, at) => selectRow.replace("*", `*, ${at} AS at`)).join(
    " UNION ALL ",
  );
}

function columns(place: Place): [string, string, string] {
  return [place.resource, place.namespace, place.name];
}
