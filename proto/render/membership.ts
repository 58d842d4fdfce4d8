// Which objects of a namespace make up a cluster: every object of a kind in `moveKinds`, but for what stays on purpose. The rule is
// one for whoever moves a cluster and whoever mirrors it. Pure, but for `readMembers`.
import type { Kind, Resource, ResourceStore } from "#core";
import { moveKinds } from "../kinds/all.ts";
import { cluster } from "../kinds/cluster.ts";
import { configMap, secret } from "../kinds/core.ts";
import { ipAddress, ipAddressClaim } from "../kinds/ip-address.ts";
import { inClusterIPPool } from "../kinds/ip-pool.ts";
import { words } from "./names.ts";

/** Whether an object belongs to the cluster and goes where it goes. */
export function belongsTo(cluster: string, kind: Kind, object: Resource): boolean {
  const labels = object.metadata.labels ?? {};
  if (labels[words.stays]) return false;
  if (kind === secret)
    return labels[words.clusterName] === cluster || typeOf(object) === "cluster.x-k8s.io/secret";
  if (kind === configMap) return labels[words.clusterName] === cluster;
  if (kind === ipAddressClaim || kind === ipAddress) return poolKindOf(object) === inClusterIPPool.kind;
  return true;
}

/** Without its Cluster the rest is a ruin, not a cluster. */
export function holdsCluster(members: readonly Resource[]): boolean {
  return members.some(({ kind }) => kind === cluster.kind);
}

function typeOf(object: Resource): unknown {
  return (object as { type?: unknown }).type;
}

function poolKindOf(object: Resource): unknown {
  return (object.spec as { poolRef?: { kind?: unknown } } | undefined)?.poolRef?.kind;
}

/** Reads a cluster's objects, without managed fields, as they are now. */
export async function readMembers(
  store: ResourceStore,
  namespace: string,
  cluster: string,
): Promise<Resource[]> {
  const lists = await Promise.all(
    moveKinds.map(async (kind) => {
      const { items } = await store.list(kind, { namespace });
      return items.filter((object) => belongsTo(cluster, kind, object)).map(withoutManagedFields);
    }),
  );
  return lists.flat();
}

function withoutManagedFields(object: Resource): Resource {
  const { managedFields: _, ...metadata } = object.metadata as Resource["metadata"] & {
    managedFields?: unknown;
  };
  return { ...object, metadata };
}
