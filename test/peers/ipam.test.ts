// The ipam controllers on a real kube-apiserver, with its real garbage collector.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { systemClock, type OwnedStore } from "#core";
import { kubeStore } from "#core/store/kube-store.ts";
import { ipamContract } from "../../ipam/contract.ts";
import { cluster, ipamKinds, vsphereVM } from "#proto";
import { crdOf } from "#proto/generate-crds.ts";
import { applyCrds } from "./harness/crds.ts";
import { startKube, type Kube } from "./harness/kube.ts";

let dir: string;
let kube: Kube;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "pcg-peers-"));
  kube = await startKube({ dir });
  await applyCrds(
    kube,
    [...ipamKinds, cluster, vsphereVM].map((kind) => crdOf(kind)),
  );
});

afterAll(async () => {
  await kube?.stop();
  rmSync(dir, { recursive: true, force: true });
});

ipamContract(
  "a real kube-apiserver",
  async () => {
    const opened: OwnedStore[] = [];
    const another = async () => {
      const store = await kubeStore(kube.kubeconfig, { clock: systemClock });
      opened.push(store);
      return store;
    };
    return {
      store: await another(),
      another,
      close: async () => {
        for (const store of opened) await store.close();
      },
    };
  },
  30_000,
);
