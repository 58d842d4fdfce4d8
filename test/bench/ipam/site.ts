// A real kube-apiserver with a pool of 65,533 addresses, and claims on it.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isFault, systemClock, type Draft, type Kind, type OwnedStore, type ResourceStore } from "#core";
import { kubeStore } from "#core/store/kube-store.ts";
import {
  cluster,
  inClusterIPPool,
  ipamKinds,
  ipAddress,
  ipAddressClaim,
  namespace,
  type InClusterIPPool,
  type IPAddressClaim,
} from "#proto";
import { crdOf } from "#proto/generate-crds.ts";
import { applyCrds } from "../../peers/harness/crds.ts";
import { startKube, type Kube } from "../../peers/harness/kube.ts";

export const place = "bench";

export const pool: Draft<InClusterIPPool> = {
  metadata: { namespace: place, name: "nodes" },
  spec: { addresses: ["10.0.0.0/16"], prefix: 16, gateway: "10.0.0.1" },
};

export function claimOf(name: string): Draft<IPAddressClaim> {
  const { group: apiGroup, kind } = inClusterIPPool;
  return { metadata: { namespace: place, name }, spec: { poolRef: { apiGroup, kind, name: "nodes" } } };
}

export function namesOf(count: number): readonly string[] {
  return Array.from({ length: count }, (_, at) => `claim-${at}`);
}

export interface Site {
  readonly kube: Kube;
  /** The user's own. */
  readonly client: OwnedStore;
}

/** With the pool and nothing else; gone when `work` has ended. */
export async function* onSite<T>(
  work: (site: Site) => AsyncGenerator<T>,
  more: readonly Kind[] = [],
): AsyncGenerator<T> {
  const dir = await mkdtemp(join(tmpdir(), "bench-ipam-"));
  const kube = await startKube({ dir });
  const client = await kubeStore(kube.kubeconfig, { clock: systemClock });
  try {
    await applyCrds(
      kube,
      [...ipamKinds, cluster, ...more].map((kind) => crdOf(kind)),
    );
    await client.create(namespace, { metadata: { name: place } });
    await client.create(inClusterIPPool, pool);
    yield* work({ kube, client });
  } finally {
    await client.close();
    await kube.stop();
    await rm(dir, { recursive: true, force: true });
  }
}

/** How many claims there are, and what everything else says of them. */
export async function world(store: ResourceStore) {
  const claims = (await store.list(ipAddressClaim, { namespace: place })).items;
  const addresses = (await store.list(ipAddress, { namespace: place })).items;
  const { status } = (await store.get(inClusterIPPool, { namespace: place, name: "nodes" })) ?? {};
  return {
    claims: claims.length,
    bound: claims.filter((claim) => claim.status?.addressRef).length,
    addresses: addresses.length,
    distinct: new Set(addresses.map(({ spec }) => spec.address)).size,
    used: status?.ipAddresses?.used ?? 0,
  };
}

/** The world once everything in it says the same number; as it is then, when that takes too long. */
export async function settled(store: ResourceStore, count: number, patienceMs: number) {
  for (const deadline = Date.now() + patienceMs; ;) {
    const now = await world(store);
    const isSettled = Object.values(now).every((each) => each === count);
    if (isSettled || Date.now() > deadline) return { isSettled, ...now };
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

export async function makeClaims(store: ResourceStore, names: readonly string[]): Promise<void> {
  await each(names, 32, (name) =>
    stubbornly(() => store.create(ipAddressClaim, claimOf(name)).catch(unless("AlreadyExists"))),
  );
}

export async function dropClaims(store: ResourceStore, names: readonly string[]): Promise<void> {
  await each(names, 32, (name) =>
    stubbornly(() => store.delete(ipAddressClaim, { namespace: place, name }).catch(unless("NotFound"))),
  );
}

/** A busy server may take longer than a request waits. */
async function stubbornly<T>(ask: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++)
    try {
      return await ask();
    } catch (error) {
      if (attempt === 10 || !isFault(error, "TimedOut", "Unavailable")) throw error;
    }
}

function unless(code: "AlreadyExists" | "NotFound") {
  return (error: unknown): undefined => {
    if (!isFault(error, code)) throw error;
  };
}

export async function each<T>(
  items: readonly T[],
  hands: number,
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  const left = [...items].reverse();
  const hand = async () => {
    for (let item = left.pop(); item !== undefined; item = left.pop()) await work(item);
  };
  await Promise.all(Array.from({ length: hands }, hand));
}
