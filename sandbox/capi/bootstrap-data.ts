// What a machine is told to do when it boots: kubeadm init with the cluster's keys, or kubeadm join with a token of its own.
import { stringify } from "yaml";
import {
  encode64,
  kubeadmConfig,
  secret as secretKind,
  secretText,
  type Cluster,
  type KubeadmConfig,
  type Machine,
} from "#proto";
import { publicKeyHash } from "./certificates.ts";
import { renderUserdata, type WriteFile } from "./cloud-init.ts";
import { keyIn, remoteOf, type CapiDeps } from "./context.ts";
import { edit, ensure } from "./edit.ts";
import { isControlPlane, suffix } from "./names.ts";

function endpointOf(cluster: Cluster): string {
  const { host = "", port = 6443 } = cluster.spec.controlPlaneEndpoint ?? {};
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The certificates and keys of the cluster, as kubeadm wants them on a control plane's disk. */
async function keyFiles(deps: CapiDeps, cluster: Cluster): Promise<WriteFile[]> {
  const places = [
    ["ca", "ca.crt", "ca.key"],
    ["etcd", "etcd/ca.crt", "etcd/ca.key"],
    ["proxy", "front-proxy-ca.crt", "front-proxy-ca.key"],
    ["sa", "sa.pub", "sa.key"],
  ] as const;
  const files: WriteFile[] = [];
  for (const [purpose, certificate, key] of places) {
    const secret = await deps.store.get(secretKind, keyIn(cluster, `${cluster.metadata.name}-${purpose}`));
    const add = (file: string, item: string, permissions: string) => {
      const content = secretText(secret, item);
      if (content) files.push({ path: `/etc/kubernetes/pki/${file}`, content, permissions });
    };
    add(certificate, "tls.crt", "0640");
    add(key, "tls.key", "0600");
  }
  return files;
}

/** For the first control plane. */
export async function initData(
  deps: CapiDeps,
  object: KubeadmConfig,
  machine: Machine,
  cluster: Cluster,
): Promise<string> {
  const controlPlaneEndpoint = endpointOf(cluster);
  const edited = await edit(deps.store, kubeadmConfig, object, (o) => {
    o.spec.clusterConfiguration = { controlPlaneEndpoint, ...o.spec.clusterConfiguration };
  });
  const spec = edited?.spec ?? object.spec;
  const network = cluster.spec.clusterNetwork;
  const configuration = {
    apiVersion: "kubeadm.k8s.io/v1beta4",
    kind: "ClusterConfiguration",
    clusterName: cluster.metadata.name,
    kubernetesVersion: machine.spec.version,
    networking: {
      ...(network?.pods ? { podSubnet: network.pods.cidrBlocks.join(",") } : {}),
      ...(network?.services ? { serviceSubnet: network.services.cidrBlocks.join(",") } : {}),
      ...(network?.serviceDomain ? { dnsDomain: network.serviceDomain } : {}),
    },
    ...spec.clusterConfiguration,
  };
  const init = { apiVersion: "kubeadm.k8s.io/v1beta4", kind: "InitConfiguration", ...spec.initConfiguration };
  const content = `---\n${stringify(configuration)}---\n${stringify(init)}`;
  return renderUserdata({
    files: [
      ...(await keyFiles(deps, cluster)),
      ...userFiles(spec),
      { path: "/run/kubeadm/kubeadm.yaml", content, permissions: "0640" },
    ],
    commands: [
      ...(spec.preKubeadmCommands ?? []),
      "kubeadm init --config /run/kubeadm/kubeadm.yaml",
      ...(spec.postKubeadmCommands ?? []),
    ],
  });
}

/** Undefined while the workload's API does not answer. */
export async function joinData(
  deps: CapiDeps,
  object: KubeadmConfig,
  machine: Machine,
  cluster: Cluster,
  authority: string,
): Promise<string | undefined> {
  const remote = await remoteOf(deps, cluster);
  if (!remote) return undefined;
  const edited = await edit(deps.store, kubeadmConfig, object, (o) => {
    const join = (o.spec.joinConfiguration ??= {});
    const have = join.discovery?.bootstrapToken;
    join.discovery = {
      ...join.discovery,
      bootstrapToken: {
        apiServerEndpoint: endpointOf(cluster),
        caCertHashes: [publicKeyHash(authority)],
        token: `${suffix(deps.random, 6)}.${suffix(deps.random, 16)}`,
        ...have,
      },
    };
  });
  const spec = edited?.spec ?? object.spec;
  const token = spec.joinConfiguration?.discovery?.bootstrapToken?.token ?? "";
  await keepToken(remote, token);
  const configuration = {
    apiVersion: "kubeadm.k8s.io/v1beta4",
    kind: "JoinConfiguration",
    ...spec.joinConfiguration,
  };
  return renderUserdata({
    files: [
      ...(isControlPlane(machine) ? await keyFiles(deps, cluster) : []),
      ...userFiles(spec),
      {
        path: "/run/kubeadm/kubeadm-join-config.yaml",
        content: `---\n${stringify(configuration)}`,
        permissions: "0640",
      },
    ],
    commands: [
      ...(spec.preKubeadmCommands ?? []),
      "kubeadm join --config /run/kubeadm/kubeadm-join-config.yaml",
      ...(spec.postKubeadmCommands ?? []),
    ],
  });
}

/** The Secret that makes the API server accept a bootstrap token. */
async function keepToken(remote: Parameters<typeof ensure>[0], token: string): Promise<void> {
  const [id = "", secret = ""] = token.split(".");
  await ensure(remote, secretKind, {
    metadata: { name: `bootstrap-token-${id}`, namespace: "kube-system" },
    type: "bootstrap.kubernetes.io/token",
    data: {
      "token-id": encode64(id),
      "token-secret": encode64(secret),
      "usage-bootstrap-signing": encode64("true"),
      "usage-bootstrap-authentication": encode64("true"),
      "auth-extra-groups": encode64("system:bootstrappers:kubeadm:default-node-token"),
      description: encode64("token generated by cluster-api-bootstrap-provider-kubeadm"),
    },
  });
}

function userFiles(spec: KubeadmConfig["spec"]): WriteFile[] {
  return (spec.files ?? [])
    .map((file) => file as { path: string; content?: string; owner?: string; permissions?: string })
    .map(({ path, content = "", owner, permissions }) => ({
      path,
      content,
      ...(owner ? { owner } : {}),
      ...(permissions ? { permissions } : {}),
    }));
}
