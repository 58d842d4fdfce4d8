// The CustomResourceDefinitions of what is ours: on the gateway's own API server, and in workload clusters.
// Those of Cluster API come with its providers.
import { Fault, sleep, type Clock, type Kind, type Resource, type ResourceStore } from "#core";
import { applyObject } from "#core/store/helpers.ts";
import { customResourceDefinition, inClusterIPPool, ipamKinds, ownKinds, spectroCluster } from "#proto";
import { crdOf } from "#proto/generate-crds.ts";

/** For a workload cluster without providers of its own source: our kinds and the pools'. */
export function crdObjects(): readonly Resource[] {
  return [spectroCluster, ...ipamKinds].map((kind) => crdOf(kind) as unknown as Resource);
}

/** For the gateway's API server: all that Cluster API does not bring. Claims and addresses are Cluster API's. */
export function managementCrds(): readonly Resource[] {
  const pools = ipamKinds.filter((kind) => kind.group === inClusterIPPool.group && /Pool$/.test(kind.kind));
  return [...ownKinds, ...pools].map((kind) => crdOf(kind) as unknown as Resource);
}

const crdKind: Kind = customResourceDefinition;
const patienceMs = 60_000;
const lookMs = 100;

/** Applies CRDs and waits until their kinds can be used. TimedOut names the first that cannot; Forbidden where they may not be written. */
export async function establishCrds(
  store: ResourceStore,
  crds: readonly Resource[],
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  for (const crd of crds) await applyObject(store, crdKind, crd);
  const end = clock.now() + patienceMs;
  for (const { metadata } of crds) {
    while (!(await isEstablished(store, metadata.name))) {
      if (clock.now() > end)
        throw new Fault(
          "TimedOut",
          `the API server has not taken up ${metadata.name} in ${patienceMs / 1000} s`,
        );
      await sleep(clock, lookMs, signal);
    }
  }
}

async function isEstablished(store: ResourceStore, name: string): Promise<boolean> {
  const crd = await store.get(crdKind, { name });
  const { conditions = [] } = (crd?.status ?? {}) as { conditions?: { type: string; status: string }[] };
  return conditions.some(({ type, status }) => type === "Established" && status === "True");
}
