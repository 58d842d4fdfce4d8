// The store contract on a real kube-apiserver.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { isFault, systemClock, type Kind, type OwnedStore } from "#core";
import { configMaps, contractCrds, gadgets, storeContract, widgets } from "#core/store/contract.ts";
import { kubeStore } from "#core/store/kube-store.ts";
import { applyCrds } from "./harness/crds.ts";
import { startKube, type Kube } from "./harness/kube.ts";

let dir: string;
let kube: Kube;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "pcg-peers-"));
  kube = await startKube({ dir });
  await applyCrds(kube, contractCrds());
});

afterAll(async () => {
  await kube?.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** A restarted server is ready before its caches are; until then it asks for patience. */
async function settled(store: OwnedStore): Promise<void> {
  for (const deadline = Date.now() + 30_000; ;) {
    try {
      for (const kind of [widgets, gadgets, configMaps] as readonly Kind[]) {
        const { revision } = await store.list(kind, { limit: 1 });
        const enough = AbortSignal.timeout(200);
        for await (const _ of store.watch(kind, { after: revision }, enough)) break;
      }
      return;
    } catch (error) {
      if (!isFault(error, "Busy", "Unavailable") || Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

storeContract(
  "Kubernetes store on a real kube-apiserver",
  async () => {
    const opened: OwnedStore[] = [];
    const open = async () => {
      const store = await kubeStore(kube.kubeconfig, { clock: systemClock });
      opened.push(store);
      return store;
    };
    return {
      store: await open(),
      another: open,
      reopen: open,
      forget: async () => {
        await kube.forget();
        await settled(opened[0]!);
      },
      close: async () => {
        for (const store of opened) await store.close();
      },
    };
  },
  { patienceMs: 60_000, many: 2000 },
);
