import {
  apiVersionOf,
  deleteIfExists,
  Fault,
  isDeleting,
  isFault,
  keyText,
  modify,
  ownerReference,
  removeFinalizer,
  type Clock,
  type Draft,
  type Resource,
  type ResourceStore,
} from "#core";
import {
  clusterNameLabel,
  ipAddressClaim,
  metal3IPClaim,
  metal3IPPool,
  vsphereCluster,
  vsphereMachine,
  type NetworkDevice,
} from "#proto";
import { sayEvent } from "../events.ts";
import { holdAddress } from "../words.ts";
import { isStatic, subjectKinds, type Need, type StaticSeen } from "./observe.ts";
import { cidr, type Served, type StaticAction } from "./plan.ts";
import type { Candidate } from "./select.ts";
import { subjectAnnotation, subjectKindLabel } from "./words.ts";

export async function act(
  deps: { readonly store: ResourceStore; readonly clock: Clock },
  seen: StaticSeen,
  action: StaticAction,
): Promise<void> {
  const { store } = deps;
  switch (action.do) {
    case "make claim":
      return makeClaim(store, seen, action.need, action.from);
    case "take over claim":
      await modify(store, action.claim.claimKind, action.claim.key, (claim) => {
        if (!isDeleting(claim)) Object.assign(claim.metadata, marked(seen, claim.metadata));
      });
      return;
    case "drop claim": {
      const { claimKind, key, object } = action.claim;
      await deleteIfExists(store, claimKind, key, { uid: object.metadata.uid });
      return;
    }
    case "give claim up":
      await removeFinalizer(store, action.claim.claimKind, action.claim.key, holdAddress);
      return;
    case "write addresses":
      return writeAddresses(store, seen, action.served);
    case "say":
      await sayEvent(deps, {
        about: seen.subject ?? goneSubject(seen),
        type: "Warning",
        reason: action.reason,
        message: action.message,
      });
      return;
  }
}

async function makeClaim(
  store: ResourceStore,
  seen: StaticSeen,
  need: Need,
  { pool }: Candidate,
): Promise<void> {
  const draft = claimDraft(seen, need, pool.pointer);
  const kind = pool.pointer.kind === metal3IPPool.kind ? metal3IPClaim : ipAddressClaim;
  try {
    await store.create(kind as never, draft as never);
  } catch (error) {
    if (!isFault(error, "AlreadyExists")) throw error; // another process made it: the next round sees it
  }
}

/** Pure. */
export function claimDraft(
  seen: StaticSeen,
  { claimName }: Need,
  pool: Candidate["pool"]["pointer"],
): Draft<Resource> {
  const namespace = pool.namespace ?? seen.key.namespace ?? "default";
  const metadata = { namespace, name: claimName, ...marked(seen, { namespace }) };
  if (pool.kind === metal3IPPool.kind)
    return {
      metadata,
      spec: { pool: { apiVersion: apiVersionOf(metal3IPPool), kind: pool.kind, namespace, name: pool.name } },
    };
  return { metadata, spec: { poolRef: { apiGroup: pool.group, kind: pool.kind, name: pool.name } } };
}

type Meta = Partial<Resource["metadata"]>;

/** Marks, finalizer and owner of a claim of ours. An owner in another namespace would count as gone: none is written then. */
function marked({ kind, key, subject, clusterName }: StaticSeen, have: Meta): Meta {
  const isNear = have.namespace === key.namespace;
  const owner = subject && isNear ? [ownerReference(subjectKinds[kind], subject)] : [];
  const others = (have.ownerReferences ?? []).filter(({ uid }) => !owner.some((each) => each.uid === uid));
  return {
    labels: {
      ...have.labels,
      [subjectKindLabel]: kind,
      ...(clusterName && isNear ? { [clusterNameLabel]: clusterName } : {}),
    },
    annotations: { ...have.annotations, [subjectAnnotation]: keyText(key) },
    ...(kind === "machine" ? { finalizers: [...new Set([...(have.finalizers ?? []), holdAddress])] } : {}),
    ...(others.length + owner.length > 0 ? { ownerReferences: [...others, ...owner] } : {}),
  };
}

/** One write. What somebody else set meanwhile stays as it is. */
async function writeAddresses(
  store: ResourceStore,
  seen: StaticSeen,
  served: readonly Served[],
): Promise<void> {
  const { key, subject } = seen;
  if (!subject) throw new Fault("Bug", `${keyText(key)} gets addresses, but is gone`);
  const [first] = served;
  if (seen.kind === "endpoint") {
    await modify(store, vsphereCluster, key, (object) => {
      if (object.metadata.uid !== subject.metadata.uid || object.spec.controlPlaneEndpoint?.host || !first)
        return;
      // Without a port CAPV's cluster would never be ready, and nobody would say why.
      const { port = seen.apiPort } = object.spec.controlPlaneEndpoint ?? {};
      object.spec.controlPlaneEndpoint = {
        ...object.spec.controlPlaneEndpoint,
        host: first.supply.address,
        port,
      };
    });
    return;
  }
  await modify(store, vsphereMachine, key, (object) => {
    if (object.metadata.uid !== subject.metadata.uid) return;
    for (const { need, supply } of served) {
      const device = object.spec.network.devices[need.index];
      if (device && isStatic(device)) fill(device, supply);
    }
  });
}

function fill(device: NetworkDevice, supply: Served["supply"]): void {
  device.ipAddrs = [cidr(supply)];
  if (supply.gateway?.includes(":")) device.gateway6 = supply.gateway;
  else if (supply.gateway) device.gateway4 = supply.gateway;
  if (supply.nameServers.length > 0) device.nameservers = [...supply.nameServers];
  if (supply.searchDomains.length > 0) device.searchDomains = [...supply.searchDomains];
}

/** For events about an object that is gone. */
function goneSubject({ kind, key }: StaticSeen): Parameters<typeof sayEvent>[1]["about"] {
  const { kind: name } = subjectKinds[kind];
  return { apiVersion: apiVersionOf(subjectKinds[kind]), kind: name, metadata: { ...key, uid: "" } };
}
