// The allocator made durable: who holds what, and who held it when, in SQLite. Decisions fall at once, in memory; an answer is given
// when it is on disk, and all that were decided meanwhile share a commit.
//
//   U1. What was answered survives kill -9.
//   U2. No value is held twice in a scope, whatever happens in memory: the table's key forbids it.
//   U3. History is only ever appended to.
//   U4. A refused or lost write leaves nothing: the value is free again, and the caller hears of it.
import { Fault, openDatabase, type Clock, type Database } from "#core";
import { Allocator, type Answer, type Claimant, type Counts, type Shape } from "../allocator/index.ts";

/** A spell of holding an address. */
export interface Spell {
  readonly owner: string;
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly from: number;
  /** Absent: it is still held. */
  readonly until?: number;
}

export interface Ledger {
  /** The scope of this name, shaped like this; what it holds is read on first use. */
  scope(name: string, shape: Shape): Promise<Scope>;
  close(): Promise<void>;
}

export interface Scope {
  /** Gives a value; resolves when that is durable. Where nothing is given there is nothing to wait for. */
  allocate(claimant: Claimant, wish?: bigint): Promise<Answer>;
  /** Takes it back; resolves when that is durable. Nothing held: nothing happens. */
  release(owner: string): Promise<void>;
  reshape(shape: Shape): void;
  counts(): Counts;
  heldBy(owner: string): bigint | undefined;
  /** Who has held a value, the latest first. */
  history(value: bigint): Promise<readonly Spell[]>;
  /** Who held it then. */
  holderAt(value: bigint, at: number): Promise<Spell | undefined>;
}

const migrations = [
  `CREATE TABLE scope (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
   CREATE TABLE holding (
     scope INTEGER NOT NULL REFERENCES scope(id), value BLOB NOT NULL, owner TEXT NOT NULL, name TEXT NOT NULL,
     groups TEXT NOT NULL, since INTEGER NOT NULL, PRIMARY KEY (scope, value)) WITHOUT ROWID;
   CREATE UNIQUE INDEX holding_owner ON holding(scope, owner);
   CREATE TABLE spell (
     scope INTEGER NOT NULL, value BLOB NOT NULL, at INTEGER NOT NULL, seq INTEGER NOT NULL, event TEXT NOT NULL,
     owner TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (scope, value, at, seq)) WITHOUT ROWID;
   CREATE TABLE serial (last INTEGER NOT NULL);
   INSERT INTO serial VALUES (0);`,
];

/** Opens the ledger in a file of its own; one process at a time should, and U2 holds even where two do. */
export async function openLedger(
  path: string,
  deps: { readonly clock: Clock; readonly random: () => number },
): Promise<Ledger> {
  const database = await openDatabase(path, { migrations });
  const writer = await Writer.open(database);
  const scopes = new Map<string, Promise<LedgerScope>>();
  return {
    async scope(name, shape) {
      let scope = scopes.get(name);
      if (scope) (await scope).reshape(shape);
      else scopes.set(name, (scope = LedgerScope.open(database, writer, deps, name, shape)));
      return scope;
    },
    close: () => database.close(),
  };
}

interface Change {
  readonly event: "given" | "released";
  readonly scope: number;
  readonly value: Buffer;
  readonly claimant: Claimant;
  readonly at: number;
  resolve(): void;
  reject(error: unknown): void;
}

/** So many rows go into one statement, and as many of those into one commit as have come together. */
const rowsAtOnce = 500;

/** Collects changes while a commit is under way, and writes them in the next. */
class Writer {
  readonly #database: Database;
  #serial: number;
  #waiting: Change[] = [];
  #busy = false;

  private constructor(database: Database, serial: number) {
    this.#database = database;
    this.#serial = serial;
  }

  static async open(database: Database): Promise<Writer> {
    const row = await database.get<{ last: number }>("SELECT last FROM serial");
    return new Writer(database, row?.last ?? 0);
  }

  write(change: Omit<Change, "resolve" | "reject">): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...change, resolve, reject });
      if (!this.#busy) void this.#drain();
    });
  }

  async #drain(): Promise<void> {
    this.#busy = true;
    await Promise.resolve(); // callers of one tick share a commit
    while (this.#waiting.length > 0) {
      const changes = this.#waiting.splice(0);
      try {
        await this.#commit(changes);
        for (const change of changes) change.resolve();
      } catch (error) {
        if (changes.length === 1) (changes[0] as Change).reject(error);
        else await this.#oneByOne(changes);
      }
    }
    this.#busy = false;
  }

  /** Something in the group was refused: the others shall not suffer for it. */
  async #oneByOne(changes: readonly Change[]): Promise<void> {
    for (const change of changes) await this.#commit([change]).then(change.resolve, change.reject);
  }

  async #commit(changes: readonly Change[]): Promise<void> {
    await this.#database.write(async (tx) => {
      // Runs of one event keep their order: what was released and given again comes out right.
      for (let at = 0; at < changes.length;) {
        const { event } = changes[at] as Change;
        let end = at;
        while (end < changes.length && end - at < rowsAtOnce && changes[end]?.event === event) end++;
        const run = changes.slice(at, end);
        if (event === "given") {
          const rows = run.map(() => "(?,?,?,?,?,?)").join(",");
          await tx.run(
            `INSERT INTO holding (scope, value, owner, name, groups, since) VALUES ${rows}`,
            ...run.flatMap(({ scope, value, claimant, at: since }) => [
              scope,
              value,
              claimant.owner,
              claimant.name ?? "",
              JSON.stringify(claimant.groups ?? []),
              since,
            ]),
          );
        } else {
          const rows = run.map(() => "(?,?)").join(",");
          await tx.run(
            `DELETE FROM holding WHERE (scope, value) IN (VALUES ${rows})`,
            ...run.flatMap(({ scope, value }) => [scope, value]),
          );
        }
        const rows = run.map(() => "(?,?,?,?,?,?,?)").join(",");
        await tx.run(
          `INSERT INTO spell (scope, value, at, seq, event, owner, name) VALUES ${rows}`,
          ...run.flatMap(({ scope, value, claimant, at: when }) => [
            scope,
            value,
            when,
            ++this.#serial,
            event,
            claimant.owner,
            claimant.name ?? "",
          ]),
        );
        at = end;
      }
      await tx.run("UPDATE serial SET last = ?", this.#serial);
    });
  }
}

class LedgerScope implements Scope {
  readonly #database: Database;
  readonly #writer: Writer;
  readonly #clock: Clock;
  readonly #id: number;
  readonly #allocator: Allocator;
  readonly #claimants = new Map<string, Claimant>();
  /** Given in memory and not on disk yet. */
  readonly #giving = new Map<string, Promise<Answer>>();

  private constructor(database: Database, writer: Writer, clock: Clock, id: number, allocator: Allocator) {
    this.#database = database;
    this.#writer = writer;
    this.#clock = clock;
    this.#id = id;
    this.#allocator = allocator;
  }

  static async open(
    database: Database,
    writer: Writer,
    { clock, random }: { readonly clock: Clock; readonly random: () => number },
    name: string,
    shape: Shape,
  ): Promise<LedgerScope> {
    await database.write((tx) => tx.run("INSERT OR IGNORE INTO scope (name) VALUES (?)", name));
    const row = await database.get<{ id: number }>("SELECT id FROM scope WHERE name = ?", name);
    if (!row) throw new Fault("Bug", `the ledger did not keep scope ${name}`);
    const made = new LedgerScope(database, writer, clock, row.id, new Allocator({ universe: [] }, random));
    const held = await database.all<{ value: Uint8Array; owner: string; name: string; groups: string }>(
      "SELECT value, owner, name, groups FROM holding WHERE scope = ? ORDER BY value",
      row.id,
    );
    const now = clock.now();
    for (const { value, owner, name: claim, groups } of held) {
      const claimant = { owner, ...(claim ? { name: claim } : {}), groups: JSON.parse(groups) as string[] };
      made.#claimants.set(owner, claimant);
      made.#allocator.hold(numberOf(value), claimant, now);
    }
    made.reshape(shape); // once for all: much quicker than to take each out of what is free
    await made.#restAgain(shape, now);
    return made;
  }

  /** What was released shortly before goes on resting. */
  async #restAgain({ quarantineMs = 0 }: Shape, now: number): Promise<void> {
    if (quarantineMs === 0) return;
    const released = await this.#database.all<{ value: Uint8Array; at: number; name: string }>(
      "SELECT value, max(at) AS at, name FROM spell WHERE scope = ? AND event = 'released' AND at > ? GROUP BY value",
      this.#id,
      now - quarantineMs,
    );
    for (const { value, at, name } of released)
      this.#allocator.rest(numberOf(value), at + quarantineMs, name || undefined);
  }

  async allocate(claimant: Claimant, wish?: bigint): Promise<Answer> {
    const now = this.#clock.now();
    const giving = this.#giving.get(claimant.owner);
    if (giving) return giving;
    const answer = this.#allocator.allocate(claimant, now, wish);
    if (answer.kind !== "given" || answer.by === "again") return answer;
    this.#claimants.set(claimant.owner, claimant);
    const durable = this.#writer
      .write({ event: "given", scope: this.#id, value: bytesOf(answer.value), claimant, at: now })
      .then(
        () => answer,
        (error: unknown) => {
          this.#allocator.cancel(claimant.owner); // U4
          this.#claimants.delete(claimant.owner);
          throw error;
        },
      )
      .finally(() => this.#giving.delete(claimant.owner));
    this.#giving.set(claimant.owner, durable);
    return durable;
  }

  async release(owner: string): Promise<void> {
    await this.#giving.get(owner)?.catch(() => {});
    const value = this.#allocator.heldBy(owner);
    const claimant = this.#claimants.get(owner);
    if (value === undefined || !claimant) return;
    const at = this.#clock.now();
    this.#claimants.delete(owner);
    // In memory it is held until it is free on disk: else the next could be given it before.
    await this.#writer.write({ event: "released", scope: this.#id, value: bytesOf(value), claimant, at });
    this.#allocator.release(owner, this.#clock.now());
  }

  reshape(shape: Shape): void {
    this.#allocator.reshape(shape);
  }

  counts(): Counts {
    return this.#allocator.counts();
  }

  heldBy(owner: string): bigint | undefined {
    return this.#allocator.heldBy(owner);
  }

  async history(value: bigint): Promise<readonly Spell[]> {
    const rows = await this.#database.all<{ at: number; event: string; owner: string; name: string }>(
      "SELECT at, event, owner, name FROM spell WHERE scope = ? AND value = ? ORDER BY at, seq",
      this.#id,
      bytesOf(value),
    );
    const spells: Spell[] = [];
    for (const { at, event, owner, name } of rows) {
      const last = spells.at(-1);
      if (event === "given") spells.push({ owner, name, from: at });
      else if (last?.owner === owner) spells[spells.length - 1] = { ...last, until: at };
    }
    return spells.reverse();
  }

  async holderAt(value: bigint, at: number): Promise<Spell | undefined> {
    return (await this.history(value)).find(({ from, until }) => from <= at && (until ?? Infinity) > at);
  }
}

/** 16 bytes, so that the order of blobs is the order of numbers; a bigint would silently become NULL. */
function bytesOf(value: bigint): Buffer {
  return Buffer.from(value.toString(16).padStart(32, "0"), "hex");
}

function numberOf(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
}
