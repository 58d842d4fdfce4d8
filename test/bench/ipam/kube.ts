// Claims at once on a real kube-apiserver: how long until all are bound, until all are released, and how many writes it took.
import { runControllers, silentLogger, systemClock, type OwnedStore, type RunningControllers } from "#core";
import { kubeStore } from "#core/store/kube-store.ts";
import { ipamControllers } from "#ipam";
import { ipAddress, ipAddressClaim } from "#proto";
import type { Kube } from "../../peers/harness/kube.ts";
import { dropClaims, makeClaims, namesOf, onSite, place, settled } from "./site.ts";
import { difference, perClaim, sum, writes } from "./writes.ts";
import type { Figure } from "../figure/limits.ts";

export function run(count: number): AsyncGenerator<Figure> {
  return onSite(async function* ({ kube, client }) {
    const first = await controllers(kube);
    yield* bind(kube, client, count);
    await first.stop();
    const second = yield* again(kube, count);
    yield* release(kube, client, count);
    await second.stop();
  });
}

/** As the one who leads. */
async function controllers(kube: Kube): Promise<{ running: RunningControllers; stop(): Promise<void> }> {
  const store = await kubeStore(kube.kubeconfig, { clock: systemClock });
  const deps = { store, clock: systemClock, log: silentLogger, random: Math.random, exclusive: true };
  const end = new AbortController();
  const running = runControllers(deps, ipamControllers(deps), end.signal);
  await running.ready;
  return {
    running,
    async stop() {
      end.abort();
      await running.stopped;
      await store.close();
    },
  };
}

async function* bind(kube: Kube, client: OwnedStore, count: number): AsyncGenerator<Figure> {
  const bound = follow(client, ipAddressClaim, (there) => there.bound === count);
  const before = await writes(kube);
  const started = Date.now();
  const cpu = process.cpuUsage();
  await makeClaims(client, namesOf(count));
  const created = Date.now() - started;
  await bound;
  const boundMs = Date.now() - started;
  const after = await writes(kube);
  const { user, system } = process.cpuUsage(cpu);
  yield {
    figure: "claims at once, bound",
    claims: count,
    createdMs: created,
    boundMs,
    ...perClaim(after, before, count),
    cpuMs: Math.round((user + system) / 1000),
    must: { boundMs: { most: 60_000 }, writesPerClaim: { most: 3 } },
  };
  const texts = (await client.list(ipAddress, { namespace: place })).items.map(({ spec }) => spec.address);
  const givenTwice = texts.length - new Set(texts).size;
  yield { figure: "addresses given twice", claims: count, givenTwice, must: { givenTwice: { is: 0 } } };

  await settled(client, count, 60_000); // the pool's counters follow
  const idleBefore = await writes(kube);
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  const idle = sum(difference(await writes(kube), idleBefore));
  yield { figure: "writes while idle", claims: count, writes: idle, must: { writes: { is: 0 } } };
}

/** A start looks at every object, as a resync does. */
async function* again(kube: Kube, count: number) {
  const before = await writes(kube);
  const started = Date.now();
  const next = await controllers(kube);
  const isBusy = () => next.running.health().some(({ due, working }) => due > 0 || working.length > 0);
  for (let quiet = 0; quiet < 10; quiet = isBusy() ? 0 : quiet + 1)
    await new Promise((resolve) => setTimeout(resolve, 20));
  yield {
    figure: "everything looked at again",
    claims: count,
    ms: Date.now() - started,
    rounds: next.running.health().reduce((total, { rounds }) => total + rounds, 0),
    writes: sum(difference(await writes(kube), before)),
    must: { writes: { is: 0 } },
  };
  return next;
}

async function* release(kube: Kube, client: OwnedStore, count: number): AsyncGenerator<Figure> {
  const isEmpty = (there: Counted) => there.seen >= count && there.now === 0;
  const gone = Promise.all([
    follow(client, ipAddressClaim, isEmpty),
    follow(client, ipAddress, isEmpty), // the claim goes first
  ]);
  const started = Date.now();
  const before = await writes(kube);
  await dropClaims(client, namesOf(count));
  const deleted = Date.now() - started;
  await gone;
  const after = await writes(kube);
  yield {
    figure: "claims at once, released",
    claims: count,
    deletedMs: deleted,
    releasedMs: Date.now() - started,
    ...perClaim(after, before, count),
    must: { releasedMs: { most: 60_000 }, writesPerClaim: { most: 3 } },
  };
}

interface Counted {
  readonly now: number;
  readonly seen: number;
  readonly bound: number;
}

/** Follows all of a kind until this holds. */
async function follow(
  store: OwnedStore,
  kind: typeof ipAddress | typeof ipAddressClaim,
  holds: (there: Counted) => boolean,
): Promise<void> {
  const end = new AbortController();
  const there = new Set<string>();
  const seen = new Set<string>();
  const bound = new Set<string>();
  const of = kind as typeof ipAddressClaim;
  for await (const event of store.watch(of, { after: "", namespace: place }, end.signal)) {
    if (event.type === "Bookmark") continue;
    const { name } = event.object.metadata;
    seen.add(name);
    if (event.type === "Deleted") there.delete(name);
    else there.add(name);
    if (event.object.status?.addressRef) bound.add(name);
    if (holds({ now: there.size, seen: seen.size, bound: bound.size })) return;
  }
}
