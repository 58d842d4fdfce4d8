// The Secrets of a cluster that KCP makes: authorities, signing key, kubeconfig. What a user put there before is kept and adopted.
import { type Draft } from "#core";
import {
  clusterNameLabel,
  encode64,
  kubeadmControlPlane,
  secret as secretKind,
  secretText,
  type Cluster,
  type KubeadmControlPlane,
  type SecretObject,
} from "#proto";
import { adminKubeconfig, newAuthority, newSigningKey, type KeyPair } from "./certificates.ts";
import { keyIn, type CapiDeps } from "./context.ts";
import { addLabels, addOwner, edit, ensure } from "./edit.ts";
import { secretType } from "./names.ts";

const flags = { controller: true, blockOwnerDeletion: true };

/** Makes what is missing, owns everything; ready when it resolves. */
export async function ensureClusterSecrets(
  deps: CapiDeps,
  object: KubeadmControlPlane,
  cluster: Cluster,
): Promise<void> {
  const { name } = cluster.metadata;
  const external = isExternalEtcd(object);
  const makers: readonly [string, (() => Promise<KeyPair>) | undefined][] = [
    ["ca", () => newAuthority("kubernetes", deps.clock)],
    ["sa", newSigningKey],
    ["proxy", () => newAuthority("front-proxy-ca", deps.clock)],
    ["etcd", external ? undefined : () => newAuthority("kubernetes", deps.clock)],
    ["apiserver-etcd-client", undefined],
  ];
  for (const [purpose, make] of makers) {
    const secretName = `${name}-${purpose}`;
    const have = await deps.store.get(secretKind, keyIn(object, secretName));
    if (!have && make) await create(deps, object, cluster, secretName, tlsData(await make()));
    if (have) await adopt(deps, object, cluster, have);
  }
  await ensureKubeconfig(deps, object, cluster);
}

export function isExternalEtcd(object: KubeadmControlPlane): boolean {
  const etcd = object.spec.kubeadmConfigSpec.clusterConfiguration?.etcd as { external?: unknown } | undefined;
  return etcd?.external !== undefined;
}

function tlsData({ certificate, key }: KeyPair): Record<string, string> {
  return { "tls.crt": encode64(certificate), "tls.key": encode64(key) };
}

async function ensureKubeconfig(
  deps: CapiDeps,
  object: KubeadmControlPlane,
  cluster: Cluster,
): Promise<void> {
  const { name } = cluster.metadata;
  const { host, port } = cluster.spec.controlPlaneEndpoint ?? {};
  const have = await deps.store.get(secretKind, keyIn(object, `${name}-kubeconfig`));
  if (have) return adopt(deps, object, cluster, have);
  const authority = await deps.store.get(secretKind, keyIn(object, `${name}-ca`));
  const certificate = secretText(authority, "tls.crt");
  const key = secretText(authority, "tls.key");
  if (!host || !port || !certificate || !key) return;
  const text = await adminKubeconfig(name, { host, port }, { certificate, key }, deps.clock);
  await create(deps, object, cluster, `${name}-kubeconfig`, { value: encode64(text) });
}

async function create(
  deps: CapiDeps,
  object: KubeadmControlPlane,
  cluster: Cluster,
  name: string,
  data: Record<string, string>,
): Promise<void> {
  const draft: Draft<SecretObject> = {
    metadata: { name, namespace: object.metadata.namespace ?? "" },
    type: secretType,
    data,
  };
  addOwner(draft as SecretObject, kubeadmControlPlane, object, flags);
  addLabels(draft as SecretObject, { [clusterNameLabel]: cluster.metadata.name });
  await ensure(deps.store, secretKind, draft);
}

async function adopt(
  deps: CapiDeps,
  object: KubeadmControlPlane,
  cluster: Cluster,
  secret: SecretObject,
): Promise<void> {
  await edit(deps.store, secretKind, secret, (s) => {
    addOwner(s, kubeadmControlPlane, object, flags);
    addLabels(s, { [clusterNameLabel]: cluster.metadata.name });
  });
}
