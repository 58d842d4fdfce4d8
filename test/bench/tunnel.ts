// The link over gRPC with mutual TLS, databases on disk: how soon a message is handled, how many a second, and that nothing is
// lost, doubled or out of order when the line is cut 100 times.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger, systemClock } from "#core";
import { grpcDial, grpcListen, openHub, openLink, type Hub, type Link } from "#tunnel";
import { testPki } from "#tunnel/test-pki.ts";
import type { Figure } from "./figure/limits.ts";

const identity = { role: "gateway", uid: "g", tenantUid: "t" } as const;
const padding = "x".repeat(500);

export async function* run(): AsyncGenerator<Figure> {
  const folder = await mkdtemp(join(tmpdir(), "bench-tunnel-"));
  const never = new AbortController().signal;
  const base = { clock: systemClock, log: silentLogger, random: Math.random };
  const pki = await testPki();
  const listen = grpcListen({ host: "127.0.0.1", port: 0, ...(await pki.server()) });
  const hub = await openHub(
    { ...base, database: join(folder, "hub.db"), listen },
    { allow: () => true },
    never,
  );
  const mine = await pki.client("pcg://t/gateway/g");
  const dial = grpcDial({ address: `127.0.0.1:${hub.port}`, credentials: () => Promise.resolve(mine) });
  const link = await openLink(
    { ...base, database: join(folder, "link.db"), dial },
    { identity, retry: { baseMs: 5, capMs: 20 } },
    never,
  );
  try {
    const up = new Counter();
    const down = new Counter();
    hub.handle("event", (_, { body }) => up.take(body));
    link.handle("event", ({ body }) => down.take(body));
    yield await latency(link, up, 300);
    yield await throughput(link, up, 20_000);
    yield await cuts(link, hub, up, down, { messages: 25_000, cuts: 100 });
  } finally {
    await link.close();
    await hub.close();
    await rm(folder, { recursive: true });
  }
}

/** What arrived: each number once and in order, or not. */
class Counter {
  count = 0;
  wrong = 0;
  #wake: () => void = () => {};

  take(body: unknown): Promise<void> {
    if ((body as { n: number }).n !== this.count) this.wrong++;
    this.count++;
    this.#wake();
    return Promise.resolve();
  }

  async reach(count: number): Promise<void> {
    while (this.count < count) await new Promise<void>((resolve) => (this.#wake = resolve));
  }
}

function event(n: number) {
  return { topic: "event", class: "event", key: "k", body: { n, padding } } as const;
}

async function latency(link: Link, up: Counter, rounds: number): Promise<Figure> {
  const times: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const startedAt = performance.now();
    await link.publish(event(i));
    await up.reach(i + 1);
    times.push(performance.now() - startedAt);
  }
  times.sort((a, b) => a - b);
  const at = (share: number) => Number((times[Math.floor(rounds * share)] ?? 0).toFixed(2));
  return { figure: "publish to handled, line idle", p50Ms: at(0.5), p99Ms: at(0.99), rounds };
}

async function throughput(link: Link, up: Counter, messages: number): Promise<Figure> {
  const first = up.count;
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: messages }, (_, i) => link.publish(event(first + i))));
  const publishedMs = performance.now() - startedAt;
  await up.reach(first + messages);
  const handledMs = performance.now() - startedAt;
  const perSecond = (ms: number) => Math.round((messages / ms) * 1_000);
  return {
    figure: "500-byte events",
    messages,
    publishedPerS: perSecond(publishedMs),
    handledPerS: perSecond(handledMs),
  };
}

async function cuts(
  link: Link,
  hub: Hub,
  up: Counter,
  down: Counter,
  wish: { messages: number; cuts: number },
): Promise<Figure> {
  const [firstUp, firstDown] = [up.count, down.count];
  const startedAt = performance.now();
  let done = 0;
  const stop = hub.onPeers((_, connected) => {
    if (connected && done < wish.cuts) setTimeout(() => (done++, hub.disconnect(identity)), 20);
  });
  hub.disconnect(identity);
  for (let i = 0; i < wish.messages; i += 250) {
    const batch = Array.from({ length: 250 }, (_, at) => i + at);
    await Promise.all(
      batch.flatMap((n) => [link.publish(event(firstUp + n)), hub.publish(identity, event(firstDown + n))]),
    );
  }
  await up.reach(firstUp + wish.messages);
  await down.reach(firstDown + wish.messages);
  stop();
  const seconds = Number(((performance.now() - startedAt) / 1_000).toFixed(1));
  return {
    figure: "cuts during messages both ways",
    cuts: done,
    eachWay: wish.messages,
    lostDoubledOrDisordered: up.wrong + down.wrong,
    seconds,
    must: { lostDoubledOrDisordered: { is: 0 } },
  };
}
