// `pcg ipam run` killed at random moments of a fill and a release on a real kube-apiserver, and a lead that changes hands.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock, type OwnedStore } from "#core";
import { kubeStore } from "#core/store/kube-store.ts";
import { cluster, inClusterIPPool, ipamKinds, ipAddress, ipAddressClaim, namespace } from "#proto";
import { crdOf } from "#proto/generate-crds.ts";
import type { Child } from "./harness/child.ts";
import { applyCrds } from "./harness/crds.ts";
import { startIpam, until } from "./harness/ipam-program.ts";
import { startKube, type Kube } from "./harness/kube.ts";

const kills = Number(process.env["PCG_IPAM_KILLS"] ?? 3);
const claims = Number(process.env["PCG_IPAM_CLAIMS"] ?? 120);

let dir: string;
let kube: Kube;
let store: OwnedStore;
const running = new Set<Child>();

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "pcg-peers-"));
  kube = await startKube({ dir });
  await applyCrds(
    kube,
    [...ipamKinds, cluster].map((kind) => crdOf(kind)),
  );
  store = await kubeStore(kube.kubeconfig, { clock: systemClock });
});

afterAll(async () => {
  for (const child of running) await child.stop();
  await store?.close();
  await kube?.stop();
  rmSync(dir, { recursive: true, force: true });
});

async function start(name: string, ...args: string[]): Promise<Child> {
  const child = await startIpam(kube, dir, name, ["--webhook-port=0", ...args]);
  running.add(child);
  return child;
}

async function poolIn(place: string): Promise<void> {
  await store.create(namespace, { metadata: { name: place } });
  await store.create(inClusterIPPool, {
    metadata: { namespace: place, name: "nodes" },
    spec: { addresses: ["10.0.0.0/16"], prefix: 16 },
  });
}

const make = (place: string, name: string) =>
  store.create(ipAddressClaim, {
    metadata: { namespace: place, name },
    spec: { poolRef: { apiGroup: inClusterIPPool.group, kind: inClusterIPPool.kind, name: "nodes" } },
  });

/** How many claims there are, and whether everything else says the same number. */
async function world(place: string) {
  const all = (await store.list(ipAddressClaim, { namespace: place })).items;
  const addresses = (await store.list(ipAddress, { namespace: place })).items;
  const pool = await store.get(inClusterIPPool, { namespace: place, name: "nodes" });
  return {
    claims: all.length,
    bound: all.filter(({ status, metadata }) => status?.addressRef && !metadata.deletionTimestamp).length,
    addresses: addresses.length,
    distinct: new Set(addresses.map(({ spec }) => spec.address)).size,
    used: pool?.status?.ipAddresses?.used,
  };
}

async function comesRight(place: string): Promise<void> {
  const isRight = async () => {
    const { claims: count, ...others } = await world(place);
    return Object.values(others).every((each) => each === count);
  };
  await until("everything says the same number", isRight, 120_000).catch(async (error: unknown) => {
    throw new Error(`${String(error)} ${JSON.stringify(await world(place))}`);
  });
}

test(`killed at ${kills} random moments of a fill and a release: nothing leaks, nothing twice`, async () => {
  const place = "killed";
  await poolIn(place);
  for (let round = 0; round < kills; round++) {
    const child = await start(`killed-${round}`);
    const names = Array.from({ length: claims }, (_, at) => `claim-${at}`);
    const crowd = (async () => {
      for (const name of names)
        if (Math.random() < 0.4)
          await store.delete(ipAddressClaim, { namespace: place, name }).catch(() => {});
        else await make(place, name).catch(() => {});
    })();
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 2_000));
    await child.kill();
    running.delete(child);
    await crowd;
  }
  await start("after");
  await comesRight(place);
  expect((await world(place)).claims).toBeGreaterThan(0);
}, 1_800_000);

test("where a lead is held, the second takes over from a leader that was killed, and every address is given once", async () => {
  for (const child of running) await child.stop();
  running.clear();
  const place = "led";
  await poolIn(place);
  const leader = await start("leader", "--leader-elect");
  await start("waiting", "--leader-elect");
  const names = Array.from({ length: claims }, (_, at) => `claim-${at}`);
  const crowd = Promise.all(names.map((name) => make(place, name)));
  await until("some are bound", async () => (await world(place)).bound > 10, 60_000);
  await leader.kill();
  running.delete(leader);
  await crowd;
  await comesRight(place);
  expect((await world(place)).claims).toBe(claims);
}, 300_000);
