import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openDatabase, type Database } from "#core";
import { fakeClock } from "#core/time/fake-clock.ts";
import type { ClusterEvent } from "#proto";
import { randomFrom } from "./testing/random.ts";
import { eventRing, eventsKept, memoryEventShelf, type EventShelf } from "./events.ts";
import { eventMigration, sqliteEventShelf } from "./sqlite-events.ts";

/** The suite of an event shelf, seen through the ring. */
function shelfContract(name: string, make: () => Promise<{ shelf: EventShelf; close(): Promise<void> }>) {
  describe(`events on a ${name} shelf`, () => {
    const clock = fakeClock();
    let made: Awaited<ReturnType<typeof make>>;
    let told: ClusterEvent[] = [];
    let line: "up" | "down" = "up";
    const ring = () =>
      eventRing({
        shelf: made.shelf,
        clock,
        random: randomFrom(7),
        tell: (event) =>
          line === "up" ? Promise.resolve(void told.push(event)) : Promise.reject(new Error("disk full")),
      });
    beforeEach(async () => {
      made = await make();
      told = [];
      line = "up";
    });
    afterEach(() => made.close());

    const happened = (message: string) => ({ severity: "Info" as const, reason: "Happened", message });

    it("are kept in order and told once each", async () => {
      const one = ring();
      await Promise.all(["a", "b", "c"].map((text) => one.say("u1", happened(text))));
      await one.say("u2", happened("other"));
      expect((await one.read("u1")).map((e) => `${e.sequence} ${e.message}`)).toEqual(["1 a", "2 b", "3 c"]);
      expect(told.map((e) => e.message).sort()).toEqual(["a", "b", "c", "other"]);
      expect(new Set(told.map((e) => e.id)).size).toBe(4);
      expect(Object.keys(told[0]!).sort()).toEqual([
        "at",
        "clusterUid",
        "component",
        "id",
        "message",
        "reason",
        "severity",
      ]);
    });

    it("are counted, not repeated, when the same is said within ten minutes", async () => {
      const one = ring();
      await one.say("u1", happened("try 1 failed"));
      await clock.advance(60_000);
      await one.say("u1", happened("try 2 failed"));
      expect(await one.read("u1")).toMatchObject([{ message: "try 1 failed", count: 2 }]);
      await clock.advance(11 * 60_000);
      await one.say("u1", happened("try 3 failed"));
      expect((await one.read("u1")).map((e) => e.count)).toEqual([2, 1]);
      expect(told).toHaveLength(2);
    });

    it("that could not be told are told by the next process, with the same ids", async () => {
      line = "down";
      const one = ring();
      await one.say("u1", happened("a"));
      await one.say("u1", happened("b"));
      const ids = (await one.read("u1")).map((e) => e.id);
      line = "up";
      const next = ring();
      await next.catchUp();
      await next.catchUp();
      expect(told.map((e) => e.id)).toEqual(ids);
    });

    it("are told in order even when one could not be told at first", async () => {
      const one = ring();
      line = "down";
      await one.say("u1", happened("a"));
      await one.say("u1", happened("b"));
      line = "up";
      await one.say("u1", happened("c"));
      expect(told.map((e) => e.message)).toEqual(["a", "b", "c"]);
    });

    it(`are the last ${eventsKept}`, async () => {
      const one = ring();
      const letters = (n: number) => [...String(n)].map((d) => "abcdefghij"[Number(d)]).join("");
      const old = Array.from({ length: eventsKept }, (_, at) => ({
        ...happened(letters(at)),
        id: `old-${at}`,
        at: "2026-01-01T00:00:00Z",
        clusterUid: "u1",
        component: "jet",
        sequence: at + 1,
        count: 1,
        lastAt: "2025-01-01T00:00:00Z",
        told: true,
      }));
      await made.shelf.put(old);
      await one.say("u1", happened("new"));
      const kept = await one.read("u1");
      expect([kept.length, kept[0]?.sequence, kept.at(-1)?.sequence]).toEqual([
        eventsKept,
        2,
        eventsKept + 1,
      ]);
    });
  });
}

shelfContract("memory", () => Promise.resolve({ shelf: memoryEventShelf(), close: () => Promise.resolve() }));
shelfContract("SQLite", async () => {
  const db: Database = await openDatabase(":memory:", { migrations: [eventMigration] });
  return { shelf: sqliteEventShelf(db), close: () => db.close() };
});
