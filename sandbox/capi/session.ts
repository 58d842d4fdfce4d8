// A vCenter session for an object: with the username and password of the identity Secret that its VSphereCluster names.
import { Fault } from "#core";
import { secret as secretKind, secretText, vsphereCluster, type Cluster, type VSphereCluster } from "#proto";
import { keyIn, type CapiDeps } from "./context.ts";
import type { VmService } from "./vm-service.ts";

/** Logs in for the cluster; NotFound when a piece is missing, else what the login says. */
export async function sessionFor(
  deps: CapiDeps,
  object: VSphereCluster,
  signal: AbortSignal,
): Promise<VmService> {
  const { identityRef, server = "", thumbprint } = object.spec;
  if (identityRef?.kind !== "Secret")
    throw new Fault("Unavailable", "the sandbox knows no identity but kind Secret in identityRef");
  const secret = await deps.store.get(secretKind, keyIn(object, identityRef.name), signal);
  if (!secret) throw new Fault("NotFound", `secrets "${identityRef.name}" not found`);
  const username = secretText(secret, "username") ?? "";
  const password = secretText(secret, "password") ?? "";
  return deps.vcenter({ username, password }, server, thumbprint, signal);
}

/** The VSphereCluster that a Cluster names. */
export async function infraClusterOf(deps: CapiDeps, cluster: Cluster): Promise<VSphereCluster | undefined> {
  const name = cluster.spec.infrastructureRef?.name;
  return name ? deps.store.get(vsphereCluster, keyIn(cluster, name)) : undefined;
}
