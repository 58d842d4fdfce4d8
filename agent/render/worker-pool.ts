// A worker pool as Cluster API's objects: two templates named by their content, a MachineDeployment that refers to them, and a
// MachineHealthCheck. Another content is another template, and the deployment rolls over to it. Pure.
import { apiVersionOf, type Draft, type Kind, type Resource } from "#core";
import {
  kubeadmConfigTemplate,
  machineDeployment,
  machineHealthCheck,
  maxSizeAnnotation,
  minSizeAnnotation,
  vsphereMachineTemplate,
  type DesiredState,
  type WorkerPool,
} from "#proto";
import { nodeBasics, nodeRegistration } from "#proto/render/kubeadm.ts";
import { machineTemplate } from "#proto/render/machine-template.ts";
import { clusterNamespace, templateName, words, workerName } from "#proto/render/names.ts";
import { autoscalerAnnotations } from "#proto/render/pool-size.ts";
import { dropEmpty, includes, overlay } from "#proto/render/shape.ts";
import { isOn } from "../remediation.ts";

export interface Wanted {
  readonly kind: Kind;
  readonly object: Draft<Resource> & { readonly metadata: { readonly name: string } };
}

export function poolLabels(spec: DesiredState, pool: string): Record<string, string> {
  return {
    [words.clusterName]: spec.clusterName,
    [words.clusterUid]: spec.clusterUid,
    [words.pool]: pool,
  };
}

/** The objects of a pool, in the order in which they are written. `template` is the inventory path that VMs are cloned from. */
export function workerPool(spec: DesiredState, pool: WorkerPool, template: string): Wanted[] {
  const name = workerName(spec.clusterName, pool.name);
  const namespace = clusterNamespace(spec.clusterUid);
  const labels = poolLabels(spec, pool.name);
  const machine = machineTemplate(vsphereMachineTemplate, spec, namespace, name, {
    placement: pool.placement ?? spec.placement,
    instance: pool.instance,
    template: spec.image.template ?? template,
  });
  const bootstrap = bootstrapSpec(spec, pool);
  const config = {
    apiVersion: apiVersionOf(kubeadmConfigTemplate),
    kind: kubeadmConfigTemplate.kind,
    metadata: { name: templateName(name, bootstrap), namespace, labels },
    spec: { template: { spec: bootstrap } },
  };
  return [
    { kind: vsphereMachineTemplate, object: { ...machine, metadata: { ...machine.metadata, labels } } },
    { kind: kubeadmConfigTemplate, object: config },
    {
      kind: machineDeployment,
      object: {
        apiVersion: apiVersionOf(machineDeployment),
        kind: machineDeployment.kind,
        metadata: { name, namespace, labels, ...annotated(autoscalerAnnotations(pool)) },
        spec: deploymentSpec(spec, pool, machine.metadata.name, config.metadata.name),
      },
    },
    {
      kind: machineHealthCheck,
      object: healthCheck(spec, name, labels, {
        [words.clusterName]: spec.clusterName,
        [words.pool]: pool.name,
      }),
    },
  ];
}

function annotated(annotations: Record<string, string>): { annotations?: Record<string, string> } {
  return Object.keys(annotations).length > 0 ? { annotations } : {};
}

/** Whether the object that is there holds what is wanted, an autoscaler's bounds and their absence included. */
export function holds(have: Resource, wanted: Wanted["object"]): boolean {
  const bounds = ({ annotations = {} }: { readonly annotations?: Record<string, string> }) =>
    [minSizeAnnotation, maxSizeAnnotation].map((name) => annotations[name]).join();
  return includes(have.spec, wanted.spec) && bounds(have.metadata) === bounds(wanted.metadata);
}

/** What is there with what is wanted laid over it. */
export function laidOver(have: Resource, wanted: Wanted["object"]): Resource {
  const { [minSizeAnnotation]: _min, [maxSizeAnnotation]: _max, ...others } = have.metadata.annotations ?? {};
  return {
    ...have,
    metadata: { ...have.metadata, annotations: { ...others, ...wanted.metadata.annotations } },
    spec: overlay(have.spec, wanted.spec),
  };
}

function bootstrapSpec(spec: DesiredState, pool: WorkerPool): object {
  return dropEmpty({
    ...nodeBasics(spec),
    joinConfiguration: { nodeRegistration: nodeRegistration({ labels: pool.labels, taints: pool.taints }) },
  });
}

function deploymentSpec(spec: DesiredState, pool: WorkerPool, machine: string, config: string): object {
  const selector = { [words.clusterName]: spec.clusterName, [words.pool]: pool.name };
  // Scale-in frees a machine before it makes the new one: for pools without a spare address or host.
  const scaleIn = pool.updateStrategy === "RollingUpdateScaleIn";
  return {
    clusterName: spec.clusterName,
    replicas: pool.size,
    selector: { matchLabels: selector },
    rollout: {
      strategy: {
        type: "RollingUpdate",
        rollingUpdate: scaleIn ? { maxSurge: 0, maxUnavailable: 1 } : { maxSurge: 1, maxUnavailable: 0 },
      },
    },
    template: {
      metadata: { labels: { ...selector, [words.clusterUid]: spec.clusterUid } },
      spec: {
        clusterName: spec.clusterName,
        version: spec.kubernetesVersion,
        bootstrap: {
          configRef: {
            apiGroup: kubeadmConfigTemplate.group,
            kind: kubeadmConfigTemplate.kind,
            name: config,
          },
        },
        infrastructureRef: {
          apiGroup: vsphereMachineTemplate.group,
          kind: vsphereMachineTemplate.kind,
          name: machine,
        },
        deletion: {
          nodeDrainTimeoutSeconds: 600,
          nodeVolumeDetachTimeoutSeconds: 600,
          nodeDeletionTimeoutSeconds: 600,
        },
      },
    },
  };
}

/** Palette's three rules: kubelet silent for 10 min, network unavailable for 10 min, a new node not there in 30 min. */
export function healthCheck(
  spec: DesiredState,
  name: string,
  labels: Record<string, string>,
  matchLabels: Record<string, string>,
): Wanted["object"] {
  return {
    apiVersion: apiVersionOf(machineHealthCheck),
    kind: machineHealthCheck.kind,
    metadata: { name, namespace: clusterNamespace(spec.clusterUid), labels },
    spec: {
      clusterName: spec.clusterName,
      selector: { matchLabels },
      checks: {
        nodeStartupTimeoutSeconds: 1800,
        unhealthyNodeConditions: [
          { type: "Ready", status: "Unknown", timeoutSeconds: 600 },
          { type: "Ready", status: "False", timeoutSeconds: 600 },
          { type: "NetworkUnavailable", status: "True", timeoutSeconds: 600 },
        ],
      },
      // Switched off, health is still looked at: nothing unhealthy is ever few enough to be replaced.
      remediation: { triggerIf: { unhealthyLessThanOrEqualTo: isOn(spec) ? "100%" : 0 } },
    },
  };
}
