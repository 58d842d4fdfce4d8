// The kubeadm bootstrap provider: turns a KubeadmConfig into the userdata Secret of its Machine.
// The first control plane gets ClusterConfiguration, InitConfiguration and the cluster's keys; all others join with a token of their own.
import { isDeleting, type Controller, type Result } from "#core";
import { stringify } from "yaml";
import {
  cluster as clusterKind,
  clusterNameLabel,
  encode64,
  isBootstrapReady,
  isControlPlaneInitialized,
  isInfrastructureReady,
  kubeadmConfig,
  machine as machineKind,
  secret as secretKind,
  secretText,
  type Cluster,
  type KubeadmConfig,
  type Machine,
} from "#proto";
import { publicKeyHash } from "./certificates.ts";
import { renderUserdata, type WriteFile } from "./cloud-init.ts";
import {
  no,
  oldNo,
  oldYes,
  part,
  summary,
  withConditions,
  withOldConditions,
  yes,
  type Draft,
  type OldDraft,
} from "./conditions.ts";
import {
  clusterOf,
  hasPausedAnnotation,
  inCluster,
  keyIn,
  machineOf,
  now,
  pausedCondition,
  remoteOf,
  type CapiDeps,
} from "./context.ts";
import { controllerOf, follow, later } from "./controller.ts";
import { edit, editStatus, ensure } from "./edit.ts";
import { isControlPlane, secretType, suffix } from "./names.ts";

const order = ["Ready", "CertificatesAvailable", "DataSecretAvailable", "Paused"];

export function kubeadmConfigController(deps: CapiDeps): Controller {
  return controllerOf(deps, {
    name: "cabpk-kubeadmconfig",
    kind: kubeadmConfig,
    follows: [
      follow(machineKind, (machine) => {
        const { configRef, dataSecretName } = machine.spec.bootstrap;
        const name = dataSecretName ? undefined : configRef?.name;
        return name ? [keyIn(machine, name)] : [];
      }),
      follow(clusterKind, inCluster(deps, kubeadmConfig)),
    ],
    async round(object) {
      const cluster = await clusterOf(deps, object);
      if (!cluster || isDeleting(object)) return {};
      const paused = pausedCondition("KubeadmConfig", cluster, object);
      if (cluster.spec.paused || hasPausedAnnotation(object)) {
        await report(deps, object, [paused], []);
        return {};
      }
      await report(deps, object, [paused], []);
      if (isBootstrapReady(object) && object.status?.observedGeneration === object.metadata.generation)
        return {};
      const machine = await machineOf(deps, object);
      if (!machine) return {};
      return bootstrap(deps, object, machine, cluster);
    },
  });
}

async function report(
  deps: CapiDeps,
  object: KubeadmConfig,
  drafts: readonly Draft[],
  old: readonly OldDraft[],
  secretName?: string,
): Promise<void> {
  const at = now(deps);
  await editStatus(deps.store, kubeadmConfig, object, (o) => {
    const { generation } = o.metadata;
    const status = (o.status ??= {});
    status.conditions = withConditions(status.conditions, drafts, order, generation, at);
    if (old.length === 0) return;
    status.observedGeneration = generation;
    if (secretName) {
      status.dataSecretName = secretName;
      status.initialization = { dataSecretCreated: true };
    }
    const parts = ["DataSecretAvailable", "CertificatesAvailable"].map((type) =>
      part(status.conditions, type),
    );
    status.conditions = withConditions(status.conditions, [summary("Ready", parts)], order, generation, at);
    status.deprecated = {
      v1beta1: { conditions: withOldConditions(status.deprecated?.v1beta1?.conditions, old, at) },
    };
  });
}

async function bootstrap(
  deps: CapiDeps,
  object: KubeadmConfig,
  machine: Machine,
  cluster: Cluster,
): Promise<Result> {
  const { name, namespace = "" } = object.metadata;
  const have = await deps.store.get(secretKind, { namespace, name });
  if (!have) {
    if (!isInfrastructureReady(cluster)) {
      await waiting(
        deps,
        object,
        "WaitingForClusterInfrastructure",
        "Waiting for Cluster status.infrastructureReady to be true",
      );
      return {};
    }
    const initialized = isControlPlaneInitialized(cluster);
    if (!initialized && !isControlPlane(machine)) {
      await waiting(
        deps,
        object,
        "WaitingForControlPlaneAvailable",
        "Waiting for Cluster control plane to be initialized",
      );
      return {};
    }
    const authority = await deps.store.get(secretKind, keyIn(cluster, `${cluster.metadata.name}-ca`));
    if (!authority) return later(deps.knobs.pollMs);
    const value = initialized
      ? await joinData(deps, object, machine, cluster, secretText(authority, "tls.crt") ?? "")
      : await initData(deps, object, machine, cluster);
    if (value === undefined) return later(deps.knobs.pollMs);
    await storeData(deps, object, cluster, value);
  }
  await report(
    deps,
    object,
    [yes("CertificatesAvailable", "Available"), yes("DataSecretAvailable", "Available")],
    [oldYes("Ready"), oldYes("CertificatesAvailable"), oldYes("DataSecretAvailable")],
    name,
  );
  return {};
}

async function waiting(deps: CapiDeps, object: KubeadmConfig, old: string, message: string): Promise<void> {
  await report(
    deps,
    object,
    [no("DataSecretAvailable", "NotAvailable", message)],
    [oldNo("Ready", "Info", old), oldNo("DataSecretAvailable", "Info", old)],
  );
}

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

async function initData(
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
async function joinData(
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

async function storeData(
  deps: CapiDeps,
  object: KubeadmConfig,
  cluster: Cluster,
  value: string,
): Promise<void> {
  const { name, namespace = "", uid } = object.metadata;
  await ensure(deps.store, secretKind, {
    metadata: {
      name,
      namespace,
      labels: { [clusterNameLabel]: cluster.metadata.name },
      ownerReferences: [{ apiVersion: object.apiVersion, kind: object.kind, name, uid, controller: true }],
    },
    type: secretType,
    data: { format: encode64("cloud-config"), value: encode64(value) },
  });
}
