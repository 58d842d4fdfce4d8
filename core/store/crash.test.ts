// R12: what was answered survives, what was not is there wholly or not at all.
import { spawn } from "node:child_process";
import { copyFile, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../time/clock.ts";
import { command, deterministicDeps, Life } from "./commands-testing.ts";
import { Follower, widgets, type Widget } from "./contract.ts";
import { sqliteStore } from "./sqlite-store.ts";
import type { OwnedStore, WatchEvent } from "./store.ts";

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), "crash-"))));
afterEach(() => rm(folder, { recursive: true }));

type Change = Exclude<WatchEvent<Widget>, { type: "Bookmark" }>;

/** All there is, and how it came to be. */
async function readAll(store: OwnedStore): Promise<{ items: Widget[]; revision: number; events: Change[] }> {
  const { items, revision } = await store.list(widgets);
  const follower = new Follower<Widget>((signal) => store.watch(widgets, { after: "1" }, signal), 5000);
  await follower.upTo(Number(revision) - 1);
  await follower.stop();
  return { items, revision: Number(revision), events: follower.events };
}

/** What these events leave. */
function leftBy(events: readonly Change[]): Widget[] {
  const left = new Map<string, Widget>();
  for (const { type, object } of events) {
    const { namespace, name } = object.metadata;
    if (type === "Deleted") left.delete(`${namespace}/${name}`);
    else left.set(`${namespace}/${name}`, object);
  }
  return [...left].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
}

test("wherever the log on disk was cut off, the store is as it was after one of its writes, none answered missing", async () => {
  const path = join(folder, "store.db");
  const deps = deterministicDeps();
  const store = await sqliteStore(path, { ...deps, pollMs: 0 });
  const life = new Life(store, deps.clock);
  const answered = [{ bytes: 0, revision: 1 }];
  for (const each of fc.sample(command, { numRuns: 300, seed: 5 })) {
    await life.live(each);
    const { revision } = await store.list(widgets);
    answered.push({ bytes: (await stat(`${path}-wal`)).size, revision: Number(revision) });
  }
  const whole = await readAll(store);
  expect(whole.events.length).toBeGreaterThan(40);
  await copyFile(path, join(folder, "main"));
  const log = await readFile(`${path}-wal`);
  await store.close();

  const boundaries = answered.map(({ bytes }) => bytes).filter((_, index) => index % 6 === 0);
  const within = fc.sample(fc.nat(log.length), { numRuns: 40, seed: 7 });
  for (const cut of new Set([...boundaries, ...boundaries.map((each) => Math.max(each - 1, 0)), ...within])) {
    const copy = join(folder, `cut-${cut}.db`);
    await copyFile(join(folder, "main"), copy);
    await writeFile(`${copy}-wal`, log.subarray(0, cut));
    const after = await sqliteStore(copy, { ...deterministicDeps(), pollMs: 0 });
    const found = await readAll(after);
    await after.close();

    const known = whole.events.slice(0, found.revision - 1);
    expect(found.events, `cut at ${cut}`).toEqual(known);
    expect(found.items, `cut at ${cut}`).toEqual(leftBy(known));
    const promised = Math.max(
      ...answered.filter(({ bytes }) => bytes <= cut).map(({ revision }) => revision),
    );
    expect(found.revision, `cut at ${cut}`).toBeGreaterThanOrEqual(promised);
  }
});

test("kill -9 in the midst of many writes loses none that was answered", { timeout: 60_000 }, async () => {
  const path = join(folder, "store.db");
  const promised = new Map<string, number>();
  for (const [round, enough] of [60, 400, 900].entries()) {
    const script = join(import.meta.dirname, "crash-testing.ts");
    const child = spawn(process.execPath, ["--import", "tsx", script, path, `r${round}`], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = new Promise((resolve) => child.once("exit", resolve));
    let told = 0;
    for await (const line of createInterface({ input: child.stdout })) {
      const [name, revision] = line.split(" ");
      if (name && revision) promised.set(name, Number(revision)); // the last line may be half a one
      if (++told === enough) child.kill("SIGKILL");
    }
    await ended;
    expect(told).toBeGreaterThanOrEqual(enough);

    const store = await sqliteStore(path, { clock: systemClock });
    const { items, events } = await readAll(store);
    await store.close();
    expect(items).toEqual(leftBy(events));
    const found = new Map(items.map(({ metadata }) => [metadata.name, Number(metadata.resourceVersion)]));
    const lost = [...promised].filter(([name, revision]) => (found.get(name) ?? 0) < revision);
    expect(lost).toEqual([]);
  }
});
