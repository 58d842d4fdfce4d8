// The CustomResourceDefinitions that a workload cluster needs for what we run in it: our own kinds and the pools'.
// Those of Cluster API come with its providers.
import type { Resource } from "#core";
import { ipamKinds, spectroCluster } from "#proto";
import { crdOf } from "#proto/generate-crds.ts";

export function crdObjects(): readonly Resource[] {
  return [spectroCluster, ...ipamKinds].map((kind) => crdOf(kind) as unknown as Resource);
}
