// Actions on the way down.
import { formatTime, type Kind, type ResourceStore } from "#core";
import { clusterApiKinds, cluster, ipAddressClaim, secret } from "#proto";
import { ensureForgotten, ensureHolds, modify } from "../ensure.ts";
import type { SpaSeen } from "./seen.ts";
import { identityOf } from "./rendered.ts";
import type { Actor } from "./actor.ts";

/** A paused Cluster is not deleted by anybody; nor is one whose credential is gone. */
export async function wake(store: ResourceStore, seen: SpaSeen): Promise<void> {
  const identity = identityOf(seen);
  if (identity) await ensureHolds(store, secret, identity);
  await modify(store, cluster, { namespace: seen.names.namespace, name: seen.names.cluster }, (object) => {
    if (!object.spec.paused) return undefined;
    const { paused: _, ...spec } = object.spec;
    return { ...object, spec: spec as typeof object.spec };
  });
}

export async function pause(store: ResourceStore, { names }: SpaSeen): Promise<void> {
  await modify(store, cluster, { namespace: names.namespace, name: names.cluster }, (object) =>
    object.spec.paused ? undefined : { ...object, spec: { ...object.spec, paused: true } },
  );
}

export async function forgetObjects(store: ResourceStore, seen: SpaSeen): Promise<void> {
  const kinds = new Map<string, Kind>([...clusterApiKinds, ipAddressClaim].map((kind) => [kind.kind, kind]));
  for (const object of [...seen.gateway.objects].reverse()) {
    const kind = kinds.get(object.kind);
    if (kind) await ensureForgotten(store, kind, object);
  }
}

export async function destroyStrays(
  { deps, events }: Actor,
  seen: SpaSeen,
  signal: AbortSignal,
): Promise<void> {
  if (seen.strays.kind !== "counted" || seen.credential.kind !== "found") return;
  const cloud = deps.cloudFor(seen.spa.spec.cloud, seen.credential);
  for (const vm of seen.strays.vms) {
    await events.say(seen.names.uid, {
      severity: "Warn",
      reason: "DestroyingStray",
      message: `removing VM ${vm.name} (${vm.biosUUID}), which outlived its objects`,
      involvedObject: { kind: "VirtualMachine", name: vm.name },
    });
    await cloud.destroy(vm, signal);
  }
}

/** The plane hears of it before the object goes. */
export async function sayDeleted({ deps, events }: Actor, seen: SpaSeen): Promise<void> {
  await deps.mirrors?.forget(seen.names.uid);
  await events.say(seen.names.uid, {
    severity: "Info",
    reason: "Deleted",
    message: `cluster ${seen.names.cluster} is deleted; nothing of it is left`,
  });
  const { status, spec } = seen.spa;
  await deps.outlet.status({
    clusterUid: seen.names.uid,
    state: "Deleted",
    pivoted: false,
    observedCounter: spec.counter,
    conditions: [
      {
        type: "Deleted",
        status: "True",
        reason: "Deleted",
        message: "",
        lastTransitionTime: formatTime(deps.clock.now()),
      },
    ],
    milestones: status?.milestones ?? [],
    machines: [],
  });
}
