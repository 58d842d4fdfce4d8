import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openDatabase, type Database, type Transaction, type Value } from "./sqlite.ts";

let folder: string;
let path: string;
const opened: Database[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sqlite-"));
  path = join(folder, "test.db");
});
afterEach(async () => {
  for (const db of opened.splice(0)) await db.close();
  await rm(folder, { recursive: true });
});

const table = "CREATE TABLE t (n INTEGER PRIMARY KEY, v)";

async function open(where = path, migrations = [table], groupSize?: number): Promise<Database> {
  const db = await openDatabase(where, { migrations, ...(groupSize ? { groupSize } : {}) });
  opened.push(db);
  return db;
}

const insert =
  (n: Value, v: Value = null) =>
  (tx: Transaction) =>
    tx.run("INSERT INTO t VALUES (?, ?)", n, v);

async function numbers(db: Database): Promise<unknown[]> {
  return (await db.all("SELECT n FROM t ORDER BY n")).map(({ n }) => n);
}

describe("Q1: all or nothing", () => {
  test("a write that resolved is seen by readers and after opening again", async () => {
    const db = await open();
    await db.write(insert(1, "one"));
    expect(await db.get("SELECT * FROM t WHERE n = ?", 1)).toEqual({ n: 1, v: "one" });
    await db.close();
    expect(await numbers(await open())).toEqual([1]);
  });

  test.each([":memory:", ""])(
    "a write that rejects leaves nothing, those beside it everything (%s)",
    async (where) => {
      const db = await open(where || path);
      const results = await Promise.allSettled([
        db.write(insert(1)),
        db.write(async (tx) => {
          await insert(2)(tx);
          await insert(3)(tx);
          throw new Error("changed my mind");
        }),
        db.write(async (tx) => {
          await insert(4)(tx);
          await insert(1)(tx); // taken
        }),
        db.write(insert(5)),
        db.write(insert(5), { single: true }),
        db.write(insert(6), { single: true }),
      ]);
      expect(results.map(({ status }) => status)).toEqual([
        "fulfilled",
        "rejected",
        "rejected",
        "fulfilled",
        "rejected",
        "fulfilled",
      ]);
      expect(await numbers(db)).toEqual([1, 5, 6]);
      expect(results[2]).toMatchObject({ reason: { code: "AlreadyExists" } });
    },
  );

  test("readers do not see what is not committed; the writer does", async () => {
    const db = await open();
    let inside: unknown;
    let outside: unknown;
    await db.write(async (tx) => {
      await insert(1)(tx);
      inside = await tx.get("SELECT count(*) AS c FROM t");
      outside = await db.get("SELECT count(*) AS c FROM t");
    });
    expect([inside, outside]).toEqual([{ c: 1 }, { c: 0 }]);
  });

  test("when the commit itself fails, everyone in it is told", async () => {
    const db = await open(path, [
      `PRAGMA foreign_keys=ON; ${table};
       CREATE TABLE child (parent INTEGER REFERENCES t (n) DEFERRABLE INITIALLY DEFERRED)`,
    ]);
    const results = await Promise.allSettled([
      db.write(insert(1)),
      db.write((tx) => tx.run("INSERT INTO child VALUES (99)")), // found out at the commit
      db.write(insert(2)),
    ]);
    expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
    expect(await numbers(db)).toEqual([]);
    await db.write(insert(3));
    expect(await numbers(db)).toEqual([3]);
  });

  test("who promised a single statement and runs two is stopped", async () => {
    const db = await open();
    const two = async (tx: Transaction) => {
      await insert(1)(tx);
      await insert(2)(tx);
    };
    await expect(db.write(two, { single: true })).rejects.toMatchObject({ code: "Bug" });
  });
});

describe("Q2: one after another", () => {
  test.each([1, 3, 64])(
    "writes run in the order of the calls, whatever they wait for (groups of %i)",
    async (group) => {
      const db = await open(path, [table], group);
      const order: number[] = [];
      const writes = Array.from({ length: 20 }, (_, i) =>
        db.write(async (tx) => {
          order.push(i);
          for (let wait = 0; wait < 5 - (i % 5); wait++) await tx.get("SELECT 1");
          await insert(i)(tx);
          order.push(i);
        }),
      );
      const settled: number[] = [];
      await Promise.all(writes.map((each, i) => each.then(() => settled.push(i))));
      expect(order).toEqual(Array.from({ length: 40 }, (_, i) => i >> 1));
      expect(settled).toEqual(Array.from({ length: 20 }, (_, i) => i));
    },
  );

  test("a write that comes a few ticks after the last one is not forgotten", async () => {
    const outcomes: string[] = [];
    for (let ticks = 0; ticks < 8; ticks++) {
      const db = await open(":memory:", ["CREATE TABLE t (a)"]);
      await db.write(() => Promise.resolve());
      for (let tick = 0; tick < ticks; tick++) await Promise.resolve();
      const late = new Promise<string>((resolve) => setTimeout(() => resolve("stuck"), 2_000).unref());
      outcomes.push(await Promise.race([db.write(() => Promise.resolve("written")), late]));
    }
    expect(outcomes).toEqual(Array(8).fill("written"));
  });

  test("two who open one file see each other's writes, and neither loses any", async () => {
    const [a, b] = await Promise.all([open(), open()]);
    await Promise.all(Array.from({ length: 40 }, (_, i) => (i % 2 ? a : b).write(insert(i))));
    expect(await numbers(a)).toHaveLength(40);
    expect(await numbers(b)).toHaveLength(40);
  });
});

describe("Q3: values", () => {
  const kept: [string, Value][] = [
    ["text", "häßlich 🙂"],
    ["an integer", 2 ** 53 - 1],
    ["a fraction", 0.1],
    ["nothing", null],
  ];
  test.each(kept)("%s comes back as it was", async (_, value) => {
    const db = await open();
    await db.write(insert(1, value));
    expect(await db.get("SELECT v FROM t")).toEqual({ v: value });
  });

  test("bytes come back as bytes", async () => {
    const db = await open();
    await db.write(insert(1, new Uint8Array([0, 255, 3]).subarray(1)));
    expect((await db.get<{ v: Uint8Array }>("SELECT v FROM t"))?.v).toEqual(Buffer.from([255, 3]));
  });

  test.each([2 ** 53, -(2 ** 60), 5n as unknown as Value])("%s is refused", async (value) => {
    const db = await open();
    await expect(db.write(insert(1, value))).rejects.toMatchObject({ code: "Bug" });
    await expect(db.all("SELECT ?", value)).rejects.toMatchObject({ code: "Bug" });
    expect(await numbers(db)).toEqual([]);
  });
});

describe("opening and closing", () => {
  test("migrations run once each, and those that came later are added", async () => {
    await (await open(path, ["CREATE TABLE a (x)"])).close();
    const db = await open(path, ["CREATE TABLE a (x)", "CREATE TABLE b (y)"]);
    expect(await db.all("SELECT name FROM sqlite_schema ORDER BY name")).toEqual([
      { name: "a" },
      { name: "b" },
    ]);
  });

  test("a migration that fails leaves the database as it was", async () => {
    await expect(open(path, ["CREATE TABLE a (x)", "CREATE NONSENSE"])).rejects.toMatchObject({
      code: "Unavailable",
    });
    const db = await open(path, ["CREATE TABLE a (x)"]);
    expect(await db.all("SELECT * FROM a")).toEqual([]);
  });

  test("a database of a newer version is refused, and says what to do", async () => {
    await (await open(path, [table, "CREATE TABLE b (y)"])).close();
    await expect(open(path, [table])).rejects.toMatchObject({
      code: "Invalid",
      message: expect.stringMatching(/newer version.*upgrade/) as string,
    });
  });

  test.each(["", "/text"])("what is no database is told by its name (a folder%s)", async (file) => {
    if (file)
      await writeFile(folder + file, "this is no database, and long enough not to be taken for an empty one");
    await expect(open(folder + file)).rejects.toMatchObject({
      code: "Unavailable",
      message: expect.stringContaining(folder + file) as string,
    });
  });

  test("closing waits for writes under way; later calls fail, and a second close is none", async () => {
    const db = await open();
    const writing = db.write(insert(1));
    await Promise.all([db.close(), db.close()]);
    expect(await writing).toMatchObject({ changes: 1 });
    await expect(db.write(insert(2))).rejects.toMatchObject({ code: "Unavailable" });
    await expect(db.all("SELECT 1")).rejects.toMatchObject({ code: "Unavailable" });
  });

  test("many different statements do not use up the memory for them", async () => {
    const db = await open();
    const asked = Array.from({ length: 500 }, (_, i) => db.get(`SELECT ${i} AS n`));
    expect((await Promise.all(asked)).map((row) => row?.["n"])).toEqual(
      Array.from({ length: 500 }, (_, i) => i),
    );
  });
});
