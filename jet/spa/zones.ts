// A cluster's failure domains and deployment zones as they are: found by label, gone with their cluster.
import { isFault, type ResourceStore } from "#core";
import type { Resource } from "#core";
import { zoneKinds, type Spa } from "#proto";
import { words } from "#proto/render/names.ts";
import { deleteIfExists } from "#core/store/helpers.ts";
import type { SpaSeen } from "./seen.ts";

/** Those on both sides; undefined for a cluster with one place. */
export async function readZones(
  { spec }: Pick<Spa, "spec">,
  gateway: ResourceStore,
  workload: ResourceStore | undefined,
): Promise<SpaSeen["zones"]> {
  if (!spec.controlPlane.failureDomains) return undefined;
  return {
    gateway: await zonesIn(gateway, spec.clusterUid),
    workload: workload ? await zonesIn(workload, spec.clusterUid) : [],
  };
}

/** None where their kinds are not served (yet). */
export async function zonesIn(store: ResourceStore, clusterUid: string): Promise<Resource[]> {
  const labels = [{ key: words.clusterUid, op: "=" as const, value: clusterUid }];
  const found: Resource[] = [];
  for (const kind of zoneKinds) {
    try {
      found.push(...(await store.list(kind, { labels })).items);
    } catch (error) {
      if (!isFault(error, "NotFound")) throw error;
    }
  }
  return found;
}

/** Takes away those of a cluster that is gone. Its own zones first: CAPV keeps a domain while a zone refers to it. */
export async function removeZones(store: ResourceStore, clusterUid: string): Promise<void> {
  const left = await zonesIn(store, clusterUid);
  for (const kind of [...zoneKinds].reverse()) {
    for (const { metadata } of left.filter((one) => one.kind === kind.kind)) {
      await deleteIfExists(store, kind, { name: metadata.name });
    }
  }
}
