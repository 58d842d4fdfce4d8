// Room kept for a cluster before its machines exist: what its autoscaler may grow to stays free for it until it is given back.
import { keyText, modify, type Key, type ResourceStore } from "#core";
import { clusterNameLabel, type IPAddress } from "#proto";
import {
  addressesNeeded,
  poolRoom,
  referencePlace,
  roomProblem,
  type PoolReference,
  type PoolRoom,
} from "./capacity.ts";
import { addressesOf } from "./in-use.ts";
import { poolPolicy, setAsideAnnotation, withSetAside, type Policy } from "./policy.ts";
import { poolTerms } from "./terms.ts";

/** A cluster about to be begun, or to grow. */
export interface ClusterWish {
  readonly cluster: Required<Key>;
  readonly nodes: number;
  /** What its autoscaler may grow to; `nodes` unless told. */
  readonly maxNodes?: number;
}

export interface Preflight {
  readonly room: PoolRoom;
  /** Addresses that must be free for it beside those it holds: machines at most, and three. */
  readonly needed: number;
  /** For people; undefined when there is enough. */
  readonly problem: string | undefined;
}

/** Whether a pool has room for a cluster, leaving what is set aside for others to them. Counts afresh. */
export async function preflight(
  store: ResourceStore,
  ref: PoolReference,
  { cluster, nodes, maxNodes = nodes }: ClusterWish,
  signal?: AbortSignal,
): Promise<Preflight> {
  const room = await poolRoom(store, ref, signal);
  const name = `${ref.kind} ${keyText({ name: ref.name, ...(ref.namespace ? { namespace: ref.namespace } : {}) })}`;
  const most = Math.max(nodes, maxNodes);
  if (room.kind !== "room")
    return { room, needed: addressesNeeded(most), problem: roomProblem(name, room, most) };
  const place = referencePlace(ref);
  const pool = await store.get(place.kind, place.key, signal);
  const terms = pool && poolTerms(pool);
  const inUse = await addressesOf(store, place, signal);
  const aside = pool && terms?.kind === "terms" ? poolPolicy(pool, terms).policy.aside : [];
  const others = asideFor(
    aside.filter(({ key }) => key !== keyText(cluster)),
    inUse,
  );
  const left = { ...room, free: Math.max(0, room.free - others) };
  const held = inUse.filter(belongsTo(keyText(cluster))).length;
  const missing = Math.max(0, most - held);
  const problem = roomProblem(name, left, missing);
  const hint = others > 0 && problem ? ` (${others} more are free, but set aside for other clusters)` : "";
  return { room: left, needed: addressesNeeded(missing), problem: problem && problem + hint };
}

/** Keeps so many addresses for the cluster, counting those it holds. The same again is nothing; 0 gives all back. */
export async function setAside(
  store: ResourceStore,
  ref: PoolReference,
  cluster: Required<Key>,
  count: number,
): Promise<void> {
  const { kind, key } = referencePlace(ref);
  await modify(store, kind, key, (pool) => {
    const { [setAsideAnnotation]: before, ...annotations } = pool.metadata.annotations ?? {};
    const text = withSetAside(before, keyText(cluster), count, pool.metadata.namespace ?? "");
    pool.metadata.annotations = {
      ...annotations,
      ...(text === undefined ? {} : { [setAsideAnnotation]: text }),
    };
  });
}

/** Of what is set aside, how much its clusters do not hold yet. Pure. */
function asideFor(aside: Policy["aside"], inUse: readonly IPAddress[]): number {
  return aside.reduce(
    (sum, { key, what }) => sum + Math.max(0, what - inUse.filter(belongsTo(key)).length),
    0,
  );
}

function belongsTo(cluster: string): (address: IPAddress) => boolean {
  return ({ metadata }) =>
    `${metadata.namespace ?? ""}/${metadata.labels?.[clusterNameLabel] ?? ""}` === cluster;
}
