// The kubeadm bootstrap provider: turns a KubeadmConfig into the userdata Secret of its Machine.
// The first control plane gets ClusterConfiguration, InitConfiguration and the cluster's keys; all others join with a token of their own.
import { isDeleting, type Controller, type Result } from "#core";
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
import { initData, joinData } from "./bootstrap-data.ts";
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
  type CapiDeps,
} from "./context.ts";
import { controllerOf, follow, later } from "./controller.ts";
import { editStatus, ensure } from "./edit.ts";
import { isControlPlane, secretType } from "./names.ts";

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
