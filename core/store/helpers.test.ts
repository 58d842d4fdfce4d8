import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Fault } from "../fault.ts";
import { fakeClock, type FakeClock } from "../time/fake-clock.ts";
import { widgets, type Widget } from "./contract.ts";
import {
  applyObject,
  deleteIfExists,
  ensureFinalizer,
  listAll,
  modify,
  modifyStatus,
  removeFinalizer,
  waitFor,
} from "./helpers.ts";
import { memoryStore } from "./memory-store.ts";
import type { OwnedStore, ResourceStore } from "./store.ts";

const key = { namespace: "n", name: "a" };
const hold = "test.pcg.dev/hold";

let clock: FakeClock;
let store: OwnedStore;
beforeEach(() => {
  clock = fakeClock();
  store = memoryStore({ clock });
});
afterEach(() => store.close());

function create(name = "a", spec: Widget["spec"] = {}): Promise<Widget> {
  return store.create(widgets, { metadata: { ...key, name }, spec });
}

/** The store, but with something that happens just before each call of one of its methods. */
function disturbed(
  method: "update" | "create" | "get" | "list" | "watch",
  before: (count: number) => unknown,
): ResourceStore {
  let count = 0;
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      const call = (...args: unknown[]) => Reflect.apply(value, target, args) as unknown;
      if (name !== method) return call;
      if (name === "watch") {
        return (...args: unknown[]) => {
          before(++count);
          return call(...args);
        };
      }
      return async (...args: unknown[]) => {
        await before(++count);
        return call(...args);
      };
    },
  });
}

describe("modify", () => {
  test("changes what is there, by a change in place or by another object", async () => {
    await create();
    const one = await modify(store, widgets, key, (it) => void (it.spec = { size: 2 }));
    expect(one.spec).toEqual({ size: 2 });
    const two = await modify(store, widgets, key, (it) => ({ ...it, spec: { size: 3 } }));
    expect(two.spec).toEqual({ size: 3 });
    const three = await modifyStatus(store, widgets, key, (it) => ({ ...it, status: { seen: 1 } }));
    expect(three).toMatchObject({ spec: { size: 3 }, status: { seen: 1 } });
  });

  test("starts anew with a fresh object when somebody else was faster", async () => {
    await create("a", { size: 1 });
    const rival = disturbed("update", async (count) => {
      if (count <= 3) await modify(store, widgets, key, (it) => void (it.spec = { size: 10 * count }));
    });
    const seen: unknown[] = [];
    const result = await modify(rival, widgets, key, (it) => {
      seen.push(it.spec?.size);
      it.spec = { ...it.spec, note: "mine" };
    });
    expect(seen).toEqual([1, 10, 20, 30]);
    expect(result.spec).toEqual({ size: 30, note: "mine" });
  });

  test("writes nothing where nothing changes", async () => {
    const made = await create();
    const strict = disturbed("update", () => {
      throw new Error("written");
    });
    expect(await modify(strict, widgets, key, () => {})).toEqual(made);
  });

  test("gives up with the rival's Conflict when that never ends, and with NotFound at once", async () => {
    await create("a", { size: 1 });
    const busy = disturbed("update", () => {
      throw new Fault("Conflict", "always");
    });
    await expect(modify(busy, widgets, key, (it) => void (it.spec = { size: 2 }))).rejects.toMatchObject({
      code: "Conflict",
    });
    await expect(modify(store, widgets, { ...key, name: "none" }, () => {})).rejects.toMatchObject({
      code: "NotFound",
      message: "Widget n/none does not exist",
    });
  });
});

describe("applyObject", () => {
  test("creates, then merges: what is not mentioned stays, null removes, lists are replaced", async () => {
    await applyObject(store, widgets, {
      metadata: { ...key, labels: { a: "1" } },
      spec: { size: 2, note: "x" },
    });
    await modify(
      store,
      widgets,
      key,
      (it) => void (it.metadata.labels = { ...it.metadata.labels, theirs: "1" }),
    );
    const spec = { color: "red", note: null } as unknown as NonNullable<Widget["spec"]>;
    const applied = await applyObject(store, widgets, {
      metadata: { ...key, labels: { b: "2" }, annotations: { c: "3" }, finalizers: [hold] },
      spec,
    });
    expect(applied).toMatchObject({
      metadata: { labels: { a: "1", b: "2", theirs: "1" }, annotations: { c: "3" }, finalizers: [hold] },
      spec: { size: 2, color: "red" },
    });
    expect(applied.spec).not.toHaveProperty("note");
  });

  test("twice is once, and status is left alone", async () => {
    const owner = await create("owner");
    const { name, uid } = owner.metadata;
    const draft = {
      metadata: {
        ...key,
        finalizers: [hold],
        ownerReferences: [{ apiVersion: "test.pcg.dev/v1", kind: "Widget", name, uid }],
      },
      spec: { size: 2 },
      status: { phase: "Wrong" },
    };
    await applyObject(store, widgets, draft);
    const seen = await modifyStatus(store, widgets, key, (it) => ({ ...it, status: { phase: "Right" } }));
    expect(await applyObject(store, widgets, draft)).toEqual(seen);
  });

  test("two who apply at once both succeed", async () => {
    const late = disturbed("create", async (count) => {
      if (count === 1) await create("a", { note: "theirs" });
    });
    expect((await applyObject(late, widgets, { metadata: key, spec: { size: 2 } })).spec).toEqual({
      size: 2,
      note: "theirs",
    });
  });

  test("a draft without a name cannot be applied", async () => {
    const nameless = { metadata: { namespace: "n", generateName: "x-" } };
    await expect(applyObject(store, widgets, nameless)).rejects.toMatchObject({ code: "Invalid" });
  });
});

describe("waitFor", () => {
  const big = (it: Widget | undefined) => (it?.spec?.size ?? 0) > 5;

  test("returns at once what is already so", async () => {
    const made = await create("a", { size: 6 });
    expect(await waitFor(store, widgets, key, big, { clock, timeoutMs: 1000 })).toEqual(made);
    expect(clock.pending).toBe(0);
  });

  test("waits for a creation, a change, a deletion", async () => {
    const created = waitFor(store, widgets, key, (it) => it !== undefined, { clock });
    await create("b");
    await create("a");
    expect((await created)?.metadata.name).toBe("a");

    const changed = waitFor(store, widgets, key, big, { clock });
    await modify(store, widgets, key, (it) => void (it.spec = { size: 2 }));
    const last = await modify(store, widgets, key, (it) => void (it.spec = { size: 7 }));
    expect(await changed).toEqual(last);

    const gone = waitFor(store, widgets, key, (it) => it === undefined, { clock });
    await store.delete(widgets, key);
    expect(await gone).toBeUndefined();
  });

  test("survives a broken line and a forgotten revision", async () => {
    const bad = disturbed("watch", (count) => {
      if (count === 1) throw new Fault("Unavailable", "line broken");
      if (count === 2) throw new Fault("Gone", "too old");
    });
    const waiting = waitFor(bad, widgets, key, big, { clock, timeoutMs: 60_000 });
    await clock.advance(1000);
    await create("a", { size: 6 });
    expect((await waiting)?.spec?.size).toBe(6);
  });

  test("says what it waited for when the time is over, and that it was cancelled when it was", async () => {
    const late = waitFor(store, widgets, key, big, { clock, timeoutMs: 5000, until: "to be big" }).catch(
      (error: unknown) => error,
    );
    await clock.advance(5000);
    expect(await late).toMatchObject({
      code: "TimedOut",
      message: "waiting for Widget n/a to be big: not after 5000 ms",
    });
    const stop = new AbortController();
    const waiting = waitFor(store, widgets, key, big, { clock, signal: stop.signal });
    stop.abort();
    await expect(waiting).rejects.toMatchObject({ code: "Cancelled" });
    expect(clock.pending).toBe(0);
  });

  test("what cannot pass ends it", async () => {
    const shut = disturbed("list", () => {
      throw new Fault("Forbidden", "no");
    });
    await expect(waitFor(shut, widgets, key, big, { clock })).rejects.toMatchObject({ code: "Forbidden" });
  });
});

describe("finalizers and deletion", () => {
  test("a finalizer is added once and removed once", async () => {
    const made = await create();
    const held = await ensureFinalizer(store, widgets, made, hold);
    expect(held.metadata.finalizers).toEqual([hold]);
    expect(await ensureFinalizer(store, widgets, held, hold)).toBe(held);
    expect(await ensureFinalizer(store, widgets, made, hold)).toEqual(held); // an old reading
    const free = await removeFinalizer(store, widgets, key, hold);
    expect(free?.metadata.finalizers).toBeUndefined();
    expect(await removeFinalizer(store, widgets, key, hold)).toEqual(free);
  });

  test("what is leaving gets none, even when an old reading does not show that it is", async () => {
    const made = await create();
    await ensureFinalizer(store, widgets, made, "test.pcg.dev/other");
    await store.delete(widgets, key);
    const after = await ensureFinalizer(store, widgets, made, hold);
    expect(after.metadata.finalizers).toEqual(["test.pcg.dev/other"]);
    await removeFinalizer(store, widgets, key, "test.pcg.dev/other");
    expect(await store.get(widgets, key)).toBeUndefined();
    expect(await removeFinalizer(store, widgets, key, hold)).toBeUndefined();
  });

  test("deleting what is not there is no fault; a wrong uid is", async () => {
    expect(await deleteIfExists(store, widgets, key)).toBeUndefined();
    await create();
    await expect(deleteIfExists(store, widgets, key, { uid: "other" })).rejects.toMatchObject({
      code: "Conflict",
    });
    expect(await deleteIfExists(store, widgets, key)).toBeUndefined();
    expect(await store.get(widgets, key)).toBeUndefined();
  });
});

describe("listAll", () => {
  test("reads all pages of one moment, and starts anew when that is forgotten", async () => {
    for (let i = 0; i < 25; i++) await create(`w${i}`);
    let lists = 0;
    const forgetful = disturbed("list", (count) => {
      lists = count;
      if (count === 2) throw new Fault("Gone", "too old");
    });
    const { items, revision } = await listAll(forgetful, widgets, { namespace: "n", limit: 10 });
    expect(items).toHaveLength(25);
    expect(revision).toBe((await store.list(widgets)).revision);
    expect(lists).toBe(5);
  });
});
