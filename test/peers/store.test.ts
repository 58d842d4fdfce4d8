// The store contract on a real kube-apiserver.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { systemClock, type OwnedStore } from "#core";
import { contractCrds, storeContract } from "#core/store/contract.ts";
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
      forget: () => kube.forget(),
      close: async () => {
        for (const store of opened) await store.close();
      },
    };
  },
  { patienceMs: 60_000, many: 2000 },
);
