import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { Fault } from "../fault.ts";
import { silentLogger } from "../log.ts";
import { defineKind } from "../resource/kind.ts";
import { keyOf, keyText, type Key, type Resource } from "../resource/meta.ts";
import { matchLabels } from "../resource/selector.ts";
import { memoryStore } from "../store/memory-store.ts";
import type { List, ResourceStore } from "../store/store.ts";
import { fakeClock } from "../time/fake-clock.ts";
import type { Change } from "./cache.ts";
import { hostileStore } from "./hostile-store.ts";
import { startInformer, type InformerOptions } from "./informer.ts";

interface Thing extends Resource {
  spec: { size: number };
}
const things = defineKind<Thing>({ group: "test.pcg.dev", version: "v1", kind: "Thing", plural: "things" });
const thing = (name: string, size = 1, labels: Record<string, string> = {}) => ({
  metadata: { namespace: "a", name, labels },
  spec: { size },
});

const open: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

function world(
  around: (store: ResourceStore) => ResourceStore = (store) => store,
  options: Partial<InformerOptions<Thing>> = {},
) {
  const clock = fakeClock();
  const store = memoryStore({ clock });
  const stop = new AbortController();
  const start = () => {
    const deps = { store: around(store), clock, log: silentLogger, random: () => 0.5 };
    return startInformer(deps, { kind: things, ...options }, stop.signal);
  };
  open.push(() => store.close());
  open.push(() => stop.abort());
  const settle = async () => {
    for (let i = 0; i < 8; i++) await clock.advance(0);
  };
  return { clock, store, start, stop, settle };
}

/** What listeners heard, as text. */
function hear(into: string[]) {
  return (change: Change<Thing>) => void into.push(`${change.type} ${change.object.metadata.name}`);
}

describe("an informer", () => {
  test("lists, then follows", async () => {
    const { store, start, settle } = world();
    await store.create(things, thing("one"));
    const informer = start();
    expect(informer.isSynced).toBe(false);
    await informer.synced;
    const heard: string[] = [];
    informer.subscribe(hear(heard));
    const two = await store.create(things, thing("two"));
    await store.update(things, { ...two, spec: { size: 2 } });
    await store.delete(things, { namespace: "a", name: "one" });
    await settle();
    expect(heard).toEqual(["Added one", "Added two", "Modified two", "Deleted one"]);
    expect(informer.get({ namespace: "a", name: "two" })?.spec.size).toBe(2);
    expect(informer.list().map((object) => object.metadata.name)).toEqual(["two"]);
  });

  test("pages through a long list", async () => {
    const sizes: number[] = [];
    const counting = (store: ResourceStore): ResourceStore => ({
      ...bound(store),
      async list(...args) {
        const page = await store.list(...args);
        sizes.push(page.items.length);
        return page;
      },
    });
    const { store, start } = world(counting, { pageSize: 10 });
    for (let i = 0; i < 25; i++) await store.create(things, thing(`t${i}`));
    const informer = start();
    await informer.synced;
    expect(sizes).toEqual([10, 10, 5]);
    expect(informer.size).toBe(25);
  });

  test("finds by namespace, labels and declared indexes", async () => {
    const { store, start, settle } = world(undefined, {
      indexes: { size: (object) => [String(object.spec.size)] },
    });
    await store.create(things, thing("red", 1, { colour: "red" }));
    const blue = await store.create(things, thing("blue", 2, { colour: "blue" }));
    const informer = start();
    await informer.synced;
    const names = (list: Thing[]) => list.map((object) => object.metadata.name);
    expect(names(informer.list({ namespace: "a", labels: matchLabels({ colour: "red" }) }))).toEqual(["red"]);
    expect(informer.list({ namespace: "b" })).toEqual([]);
    expect(names(informer.by("size", "2"))).toEqual(["blue"]);
    await store.update(things, { ...blue, spec: { size: 1 } });
    await settle();
    expect(informer.by("size", "2")).toEqual([]);
    expect(names(informer.by("size", "1"))).toEqual(["red", "blue"]);
  });

  test("tells of what vanished while nobody watched", async () => {
    let forget = false;
    const { store, start, settle, clock } = world((inner) => ({
      ...bound(inner),
      watch: (kind, options, signal) => {
        if (forget) throw new Fault("Gone", "too old");
        const cut = new AbortController();
        breakWatch = () => cut.abort();
        return inner.watch(kind, options, AbortSignal.any([signal, cut.signal]));
      },
    }));
    let breakWatch = () => {};
    await store.create(things, thing("one"));
    const informer = start();
    await informer.synced;
    await settle();
    const heard: string[] = [];
    informer.subscribe(hear(heard));
    forget = true;
    breakWatch();
    await store.delete(things, { namespace: "a", name: "one" });
    await store.create(things, thing("two"));
    await clock.advance(100);
    forget = false;
    await clock.advance(1_000);
    await settle();
    expect(heard).toEqual(["Added one", "Deleted one", "Added two"]);
  });

  test("grows slower while the store is away, and is quick again when it was back", async () => {
    let away = true;
    const tries: number[] = [];
    const { start, clock } = world((inner) => ({
      ...bound(inner),
      list: (...args) => {
        tries.push(clock.now());
        return away ? Promise.reject(new Fault("Unavailable", "away")) : inner.list(...args);
      },
    }));
    const informer = start();
    await clock.advance(10 * 60_000);
    const gaps = tries.slice(1).map((at, i) => at - (tries[i] ?? 0));
    expect(gaps.slice(0, 4)).toEqual([75, 150, 300, 600]);
    expect(Math.max(...gaps)).toBe(22_500); // 30 s, with the jitter of random() = 0.5
    away = false;
    await clock.advance(30_000);
    expect(informer.isSynced).toBe(true);
  });

  test("ends at once, even if the store hangs", async () => {
    const hanging = (inner: ResourceStore): ResourceStore => ({
      ...bound(inner),
      list: () => new Promise<List<never>>(() => {}),
    });
    const { start, stop } = world(hanging);
    const informer = start();
    stop.abort();
    await informer.stopped;
    await expect(informer.synced).rejects.toMatchObject({ code: "Cancelled" });
  });

  test("ends at once, even if the watch does not listen to the signal", async () => {
    const deaf = (inner: ResourceStore): ResourceStore => ({
      ...bound(inner),
      watch: () => ({ [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => {}) }) }),
    });
    const { start, stop, settle } = world(deaf);
    const informer = start();
    await informer.synced;
    await settle();
    stop.abort();
    await informer.stopped;
  });

  test("a listener that fails harms nobody", async () => {
    const { store, start, settle } = world();
    const informer = start();
    await informer.synced;
    const heard: string[] = [];
    informer.subscribe(() => {
      throw new Error("oops");
    });
    informer.subscribe(hear(heard));
    await store.create(things, thing("one"));
    await settle();
    expect(heard).toEqual(["Added one"]);
  });
});

// However the store behaves: in the end the cache equals the world, and what listeners heard adds up to it.
test("a hostile store cannot make an informer wrong", async () => {
  const step = fc.record({
    name: fc.nat(5).map(String),
    do: fc.constantFrom("create", "update", "delete", "wait"),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 5, maxLength: 40 }),
      fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })),
      fc.double({ min: 0.05, max: 0.6, noNaN: true }),
      async (list, chances, rate) => {
        const manners = { random: () => chances.next().value, rate };
        const { clock, store, start, stop, settle } = world((inner) => hostileStore(inner, manners), {
          pageSize: 2,
        });
        const informer = start();
        const heard = new Map<string, string>();
        informer.subscribe((change) => {
          const key = keyText(keyOf(change.object));
          expect(heard.has(key)).toBe(change.type !== "Added"); // no Added twice, no Deleted of what was never there
          if (change.type === "Deleted") heard.delete(key);
          else heard.set(key, change.object.metadata.resourceVersion);
        });
        let size = 1;
        for (const { name, do: what } of list) {
          const key: Key = { namespace: "a", name };
          const have = await store.get(things, key);
          if (what === "wait") await clock.advance(5_000);
          else if (what === "create" && !have) await store.create(things, thing(name));
          else if (what === "update" && have) await store.update(things, { ...have, spec: { size: ++size } });
          else if (what === "delete" && have) await store.delete(things, key);
          await clock.advance(20);
        }
        manners.rate = 0; // the world calms down
        await clock.advance(120_000);
        await settle();
        const truth = new Map(
          (await store.list(things)).items.map((o) => [keyText(keyOf(o)), o.metadata.resourceVersion]),
        );
        expect(new Map(informer.list().map((o) => [keyText(keyOf(o)), o.metadata.resourceVersion]))).toEqual(
          truth,
        );
        expect(heard).toEqual(truth);
        stop.abort();
        await informer.stopped;
        await store.close();
      },
    ),
    { numRuns: 100 },
  );
});

/** A store's methods as plain functions, so that some can be replaced. */
function bound(store: ResourceStore): ResourceStore {
  return {
    get: (kind, key, signal) => store.get(kind, key, signal),
    list: (kind, options, signal) => store.list(kind, options, signal),
    create: (kind, draft) => store.create(kind, draft),
    update: (kind, object) => store.update(kind, object),
    updateStatus: (kind, object) => store.updateStatus(kind, object),
    delete: (kind, key, options) => store.delete(kind, key, options),
    watch: (kind, options, signal) => store.watch(kind, options, signal),
  };
}
