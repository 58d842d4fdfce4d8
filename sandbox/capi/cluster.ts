// Cluster API's Cluster controller: binds infrastructure and control plane, says how the whole is, deletes from the outside in.
import { Fault, isDeleting, ownerOf, type Controller, type Kind, type Resource, type Result } from "#core";
import {
  cluster as clusterKind,
  clusterNameLabel,
  isInfrastructureReady,
  kubeadmControlPlane,
  machine as machineKind,
  machineDeployment,
  machineSet,
  node as nodeKind,
  vsphereCluster,
  type Cluster,
} from "#proto";
import { clusterStatus, type ClusterSeen } from "./cluster-status.ts";
import { withConditions } from "./conditions.ts";
import {
  hasPausedAnnotation,
  keyIn,
  now,
  ofCluster,
  ownerKey,
  pausedCondition,
  remoteOf,
  type CapiDeps,
} from "./context.ts";
import { controllerOf, follow, later } from "./controller.ts";
import { addFinalizer, addLabels, addOwner, dropFinalizer, edit, editStatus, remove } from "./edit.ts";
import { byName, finalizers, isControlPlane } from "./names.ts";

export function clusterController(deps: CapiDeps): Controller {
  const { store } = deps;
  const named = (object: Resource) => {
    const name = object.metadata.labels?.[clusterNameLabel];
    return name ? [keyIn(object, name)] : [];
  };
  return controllerOf(deps, {
    name: "capi-cluster",
    kind: clusterKind,
    follows: [
      follow(vsphereCluster, ownerKey(clusterKind)),
      follow(kubeadmControlPlane, ownerKey(clusterKind)),
      follow(machineDeployment, named),
      follow(machineKind, named),
    ],
    async round(object) {
      if (object.spec.paused || hasPausedAnnotation(object)) {
        const paused = pausedCondition("Cluster", object, object);
        await editStatus(store, clusterKind, object, (o) => {
          const status = (o.status ??= {});
          status.conditions = withConditions(
            status.conditions,
            [paused],
            [],
            o.metadata.generation,
            now(deps),
          );
        });
        return {};
      }
      const first = await observe(deps, object);
      if (isDeleting(object)) {
        await report(deps, object, first);
        return removeCluster(deps, object, first);
      }
      await edit(store, clusterKind, object, (o) => addFinalizer(o, finalizers.cluster));
      await bind(deps, object, first);
      const seen = await observe(deps, object);
      await report(deps, object, seen);
      return later(deps.knobs.healthMs);
    },
  });
}

async function observe(deps: CapiDeps, object: Cluster): Promise<ClusterSeen> {
  const { store } = deps;
  const { infrastructureRef, controlPlaneRef } = object.spec;
  const [infra, controlPlane, deployments, machines] = await Promise.all([
    infrastructureRef ? store.get(vsphereCluster, keyIn(object, infrastructureRef.name)) : undefined,
    controlPlaneRef ? store.get(kubeadmControlPlane, keyIn(object, controlPlaneRef.name)) : undefined,
    ofCluster(deps, machineDeployment, object),
    ofCluster(deps, machineKind, object),
  ]);
  return {
    ...(infra ? { infra } : {}),
    ...(controlPlane ? { controlPlane } : {}),
    deployments,
    controlPlaneMachines: machines.filter(isControlPlane).sort(byName),
    workers: machines.filter((m) => !isControlPlane(m)).sort(byName),
    reachable: await answers(deps, object),
  };
}

async function answers(deps: CapiDeps, object: Cluster): Promise<boolean> {
  try {
    const remote = await remoteOf(deps, object);
    if (!remote) return false;
    await remote.list(nodeKind, { limit: 1 });
    return true;
  } catch (error) {
    if (Fault.from(error).code === "Cancelled") throw error;
    return false;
  }
}

/** Owner references and labels on what the Cluster names; the endpoint from the infrastructure. */
async function bind(deps: CapiDeps, object: Cluster, { infra, controlPlane }: ClusterSeen): Promise<void> {
  const { store } = deps;
  const adopt = (o: Resource) => {
    addOwner(o, clusterKind, object);
    addLabels(o, { [clusterNameLabel]: object.metadata.name });
  };
  if (infra) await edit(store, vsphereCluster, infra, adopt);
  if (controlPlane) await edit(store, kubeadmControlPlane, controlPlane, adopt);
  const endpoint = infra && isInfrastructureReady(infra) ? infra.spec.controlPlaneEndpoint : undefined;
  if (endpoint)
    await edit(store, clusterKind, object, (o) => {
      o.spec.controlPlaneEndpoint ??= endpoint;
    });
}

async function report(deps: CapiDeps, object: Cluster, seen: ClusterSeen): Promise<void> {
  await editStatus(deps.store, clusterKind, object, (o) => {
    o.status = clusterStatus(o, seen, now(deps));
  });
}

/** Workers, then the control plane, then the infrastructure; each when the one before is gone. */
async function removeCluster(deps: CapiDeps, object: Cluster, seen: ClusterSeen): Promise<Result> {
  const again = later(deps.knobs.pollMs);
  for (const deployment of seen.deployments) await remove(deps.store, machineDeployment, deployment);
  const sets = await ofCluster(deps, machineSet, object);
  for (const set of sets) if (!ownerOf(set, machineDeployment)) await remove(deps.store, machineSet, set);
  if (seen.deployments.length > 0 || sets.length > 0 || seen.workers.length > 0) return again;
  if (await asksFor(deps, kubeadmControlPlane, seen.controlPlane)) return again;
  if (seen.controlPlaneMachines.length > 0) return again;
  if (await asksFor(deps, vsphereCluster, seen.infra)) return again;
  await edit(deps.store, clusterKind, object, (o) => dropFinalizer(o, finalizers.cluster));
  return {};
}

/** Asks for the deletion of what is still there; true while it is. */
async function asksFor<R extends Resource>(
  deps: CapiDeps,
  kind: Kind<R>,
  object: R | undefined,
): Promise<boolean> {
  if (object) await remove(deps.store, kind, object);
  return object !== undefined;
}
