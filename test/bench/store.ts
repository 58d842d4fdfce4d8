// The store: writes a second with and without group commit, how soon a watch tells, how long a list of 10,000 takes.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { memoryStore, sqliteStore, systemClock, type OwnedStore } from "#core";
import { widgets, type Widget } from "#core/store/contract/kinds.ts";
import { listAll } from "#core/store/helpers.ts";
import type { Figure } from "./figure/limits.ts";

const namespace = "bench";
const writers = 64;

export async function* run(): AsyncGenerator<Figure> {
  const folder = await mkdtemp(join(tmpdir(), "bench-store-"));
  const clock = systemClock;
  let files = 0;
  const sqlite = (groupSize?: number) =>
    sqliteStore(join(folder, `${++files}.db`), { clock, ...(groupSize ? { groupSize } : {}) });
  try {
    const grouped = yield* writes("sqlite, group commit", await sqlite(), 5000, writers);
    const single = yield* writes("sqlite, a commit for each write", await sqlite(1), 2000, writers);
    yield* writes("sqlite, one writer at a time", await sqlite(), 2000, 1);
    const memory = yield* writes("memory", memoryStore({ clock }), 20_000, writers);
    yield ratio("writes, group commit to none", grouped / single);
    yield ratio("writes, memory to sqlite", memory / grouped);

    yield* latency("sqlite", await sqlite(), 1000);
    yield* latency("memory", memoryStore({ clock }), 1000);

    const onDisk = yield* lists("sqlite", await sqlite());
    const inMemory = yield* lists("memory", memoryStore({ clock }));
    yield ratio("list of 10,000, sqlite to memory", onDisk / inMemory);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function* writes(
  name: string,
  store: OwnedStore,
  count: number,
  concurrency: number,
): AsyncGenerator<Figure, number> {
  await fill(store, 200, concurrency, "warm"); // statements prepared, code compiled
  const ms = await timed(() => fill(store, count, concurrency));
  await store.close();
  const perSecond = Math.round((count / ms) * 1000);
  yield { figure: "writes", store: name, writers: concurrency, writes: count, perSecond };
  return perSecond;
}

/** From the call of a write to the event, one write at a time. */
async function* latency(name: string, store: OwnedStore, count: number): AsyncGenerator<Figure> {
  const stop = new AbortController();
  const heard = new Map<string, () => void>();
  const { revision } = await store.list(widgets);
  const following = (async () => {
    for await (const event of store.watch(widgets, { after: revision }, stop.signal)) {
      if (event.type !== "Bookmark") heard.get(event.object.metadata.name)?.();
    }
  })();
  const samples: number[] = [];
  for (let i = 0; i < count; i++) {
    const name = `w${i}`;
    const told = new Promise<void>((resolve) => heard.set(name, resolve));
    const ms = await timed(async () => {
      await Promise.all([create(store, name), told]);
    });
    if (i >= 100) samples.push(ms);
  }
  stop.abort();
  await following;
  await store.close();
  samples.sort((a, b) => a - b);
  const at = (share: number) => rounded(samples[Math.floor((samples.length - 1) * share)] ?? 0);
  yield { figure: "watch latency", store: name, writes: samples.length, p50Ms: at(0.5), p99Ms: at(0.99) };
}

async function* lists(name: string, store: OwnedStore): AsyncGenerator<Figure, number> {
  const count = 10_000;
  await fill(store, count, writers);
  const whole: number[] = [];
  const paged: number[] = [];
  for (let i = 0; i < 5; i++) {
    whole.push(await timed(() => store.list(widgets, { namespace })));
    paged.push(await timed(() => listAll(store, widgets, { namespace, limit: 500 })));
  }
  await store.close();
  yield { figure: "list", store: name, objects: count, ms: median(whole), inPagesOf500Ms: median(paged) };
  return median(whole);
}

async function fill(store: OwnedStore, count: number, concurrency: number, prefix = "w"): Promise<void> {
  let next = 0;
  const work = async () => {
    for (let i = next++; i < count; i = next++) await create(store, `${prefix}${i}`);
  };
  await Promise.all(Array.from({ length: concurrency }, work));
}

function create(store: OwnedStore, name: string): Promise<Widget> {
  return store.create(widgets, {
    metadata: { name, namespace, labels: { app: "bench" } },
    spec: { size: 3, color: "red", note: "a note of about the length that such notes have" },
  });
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

function ratio(of: string, value: number): Figure {
  return { figure: "ratio", of, ratio: rounded(value) };
}

function median(values: readonly number[]): number {
  return rounded([...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0);
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
