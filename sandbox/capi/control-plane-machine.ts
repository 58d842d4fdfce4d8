// One more machine of a control plane: the infrastructure object, the bootstrap config, then the Machine that binds them.
// The Machine controller takes over as their owner; what a crash leaves half made belongs to the control plane and goes with it.
import { ownerReference, Fault } from "#core";
import {
  clusterNameLabel,
  controlPlaneLabel,
  controlPlaneNameLabel,
  kubeadmConfig,
  kubeadmControlPlane,
  machine as machineKind,
  vsphereMachine,
  vsphereMachineTemplate,
  type Cluster,
  type KubeadmConfigSpec,
  type KubeadmControlPlane,
} from "#proto";
import { isExternalEtcd } from "./cluster-secrets.ts";
import { keyIn, type CapiDeps } from "./context.ts";
import { annotations, withSuffix } from "./names.ts";

export async function createControlPlaneMachine(
  deps: CapiDeps,
  object: KubeadmControlPlane,
  cluster: Cluster,
  how: "init" | "join",
): Promise<void> {
  const { store } = deps;
  const { infrastructureRef, readinessGates = [], deletion } = object.spec.machineTemplate.spec;
  const template = await store.get(vsphereMachineTemplate, keyIn(object, infrastructureRef.name));
  if (!template)
    throw new Fault("NotFound", `VSphereMachineTemplate ${infrastructureRef.name} does not exist`);
  const name = withSuffix(object.metadata.name, deps.random);
  const { namespace = "" } = object.metadata;
  const own = object.spec.machineTemplate.metadata;
  const labels = {
    ...own?.labels,
    [clusterNameLabel]: cluster.metadata.name,
    [controlPlaneLabel]: "",
    [controlPlaneNameLabel]: object.metadata.name,
  };
  const meta = { name, namespace, labels, ownerReferences: [ownerReference(kubeadmControlPlane, object)] };
  const { group, kind } = vsphereMachineTemplate;
  const clonedFrom = {
    [annotations.clonedFromName]: infrastructureRef.name,
    [annotations.clonedFromGroupKind]: `${kind}.${group}`,
  };
  await store.create(vsphereMachine, {
    metadata: { ...meta, annotations: { ...own?.annotations, ...clonedFrom } },
    spec: template.spec.template.spec,
  });
  await store.create(kubeadmConfig, {
    metadata: { ...meta, ...(own?.annotations ? { annotations: own.annotations } : {}) },
    spec: configFor(object, how),
  });
  await store.create(machineKind, {
    metadata: {
      name,
      namespace,
      labels,
      annotations: { ...own?.annotations, [annotations.preTerminate]: "" },
      ownerReferences: [
        ownerReference(kubeadmControlPlane, object, { controller: true, blockOwnerDeletion: true }),
      ],
    },
    spec: {
      clusterName: cluster.metadata.name,
      version: object.spec.version,
      bootstrap: { configRef: { apiGroup: kubeadmConfig.group, kind: kubeadmConfig.kind, name } },
      infrastructureRef: { apiGroup: vsphereMachine.group, kind: vsphereMachine.kind, name },
      readinessGates: [...gates(object), ...readinessGates],
      ...(deletion ? { deletion } : {}),
    },
  });
}

/** The readiness gates that KCP gives its machines. */
function gates(object: KubeadmControlPlane) {
  const etcd = isExternalEtcd(object) ? [] : ["EtcdPodHealthy", "EtcdMemberHealthy"];
  return [
    "NodeKubeadmLabelsAndTaintsSet",
    "APIServerPodHealthy",
    "ControllerManagerPodHealthy",
    "SchedulerPodHealthy",
    ...etcd,
  ].map((conditionType) => ({ conditionType }));
}

/** The first machine initialises; later ones join and keep clusterConfiguration only to know the kind of etcd. */
function configFor(object: KubeadmControlPlane, how: "init" | "join"): KubeadmConfigSpec {
  const { initConfiguration, joinConfiguration, ...spec } = object.spec.kubeadmConfigSpec;
  const clusterConfiguration = {
    ...spec.clusterConfiguration,
    featureGates: { ControlPlaneKubeletLocalMode: true, ...spec.clusterConfiguration?.featureGates },
  };
  return how === "init"
    ? { ...spec, clusterConfiguration, ...(initConfiguration ? { initConfiguration } : {}) }
    : { ...spec, clusterConfiguration, joinConfiguration: { ...joinConfiguration, controlPlane: {} } };
}
