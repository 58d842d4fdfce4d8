// The snapshot: every object that moves, as it was when nothing changed any more. Copies are made from it and never from the live
// source, so that a source that is lost later on is no loss. It holds Secrets, so a shelf seals it.
import { Fault, type Resource } from "#core";
import { moveKinds } from "#proto";
import { canonicalJson, contentHash } from "#proto/render/shape.ts";
import { closureOf, digestOf, type Closure, type Member } from "./closure.ts";

/** Which snapshot: of which cluster, and the digest of what it holds. */
export interface SnapshotKey {
  readonly clusterUid: string;
  readonly digest: string;
}

/** Where snapshots lie, sealed: nobody without the gateway's key reads one there. */
export interface SnapshotShelf {
  /** Twice is once. Keeps this one and the cluster's last few. */
  put(key: SnapshotKey, text: string): Promise<void>;
  get(key: SnapshotKey): Promise<string | undefined>;
  /** Forgets all of a cluster. */
  drop(clusterUid: string): Promise<void>;
}

interface Written {
  readonly schema: 1;
  readonly digest: string;
  readonly objects: readonly { readonly digest: string; readonly object: Resource }[];
}

/** Canonical JSON: the same objects give the same text. Pure. */
export function snapshotText({ members, digest }: Closure): string {
  const objects = members.map(({ object }) => ({ digest: digestOf(object), object }));
  return canonicalJson({ schema: 1, digest, objects } satisfies Written);
}

/** The closure that a text holds; every hash is made again. Invalid where one differs. Pure. */
export function readSnapshot(text: string, key: SnapshotKey): Closure {
  const { objects } = JSON.parse(text) as Written;
  const closure = closureOf(objects.map(({ object }) => memberOf(object)));
  const spoilt = objects.find(({ digest, object }) => digest !== digestOf(object));
  if (spoilt || closure.digest !== key.digest) {
    throw new Fault("Invalid", `the snapshot of cluster ${key.clusterUid} is not what was written`);
  }
  return closure;
}

function memberOf(object: Resource): Member {
  const kind = moveKinds.find((one) => one.kind === object.kind);
  if (!kind) throw new Fault("Invalid", `a snapshot holds the unknown kind ${object.kind}`);
  return { kind, object };
}

/** Snapshots in memory; for tests. */
export function memorySnapshotShelf(): SnapshotShelf {
  const texts = new Map<string, string>();
  const at = ({ clusterUid, digest }: SnapshotKey) => contentHash([clusterUid, digest]);
  return {
    put: (key, text) => Promise.resolve(void texts.set(at(key), text)),
    get: (key) => Promise.resolve(texts.get(at(key))),
    drop: () => Promise.resolve(texts.clear()),
  };
}
