import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { Fault, openDatabase, type Database } from "#core";
import { fakeClock } from "#core/time/fake-clock.ts";
import type { MessageDraft } from "../link.ts";
import { defaultOutboxLimits, openOutbox, type LogFrame, type Outbox, type OutboxLimits } from "./outbox.ts";
import { openTunnelDatabase } from "./schema.ts";
import { Sender } from "./sender.ts";

const databases: Database[] = [];
afterEach(async () => {
  for (const database of databases.splice(0)) await database.close();
});

async function disk(): Promise<Database> {
  const database = await openDatabase(":memory:", { migrations: [] });
  databases.push(database);
  await openTunnelDatabase(database);
  return database;
}

let epochs = 0;
async function outbox(
  database: Database,
  limits: Partial<OutboxLimits> = {},
  clock = fakeClock(),
): Promise<Outbox> {
  const deps = { database, clock, newEpoch: () => `epoch-${++epochs}` };
  return openOutbox(deps, "peer", { ...defaultOutboxLimits, ...limits });
}

function event(body: unknown, key = "k"): MessageDraft {
  return { topic: "event", class: "event", key, body };
}
function state(body: unknown, key = "k"): MessageDraft {
  return { topic: "status", class: "state", key, body };
}

/** The log as short words: "3:event k 5" or "7:gap 1..7 x5". */
async function shown(box: Outbox): Promise<string[]> {
  return (await box.read(0, 1_000)).map(({ frame }) => word(frame));
}
function word(frame: LogFrame): string {
  if (frame.type === "gap") return `${frame.body.seq}:gap ${frame.body.first} x${frame.body.count}`;
  return `${frame.body.seq}:${frame.body.topic} ${frame.body.key} ${frame.body.body}`;
}

describe("the outbox", () => {
  test("keeps events in order, and only the newest state of a key, under a new number (D1, D2)", async () => {
    const box = await outbox(await disk());
    for (const draft of [event(1), state(1, "a"), state(1, "b"), event(2), state(2, "a")])
      await box.publish(draft);
    expect(await shown(box)).toEqual(["1:event k 1", "3:status b 1", "4:event k 2", "5:status a 2"]);
    expect(await box.backlog()).toBe(4);
  });

  test("numbers go on rising after a restart, even when everything was acknowledged (D1)", async () => {
    const database = await disk();
    const first = await outbox(database);
    for (let i = 0; i < 3; i++) await first.publish(event(i));
    first.acknowledge(3);
    await first.settle();
    const second = await outbox(database);
    expect([second.epoch, second.last, second.acked]).toEqual([first.epoch, 3, 3]);
    await second.publish(event("next"));
    expect(await shown(second)).toEqual(['4:event k "next"']);
  });

  test("a write that fails fails those who shared it, and nobody after them", async () => {
    const database = await disk();
    let full = true;
    const failing: Database = {
      get: (sql, ...values) => database.get(sql, ...values),
      all: (sql, ...values) => database.all(sql, ...values),
      close: () => Promise.resolve(),
      write: (work) =>
        full ? Promise.reject(new Fault("Unavailable", "the disk is full")) : database.write(work),
    };
    full = false;
    const box = await outbox(failing);
    full = true;
    const tries = await Promise.allSettled([box.publish(event(1)), box.publish(event(2))]);
    expect(tries.map((result) => result.status)).toEqual(["rejected", "rejected"]);
    full = false;
    await Promise.all([box.publish(event(3)), box.publish(event(4)), box.publish(state(5))]);
    expect((await shown(box)).map((entry) => entry.replace(/^\d+:/, ""))).toEqual([
      "event k 3",
      "event k 4",
      "status k 5",
    ]);
  });

  test("too many events leave one gap at the number of the last one given up; state stays (D3)", async () => {
    const box = await outbox(await disk(), { maxEvents: 10 });
    await box.publish(state("kept"));
    for (let i = 2; i <= 12; i++) await box.publish(event(i));
    expect((await shown(box)).slice(0, 3)).toEqual(['1:status k "kept"', "3:gap 2 x2", "4:event k 4"]);
    for (let i = 13; i <= 30; i++) await box.publish(event(i));
    const log = await shown(box);
    expect(log.filter((entry) => entry.includes("gap"))).toHaveLength(1);
    const gap = /^(\d+):gap 2 x(\d+)$/.exec(log[1] ?? "");
    expect(Number(gap?.[2])).toBe(Number(gap?.[1]) - 1); // every event from 2 to the gap's number
    expect(log.length).toBeLessThanOrEqual(12);
    expect(log.at(-1)).toBe("30:event k 30");
  });

  test("too many bytes, and too great an age, leave a gap as well", async () => {
    const clock = fakeClock();
    const big = await outbox(await disk(), { maxEventBytes: 1_000 });
    for (let i = 0; i < 20; i++) await big.publish(event("x".repeat(100)));
    expect((await shown(big))[0]).toMatch(/gap 1/);
    const old = await outbox(await disk(), { maxAgeMs: 3_600_000 }, clock);
    await old.publish(event("old"));
    await clock.advance(2 * 3_600_000);
    await old.publish(event("new"));
    expect(await shown(old)).toEqual(["1:gap 1 x1", '2:event k "new"']);
  });

  test("limits count what an earlier process left", async () => {
    const database = await disk();
    const first = await outbox(database);
    for (let i = 1; i <= 20; i++) await first.publish(event(i));
    const second = await outbox(database, { maxEvents: 5 });
    await second.publish(event(21));
    expect((await shown(second)).length).toBeLessThanOrEqual(6);
  });

  test("any publishes, acknowledgements and trims: every event is there, acknowledged, or counted in a gap", async () => {
    const act = fc.oneof(
      fc.constantFrom("event" as const, "state" as const),
      fc.record({ ack: fc.nat({ max: 40 }) }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(act, { maxLength: 60 }),
        fc.integer({ min: 1, max: 12 }),
        async (acts, maxEvents) => {
          const box = await outbox(await disk(), { maxEvents });
          const events: number[] = [];
          let acked = 0;
          for (const [at, what] of acts.entries()) {
            if (what === "event") {
              await box.publish(event(at));
              events.push(box.last);
            } else if (what === "state") await box.publish(state(at));
            else if (what.ack <= box.last) {
              acked = Math.max(acked, what.ack);
              box.acknowledge(what.ack);
              await box.settle();
            }
          }
          const log = await box.read(0, 1_000);
          const there = log.filter(({ frame }) => frame.type === "pub" && frame.body.topic === "event");
          const gaps = log.flatMap(({ frame }) => (frame.type === "gap" ? [frame.body] : []));
          const gone = events.filter((n) => n > acked).length - there.length;
          const counted = gaps.reduce((sum, gap) => sum + gap.count, 0);
          expect(counted).toBeGreaterThanOrEqual(gone);
          for (const gap of gaps) expect(gap.first).toBeLessThanOrEqual(gap.seq);
          expect(there.length).toBeLessThanOrEqual(maxEvents);
          expect(gone === 0 || gaps.length === 1).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("an attachment's way through the outbox", () => {
  const window = { maxMessages: 3, maxBytes: 1_000_000 };

  function sender(
    box: Outbox,
    cursor = 0,
    limits = window,
  ): { sender: Sender; drain: () => Promise<string[]> } {
    const made = new Sender(box, { cursor, window: limits, wake() {}, onFault() {} });
    const drain = async () => {
      const sent: string[] = [];
      for (let quiet = 0; quiet < 5; quiet++) {
        for (let next = made.next(); next; next = made.next()) {
          if (next.type === "pub" || next.type === "gap") sent.push(`${next.body.prev}<${word(next)}`);
          quiet = 0;
        }
        await box.read(0, 1); // reads under way end before it
        await new Promise((resolve) => setImmediate(resolve));
      }
      return sent;
    };
    return { sender: made, drain };
  }

  test("sends no more than the window, and goes on when acknowledged", async () => {
    const box = await outbox(await disk());
    for (let i = 1; i <= 5; i++) await box.publish(event(i));
    const { sender: way, drain } = sender(box);
    expect(await drain()).toEqual(["0<1:event k 1", "1<2:event k 2", "2<3:event k 3"]);
    expect(way.acknowledge(2)).toBe(true);
    expect(await drain()).toEqual(["3<4:event k 4", "4<5:event k 5"]);
    expect(way.acknowledge(6)).toBe(false); // never sent
  });

  test("holds the window in bytes too", async () => {
    const box = await outbox(await disk());
    for (let i = 0; i < 5; i++) await box.publish(event("x".repeat(400)));
    const { drain } = sender(box, 0, { maxMessages: 100, maxBytes: 1_000 });
    expect(await drain()).toHaveLength(3); // the last one may pass it
  });

  test("begins at the peer's cursor, across holes", async () => {
    const box = await outbox(await disk());
    for (const draft of [event(1), state(1), state(2), event(2)]) await box.publish(draft);
    const { drain } = sender(box, 1);
    expect(await drain()).toEqual(["1<3:status k 2", "3<4:event k 2"]);
  });

  test("a peer that lost what it had acknowledged hears of a gap first", async () => {
    const box = await outbox(await disk());
    for (let i = 1; i <= 4; i++) await box.publish(event(i));
    box.acknowledge(3);
    const { drain } = sender(box, 1);
    expect(await drain()).toEqual(["1<3:gap 2 x2", "3<4:event k 4"]);
  });

  test("many rows come in order, none twice, while more are published", async () => {
    const box = await outbox(await disk());
    const { drain } = sender(box, 0, { maxMessages: 10_000, maxBytes: 1e9 });
    const publishing = Promise.all(Array.from({ length: 500 }, (_, i) => box.publish(event(i))));
    const sent = await drain();
    await publishing;
    sent.push(...(await drain()));
    expect(sent).toEqual(Array.from({ length: 500 }, (_, i) => `${i}<${i + 1}:event k ${i}`));
  });
});
