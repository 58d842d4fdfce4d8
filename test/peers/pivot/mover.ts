// A process of its own that carries one pivot on to its end, between two real APIs, with the journal in an SPA and the snapshot on disk,
// as a gateway does. Before each write it asks its parent, which may kill it there. Prints one JSON line when it has ended.
import { join } from "node:path";
import { keyFileSeal, openDatabase, sleep, systemClock, type ResourceStore } from "#core";
import { kubeStore } from "#core/store/kube-store.ts";
import { encode64 } from "#proto";
import { clusterNames } from "#proto/render/names.ts";
import { runPivot } from "../../../jet/pivot/engine.ts";
import { identitySecret } from "../../../jet/render/cluster.ts";
import { spaJournal } from "../../../jet/spa/act-pivot.ts";
import { snapshotMigration, sqliteSnapshotShelf } from "../../../jet/sqlite-snapshots.ts";

/** What the parent says: process.argv[2], JSON. */
export interface Order {
  readonly uid: string;
  readonly cluster: string;
  readonly direction: "ToWorkload" | "ToGateway";
  readonly gateway: string;
  readonly workload: string;
  readonly dir: string;
  /** Whether each write is asked for. */
  readonly asks: boolean;
}

/** What the child says before a write. */
export interface Question {
  readonly write: number;
  readonly step: string;
}

const order = JSON.parse(process.argv[2]!) as Order;
const { uid, cluster, direction, dir } = order;
const names = clusterNames(uid, cluster);
const clock = systemClock;
let step = "";
let writes = 0;

const go = new Map<number, () => void>();
process.on("message", (write: number) => go.get(write)?.());

/** Resolves when the parent lets this write through. */
async function ask(): Promise<void> {
  const write = ++writes;
  if (!order.asks) return;
  const answer = new Promise<void>((resolve) => go.set(write, resolve));
  process.send!({ write, step } satisfies Question);
  await answer;
}

function asking(store: ResourceStore): ResourceStore {
  const first =
    <A extends unknown[], T>(write: (...args: A) => Promise<T>) =>
    async (...args: A) => (await ask(), write(...args));
  return {
    get: (...args) => store.get(...args),
    list: (...args) => store.list(...args),
    create: first((...args: Parameters<typeof store.create>) => store.create(...args)) as typeof store.create,
    update: first((...args: Parameters<typeof store.update>) => store.update(...args)) as typeof store.update,
    updateStatus: first((...args: Parameters<typeof store.updateStatus>) =>
      store.updateStatus(...args),
    ) as typeof store.updateStatus,
    delete: first((...args: Parameters<typeof store.delete>) => store.delete(...args)) as typeof store.delete,
    watch: (...args) => store.watch(...args),
  };
}

const bare = {
  gateway: await kubeStore(order.gateway, { clock }),
  workload: await kubeStore(order.workload, { clock }),
};
const [gateway, workload] = [asking(bare.gateway), asking(bare.workload)];
const db = await openDatabase(join(dir, "gateway.db"), { migrations: [snapshotMigration] });
const out = direction === "ToWorkload";
const began = performance.now();
const tookMs: Record<string, number> = {};
let since = began;
const ctx = {
  source: out ? gateway : workload,
  target: out ? workload : gateway,
  journal: spaJournal(gateway, { namespace: names.namespace, name: cluster }),
  snapshots: sqliteSnapshotShelf(db, await keyFileSeal(join(dir, "key"))),
  names,
  identity: () =>
    Promise.resolve(
      identitySecret(
        { clusterUid: uid, clusterName: cluster },
        { username: encode64("u"), password: encode64("p") },
      ),
    ),
  targetLacks: () => Promise.resolve(undefined),
  purpose: out ? ("manage" as const) : ("delete" as const),
  clock,
  quietMs: 0,
  watchMs: 0,
  lostMs: 600_000,
};
step = (await ctx.journal.read())?.step ?? "";
const signal = new AbortController().signal;
for (;;) {
  const end = await runPivot(ctx, signal, (advance) => {
    const now = performance.now();
    tookMs[step] = (tookMs[step] ?? 0) + now - since;
    since = now;
    step = advance.journal.step;
  }).catch((error: unknown) => ({ kind: "failed" as const, message: String(error) }));
  if (end.kind === "done" || end.kind === "rolledBack") {
    const took = Object.fromEntries(Object.entries(tookMs).map(([name, ms]) => [name, Math.round(ms)]));
    console.log(
      JSON.stringify({ end: end.kind, writes, ms: Math.round(performance.now() - began), steps: took }),
    );
    break;
  }
  if (end.kind === "waiting" && end.blocked) {
    console.log(JSON.stringify({ end: end.reason, message: end.message, object: end.object, writes }));
    break;
  }
  await sleep(clock, 50);
}
process.exit(0);
