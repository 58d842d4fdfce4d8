// From the objects of a cluster to an API that answers.
import type { Kind, Resource } from "#core";
import {
  cluster,
  inClusterIPPool,
  isControlPlaneInitialized,
  isInfrastructureReady,
  kubeadmControlPlane,
  secret,
  vsphereCluster,
  vsphereMachineTemplate,
  zoneKinds,
} from "#proto";
import { withAdvice } from "../../advice.ts";
import { deepestCause } from "../../causes.ts";
import { objectsOf, type SpaSeen } from "../seen.ts";
import { type Stage, condition, silence } from "../stage.ts";
import { renderAll } from "../rendered.ts";
import { apply, keep } from "../action.ts";

/** The objects of the cluster, then the cloud's word that it is ready for them. */
export function infrastructure(seen: SpaSeen): Stage {
  const type = "CloudInfrastructureReady";
  if (seen.side !== "gateway")
    return { kind: "done", conditions: [condition(type, "True", "InfrastructureReady")] };
  const wanted = renderAll(seen);
  const missing = wanted.filter(({ kind, object }) => !has(seen, kind, object.metadata.name));
  if (missing.length > 0) {
    return {
      kind: "open",
      conditions: [
        condition(type, "False", "CreatingObjects", `writing ${missing.map((m) => m.kind.kind).join(", ")}`),
      ],
      actions: missing.map(({ kind, object }) => apply(kind, object)),
    };
  }
  const ready =
    objectsOf(seen.gateway, cluster).some(isInfrastructureReady) ||
    objectsOf(seen.gateway, vsphereCluster).some(isInfrastructureReady);
  if (ready) return { kind: "done", conditions: [condition(type, "True", "InfrastructureReady")] };
  return waitFor(seen, type, "WaitingForInfrastructure", "waiting for CAPV to reach vCenter");
}

export function has(seen: SpaSeen, kind: Kind, name: string | undefined): boolean {
  if (kind === secret) {
    return name === seen.names.identity
      ? seen.identity !== undefined
      : (seen.etcd?.made.some((one) => one.metadata.name === name) ?? false);
  }
  if (kind === inClusterIPPool) return seen.childPools.some((p) => p.metadata.name === name);
  if (zoneKinds.includes(kind)) return hasZone(seen.zones?.gateway ?? [], kind, name);
  // A template whose content would be another today still serves: what exists is not judged again (L3).
  if (kind === vsphereMachineTemplate && objectsOf(seen.gateway, kubeadmControlPlane).length > 0) return true;
  return seen.gateway.objects.some((o) => o.kind === kind.kind && o.metadata.name === name);
}

export function hasZone(zones: readonly Resource[], kind: Kind, name: string | undefined): boolean {
  return zones.some((one) => one.kind === kind.kind && one.metadata.name === name);
}

/** The first control-plane node, made by Cluster API and CAPV. */
export function firstNode(seen: SpaSeen): Stage {
  const type = "BootstrappingDone";
  if (
    seen.side !== "gateway" ||
    [...objectsOf(seen.gateway, cluster), ...objectsOf(seen.gateway, kubeadmControlPlane)].some(
      isControlPlaneInitialized,
    )
  ) {
    return { kind: "done", conditions: [condition(type, "True", "Bootstrapped")] };
  }
  return waitFor(seen, type, "WaitingForFirstNode", "waiting for the first control-plane node");
}

/** Cluster API is at work; what it says of the deepest object is what we say. */
function waitFor(seen: SpaSeen, type: string, reason: string, idle: string): Stage {
  const cause = deepestCause([...seen.gateway.objects, ...(seen.zones?.gateway ?? [])]);
  const trouble = cause?.failed
    ? withAdvice({ code: cause.code, message: cause.message, object: cause.object }, seen.spa.spec)
    : undefined;
  const message = cause ? `${cause.object}: ${trouble?.message ?? cause.message}` : idle;
  return {
    kind: "open",
    conditions: [condition(type, "False", cause?.code ?? reason, message)],
    waiting: true,
    ...(trouble ? { trouble } : {}),
  };
}

/** The API answers through its endpoint, and our copy of the kubeconfig outlasts the pivot. */
export function kubeconfig(seen: SpaSeen): Stage {
  const type = "KubeConfigReady";
  const { made, kept } = seen.kubeconfig;
  const toKeep = made !== undefined && made !== kept ? [keep(made)] : [];
  if (!made && !kept) {
    return {
      kind: "open",
      conditions: [condition(type, "False", "WaitingForKubeconfig", "Cluster API has not written it yet")],
    };
  }
  if (toKeep.length > 0) {
    return { kind: "open", conditions: [condition(type, "False", "Keeping", "")], actions: toKeep };
  }
  const trouble = silence(seen);
  if (!trouble || seen.side !== "gateway")
    return { kind: "done", conditions: [condition(type, "True", "Ready")] };
  return {
    kind: "open",
    conditions: [condition(type, "False", "EndpointNotAnswering", trouble.message)],
    trouble,
  };
}
