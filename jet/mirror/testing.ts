// For tests: mirrors in memory, and a store as it was at another moment.
import { formatTime, type Clock, type Kind, type OwnedStore, type Resource, type ResourceStore } from "#core";
import { memoryStore } from "#core/store/memory-store.ts";
import { allKinds, mirrorDigest, moveKinds, ownersFirst, spa, spectroCluster } from "#proto";
import { readMembers } from "#proto/render/membership.ts";
import { ensureForgotten, modify } from "../ensure.ts";
import { commandAnnotation } from "../pivot/command.ts";
import { readDecision } from "../pivot/decision.ts";
import type { Mirrored, Mirrors } from "../ports.ts";
import type { LineageShelf } from "./lineage.ts";

export function memoryMirrors(): Mirrors {
  const kept = new Map<string, Mirrored>();
  const gone = new Set<string>();
  return {
    latest: (uid) => Promise.resolve(kept.get(uid)),
    about: (uid) => {
      const one = kept.get(uid);
      return Promise.resolve(
        one && {
          digest: one.digest,
          pivotId: one.decision.id,
          takenAt: one.takenAt,
          epoch: one.decision.epoch,
          counter: one.counter,
          sequence: 1,
          reader: "reader",
        },
      );
    },
    keep: (one) => Promise.resolve(void (gone.has(one.clusterUid) || kept.set(one.clusterUid, one))),
    clusters: () => Promise.resolve([...kept.keys()]),
    forget: (uid) => Promise.resolve(void (kept.delete(uid), gone.add(uid))),
    isForgotten: (uid) => Promise.resolve(gone.has(uid)),
  };
}

export function memoryLineage(at = 0): LineageShelf {
  let tick = at;
  return { read: () => Promise.resolve(tick), write: (next) => Promise.resolve(void (tick = next)) };
}

/** What the agent of a cluster would send now. */
export async function mirrorOf(
  workload: ResourceStore,
  clusterUid: string,
  clusterName: string,
  clock: Clock,
): Promise<Mirrored> {
  const namespace = `cluster-${clusterUid}`;
  const decision = (await readDecision(workload, namespace))!;
  const { spec } = (await workload.get(spectroCluster, { namespace, name: clusterName }))!;
  const objects = ownersFirst(await readMembers(workload, namespace, clusterName));
  return {
    clusterUid,
    clusterName,
    takenAt: formatTime(clock.now()),
    decision: { id: decision.id, epoch: decision.epoch },
    counter: spec.counter,
    desired: spec.desired,
    digest: mirrorDigest(objects),
    objects,
  };
}

/** What is in a cluster after its API came back from a backup of before its hand-over: none of Cluster API's objects, and no record. */
export async function loseObjects(workload: ResourceStore, clusterUid: string): Promise<void> {
  const namespace = `cluster-${clusterUid}`;
  for (const kind of [...moveKinds].reverse())
    for (const object of (await workload.list(kind, { namespace })).items)
      await ensureForgotten(workload, kind, object);
}

/** What `pcg cluster revive` says. */
export async function askToRevive(gateway: ResourceStore, clusterUid: string, name: string): Promise<void> {
  await modify(gateway, spa, { namespace: `cluster-${clusterUid}`, name }, (have) => ({
    ...have,
    metadata: {
      ...have.metadata,
      annotations: { ...have.metadata.annotations, [commandAnnotation]: "revive" },
    },
  }));
}

export type Snapshot = readonly { readonly kind: Kind; readonly object: Resource }[];

export async function snapshotOf(store: ResourceStore): Promise<Snapshot> {
  const all: { kind: Kind; object: Resource }[] = [];
  for (const kind of allKinds)
    for (const object of (await store.list(kind)).items)
      if (!object.metadata.deletionTimestamp) all.push({ kind, object });
  return all;
}

/** A new store that holds what a snapshot does. Uids are new, and owners follow them. */
export async function storeFrom(snapshot: Snapshot, clock: Clock): Promise<OwnedStore> {
  const store = memoryStore({ clock });
  const uids = new Map<string, string>();
  const order = ownersFirst(snapshot.map(({ object }) => object));
  for (const object of order) {
    const { kind } = snapshot.find((one) => one.object === object)!;
    const owners = (object.metadata.ownerReferences ?? []).flatMap((ref) => {
      const uid = uids.get(ref.uid);
      return uid === undefined ? [] : [{ ...ref, uid }];
    });
    const metadata = { ...object.metadata, ownerReferences: owners };
    const made = await store.create(kind, { ...object, metadata } as never);
    uids.set(object.metadata.uid, made.metadata.uid);
    if (object.status) await store.updateStatus(kind, { ...made, status: object.status });
  }
  return store;
}
