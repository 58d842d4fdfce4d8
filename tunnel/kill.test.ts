// kill -9: a message whose publish resolved is there after it.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { memoryLinkPair } from "./testing.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pcg-kill-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Runs the publisher until it has printed so many numbers, kills it, and says which it printed. */
async function publishAndKill(database: string, first: number, count: number): Promise<number[]> {
  const script = fileURLToPath(new URL("./test-publisher.ts", import.meta.url));
  const child = spawn(process.execPath, ["--import", "tsx", script, database, String(first)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let printed = "";
  child.stdout.on("data", (chunk: Buffer) => {
    printed += chunk.toString();
    if (printed.split("\n").length > count) child.kill("SIGKILL");
  });
  const signal = await new Promise((resolve) => child.on("close", (_, how) => resolve(how)));
  expect(signal).toBe("SIGKILL");
  const whole = printed.slice(0, printed.lastIndexOf("\n"));
  return whole.split("\n").map(Number);
}

test("after kill -9 of a publisher, twice, all messages whose publish resolved arrive, once and in order", async () => {
  const database = join(folder, "link.db");
  const resolved = await publishAndKill(database, 1, 200);
  resolved.push(...(await publishAndKill(database, 1_000_000, 200)));

  const { link, hub, close } = await memoryLinkPair({ linkDatabase: database });
  const got: number[] = [];
  hub.handle("event", (_, { body }) => (got.push(body as number), Promise.resolve()));
  while ((await link.backlog()) > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  await close();

  const arrived = new Set(got);
  expect(resolved.filter((n) => !arrived.has(n))).toEqual([]);
  expect(arrived.size).toBe(got.length);
  expect(got).toEqual([...got].sort((a, b) => a - b));
});
