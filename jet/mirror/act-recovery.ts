// The acts of a recovery. Each may be done twice, by any process.
import { isDeleting, isFault, type Draft, type Kind, type Resource, type ResourceStore } from "#core";
import {
  cluster,
  clusterApiKinds,
  ipAddress,
  ipAddressClaim,
  moveKinds,
  namespace,
  secret,
  spa,
  type Spa,
} from "#proto";
import { belongsTo } from "#proto/render/membership.ts";
import { clusterNamespace, clusterNames, words } from "#proto/render/names.ts";
import { ensureDeleted, ensureExists, ensureForgotten, ensureHolds, modify } from "../ensure.ts";
import { clusterNamespaceObject } from "../render/cluster.ts";
import type { LeasePlan } from "./leases.ts";
import { served, type Found, type RecoveryObserver } from "./observe-recovery.ts";
import type { Recovery } from "./plan-recovery.ts";
import { doneJournal, kubeconfigOf, spaOf, specOf, statusOf } from "./rebuilt.ts";

/** How a hold stands on an SPA. */
export function heldText({ reason, message }: Recovery & { do: "hold" }): string {
  return `${reason}: ${message}`;
}

export async function act(
  deps: RecoveryObserver,
  uid: string,
  found: Found,
  recovery: Recovery,
): Promise<void> {
  switch (recovery.do) {
    case "nothing":
      return;
    case "bury":
      return bury(deps.store, uid);
    case "yield":
      return yieldTo(deps, uid, found, recovery);
    case "rebuild":
      return rebuild(deps, found);
    case "lease":
      return lease(deps.store, found.leases);
    case "raise":
      return raise(deps, found);
    case "hold":
      return hold(deps.store, uid, found, recovery);
    case "release":
      return release(deps.store, uid, found);
  }
}

/** F1. Not that Secret alone: whatever bears its label. */
export async function dropCredential(
  store: ResourceStore,
  uid: string,
  { spa: object }: Found,
): Promise<void> {
  const ns = clusterNamespace(uid);
  const named = object && clusterNames(uid, object.spec.clusterName).identity;
  for (const one of await served(store, secret, ns)) {
    const isIdentity =
      one.metadata.name === named || (named === undefined && one.metadata.name.endsWith("-identity"));
    if (isIdentity) await ensureForgotten(store, secret, one);
  }
}

/** Cluster API's objects and what moves with them go, without anybody acting on them: what owns others goes last. */
async function forgetObjects(
  store: ResourceStore,
  uid: string,
  clusterName: string | undefined,
): Promise<void> {
  const ns = clusterNamespace(uid);
  for (const kind of [...moveKinds].reverse()) {
    for (const object of await served(store, kind, ns)) {
      const isOurs = (clusterApiKinds as readonly Kind[]).includes(kind);
      if (isOurs || (clusterName !== undefined && belongsTo(clusterName, kind, object))) {
        await ensureForgotten(store, kind, object);
      }
    }
  }
}

async function yieldTo(
  deps: RecoveryObserver,
  uid: string,
  { spa: object, mirrored }: Found,
  { id, epoch }: Recovery & { do: "yield" },
): Promise<void> {
  const { store, clock } = deps;
  if (!object) return;
  // The way in must outlast the objects.
  const kubeconfig = (await kubeconfigIn(store, object)) ?? (mirrored && kubeconfigOf(mirrored));
  if (kubeconfig) await ensureHolds(store, secret, kubeconfig);
  await pauseCluster(store, uid, object);
  await editStatus(store, object, (status) => {
    const { journal, more } =
      status?.pivot?.step === "Done" && status.pivot.epoch === epoch
        ? { journal: status.pivot, more: {} }
        : {
            journal: doneJournal(id, epoch, clock.now()),
            more: mirrored ? statusOf(mirrored, clock.now()) : { state: "Running" as const },
          };
    return { ...status, ...more, pivot: journal, activeSide: { side: "workload", epoch } };
  });
  // Not before its addresses are looked after.
  if (mirrored)
    await modify(store, spa, keyOf(object), (have) =>
      annotated(have, words.held, "Rebuilding: its addresses are being taken back"),
    );
  await forgetObjects(store, uid, object.spec.clusterName);
}

/** The gateway's copy, from the Secret that Cluster API wrote on the gateway and that is about to go. */
async function kubeconfigIn(store: ResourceStore, { spec }: Spa) {
  const { clusterUid, clusterName } = spec;
  const names = clusterNames(clusterUid, clusterName);
  const made = await store.get(secret, { namespace: names.namespace, name: names.kubeconfig });
  return made && kubeconfigOf({ clusterUid, clusterName, objects: [made] } as never);
}

async function rebuild(deps: RecoveryObserver, { mirrored, leases }: Found): Promise<void> {
  const { store, clock, cloud } = deps;
  if (!mirrored) return;
  const draft = spaOf(mirrored, cloud());
  await ensureExists(store, namespace, clusterNamespaceObject(draft.spec));
  await lease(store, leases); // F2
  const kubeconfig = kubeconfigOf(mirrored);
  if (kubeconfig) await ensureHolds(store, secret, kubeconfig);
  // Held until it has its journal: without one it would look like a cluster that has to be made.
  const held = { [words.held]: "Rebuilding: it is being made anew from its mirror" };
  const made = await ensureExists(store, spa, {
    ...draft,
    metadata: { ...draft.metadata, annotations: held },
  } as Draft<Resource>);
  await editStatus(store, made as Spa, (status) =>
    status?.pivot ? status : statusOf(mirrored, clock.now()),
  );
  if (!leases || leases.conflicts.length === 0) await unhold(store, made as Spa);
}

async function raise(deps: RecoveryObserver, { spa: object, mirrored }: Found): Promise<void> {
  if (!object || !mirrored) return;
  await modify(deps.store, spa, keyOf(object), (have) =>
    have.spec.counter < mirrored.counter
      ? {
          ...have,
          spec: {
            ...specOf(mirrored, have.spec.cloud),
            ...(have.spec.agent ? { agent: have.spec.agent } : {}),
            // A deletion that was asked for is not taken back by an agent that does not know of it.
            action: have.spec.action,
            deletePolicy: have.spec.deletePolicy,
          },
        }
      : undefined,
  );
}

/** A1: the address, then the claim. */
async function lease(store: ResourceStore, plan: LeasePlan | undefined): Promise<void> {
  if (!plan) return;
  for (const claim of plan.drop) {
    const { namespace: ns = "", name } = claim.metadata;
    const address = await store.get(ipAddress, { namespace: ns, name });
    if (address) await ensureForgotten(store, ipAddress, address);
    await ensureForgotten(store, ipAddressClaim, claim);
  }
  for (const { address, claim } of plan.make) {
    await withNamespace(store, address.metadata.namespace, () => ensureExists(store, ipAddress, address));
    await ensureExists(store, ipAddressClaim, claim);
  }
}

/** An empty store lacks even the parent pool's namespace. */
async function withNamespace(
  store: ResourceStore,
  name: string | undefined,
  write: () => Promise<unknown>,
): Promise<void> {
  try {
    await write();
  } catch (error) {
    if (!isFault(error, "NotFound") || name === undefined) throw error;
    await ensureExists(store, namespace, { metadata: { name } });
    await write();
  }
}

async function hold(
  store: ResourceStore,
  uid: string,
  { spa: object }: Found,
  recovery: Recovery & { do: "hold" },
): Promise<void> {
  if (!object) return;
  await modify(store, spa, keyOf(object), (have) => annotated(have, words.held, heldText(recovery)));
  if (recovery.reason !== "AddressTaken") await pauseCluster(store, uid, object);
}

async function release(store: ResourceStore, uid: string, { spa: object }: Found): Promise<void> {
  if (!object) return;
  const key = { namespace: clusterNamespace(uid), name: object.spec.clusterName };
  await ifServed(() =>
    modify(store, cluster, key, (have) => {
      const before = have.metadata.annotations?.[words.held];
      if (before === undefined) return undefined;
      const { paused: _, ...spec } = have.spec;
      const next = before === "paused" ? have.spec : (spec as typeof have.spec);
      return { ...annotated(have, words.held, undefined)!, spec: next };
    }),
  );
  await unhold(store, object);
}

/** Nothing of Cluster API's acts on it any more; what it was before is remembered on it. */
async function pauseCluster(store: ResourceStore, uid: string, { spec }: Spa): Promise<void> {
  const key = { namespace: clusterNamespace(uid), name: spec.clusterName };
  await ifServed(() =>
    modify(store, cluster, key, (have) => {
      if (have.spec.paused && have.metadata.annotations?.[words.held] !== undefined) return undefined;
      const before = have.spec.paused ? "paused" : "awake";
      return { ...(annotated(have, words.held, before) ?? have), spec: { ...have.spec, paused: true } };
    }),
  );
}

async function unhold(store: ResourceStore, object: Spa): Promise<void> {
  await modify(store, spa, keyOf(object), (have) => annotated(have, words.held, undefined));
}

/** What a snapshot brought back of a cluster that is gone: addresses first, so that they are free for whoever has them now. */
async function bury(store: ResourceStore, uid: string): Promise<void> {
  const ns = clusterNamespace(uid);
  for (const claim of await served(store, ipAddressClaim)) {
    const isLease =
      claim.metadata.labels?.[words.clusterUid] === uid && claim.metadata.labels[words.leaseOf] !== undefined;
    if (!isLease) continue;
    const { namespace: at = "", name } = claim.metadata;
    const address = await store.get(ipAddress, { namespace: at, name });
    if (address) await ensureForgotten(store, ipAddress, address);
    await ensureForgotten(store, ipAddressClaim, claim);
  }
  const objects = await served(store, spa, ns);
  await forgetObjects(store, uid, objects[0]?.spec.clusterName);
  for (const kind of [ipAddress, ipAddressClaim, secret] as readonly Kind[]) {
    for (const object of await served(store, kind, ns)) await ensureForgotten(store, kind, object);
  }
  for (const object of objects) await ensureForgotten(store, spa, object);
  const space = await store.get(namespace, { name: ns });
  if (space && !isDeleting(space)) await ensureDeleted(store, namespace, { name: ns });
}

function annotated<R extends Resource>(object: R, name: string, value: string | undefined): R | undefined {
  const have = object.metadata.annotations ?? {};
  if (have[name] === value) return undefined;
  const { [name]: _, ...others } = have;
  const annotations = value === undefined ? others : { ...others, [name]: value };
  return { ...object, metadata: { ...object.metadata, annotations } };
}

async function editStatus(
  store: ResourceStore,
  object: Spa,
  edit: (status: Spa["status"]) => NonNullable<Spa["status"]>,
): Promise<void> {
  await modify(store, spa, keyOf(object), (have) => ({ ...have, status: edit(have.status) }), "status");
}

async function ifServed(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isFault(error, "NotFound")) throw error;
  }
}

function keyOf({ metadata }: Spa) {
  return { namespace: metadata.namespace ?? "", name: metadata.name };
}
