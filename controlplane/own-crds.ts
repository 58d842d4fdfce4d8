// The CRDs of what this gateway keeps itself: its own kinds, and the pools that its IPAM serves. Those of Cluster API are the bundle's.
import type { Clock, Logger, Resource } from "#core";
import { KubeClient } from "#core/store/kube/client.ts";
import { connectionFrom, type KubeAccess } from "#core/store/kube/connection.ts";
import { ipAddress, ipAddressClaim, ipamKinds, ownKinds } from "#proto";
import { crdOf } from "#proto/generate-crds.ts";
import { installCrds } from "./install.ts";

export function ownCrds(): Resource[] {
  const pools = ipamKinds.filter((kind) => kind !== ipAddress && kind !== ipAddressClaim);
  return [...ownKinds, ...pools].map((kind) => crdOf(kind) as unknown as Resource);
}

/** Brings an existing management cluster (mode `external`) to have them. Forbidden where the kubeconfig's user may not. */
export async function applyOwnCrds(
  access: KubeAccess,
  deps: { readonly clock: Clock; readonly log: Logger },
  signal: AbortSignal,
): Promise<void> {
  const client = new KubeClient(await connectionFrom(access), deps.clock, 30_000);
  try {
    await installCrds(ownCrds(), { ...deps, client }, signal);
  } finally {
    await client.close();
  }
}
