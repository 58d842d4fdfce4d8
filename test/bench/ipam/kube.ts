// Claims at once on a real kube-apiserver: how long until all are bound, until all are released, and how many writes it took.
import { mkdtemp, rm } from "node:fs/promises";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runControllers, silentLogger, systemClock, type OwnedStore } from "#core";
import { kubeStore } from "#core/store/kube-store.ts";
import { ipamControllers } from "#ipam";
import { cluster, inClusterIPPool, ipamKinds, ipAddress, ipAddressClaim, namespace } from "#proto";
import { crdOf } from "#proto/generate-crds.ts";
import { applyCrds } from "../../peers/harness/crds.ts";
import { startKube, type Kube } from "../../peers/harness/kube.ts";

type Figure = Record<string, unknown>;

const place = "bench";

export async function* run(count: number): AsyncGenerator<Figure> {
  const dir = await mkdtemp(join(tmpdir(), "bench-ipam-"));
  const kube = await startKube({ dir });
  const stop = new AbortController();
  const client = await kubeStore(kube.kubeconfig, { clock: systemClock });
  const store = await kubeStore(kube.kubeconfig, { clock: systemClock });
  try {
    await applyCrds(
      kube,
      [...ipamKinds, cluster].map((kind) => crdOf(kind)),
    );
    await client.create(namespace, { metadata: { name: place } });
    await client.create(inClusterIPPool, {
      metadata: { namespace: place, name: "nodes" },
      spec: { addresses: ["10.0.0.0/16"], prefix: 16, gateway: "10.0.0.1" },
    });
    const deps = { store, clock: systemClock, log: silentLogger, random: Math.random, exclusive: true };
    const running = runControllers(deps, ipamControllers(deps), stop.signal);
    await running.ready;
    yield* crowd(kube, client, count);
    stop.abort();
    await running.stopped;
  } finally {
    stop.abort();
    await client.close();
    await store.close();
    await kube.stop();
    await rm(dir, { recursive: true, force: true });
  }
}

async function* crowd(kube: Kube, client: OwnedStore, count: number): AsyncGenerator<Figure> {
  const names = Array.from({ length: count }, (_, at) => `claim-${at}`);
  const bound = follow(client, count);
  const before = await writes(kube);
  const started = Date.now();
  const cpu = process.cpuUsage();
  await each(names, 32, (name) =>
    client.create(ipAddressClaim, {
      metadata: { namespace: place, name },
      spec: { poolRef: { apiGroup: inClusterIPPool.group, kind: inClusterIPPool.kind, name: "nodes" } },
    }),
  );
  const created = Date.now() - started;
  await bound.all;
  const boundMs = Date.now() - started;
  const after = await writes(kube);
  const { user, system } = process.cpuUsage(cpu);
  yield {
    figure: "claims at once, bound",
    claims: count,
    createdMs: created,
    boundMs,
    writesPerClaim: perClaim(after, before, count, count),
    writes: difference(after, before),
    cpuMs: Math.round((user + system) / 1000),
  };
  const texts = (await client.list(ipAddress, { namespace: place })).items.map(({ spec }) => spec.address);
  yield { figure: "addresses given twice", claims: count, value: texts.length - new Set(texts).size };

  const idleBefore = await writes(kube);
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  yield { figure: "writes while idle", claims: count, writes: difference(await writes(kube), idleBefore) };

  const releasing = Date.now();
  const gone = bound.gone;
  const beforeRelease = await writes(kube);
  await each(names, 32, (name) => client.delete(ipAddressClaim, { namespace: place, name }));
  const deleted = Date.now() - releasing;
  await gone();
  const afterRelease = await writes(kube);
  yield {
    figure: "claims at once, released",
    claims: count,
    deletedMs: deleted,
    releasedMs: Date.now() - releasing,
    writesPerClaim: perClaim(afterRelease, beforeRelease, count, count),
    writes: difference(afterRelease, beforeRelease),
  };
}

/** Follows the claims: `all` resolves when so many are bound, `gone()` when none is left. */
function follow(store: OwnedStore, count: number) {
  const stop = new AbortController();
  const boundNames = new Set<string>();
  const there = new Set<string>();
  let whenAll: () => void = () => {};
  let whenGone: () => void = () => {};
  const all = new Promise<void>((resolve) => (whenAll = resolve));
  const empty = new Promise<void>((resolve) => (whenGone = resolve));
  void (async () => {
    for await (const event of store.watch(ipAddressClaim, { after: "", namespace: place }, stop.signal)) {
      if (event.type === "Bookmark") continue;
      const { name } = event.object.metadata;
      if (event.type === "Deleted") {
        there.delete(name);
        if (there.size === 0) whenGone();
        continue;
      }
      there.add(name);
      if (event.object.status?.addressRef) boundNames.add(name);
      if (boundNames.size === count) whenAll();
    }
  })();
  return {
    all,
    gone: async () => {
      await empty;
      stop.abort();
    },
  };
}

/** Successful writes by resource, as the API server counts them. */
async function writes(kube: Kube): Promise<Map<string, number>> {
  const text = await ask(kube, "/metrics");
  const found = new Map<string, number>();
  for (const line of text.split("\n")) {
    if (!line.startsWith("apiserver_request_total{")) continue;
    const label = (name: string) => new RegExp(`[{,]${name}="([^"]*)"`).exec(line)?.[1] ?? "";
    if (!["POST", "PUT", "PATCH", "DELETE"].includes(label("verb")) || !label("code").startsWith("2"))
      continue;
    if (!/^(ip|inclusterip|globalincluster|leases)/.test(label("resource"))) continue;
    if (label("resource") === "leases" && label("verb") === "PUT") continue; // the API server's own
    const name = `${label("verb")} ${label("resource")}${label("subresource") && `/${label("subresource")}`}`;
    found.set(name, (found.get(name) ?? 0) + Number(line.slice(line.lastIndexOf(" ") + 1)));
  }
  return found;
}

function difference(after: Map<string, number>, before: Map<string, number>): Record<string, number> {
  const entries = [...after].map(([name, n]) => [name, n - (before.get(name) ?? 0)] as const);
  return Object.fromEntries(entries.filter(([, n]) => n !== 0));
}

/** Beside the creation, or the deletion, of the claim itself. */
function perClaim(
  after: Map<string, number>,
  before: Map<string, number>,
  count: number,
  own: number,
): number {
  const all = Object.values(difference(after, before)).reduce((sum, n) => sum + n, 0);
  return Math.round(((all - own) / count) * 1000) / 1000;
}

function ask(kube: Kube, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { ca: kube.ca, cert: kube.admin.certificate, key: kube.admin.key.reveal(), agent: false };
    request(kube.server + path, options, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      response.on("end", () => resolve(text));
    })
      .once("error", reject)
      .end();
  });
}

async function each<T>(
  items: readonly T[],
  hands: number,
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  const left = [...items].reverse();
  const hand = async () => {
    for (let item = left.pop(); item !== undefined; item = left.pop()) await work(item);
  };
  await Promise.all(Array.from({ length: hands }, hand));
}
