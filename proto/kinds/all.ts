// Lists of kinds: all that our stores serve, and those that belong to a cluster and move with it.
import type { Kind } from "#core";
import { cluster } from "./cluster.ts";
import { gateway } from "./gateway.ts";
import * as core from "./core.ts";
import { ipAddress, ipAddressClaim } from "./ip-address.ts";
import {
  globalInClusterIPPool,
  globalInClusterPrefixPool,
  inClusterIPPool,
  inClusterPrefixPool,
} from "./ip-pool.ts";
import { kubeadmConfig, kubeadmConfigTemplate } from "./kubeadm-config.ts";
import { kubeadmControlPlane } from "./kubeadm-control-plane.ts";
import { machine } from "./machine.ts";
import { machineDeployment } from "./machine-deployment.ts";
import { machineHealthCheck } from "./machine-health-check.ts";
import { machineSet } from "./machine-set.ts";
import { metal3IPAddress, metal3IPClaim, metal3IPPool } from "./metal3.ts";
import { spa } from "./spectro-provisioning-agent.ts";
import { spectroCluster } from "./spectro-cluster.ts";
import { vsphereCluster } from "./vsphere-cluster.ts";
import { vsphereDeploymentZone, vsphereFailureDomain } from "./vsphere-failure-domain.ts";
import { vsphereMachine, vsphereMachineTemplate, vsphereVM } from "./vsphere-machine.ts";

/** Kinds of Kubernetes itself. */
export const builtinKinds: readonly Kind[] = [
  core.namespace,
  core.secret,
  core.configMap,
  core.event,
  core.node,
  core.serviceAccount,
  core.pod,
  core.service,
  core.deployment,
  core.lease,
  core.customResourceDefinition,
  core.role,
  core.roleBinding,
  core.clusterRole,
  core.clusterRoleBinding,
];

/** Kinds of Cluster API, its kubeadm providers and CAPV. */
export const clusterApiKinds: readonly Kind[] = [
  cluster,
  machine,
  machineDeployment,
  machineSet,
  machineHealthCheck,
  kubeadmControlPlane,
  kubeadmConfig,
  kubeadmConfigTemplate,
  vsphereCluster,
  vsphereMachine,
  vsphereMachineTemplate,
  vsphereVM,
];

/** Kinds of CAPV for a whole API server: they belong to a cluster by label, and do not move with it. */
export const zoneKinds: readonly Kind[] = [vsphereFailureDomain, vsphereDeploymentZone];

export const inClusterPoolKinds: readonly Kind[] = [
  inClusterIPPool,
  globalInClusterIPPool,
  inClusterPrefixPool,
  globalInClusterPrefixPool,
];

export const ipamKinds: readonly Kind[] = [ipAddressClaim, ipAddress, ...inClusterPoolKinds];

/** Kinds of Metal3's IPAM, which our IPAM serves as well. */
export const metal3Kinds: readonly Kind[] = [metal3IPPool, metal3IPClaim, metal3IPAddress];

export const ownKinds: readonly Kind[] = [spa, spectroCluster, gateway];

/** Everything a gateway's or a workload's embedded store serves. */
export const allKinds: readonly Kind[] = [
  ...builtinKinds,
  ...clusterApiKinds,
  ...zoneKinds,
  ...ipamKinds,
  ...metal3Kinds,
  ...ownKinds,
];

/**
 * What makes up a cluster in its namespace and moves with it: every object of these kinds in `cluster-<uid>`.
 * Owners come before what they own.
 */
export const moveKinds: readonly Kind[] = [
  core.secret,
  core.configMap,
  inClusterIPPool,
  inClusterPrefixPool,
  cluster,
  vsphereCluster,
  vsphereMachineTemplate,
  kubeadmConfigTemplate,
  kubeadmControlPlane,
  machineHealthCheck,
  machineDeployment,
  machineSet,
  machine,
  kubeadmConfig,
  vsphereMachine,
  vsphereVM,
  ipAddressClaim,
  ipAddress,
];
