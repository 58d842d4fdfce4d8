// What the gateway does at its start about a store that may be older than the world (jet/mirror): wired to its own database and account.
import { sleep, type Clock, type Database, type Logger, type ResourceStore } from "#core";
import { kubeStore } from "#core/store/kube-store.ts";
import { patientStore } from "./patient-store.ts";
import {
  fenceAfterRestore,
  isBehind,
  recoverCluster,
  recoverClusters,
  tick,
  type LineageShelf,
  type Mirrors,
  type RecoveryDeps,
} from "#jet";
import type { SpaSpec } from "#proto";

/** One number: how far the store was when this gateway last wrote to both. */
export const lineageMigration = `CREATE TABLE lineage (one INTEGER PRIMARY KEY CHECK (one = 1), tick INTEGER NOT NULL);`;

export function lineageShelf(db: Database): LineageShelf {
  return {
    read: async () => (await db.get<{ tick: number }>("SELECT tick FROM lineage"))?.tick ?? 0,
    write: (at) =>
      db.write(async (tx) => {
        await tx.run("INSERT OR REPLACE INTO lineage (one, tick) VALUES (1, ?)", at);
      }),
  };
}

export interface GatewayRecovery {
  /**
   * Takes from Cluster API's managers what must not act; for `beforeManagers` of the embedded control plane, with its `withoutWebhooks`.
   * Where the managers run already, at once at the start.
   */
  fence(kubeconfig: string, withoutWebhooks: () => Promise<void>, signal: AbortSignal): Promise<void>;
  /** Brings the store to what the mirrors say; before our own controllers run. True where the store was behind. */
  recover(store: ResourceStore, signal: AbortSignal): Promise<boolean>;
  /** A mirror came while controllers run: a cluster that the store does not know is made anew from it. */
  cameLate(store: ResourceStore, clusterUid: string, signal: AbortSignal): Promise<void>;
  /** Notes how far the store is, until the signal aborts: a later restore is seen by it. Never rejects. */
  keepNoting(store: ResourceStore, signal: AbortSignal): Promise<void>;
}

const system = "pcg-system";
/** A snapshot younger than this may be restored unnoticed, by this note alone; mirrors and decision records still tell. */
const noteMs = 60_000;

export function gatewayRecovery(deps: {
  readonly db: Database;
  readonly mirrors: Mirrors;
  readonly cloud: () => SpaSpec["cloud"];
  readonly clock: Clock;
  readonly log: Logger;
}): GatewayRecovery {
  const { db, mirrors, cloud, clock, log } = deps;
  const lineage = lineageShelf(db);
  const workloads = { connect: (kubeconfig: string) => kubeStore(kubeconfig, { clock }) };
  const over = (store: ResourceStore): RecoveryDeps => ({
    store,
    mirrors,
    workloads,
    cloud,
    clock,
    log,
    lineage,
    systemNamespace: system,
  });
  return {
    async fence(kubeconfig, withoutWebhooks, signal) {
      const store = patientStore(await kubeStore(kubeconfig, { clock }), clock, signal);
      try {
        await fenceAfterRestore(over(store), withoutWebhooks, signal);
      } finally {
        await store.close();
      }
    },
    async recover(store, signal) {
      const behind = await isBehind(store, lineage, system);
      const began = clock.now();
      const done = await recoverClusters(over(store), signal);
      if (behind) log.warn("recovered", { clusters: done.length, tookMs: clock.now() - began });
      return behind;
    },
    async cameLate(store, clusterUid, signal) {
      const did = await recoverCluster(over(store), clusterUid, false, signal);
      if (did !== "nothing") log.warn("recovered a cluster from its mirror", { cluster: clusterUid, did });
    },
    async keepNoting(store, signal) {
      while (!signal.aborted) {
        await sleep(clock, noteMs, signal).catch(() => {});
        if (signal.aborted) return;
        await tick(store, lineage, system).catch((error: unknown) =>
          log.info("how far the store is could not be noted", { error }),
        );
      }
    },
  };
}
