// The CustomResourceDefinitions of what is ours: on the gateway's own API server, and in workload clusters.
// Those of Cluster API come with its providers.
import {
  Fault,
  groupResource,
  isFault,
  sleep,
  type Clock,
  type Kind,
  type Resource,
  type ResourceStore,
} from "#core";
import { applyObject } from "#core/store/helpers.ts";
import {
  customResourceDefinition,
  ipAddress,
  ipAddressClaim,
  ipamKinds,
  ownKinds,
  spectroCluster,
} from "#proto";
import { crdOf } from "#proto/generate-crds.ts";

/** For a workload cluster without providers of its own source: our kinds and the pools'. */
export function crdObjects(): readonly Resource[] {
  return [spectroCluster, ...ipamKinds].map((kind) => crdOf(kind) as unknown as Resource);
}

/** For the gateway's API server: all that Cluster API does not bring. Claims and addresses are Cluster API's. */
export const managementKinds: readonly Kind[] = [
  ...ownKinds,
  ...ipamKinds.filter((kind) => kind !== ipAddress && kind !== ipAddressClaim),
];

const crdKind: Kind = customResourceDefinition;
const patienceMs = 60_000;
const lookMs = 100;

/**
 * Applies the CRDs of these kinds and waits until their objects can be read. TimedOut names the first that cannot; Forbidden where
 * CRDs may not be written.
 */
export async function establish(
  store: ResourceStore,
  kinds: readonly Kind[],
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  for (const kind of kinds) await applyObject(store, crdKind, crdOf(kind) as unknown as Resource);
  const end = clock.now() + patienceMs;
  for (const kind of kinds) {
    while (!(await isServed(store, kind))) {
      if (clock.now() > end)
        throw new Fault(
          "TimedOut",
          `the API server has not taken up ${groupResource(kind)} in ${patienceMs / 1000} s`,
        );
      await sleep(clock, lookMs, signal);
    }
  }
}

/** A server says Established a moment before it serves a kind, and "storage is (re)initializing" when its schema has changed. */
async function isServed(store: ResourceStore, kind: Kind): Promise<boolean> {
  const crd = await store.get(crdKind, { name: groupResource(kind) });
  const { conditions = [] } = (crd?.status ?? {}) as { conditions?: { type: string; status: string }[] };
  if (!conditions.some(({ type, status }) => type === "Established" && status === "True")) return false;
  try {
    await store.list(kind, { limit: 1 });
    return true;
  } catch (error) {
    if (isFault(error, "NotFound", "Unavailable", "Busy")) return false;
    throw error;
  }
}
