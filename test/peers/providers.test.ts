// The providers that Jet puts into a workload cluster, on a real kube-apiserver: it takes every object, the managers run on nothing but
// what is in them (flags, Secret, ServiceAccount), their webhooks are reached through their Services, and they judge what we render.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bundledProviders, openBundle } from "#controlplane";
import { apiVersionOf, systemClock, type Clock, type OwnedStore } from "#core";
import { kubeStore } from "#core/store/kube-store.ts";
import { inClusterIPPool, namespace } from "#proto";
import { crdOf } from "#proto/generate-crds.ts";
import { clusterNamespace } from "#proto/render/names.ts";
import { ensureExists } from "../../jet/ensure.ts";
import { renderedObjects, wishes } from "../../jet/testing/rendered.ts";
import { applied } from "./harness/applied.ts";
import { asker, type Asker } from "./harness/ask.ts";
import { peerBundle } from "./harness/bundle.ts";
import { applyCrds } from "./harness/crds.ts";
import { startKube, type Kube } from "./harness/kube.ts";
import { startManagers, type Managers } from "./harness/managers.ts";

const never = new AbortController().signal;

let dir: string;
let kube: Kube;
let store: OwnedStore;
let ask: Asker;
let managers: Managers | undefined;
let ahead = 0;
/** The present, and what a test adds to it. */
const clock: Clock = { ...systemClock, now: () => systemClock.now() + ahead };
let providers: ReturnType<typeof bundledProviders>;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "pcg-peers-"));
  const bundle = await openBundle(await peerBundle());
  providers = bundledProviders(bundle.providers, clock);
  kube = await startKube({ dir, serviceCidr: `127.${64 + (process.pid % 128)}.0.0/16` });
  ask = asker(kube);
  store = await kubeStore(kube.kubeconfig, { clock: systemClock });
});

afterAll(async () => {
  await managers?.stop();
  ask?.close();
  await store?.close();
  await kube?.stop();
  rmSync(dir, { recursive: true, force: true });
});

it("an API server takes every object, and changes none when they come again", async () => {
  const began = Date.now();
  await providers.install(store, {}, never);
  console.log(`installed in ${Date.now() - began} ms`);
  const before = await applied(store);
  expect(before.size).toBeGreaterThan(50);
  await providers.install(store, {}, never);
  const after = await applied(store);
  expect([...after].filter(([name, revision]) => before.get(name) !== revision)).toEqual([]);
});

it("while nobody serves the webhooks, that is said", async () => {
  expect(await providers.silent(store, never)).toMatch(
    /^Cluster \(cluster\.x-k8s\.io\/v1beta2\) cannot be written yet: .*webhook/,
  );
});

it("the CRDs that the gateway brings besides are none of the providers'", async () => {
  const own = crdOf(inClusterIPPool) as { metadata: { name: string } };
  expect(providers.crds).not.toContain(own.metadata.name);
  expect(providers.crds).toContain("ipaddressclaims.ipam.cluster.x-k8s.io");
  await applyCrds(kube, [own]);
});

it("the managers become ready with what the objects give them, and every webhook answers", async () => {
  managers = await startManagers(kube, store, "capi-system", dir);
  await expect.poll(() => providers.silent(store, never), { timeout: 20_000, interval: 250 }).toBeUndefined();
});

describe.each(Object.entries(wishes))("what Jet writes for %s", (_name, spec) => {
  const here = clusterNamespace(spec.clusterUid);
  it("is taken by schemas and webhooks as it is", async () => {
    await ensureExists(store, namespace, { metadata: { name: here } });
    const refused: string[] = [];
    for (const { kind, object } of renderedObjects(spec)) {
      const path = `/${kind.group ? `apis/${apiVersionOf(kind)}` : `api/${kind.version}`}/namespaces/${here}/${kind.plural}`;
      const whole = { ...object, apiVersion: apiVersionOf(kind), kind: kind.kind };
      const { status, body } = await ask("POST", `${path}?dryRun=All&fieldValidation=Strict`, whole);
      if (status !== 201) refused.push(`${kind.kind}: ${String(body["message"])}`);
    }
    expect(refused).toEqual([]);
  });
});
