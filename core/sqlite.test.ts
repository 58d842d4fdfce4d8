import { expect, test } from "vitest";
import { openDatabase } from "./sqlite.ts";

test("a write that comes a few ticks after the last one is not forgotten", async () => {
  const outcomes: string[] = [];
  for (let ticks = 0; ticks < 8; ticks++) {
    const db = await openDatabase(":memory:", { migrations: ["CREATE TABLE t (a)"] });
    await db.write(() => Promise.resolve());
    for (let tick = 0; tick < ticks; tick++) await Promise.resolve();
    const late = new Promise<string>((resolve) => setTimeout(() => resolve("stuck"), 2_000));
    outcomes.push(await Promise.race([db.write(() => Promise.resolve("written")), late]));
    await db.close();
  }
  expect(outcomes).toEqual(Array(8).fill("written"));
});
