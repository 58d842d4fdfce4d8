// Actions on the way down.
import { Fault, formatTime, type Kind, type Resource, type ResourceStore } from "#core";
import { clusterApiKinds, cluster, ipAddressClaim, secret } from "#proto";
import { ensureDeleted, ensureForgotten, ensureHolds, modify } from "../ensure.ts";
import { revivedAsleep } from "../mirror/revive.ts";
import type { SpaSeen } from "./seen.ts";
import { identityOf } from "./rendered.ts";
import type { SpaAction } from "./action.ts";
import { Hindered, type Actor } from "./actor.ts";

/** A paused Cluster is not deleted by anybody; nor is one whose credential is gone. */
export async function wake(store: ResourceStore, seen: SpaSeen): Promise<void> {
  const identity = identityOf(seen);
  if (identity) await ensureHolds(store, secret, identity);
  await modify(store, cluster, { namespace: seen.names.namespace, name: seen.names.cluster }, (object) => {
    const { [revivedAsleep]: mark, ...annotations } = object.metadata.annotations ?? {};
    if (!object.spec.paused && mark === undefined) return undefined;
    const { paused: _, ...spec } = object.spec;
    const metadata = mark === undefined ? object.metadata : { ...object.metadata, annotations };
    return { ...object, metadata, spec: spec as typeof object.spec };
  });
}

export async function pause(store: ResourceStore, { names }: SpaSeen): Promise<void> {
  await modify(store, cluster, { namespace: names.namespace, name: names.cluster }, (object) =>
    object.spec.paused ? undefined : { ...object, spec: { ...object.spec, paused: true } },
  );
}

/** Leaves first. Claims are only let go by CAPV: the IPAM that serves them must still take their addresses back. */
export async function forgetObjects(store: ResourceStore, seen: SpaSeen): Promise<void> {
  const kinds = new Map<string, Kind>(clusterApiKinds.map((kind) => [kind.kind, kind]));
  for (const object of [...seen.gateway.objects].reverse()) {
    const kind = kinds.get(object.kind);
    if (kind) await ensureForgotten(store, kind, object);
    else if (object.kind === ipAddressClaim.kind) await letClaimGo(store, object);
  }
}

async function letClaimGo(store: ResourceStore, { metadata }: Resource): Promise<void> {
  const key = { namespace: metadata.namespace ?? "", name: metadata.name };
  await ensureDeleted(store, ipAddressClaim, key);
  await modify(store, ipAddressClaim, key, (claim) => {
    const held = claim.metadata.finalizers ?? [];
    const others = held.filter(
      (finalizer) => !finalizer.startsWith("vspherevm.infrastructure.cluster.x-k8s.io"),
    );
    return others.length === held.length
      ? undefined
      : { ...claim, metadata: { ...claim.metadata, finalizers: others } };
  });
}

/** From now on nothing on the gateway can act for the cluster, whatever its controllers believe. */
export async function fence(store: ResourceStore, seen: SpaSeen): Promise<void> {
  await pause(store, seen);
  if (seen.identity) await ensureForgotten(store, secret, seen.identity);
}

/** Removes VMs; one that resists does not keep the others, and is named. */
export async function destroy(
  { deps, events }: Actor,
  seen: SpaSeen,
  { vms, why }: Extract<SpaAction, { do: "destroy" }>,
  signal: AbortSignal,
): Promise<void> {
  if (seen.credential.kind !== "found") return;
  const cloud = deps.cloudFor(seen.spa.spec.cloud, seen.credential);
  let resisted: Hindered | undefined;
  for (const vm of vms) {
    await events.say(seen.names.uid, {
      severity: "Warn",
      reason: "DestroyingStray",
      message: `removing VM ${vm.name} (${vm.biosUUID}): ${why}`,
      involvedObject: { kind: "VirtualMachine", name: vm.name },
    });
    try {
      await cloud.destroy(vm, signal);
    } catch (error) {
      const fault = Fault.from(error, `removing VM ${vm.name}`);
      if (fault.code === "Cancelled") throw fault;
      resisted ??= new Hindered(`VirtualMachine/${vm.name}`, fault);
    }
  }
  if (resisted) throw resisted;
}

/** The plane hears of it before the object goes. */
export async function sayDeleted(
  { deps, events }: Actor,
  seen: SpaSeen,
  action: Extract<SpaAction, { do: "say deleted" }>,
): Promise<void> {
  await deps.mirrors?.forget(seen.names.uid);
  const message = farewell(seen, action);
  const complete = action.left.length === 0;
  await events.say(seen.names.uid, { severity: complete ? "Info" : "Warn", reason: "Deleted", message });
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
        reason: complete ? "Deleted" : "NotVerified",
        message,
        lastTransitionTime: formatTime(deps.clock.now()),
      },
    ],
    milestones: status?.milestones ?? [],
    machines: [],
  });
}

/** What was proved, and what was not. Pure. */
export function farewell(
  { names, spa, ledger, strays, leaseClaims }: SpaSeen,
  { left, why }: Extract<SpaAction, { do: "say deleted" }>,
): string {
  const done = `cluster ${names.cluster} is deleted${why ? ` (${why})` : ""}`;
  const { server } = spa.spec.cloud;
  if (left.length > 0) {
    const claims = leaseClaims.map((c) => `${c.metadata.namespace}/${c.metadata.name}`).join(", ");
    return (
      `${done}, but vCenter ${server} could not be asked about its VMs ${left.join(", ")}. ` +
      `Their addresses stay leased: when the VMs are gone, delete the IPAddressClaims ${claims}`
    );
  }
  if (spa.spec.deletePolicy === "Orphan")
    return `${done}; its machines and their addresses were left as they are`;
  const asked = strays.kind === "counted" && ledger.vms.length > 0;
  return asked
    ? `${done}: vCenter ${server} knows none of the ${ledger.vms.length} VMs that were made for it, and nothing of it is left here`
    : `${done}; nothing of it is left`;
}
