// What our own stores do beyond the contract. The contract itself: memory-store.test.ts, sqlite-store.test.ts.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { jsonLogger } from "../log.ts";
import { systemClock } from "../time/clock.ts";
import { fakeClock } from "../time/fake-clock.ts";
import { Follower, namespaces, widgets } from "./contract.ts";
import { waitFor } from "./helpers.ts";
import { logStore, type LogStoreDeps } from "./log-store.ts";
import { memoryRows } from "./memory-rows.ts";
import { memoryStore } from "./memory-store.ts";
import type { Rows } from "./rows.ts";
import { sqliteStore } from "./sqlite-store.ts";
import type { OwnedStore } from "./store.ts";

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function open(deps: Partial<LogStoreDeps> = {}, rows: Rows = memoryRows()): OwnedStore {
  const store = logStore(rows, { clock: systemClock, ...deps });
  closers.push(() => store.close());
  return store;
}

const key = { namespace: "n", name: "a" };

describe("what comes in as an argument", () => {
  test("times, uids and suffixes are the caller's", async () => {
    const clock = fakeClock(Date.UTC(2026, 10, 21, 8));
    const store = open({ clock, newUid: () => "the-uid", newSuffix: () => "abcde" });
    const made = await store.create(widgets, { metadata: { generateName: "g-", namespace: "n" } });
    expect(made.metadata).toMatchObject({
      name: "g-abcde",
      uid: "the-uid",
      creationTimestamp: "2026-11-21T08:00:00Z",
    });
  });

  test("a generated name that is taken is made anew, a few times", async () => {
    let suffix = 0;
    const store = open({ newSuffix: () => `0000${Math.floor(suffix++ / 3)}` });
    const draft = { metadata: { generateName: "g-", namespace: "n" } };
    const names = [await store.create(widgets, draft), await store.create(widgets, draft)];
    expect(names.map(({ metadata }) => metadata.name)).toEqual(["g-00000", "g-00001"]);
    const stubborn = open({ newSuffix: () => "same0" });
    await stubborn.create(widgets, draft);
    await expect(stubborn.create(widgets, draft)).rejects.toMatchObject({ code: "AlreadyExists" });
  });

  test("a long generateName is cut so that the name fits", async () => {
    const made = await open().create(widgets, { metadata: { generateName: "g".repeat(80), namespace: "n" } });
    expect(made.metadata.name).toMatch(/^g{58}[a-z0-9]{5}$/);
  });
});

describe("namespaces", () => {
  test("need not exist, unless that is asked for", async () => {
    await open().create(widgets, { metadata: key });
    const strict = open({ requireNamespaces: true });
    await expect(strict.create(widgets, { metadata: key })).rejects.toMatchObject({
      code: "NotFound",
      message: expect.stringMatching(/no namespace n; create it first/) as string,
    });
    await strict.create(namespaces, { metadata: { name: "n" } });
    await strict.create(widgets, { metadata: key });
  });

  test("what holds a leaving one cannot be taken away by a write", async () => {
    const store = open();
    const made = await store.create(namespaces, { metadata: { name: "n" } });
    await store.create(widgets, { metadata: { ...key, finalizers: ["test.pcg.dev/hold"] } });
    await store.update(namespaces, { ...made, spec: {} });
    const marked = (await store.delete(namespaces, { name: "n" }))!;
    const written = await store.update(namespaces, { ...marked, spec: {} });
    expect(written.spec).toEqual({ finalizers: ["kubernetes"] });
    expect(await store.get(namespaces, { name: "n" })).toBeDefined();
  });
});

describe("keys", () => {
  test("a namespaced kind wants a namespace, a cluster-scoped one none", async () => {
    const store = open();
    await expect(store.get(widgets, { name: "a" })).rejects.toMatchObject({ code: "Invalid" });
    await expect(store.create(widgets, { metadata: { name: "a" } })).rejects.toMatchObject({
      code: "Invalid",
      problems: [{ field: "metadata.namespace", message: "is required" }],
    });
    await expect(store.create(namespaces, { metadata: { ...key } })).rejects.toMatchObject({
      problems: [{ field: "metadata.namespace", message: expect.stringMatching(/must be absent/) as string }],
    });
    await expect(store.create(widgets, { metadata: { namespace: "n" } })).rejects.toMatchObject({
      problems: [{ field: "metadata.name" }],
    });
  });

  test("a draft of another kind is refused", async () => {
    const draft = { kind: "Gadget", metadata: key };
    await expect(open().create(widgets, draft)).rejects.toMatchObject({ problems: [{ field: "kind" }] });
  });
});

describe("watches", () => {
  test("one that sees nothing of interest gets a bookmark now and then, and goes on from there", async () => {
    const store = open({}, memoryRows(50));
    const { revision } = await store.list(widgets, { namespace: "quiet" });
    const stop = new AbortController();
    const bookmarks: string[] = [];
    const following = (async () => {
      const options = { after: revision, namespace: "quiet" };
      for await (const event of store.watch(widgets, options, stop.signal)) bookmarks.push(event.revision);
    })();
    for (let i = 0; i < 1200; i++)
      await store.create(widgets, { metadata: { name: `w${i}`, namespace: "busy" } });
    stop.abort();
    await following;
    expect(bookmarks.length).toBeGreaterThan(3);
    const late = new Follower(
      (signal) => store.watch(widgets, { after: bookmarks.at(-1)!, namespace: "quiet" }, signal),
      5000,
    );
    await store.create(widgets, { metadata: { ...key, namespace: "quiet" } });
    await late.upTo(1);
    await late.stop();
    const early = new Follower((signal) => store.watch(widgets, { after: revision }, signal), 5000);
    await early.untilEnd();
    expect(early.fault?.code).toBe("Gone");
  });

  test.each(["from-another-store", "99999", "-1", "1.5"])("revision %s is Gone", async (after) => {
    const follower = new Follower((signal) => open().watch(widgets, { after }, signal), 5000);
    await follower.untilEnd();
    expect(follower.fault?.code).toBe("Gone");
  });

  test("a page mark that is none of ours is Gone", async () => {
    await expect(open().list(widgets, { next: "nonsense" })).rejects.toMatchObject({ code: "Gone" });
  });

  test("more than ten on one signal cause no warning, and leave nothing behind", async () => {
    const warnings: unknown[] = [];
    const warn = (warning: unknown) => warnings.push(warning);
    process.on("warning", warn);
    const store = open();
    const stop = new AbortController();
    const all = Array.from({ length: 30 }, async () => {
      for await (const event of store.watch(widgets, { after: "" }, stop.signal)) void event;
    });
    await store.create(widgets, { metadata: key });
    stop.abort();
    await Promise.all(all);
    await new Promise((resolve) => setImmediate(resolve));
    process.off("warning", warn);
    expect(warnings).toEqual([]);
  });
});

describe("the log of a SQLite store", () => {
  test("is bounded in bytes as well as in events", async () => {
    const store = await sqliteStore(":memory:", { clock: systemClock, historyBytes: 300_000 });
    closers.push(() => store.close());
    const note = "x".repeat(2000);
    for (let i = 0; i < 600; i++) {
      await store.create(widgets, { metadata: { ...key, name: `w${i}` }, spec: { note } });
    }
    const isGone = async (after: number) => {
      const follower = new Follower((signal) => store.watch(widgets, { after: String(after) }, signal), 5000);
      await Promise.race([follower.untilEnd().catch(() => {}), follower.upTo(1).catch(() => {})]);
      await follower.stop();
      return follower.fault?.code === "Gone";
    };
    expect(await isGone(20)).toBe(true);
    expect(await isGone(590)).toBe(false);
  });
});

describe("closing", () => {
  test.each(["memory", "sqlite"])(
    "ends watches with Unavailable, refuses calls, twice is once (%s)",
    async (kind) => {
      const folder = await mkdtemp(join(tmpdir(), "close-"));
      closers.push(() => rm(folder, { recursive: true }));
      const clock = fakeClock();
      const store =
        kind === "memory" ? memoryStore({ clock }) : await sqliteStore(join(folder, "x.db"), { clock });
      const follower = new Follower((signal) => store.watch(widgets, { after: "" }, signal), 5000);
      const writing = store.create(widgets, { metadata: key });
      await Promise.all([store.close(), store.close()]);
      expect((await writing).metadata.name).toBe("a");
      await follower.untilEnd();
      expect(follower.fault?.code).toBe("Unavailable");
      await expect(store.get(widgets, key)).rejects.toMatchObject({ code: "Unavailable" });
      await expect(store.create(widgets, { metadata: key })).rejects.toMatchObject({ code: "Unavailable" });
      expect(clock.pending).toBe(0);
    },
  );
});

describe("the collector", () => {
  test("empties a large namespace with about one write an object", async () => {
    const rows = memoryRows();
    let writes = 0;
    const counted = new Proxy(rows, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target);
        if (name === "change") writes++;
        return typeof value === "function" ? (value.bind(target) as unknown) : value;
      },
    });
    const store = open({}, counted);
    await store.create(namespaces, { metadata: { name: "n" } });
    for (let i = 0; i < 2000; i++) await store.create(widgets, { metadata: { ...key, name: `w${i}` } });
    writes = 0;
    await store.delete(namespaces, { name: "n" });
    await waitFor(store, namespaces, { name: "n" }, (it) => it === undefined, { clock: systemClock });
    expect(writes).toBeLessThan(2100);
    expect((await store.list(widgets)).items).toEqual([]);
  });

  test("tries again when the rows are in trouble, and says so", async () => {
    const rows = memoryRows();
    let trouble = 3;
    const troubled: Rows = {
      fresh: rows.fresh,
      get: async (place) => {
        if (trouble-- > 0) throw new Error("disk on fire");
        return rows.get(place);
      },
      page: (query) => rows.page(query),
      change: (places, decide) => rows.change(places, decide),
      events: (after, limit) => rows.events(after, limit),
      listen: (heard) => rows.listen(heard),
      close: () => rows.close(),
    };
    const clock = fakeClock();
    const lines: string[] = [];
    const store = open({ clock, log: jsonLogger("warn", (line) => lines.push(line)) }, troubled);
    const owner = await store.create(widgets, { metadata: key });
    const { name, uid } = owner.metadata;
    await store.create(widgets, {
      metadata: {
        namespace: "n",
        name: "child",
        ownerReferences: [{ apiVersion: "test.pcg.dev/v1", kind: "Widget", name, uid }],
      },
    });
    await store.delete(widgets, key);
    await clock.advance(10_000);
    expect((await store.list(widgets)).items).toEqual([]);
    expect(lines.length).toBeGreaterThan(0);
    expect(lines[0]).toContain("disk on fire");
  });
});
