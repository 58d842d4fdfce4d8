import { afterEach, describe, expect, test } from "vitest";
import { openDatabase, silentLogger, type Database } from "#core";
import { fakeClock, type FakeClock } from "#core/time/fake-clock.ts";
import { MessageClass } from "#proto/generated/tunnel/link.ts";
import type { Gap, Message } from "../link.ts";
import { InboxStore } from "./inbox-store.ts";
import { openInbox, type Inbox, type InboxOptions } from "./inbox.ts";
import { openOutbox, defaultOutboxLimits } from "./outbox.ts";
import { openTunnelDatabase } from "./schema.ts";

const databases: Database[] = [];
afterEach(async () => {
  for (const database of databases.splice(0)) await database.close();
});

async function disk(): Promise<Database> {
  const database = await openDatabase(":memory:", { migrations: [] });
  databases.push(database);
  await openTunnelDatabase(database);
  await openOutbox({ database, clock: fakeClock(), newEpoch: () => "own" }, "peer", defaultOutboxLimits); // makes the peer's row
  return database;
}

type Handler = (message: Message) => Promise<void>;

class Bench {
  readonly clock: FakeClock = fakeClock();
  readonly handlers = new Map<string, Handler>();
  readonly acks: number[] = [];
  readonly gaps: Gap[] = [];
  readonly #database: Database;
  inbox!: Inbox;

  constructor(database: Database) {
    this.#database = database;
  }

  static async on(database: Database, options: Partial<InboxOptions> = {}): Promise<Bench> {
    const bench = new Bench(database);
    bench.inbox = await openInbox(
      {
        ...{
          store: new InboxStore(database, "peer"),
          clock: bench.clock,
          log: silentLogger,
          random: () => 0.5,
        },
        handlerOf: (topic) => bench.handlers.get(topic),
        onGap: (gap) => bench.gaps.push(gap),
      },
      { window: { maxMessages: 100, maxBytes: 1e6 }, slowMs: 250, maxStored: 1_000, ...options },
    );
    bench.inbox.onAck = (seq) => bench.acks.push(seq);
    bench.attach();
    return bench;
  }

  attach(epoch = "e"): void {
    this.inbox.attach(epoch, this.inbox.position);
  }

  handle(topic: string, handler: Handler): void {
    this.handlers.set(topic, handler);
    this.inbox.handlerAdded(topic);
  }

  /** Takes messages as "topic key"; numbers count up from `first`, the cursor's successor. */
  take(first: number, ...words: string[]): (string | undefined)[] {
    return words.map((word, at) => {
      const [topic = "", key = "", kind = "event"] = word.split(" ");
      const seq = first + at;
      const wire = kind === "state" ? MessageClass.STATE : MessageClass.EVENT;
      return this.inbox.receive({ seq, prev: seq - 1, class: wire, topic, key, body: String(seq), at: 0 });
    });
  }

  /** Moves the clock by `ms` and lets commits, reads and handlers settle: each round waits for what the database has to do. */
  async settle(ms = 0): Promise<void> {
    await this.clock.advance(ms);
    for (let round = 0; round < 40; round++) {
      await this.clock.advance(0);
      await this.#database.write((tx) => tx.get("SELECT 1"));
    }
  }
}

const ok: Handler = () => Promise.resolve();

describe("the inbox", () => {
  test("acknowledges what is handled, after it is on disk", async () => {
    const bench = await Bench.on(await disk());
    const got: number[] = [];
    bench.handle("a", (m) => (got.push(m.seq), Promise.resolve()));
    expect(bench.take(1, "a x", "a x", "a y")).toEqual([undefined, undefined, undefined]);
    await bench.settle();
    expect(got).toEqual([1, 2, 3]);
    expect(bench.acks.at(-1)).toBe(3);
    expect(bench.inbox.position).toEqual({ epoch: "e", seq: 3 });
  });

  test("a message that does not follow the one before it is against the rules", async () => {
    const bench = await Bench.on(await disk());
    bench.take(1, "a x");
    const pub = { class: MessageClass.EVENT, topic: "a", key: "", body: "1", at: 0 };
    expect(bench.inbox.receive({ ...pub, seq: 3, prev: 2 })).toMatch(/follows 2, but the last one was 1/);
    expect(bench.inbox.receive({ ...pub, seq: 1, prev: 1 })).toMatch(/does not rise/);
    expect(bench.inbox.receive({ ...pub, topic: "a b", seq: 2, prev: 1 })).toMatch(/topic/);
    expect(bench.inbox.receive({ ...pub, key: "ä".repeat(257), seq: 2, prev: 1 })).toMatch(/key/);
    expect(bench.inbox.receive({ ...pub, body: "x".repeat(262_145), seq: 2, prev: 1 })).toMatch(/body/);
    expect(bench.inbox.receive({ ...pub, class: 9 as MessageClass, seq: 2, prev: 1 })).toMatch(/class/);
  });

  test("a message handled ahead of a slow one is not handled again after a crash (I4)", async () => {
    const database = await disk();
    const first = await Bench.on(database);
    first.handle("slow", () => new Promise(() => {}));
    first.handle("a", ok);
    first.take(1, "slow s", "a x", "a y");
    await first.settle(); // the slow one is younger than slowMs: the cursor stays, receipts are kept
    expect(first.acks).toEqual([]);
    await first.inbox.close();
    const second = await Bench.on(database);
    const got: string[] = [];
    for (const topic of ["slow", "a"])
      second.handle(topic, (m) => (got.push(`${topic}${m.seq}`), Promise.resolve()));
    expect(second.inbox.position.seq).toBe(0);
    second.take(1, "slow s", "a x", "a y");
    await second.settle();
    expect(got).toEqual(["slow1"]);
    expect(second.acks.at(-1)).toBe(3);
  });

  test("what is stored for later is handled by the next process, before newer ones of its key (I2)", async () => {
    const database = await disk();
    const first = await Bench.on(database);
    first.take(1, "late k", "late j", "late k");
    await first.settle();
    expect(first.acks.at(-1)).toBe(3); // no handler: stored, so ours
    await first.inbox.close();
    const second = await Bench.on(database);
    const got: number[] = [];
    second.take(4, "late k");
    second.handle("late", (m) => (got.push(m.seq), Promise.resolve()));
    await second.settle();
    expect(got).toEqual([1, 2, 3, 4]);
  });

  test("a key that fails rests, with growing pauses, and the others go on (I2)", async () => {
    const bench = await Bench.on(await disk());
    const tries: number[] = [];
    const got: number[] = [];
    bench.handle("a", (m) => {
      if (m.key === "bad" && tries.push(bench.clock.now()) < 4) return Promise.reject(new Error("no"));
      got.push(m.seq);
      return Promise.resolve();
    });
    bench.take(1, "a bad", "a good", "a bad", "a good");
    await bench.settle();
    expect(got).toEqual([2, 4]);
    for (let i = 0; i < 20; i++) await bench.settle(500);
    expect(got).toEqual([2, 4, 1, 3]);
    const pauses = tries.slice(1).map((at, i) => at - (tries[i] ?? 0));
    expect(pauses.slice(0, 3).every((pause, i) => i === 0 || pause > (pauses[i - 1] ?? 0))).toBe(true);
  });

  test("of waiting states only the newest of a key is handled (I5)", async () => {
    const bench = await Bench.on(await disk());
    bench.take(1, "s a state", "s b state", "s a state", "s a state");
    await bench.settle();
    const got: number[] = [];
    bench.handle("s", (m) => (got.push(m.seq), Promise.resolve()));
    await bench.settle();
    expect(got).toEqual([2, 4]);
  });

  test("a full store stops the acknowledgements, not the process; room again, and they go on (I3)", async () => {
    const bench = await Bench.on(await disk(), { maxStored: 2 });
    bench.take(1, "late a", "late b", "late c", "late d");
    await bench.settle();
    expect(bench.acks.at(-1)).toBe(2);
    bench.handle("late", ok);
    await bench.settle();
    expect(bench.acks.at(-1)).toBe(4);
  });

  test("a message that is no JSON is dropped with an error, and holds nobody up", async () => {
    const bench = await Bench.on(await disk());
    const got: number[] = [];
    bench.handle("a", (m) => (got.push(m.seq), Promise.resolve()));
    bench.inbox.receive({
      seq: 1,
      prev: 0,
      class: MessageClass.EVENT,
      topic: "a",
      key: "",
      body: "{",
      at: 0,
    });
    bench.take(2, "a x");
    await bench.settle();
    expect([got, bench.acks.at(-1)]).toEqual([[2], 2]);
  });

  test("a gap is told once, cut to what is missing, and the cursor passes it", async () => {
    const bench = await Bench.on(await disk());
    bench.handle("a", ok);
    bench.take(1, "a x", "a x");
    await bench.settle();
    const gap = { seq: 9, prev: 2, first: 1, count: 9, reason: "too many events" };
    expect(bench.inbox.receiveGap(gap)).toBeUndefined();
    await bench.settle();
    expect(bench.gaps).toEqual([{ epoch: "e", first: 3, last: 9, count: 9, reason: "too many events" }]);
    expect(bench.acks.at(-1)).toBe(9);
    bench.attach();
    expect(bench.inbox.receiveGap({ ...gap, prev: 9, seq: 10, first: 10 })).toBeUndefined();
    expect(bench.gaps).toHaveLength(2);
  });

  test("a new epoch begins at nothing; the old one's messages that wait are still handled", async () => {
    const bench = await Bench.on(await disk());
    bench.take(1, "late a", "late b");
    await bench.settle();
    bench.attach("other");
    expect(bench.inbox.position).toEqual({ epoch: "other", seq: 0 });
    bench.take(1, "late a");
    const got: string[] = [];
    bench.handle("late", (m) => (got.push(`${m.epoch}${m.seq}`), Promise.resolve()));
    await bench.settle();
    expect(got).toEqual(["e1", "e2", "other1"]);
  });

  test("a handler that throws before its promise counts as failed", async () => {
    const bench = await Bench.on(await disk());
    let calls = 0;
    bench.handle("a", () => {
      if (++calls === 1) throw new Error("at once");
      return Promise.resolve();
    });
    bench.take(1, "a x");
    await bench.settle();
    await bench.settle(2_000);
    expect(calls).toBe(2);
  });
});
