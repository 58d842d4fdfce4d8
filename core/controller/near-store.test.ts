import { afterEach, expect, test } from "vitest";
import { silentLogger } from "../log.ts";
import { widgets } from "../store/contract/kinds.ts";
import { memoryStore } from "../store/memory-store.ts";
import type { ResourceStore } from "../store/store.ts";
import { systemClock } from "../time/clock.ts";
import { startInformer } from "./informer.ts";
import { nearStore } from "./near-store.ts";

const endings: (() => unknown)[] = [];
afterEach(() => Promise.all(endings.splice(0).map((end) => end())));

const key = { namespace: "n", name: "w" };

/** A near store whose local copy hears of nothing until `tell`, and that counts what is read from the store. */
async function near() {
  const inner = memoryStore({ clock: systemClock });
  let reads = 0;
  let open: () => void = () => {};
  const held = new Promise<void>((resolve) => (open = resolve));
  const late: ResourceStore = {
    get: (kind, at, signal) => (reads++, inner.get(kind, at, signal)),
    list: (kind, options, signal) => inner.list(kind, options, signal),
    create: (kind, draft) => inner.create(kind, draft),
    update: (kind, object) => inner.update(kind, object),
    updateStatus: (kind, object) => inner.updateStatus(kind, object),
    delete: (kind, at, options) => inner.delete(kind, at, options),
    async *watch(kind, options, signal) {
      for await (const event of inner.watch(kind, options, signal)) {
        await held;
        yield event;
      }
    },
  };
  const stop = new AbortController();
  const deps = { store: late, clock: systemClock, log: silentLogger, random: () => 0 };
  const informer = startInformer(deps, { kind: widgets }, stop.signal);
  const store = nearStore(late);
  store.follow(widgets, informer);
  await informer.synced;
  endings.push(async () => {
    open();
    stop.abort();
    await informer.stopped;
    await inner.close();
  });
  const tell = async () => {
    open();
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  };
  const make = (by: ResourceStore = store) => by.create(widgets, { metadata: { ...key }, spec: { size: 1 } });
  return { store, inner, tell, make, reads: () => reads };
}

test("what was written is read at once, from nobody else, and later states when the copy hears of them", async () => {
  const { store, inner, tell, make, reads } = await near();
  const made = await make();
  expect((await store.get(widgets, key))?.metadata.uid).toBe(made.metadata.uid);
  const changed = await store.update(widgets, { ...made, spec: { size: 2 } });
  expect((await store.get(widgets, key))?.spec?.size).toBe(2);
  await inner.update(widgets, { ...changed, spec: { size: 3 } });
  expect((await store.get(widgets, key))?.spec?.size).toBe(2);
  await tell();
  expect((await store.get(widgets, key))?.spec?.size).toBe(3);
  expect(reads()).toBe(0);
});

test("what was deleted stays gone, though the copy hears of its beginning only now", async () => {
  const { store, tell, make } = await near();
  await make();
  await store.delete(widgets, key);
  expect(await store.get(widgets, key)).toBeUndefined();
  await tell();
  expect(await store.get(widgets, key)).toBeUndefined();
  const again = await make();
  expect((await store.get(widgets, key))?.metadata.uid).toBe(again.metadata.uid);
});

test("what went with its last finalizer is gone", async () => {
  const { store, tell } = await near();
  const made = await store.create(widgets, {
    metadata: { ...key, finalizers: ["x/y"] },
    spec: { size: 1 },
  });
  await store.delete(widgets, key);
  const going = await store.get(widgets, key);
  expect(going?.metadata.deletionTimestamp).toBeDefined();
  if (going) await store.update(widgets, { ...going, metadata: { ...going.metadata, finalizers: [] } });
  expect(await store.get(widgets, key)).toBeUndefined();
  await tell();
  expect(await store.get(widgets, key)).toBeUndefined();
  expect(made.metadata.uid).toBeDefined();
});

test("a refused write makes the next read go to the store", async () => {
  const { store, inner, make, reads } = await near();
  const made = await make();
  await inner.update(widgets, { ...made, spec: { size: 7 } });
  await expect(store.update(widgets, { ...made, spec: { size: 2 } })).rejects.toMatchObject({
    code: "Conflict",
  });
  expect((await store.get(widgets, key))?.spec?.size).toBe(7);
  expect((await store.get(widgets, key))?.spec?.size).toBe(7);
  expect(reads()).toBe(1);
});

test("a name that another took in the meantime is found by asking", async () => {
  const { store, inner, make, tell } = await near();
  const theirs = await make(inner);
  await expect(make()).rejects.toMatchObject({ code: "AlreadyExists" });
  expect((await store.get(widgets, key))?.metadata.uid).toBe(theirs.metadata.uid);
  await inner.delete(widgets, key);
  await tell();
  expect(await store.get(widgets, key)).toBeUndefined();
});
