// The ipam controllers on a real kube-apiserver, with its real garbage collector.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock, type OwnedStore } from "#core";
import { kubeStore } from "#core/store/kube-store.ts";
import { ipamContract } from "../../ipam/contract.ts";
import { cluster, ipamKinds, vsphereVM } from "#proto";
import { crdOf } from "#proto/generate-crds.ts";
import { binaries } from "./harness/build.ts";
import { applyCrds } from "./harness/crds.ts";
import { pcg } from "./harness/ipam-program.ts";
import { startKube, type Kube } from "./harness/kube.ts";
import { run } from "./harness/vsphere.ts";

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

test("what `pcg ipam manifests` prints, the server takes from kubectl as it is", async () => {
  const file = join(dir, "manifests.yaml");
  writeFileSync(file, await run(process.execPath, [pcg, "ipam", "manifests"], {}));
  const program = (await binaries("kube"))("kubectl");
  const kubectl = (...words: string[]) => run(program, [`--kubeconfig=${kube.kubeconfigPath}`, ...words], {});
  await kubectl("create", "namespace", "pcg-ipam-system"); // a dry run makes none
  const said = await kubectl("apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", file);
  expect(said).toContain("deployment.apps/pcg-ipam serverside-applied (server dry run)");
  expect(said).toContain("validatingwebhookconfiguration.admissionregistration.k8s.io/pcg-ipam");
});
