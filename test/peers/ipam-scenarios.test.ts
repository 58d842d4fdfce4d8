// The scenarios of test/scenario/ipam on a real kube-apiserver, with its real garbage collector, side by side in namespaces of their own.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, test } from "vitest";
import { systemClock, type OwnedStore } from "#core";
import { kubeStore } from "#core/store/kube-store.ts";
import { namespace } from "#proto";
import { crdOf } from "#proto/generate-crds.ts";
import { vsphereVM } from "#proto";
import { play, readScenarios, scenarioKinds } from "../scenario/ipam/runner.ts";
import { liveWorld, type LiveWorld } from "../scenario/ipam/worlds.ts";
import { applyCrds } from "./harness/crds.ts";
import { startKube, type Kube } from "./harness/kube.ts";

let dir: string;
let kube: Kube;
let store: OwnedStore;
let world: LiveWorld;
const scenarios = readScenarios().map(
  ([name, scenario], index) => [name, scenario, `scenario-${index}`] as const,
);

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "pcg-peers-"));
  kube = await startKube({ dir });
  await applyCrds(
    kube,
    [...Object.values(scenarioKinds), vsphereVM]
      .filter(({ group }) => group !== namespace.group)
      .map((kind) => crdOf(kind)),
  );
  store = await kubeStore(kube.kubeconfig, { clock: systemClock });
  for (const [, , place] of scenarios) await store.create(namespace, { metadata: { name: place } });
  world = await liveWorld(store, { patienceMs: 40_000, watchMs: 2_000 });
});

afterAll(async () => {
  await world?.close();
  await store?.close();
  await kube?.stop();
  rmSync(dir, { recursive: true, force: true });
});

describe("scenarios on a real kube-apiserver", () => {
  test.concurrent.each(scenarios)("%s", (_, scenario, place) => play(scenario, world, place));
});
