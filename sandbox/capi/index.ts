// The controllers of Cluster API, its kubeadm providers and CAPV, played over any ResourceStore.
import type { Controller } from "#core";
import { clusterController } from "./cluster.ts";
import type { CapiDeps } from "./context.ts";
import { controlPlaneController } from "./control-plane.ts";
import { kubeadmConfigController } from "./kubeadm-config.ts";
import { machineController } from "./machine.ts";
import { machineHealthCheckController } from "./machine-health-check.ts";
import { machineDeploymentController } from "./machine-deployment.ts";
import { machineSetController } from "./machine-set.ts";
import { vsphereClusterController } from "./vsphere-cluster.ts";
import { vsphereMachineController } from "./vsphere-machine.ts";
import { vsphereVmController } from "./vsphere-vm.ts";

export type { CapiDeps, Workloads } from "./context.ts";
export type { CloneRequest, VcenterLogin, Vm, VmNic, VmService } from "./vm-service.ts";

/** The programs that a real installation runs, by the name of their image. */
export const providerNames = [
  "cluster-api-controller",
  "kubeadm-bootstrap-controller",
  "kubeadm-control-plane-controller",
  "cluster-api-vsphere-controller",
] as const;
export type ProviderName = (typeof providerNames)[number];

/** The controllers of one provider. */
export function providerControllers(name: ProviderName, deps: CapiDeps): Controller[] {
  switch (name) {
    case "cluster-api-controller":
      return [
        clusterController(deps),
        machineController(deps),
        machineSetController(deps),
        machineDeploymentController(deps),
        machineHealthCheckController(deps),
      ];
    case "kubeadm-bootstrap-controller":
      return [kubeadmConfigController(deps)];
    case "kubeadm-control-plane-controller":
      return [controlPlaneController(deps)];
    case "cluster-api-vsphere-controller":
      return [vsphereClusterController(deps), vsphereMachineController(deps), vsphereVmController(deps)];
  }
}

/** All of them. Give them to `runControllers`. */
export function capiControllers(deps: CapiDeps): Controller[] {
  return providerNames.flatMap((name) => providerControllers(name, deps));
}
