// KubeadmControlPlane: the control plane's recipe. One replica until the cluster manages itself.
import { apiVersionOf, type Draft, type Resource } from "#core";
import { kubeadmControlPlane, vsphereMachineTemplate, type SpaSpec } from "#proto";
import { nodeBasics, nodeRegistration } from "#proto/render/kubeadm.ts";
import { clusterNames } from "#proto/render/names.ts";
import { dropEmpty } from "#proto/render/shape.ts";
import { clusterLabels, type Resolved } from "./cluster.ts";
import { etcdConfiguration } from "./etcd.ts";
import { kubeVip } from "./kube-vip.ts";

export function controlPlane(
  spec: SpaSpec,
  resolved: Resolved,
  template: string,
  replicas: number,
): Draft<Resource> {
  const names = clusterNames(spec.clusterUid, spec.clusterName);
  return {
    apiVersion: apiVersionOf(kubeadmControlPlane),
    kind: kubeadmControlPlane.kind,
    metadata: { name: names.controlPlane, namespace: names.namespace, labels: clusterLabels(spec) },
    spec: dropEmpty({
      replicas,
      version: spec.kubernetesVersion,
      machineTemplate: {
        metadata: { labels: spec.controlPlane.labels },
        spec: {
          infrastructureRef: {
            apiGroup: vsphereMachineTemplate.group,
            kind: vsphereMachineTemplate.kind,
            name: template,
          },
          deletion: {
            nodeDrainTimeoutSeconds: 600,
            nodeVolumeDetachTimeoutSeconds: 600,
            nodeDeletionTimeoutSeconds: 600,
          },
        },
      },
      // Surge one, as the pool holds spare addresses for it. No rollout.before: certificates are renewed in place.
      rollout: { strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1 } } },
      kubeadmConfigSpec: kubeadmConfigSpec(spec, resolved),
    }),
  };
}

function kubeadmConfigSpec(spec: SpaSpec, { endpoint, mirror }: Resolved): object {
  const basics = nodeBasics(spec) as { preKubeadmCommands: readonly string[] };
  const vip =
    spec.network.endpoint.type === "VIP" ? kubeVip(endpoint.host, endpoint.port, mirror) : undefined;
  const registration = nodeRegistration({ taints: controlPlaneTaints(spec) });
  return {
    ...basics,
    clusterConfiguration: {
      etcd: etcdConfiguration(spec),
      imageRepository: mirror,
      dns: { imageRepository: mirror && `${mirror}/coredns` }, // kubeadm's default has one more step in its path
      apiServer: { certSANs: [...new Set([endpoint.host, ...(spec.network.certSANs ?? [])])] },
      controllerManager: { extraArgs: [{ name: "cloud-provider", value: "external" }] },
    },
    initConfiguration: { nodeRegistration: registration },
    joinConfiguration: { nodeRegistration: registration },
    files: vip?.files,
    preKubeadmCommands: [...basics.preKubeadmCommands, ...(vip?.preKubeadmCommands ?? [])],
    postKubeadmCommands: vip?.postKubeadmCommands,
  };
}

/** undefined leaves kubeadm's own taint; an empty list lets workloads run on the control plane. */
function controlPlaneTaints(spec: SpaSpec) {
  const { taints, useControlPlaneAsWorker } = spec.controlPlane;
  if (useControlPlaneAsWorker) return taints ?? [];
  if (!taints) return undefined;
  return [{ key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" }, ...taints];
}
