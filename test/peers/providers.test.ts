// The providers that Jet puts into a workload cluster, on a real kube-apiserver: it takes every object, the managers run on nothing but
// what is in them (flags, Secret, ServiceAccount), their webhooks are reached through their Services, and they judge what we render.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bundledProviders, openBundle } from "#controlplane";
import { apiVersionOf, systemClock, type Clock, type Kind, type OwnedStore } from "#core";
import { kubeStore } from "#core/store/kube-store.ts";
import { deployment, namespace, secret } from "#proto";
import { peerBundle } from "./harness/bundle.ts";
import { startKube, type Kube } from "./harness/kube.ts";
import { startManagers, type Managers } from "./harness/managers.ts";

const never = new AbortController().signal;

let dir: string;
let kube: Kube;
let store: OwnedStore;
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
  store = await kubeStore(kube.kubeconfig, { clock: systemClock });
});

afterAll(async () => {
  await managers?.stop();
  await store?.close();
  await kube?.stop();
  rmSync(dir, { recursive: true, force: true });
});

async function revisions(): Promise<Map<string, string>> {
  const { applied } = await import("./harness/applied.ts");
  return applied(store);
}

it("an API server takes every object, and changes none when they come again", async () => {
  const began = Date.now();
  await providers.install(store, {}, never);
  console.log(`installed in ${Date.now() - began} ms`);
  const before = await revisions();
  expect(before.size).toBeGreaterThan(50);
  await providers.install(store, {}, never);
  const after = await revisions();
  expect([...after].filter(([name, revision]) => before.get(name) !== revision)).toEqual([]);
});

it("while nobody serves the webhooks, that is said", async () => {
  expect(await providers.silent(store, never)).toMatch(
    /^Cluster \(cluster\.x-k8s\.io\/v1beta2\) cannot be written yet: .*webhook/,
  );
});

it("the managers become ready with what the objects give them, and every webhook answers", async () => {
  managers = await startManagers(kube, store, "capi-system", dir);
  await expect.poll(() => providers.silent(store, never), { timeout: 20_000, interval: 250 }).toBeUndefined();
});
