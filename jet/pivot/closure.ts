// What moves: every object in the cluster's namespace of a kind that makes up a cluster, but for what stays on purpose.
// A closure, not a graph: nothing is left out because nobody points at it (research: jet.md 0.2). Pure, but for `readClosure`.
import type { Kind, Resource, ResourceStore } from "#core";
import { cluster, moveKinds } from "#proto";
import { belongsTo } from "#proto/render/membership.ts";
import { words } from "#proto/render/names.ts";
import { contentHash } from "#proto/render/shape.ts";
import { carriedStatus } from "./carried.ts";
import { marks } from "./marks.ts";

const ownAnnotations = new Set<string>([...Object.values(marks), words.paused, words.deleteForMove]);

export interface Member {
  readonly kind: Kind;
  readonly object: Resource;
}

export interface Closure {
  /** Owners before what they own. */
  readonly members: readonly Member[];
  /** One hash over all content, and the status that is carried over. */
  readonly digest: string;
}

/** "Machine/c1-cp-x7k2p". */
export function memberText({ kind, object }: Member): string {
  return `${kind.kind}/${object.metadata.name}`;
}

/** Reads the closure as it is now: all kinds at once. */
export async function readClosure(
  store: ResourceStore,
  namespace: string,
  cluster: string,
): Promise<Closure> {
  const lists = await Promise.all(
    moveKinds.map(async (kind) => ({ kind, items: (await store.list(kind, { namespace })).items })),
  );
  return closureOf(
    lists.flatMap(({ kind, items }) =>
      items.filter((object) => moves(kind, object, cluster)).map((object) => ({ kind, object })),
    ),
  );
}

export function closureOf(found: readonly Member[]): Closure {
  const members = ownerLevels(found).flat();
  const parts = members.map((m) => [
    memberText(m),
    m.object.metadata.uid,
    digestOf(m.object),
    carriedStatus(m.kind, m.object) ?? null,
  ]);
  return { members, digest: contentHash(parts.sort(byName)) };
}

function byName([a]: readonly unknown[], [b]: readonly unknown[]): number {
  return String(a) < String(b) ? -1 : 1;
}

/** Whether an object belongs to the cluster and goes where it goes; the same rule as for its mirror. */
export function moves(kind: Kind, object: Resource, cluster: string): boolean {
  return belongsTo(cluster, kind, object);
}

/** Everything but status, server-side metadata and what a pivot itself writes. */
export function contentOf(object: Resource): Record<string, unknown> {
  const { metadata, status: _, apiVersion: _v, kind: _k, ...body } = object;
  const annotations = Object.fromEntries(
    Object.entries(metadata.annotations ?? {}).filter(([key]) => !ownAnnotations.has(key)),
  );
  const spec = body.spec as object | undefined;
  return {
    ...body,
    ...(object.kind === cluster.kind && spec ? { spec: { ...spec, paused: undefined } } : {}),
    labels: metadata.labels ?? {},
    annotations,
    finalizers: [...(metadata.finalizers ?? [])].sort(),
    owners: (metadata.ownerReferences ?? [])
      .map((ref) => `${ref.kind}/${ref.name}/${String(ref.controller ?? "")}`)
      .sort(),
  };
}

/** SHA-256 of an object's content. Says nothing about a Secret's values to anyone who does not have them. */
export function digestOf(object: Resource): string {
  return contentHash(contentOf(object));
}

/**
 * Members in levels: each level's owners are in levels before it, so that all of a level may be written at once. A cycle of owners
 * ends as one last level.
 */
export function ownerLevels(members: readonly Member[]): Member[][] {
  const waiting = new Map(members.map((member) => [member.object.metadata.uid, member]));
  const levels: Member[][] = [];
  while (waiting.size > 0) {
    const free = [...waiting.values()].filter((member) =>
      (member.object.metadata.ownerReferences ?? []).every((ref) => !waiting.has(ref.uid)),
    );
    const level = free.length > 0 ? free : [...waiting.values()];
    for (const member of level) waiting.delete(member.object.metadata.uid);
    levels.push(level);
  }
  return levels;
}

/** References to owners that are no members: "Machine/m: owner MachinePool/p". A copy with such a reference would be collected. */
export function strayOwners(members: readonly Member[]): string[] {
  const uids = new Set(members.map((member) => member.object.metadata.uid));
  return members.flatMap((member) =>
    (member.object.metadata.ownerReferences ?? [])
      .filter((ref) => !uids.has(ref.uid))
      .map((ref) => `${memberText(member)}: owner ${ref.kind}/${ref.name}`),
  );
}
