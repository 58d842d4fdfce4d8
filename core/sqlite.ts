// The one file that knows the `sqlite3` package. WAL, synchronous=FULL, one writer; concurrent writes share a commit.
//
//   Q1. A write that resolved is on disk. One that rejected left nothing behind, whatever shared its commit.
//   Q2. Writes run one after another, in the order of the calls.
//   Q3. Integers above 2^53 and bigints are refused: sqlite3 stores a bigint as NULL, silently. Store such things as blobs or text.
import sqlite3 from "sqlite3";
import { Fault } from "./fault.ts";

export type Value = string | number | null | Uint8Array;
export type Row = Readonly<Record<string, Value>>;

/** Reads, as seen inside a transaction (own writes included) or outside (the last commit). */
export interface Reader {
  get<T extends Row = Row>(sql: string, ...values: Value[]): Promise<T | undefined>;
  all<T extends Row = Row>(sql: string, ...values: Value[]): Promise<T[]>;
}

export interface Transaction extends Reader {
  /** Runs one statement; `changes` is the number of rows it touched. */
  run(sql: string, ...values: Value[]): Promise<{ changes: number; lastId: number }>;
}

export interface Database extends Reader {
  /** Runs `work` in a write transaction and resolves once it is durable (Q1). Never call it inside another `write`. */
  write<T>(work: (tx: Transaction) => Promise<T>, options?: WriteOptions): Promise<T>;
  /** Waits for writes under way, then closes. Twice is once; later calls fail with Unavailable. */
  close(): Promise<void>;
}

export interface WriteOptions {
  /** `work` runs at most one statement that writes, and does nothing after it that may fail: saves a savepoint. */
  readonly single?: boolean;
}

export interface DatabaseOptions {
  /** SQL scripts, applied once each, in order; their count is kept in user_version. Append only. */
  readonly migrations: readonly string[];
  /** How many writes may share a commit; 1 gives every write its own. 64 unless told. */
  readonly groupSize?: number;
  /** How long a statement waits for a lock that another process holds, milliseconds, before it fails with Busy; 10 s unless told. */
  readonly busyTimeoutMs?: number;
}

/** Opens (and makes, and migrates) a database. ":memory:" lives as long as it is open. */
export async function openDatabase(path: string, options: DatabaseOptions): Promise<Database> {
  const memory = path === ":memory:";
  const { busyTimeoutMs = 10_000 } = options;
  const writer = await connect(path, sqlite3.OPEN_READWRITE | sqlite3.OPEN_CREATE);
  try {
    try {
      await writer.exec(
        `PRAGMA busy_timeout=${busyTimeoutMs}; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;`,
      );
      await migrate(writer, options.migrations, path);
    } catch (error) {
      await writer.close();
      throw describe(error, path);
    }
    const reader = memory ? writer : await connect(path, sqlite3.OPEN_READONLY);
    if (!memory) await reader.exec(`PRAGMA busy_timeout=${busyTimeoutMs};`);
    return new GroupCommit(writer, reader, options.groupSize ?? 64);
  } catch (error) {
    await writer.close().catch(() => {});
    throw error;
  }
}

interface Job {
  readonly single: boolean;
  run(tx: Transaction): Promise<void>;
  settle(commitError?: Fault): void;
}

class GroupCommit implements Database {
  readonly #writer: Connection;
  readonly #reader: Connection;
  readonly #groupSize: number;
  #queue: Job[] = [];
  #pump: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  constructor(writer: Connection, reader: Connection, groupSize: number) {
    this.#writer = writer;
    this.#reader = reader;
    this.#groupSize = groupSize;
  }

  async get<T extends Row>(sql: string, ...values: Value[]): Promise<T | undefined> {
    return (await this.all<T>(sql, ...values))[0];
  }

  async all<T extends Row>(sql: string, ...values: Value[]): Promise<T[]> {
    if (this.#closing) throw closedFault();
    // An in-memory database has one connection: wait for open transactions, so that only commits are seen.
    while (this.#reader === this.#writer && this.#pump) await this.#pump;
    return this.#reader.all<T>(sql, ...values);
  }

  write<T>(work: (tx: Transaction) => Promise<T>, options: WriteOptions = {}): Promise<T> {
    if (this.#closing) return Promise.reject(closedFault());
    return new Promise<T>((resolve, reject) => {
      let finish: () => void = () => reject(new Fault("Bug", "a write was settled before it ran"));
      this.#queue.push({
        single: options.single ?? false,
        async run(tx) {
          const value = await work(tx);
          finish = () => resolve(value);
        },
        settle: (error) => (error ? reject(error) : finish()),
      });
      this.#pump ??= this.#drain();
    });
  }

  async #drain(): Promise<void> {
    await Promise.resolve(); // let callers of the same tick share the first commit
    while (this.#queue.length > 0) await this.#commit(this.#queue.splice(0, this.#groupSize));
    this.#pump = undefined; // in the same tick as the last look at the queue: a write that came later would wait for ever
  }

  async #commit(jobs: readonly Job[]): Promise<void> {
    const done: Job[] = [];
    try {
      await this.#writer.exec("BEGIN IMMEDIATE");
      for (const job of jobs) {
        const part = new Part(this.#writer, job.single);
        try {
          await job.run(part);
          done.push(job);
        } catch (error) {
          await part.undo();
          job.settle(Fault.from(error));
        }
      }
      await this.#writer.exec("COMMIT");
    } catch (error) {
      await this.#writer.exec("ROLLBACK").catch(() => {}); // a full disk may have rolled back already
      const fault = Fault.from(error, "writing to the database");
      for (const job of jobs) job.settle(fault);
      return;
    }
    for (const job of done) job.settle();
  }

  close(): Promise<void> {
    return (this.#closing ??= (async () => {
      while (this.#pump) await this.#pump;
      if (this.#reader !== this.#writer) await this.#reader.close();
      await this.#writer.close();
    })());
  }
}

/**
 * One job's part of a shared transaction: undone alone when the job fails (Q1). Its savepoint is made before its first write, and is
 * left to the commit: names of savepoints nest, the newest is meant.
 */
class Part implements Transaction {
  readonly #db: Connection;
  readonly #single: boolean;
  #savepoint: Promise<void> | undefined;
  #writes = 0;

  /** `single`: its one statement undoes itself by failing. */
  constructor(db: Connection, single: boolean) {
    this.#db = db;
    this.#single = single;
  }

  async run(sql: string, ...values: Value[]): Promise<{ changes: number; lastId: number }> {
    if (!this.#single) await (this.#savepoint ??= this.#db.exec("SAVEPOINT job"));
    else if (++this.#writes > 1) throw new Fault("Bug", "a write of a single statement ran a second one");
    return this.#db.run(sql, ...values);
  }

  get<T extends Row>(sql: string, ...values: Value[]): Promise<T | undefined> {
    return this.#db.get<T>(sql, ...values);
  }

  all<T extends Row>(sql: string, ...values: Value[]): Promise<T[]> {
    return this.#db.all<T>(sql, ...values);
  }

  async undo(): Promise<void> {
    if (this.#savepoint) await this.#db.exec("ROLLBACK TO job; RELEASE job");
  }
}

function describe(error: unknown, path: string): Fault {
  const fault = Fault.from(error);
  if (fault.code === "Invalid") return fault; // says it already
  return new Fault(fault.code, `opening the database ${path}: ${fault.message}`, { cause: error });
}

function closedFault(): Fault {
  return new Fault("Unavailable", "the database is closed");
}

/** In one transaction, begun before the count is read: of two processes that open a new file, one migrates. */
async function migrate(db: Connection, migrations: readonly string[], path: string): Promise<void> {
  if ((await versionOf(db)) === migrations.length) return;
  await db.exec("BEGIN IMMEDIATE");
  try {
    const have = await versionOf(db);
    if (have > migrations.length) {
      throw new Fault(
        "Invalid",
        `${path} was written by a newer version of this program; upgrade, or use another data directory`,
      );
    }
    for (const script of migrations.slice(have)) await db.exec(script);
    if (have < migrations.length) await db.exec(`PRAGMA user_version=${migrations.length}`);
    await db.exec("COMMIT");
  } catch (error) {
    await db.exec("ROLLBACK").catch(() => {});
    throw error;
  }
}

async function versionOf(db: Connection): Promise<number> {
  const [row] = await db.all<{ user_version: number }>("PRAGMA user_version");
  return row?.user_version ?? 0;
}

/**
 * A connection with promises. Statements are prepared once and kept, which halves the cost of a small write. Every call has a
 * callback, since one without ends the process when it fails.
 */
class Connection implements Transaction {
  readonly #db: sqlite3.Database;
  readonly #prepared = new Map<string, Promise<sqlite3.Statement>>();

  constructor(db: sqlite3.Database) {
    this.#db = db;
  }

  exec(sql: string): Promise<void> {
    return new Promise((resolve, reject) =>
      this.#db.exec(sql, (e) => (e ? reject(translate(e)) : resolve())),
    );
  }

  async run(sql: string, ...values: Value[]): Promise<{ changes: number; lastId: number }> {
    const parameters = checked(values);
    const statement = await this.#prepare(sql);
    return new Promise((resolve, reject) =>
      statement.run(parameters, function (this: sqlite3.RunResult, e: Error | null) {
        if (e) reject(translate(e));
        else resolve({ changes: this.changes, lastId: this.lastID });
      }),
    );
  }

  async get<T extends Row>(sql: string, ...values: Value[]): Promise<T | undefined> {
    return (await this.all<T>(sql, ...values))[0];
  }

  async all<T extends Row>(sql: string, ...values: Value[]): Promise<T[]> {
    const parameters = checked(values);
    const statement = await this.#prepare(sql);
    return new Promise((resolve, reject) =>
      statement.all(parameters, (e: Error | null, rows: T[]) => (e ? reject(translate(e)) : resolve(rows))),
    );
  }

  /** The statements of a program are few; whoever builds SQL from values makes the oldest leave. */
  #prepare(sql: string): Promise<sqlite3.Statement> {
    const kept = this.#prepared.get(sql);
    if (kept) return kept;
    if (this.#prepared.size >= maxPrepared) {
      const [oldest, statement] = this.#prepared.entries().next().value!;
      this.#prepared.delete(oldest);
      void statement.then(finalize, () => {});
    }
    const made = new Promise<sqlite3.Statement>((resolve, reject) => {
      const statement = this.#db.prepare(sql, (e: Error | null) =>
        e ? reject(translate(e)) : resolve(statement),
      );
    });
    this.#prepared.set(sql, made);
    made.catch(() => this.#prepared.delete(sql));
    return made;
  }

  async close(): Promise<void> {
    for (const statement of this.#prepared.values()) await statement.then(finalize, () => {});
    this.#prepared.clear();
    await new Promise<void>((resolve, reject) =>
      this.#db.close((e) => (e ? reject(translate(e)) : resolve())),
    );
  }
}

const maxPrepared = 200;

function finalize(statement: sqlite3.Statement): Promise<void> {
  return new Promise((resolve) => statement.finalize(() => resolve()));
}

function connect(path: string, mode: number): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const db = new sqlite3.Database(path, mode, (e) => {
      if (e) reject(new Fault("Unavailable", `opening the database ${path}: ${e.message}`, { cause: e }));
      else resolve(new Connection(db));
    });
  });
}

function checked(values: readonly Value[]): Value[] {
  for (const value of values as readonly unknown[]) {
    if (
      typeof value === "bigint" ||
      (typeof value === "number" && !Number.isSafeInteger(value) && Number.isInteger(value))
    ) {
      throw new Fault("Bug", "a number too large for SQLite's driver was passed as a parameter"); // Q3
    }
  }
  return values.map((v) => (v instanceof Uint8Array && !Buffer.isBuffer(v) ? Buffer.from(v) : v));
}

function translate(error: Error & { code?: string }): Fault {
  switch (error.code) {
    case "SQLITE_CONSTRAINT":
      return new Fault("AlreadyExists", error.message, { cause: error });
    case "SQLITE_FULL":
      return new Fault("Unavailable", "the disk is full", { cause: error });
    case "SQLITE_BUSY":
      return new Fault("Busy", "the database is in use by another process", { cause: error });
    default:
      return new Fault("Unavailable", error.message, { cause: error });
  }
}
