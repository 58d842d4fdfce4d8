// Which pool an address comes from. Pure.
//
//   S1. Pools by name (an ordered list, or one by label) go before pools by labels; nothing else is looked at then.
//   S2. By labels, every label that is asked for must be equal on the pool. Who asks for nothing gets nothing, never "any pool".
//   S3. A pool of a zone serves machines of that zone only.
//   S4. The most specific pool goes first: one of the machine's zone, then one of the card's network, then by kind and name.
//   S5. Of an ordered list the first with room is taken, so the others are fall-backs; where none has room, the first. Of pools by
//       labels the most specific is taken, full or not: nobody asked for another network's addresses.
import type { Key } from "#core";
import type { KnownPool } from "../inventory/index.ts";
import { networkLabel, poolGroupLabel, poolNameLabel, poolsAnnotation, listed, zoneLabel } from "./words.ts";

/** What a network card, or a cluster's endpoint, asks for. */
export interface Wish {
  /** In the order in which they are tried. */
  readonly pools: readonly Key[];
  readonly group: string | undefined;
  readonly network: string | undefined;
  /** The failure domain of the machine. */
  readonly zone: string | undefined;
  /** The network that the card is on, as vCenter calls it. */
  readonly cardNetwork: string | undefined;
}

type Meta = { readonly labels?: Record<string, string>; readonly annotations?: Record<string, string> };

/** Read from the object that carries labels and annotations; `namespace` is the cluster's. */
export function wishOf(
  { labels = {}, annotations = {} }: Meta,
  namespace: string,
  where: Pick<Wish, "zone" | "cardNetwork">,
): Wish {
  const list = listed(annotations[poolsAnnotation]);
  const names = list.length > 0 ? list : listed(labels[poolNameLabel]);
  const pools = names.map((text) => {
    const slash = text.indexOf("/");
    return slash < 0
      ? { namespace, name: text }
      : { namespace: text.slice(0, slash), name: text.slice(slash + 1) };
  });
  return { pools, group: labels[poolGroupLabel], network: labels[networkLabel], ...where };
}

/** Whether it asks for anything at all (S2). */
export function asksForPool({ pools, group, network }: Wish): boolean {
  return pools.length > 0 || group !== undefined || network !== undefined;
}

export interface Candidate {
  readonly pool: KnownPool;
  readonly free: bigint;
}

export type Selection =
  | { readonly kind: "pool"; readonly candidate: Candidate }
  /** In words for people. */
  | { readonly kind: "none"; readonly message: string };

/** `namespace` is where pools are looked for by labels; cluster-scoped ones are everywhere. */
export function selectPool(wish: Wish, candidates: readonly Candidate[], namespace: string): Selection {
  const usable = candidates.filter(({ pool }) => !pool.deleting && fitsZone(pool, wish));
  if (wish.pools.length > 0) {
    const named = wish.pools.flatMap((key) => {
      const found = usable
        .filter(
          ({ pool: { pointer } }) =>
            pointer.name === key.name && (pointer.namespace ?? key.namespace) === key.namespace,
        )
        .sort(bySpecificity(wish));
      return found.slice(0, 1);
    });
    const candidate = named.find(({ free }) => free > 0n) ?? named[0]; // S5
    return candidate
      ? { kind: "pool", candidate }
      : none(
          `there is no pool ${wish.pools.map(({ namespace: at, name }) => `${at ?? ""}/${name}`).join(", ")}`,
          wish,
        );
  }
  const matching = usable.filter(
    ({ pool }) =>
      (pool.pointer.namespace ?? namespace) === namespace &&
      matches(pool, poolGroupLabel, wish.group) &&
      matches(pool, networkLabel, wish.network),
  );
  const [candidate] = matching.sort(bySpecificity(wish));
  if (candidate) return { kind: "pool", candidate };
  const labels = [
    ...(wish.group === undefined ? [] : [`${poolGroupLabel}=${wish.group}`]),
    ...(wish.network === undefined ? [] : [`${networkLabel}=${wish.network}`]),
  ];
  return none(`no pool in namespace ${namespace} has ${labels.join(" and ")}`, wish);
}

function none(message: string, { zone }: Wish): Selection {
  return { kind: "none", message: zone === undefined ? message : `${message}, for zone ${zone} or for all` };
}

function labelOf({ object }: KnownPool, label: string): string | undefined {
  return object.metadata.labels?.[label];
}

function matches(pool: KnownPool, label: string, wanted: string | undefined): boolean {
  return wanted === undefined || labelOf(pool, label) === wanted;
}

/** S3. */
function fitsZone(pool: KnownPool, { zone }: Wish): boolean {
  const own = labelOf(pool, zoneLabel);
  return own === undefined || own === zone;
}

/** S4. Metal3's pools first: where they are used, the labels were written for them. */
function bySpecificity({ zone, cardNetwork }: Wish) {
  const network = cardNetwork?.split("/").at(-1);
  const rank = ({ pool }: Candidate): string => {
    const inZone = zone !== undefined && labelOf(pool, zoneLabel) === zone ? 0 : 1;
    const onNetwork = network !== undefined && labelOf(pool, networkLabel) === network ? 0 : 1;
    const kind = ["IPPool", "InClusterIPPool", "GlobalInClusterIPPool"].indexOf(pool.pointer.kind);
    return `${inZone}${onNetwork}${kind} ${pool.pointer.namespace ?? ""}/${pool.pointer.name}`;
  };
  return (a: Candidate, b: Candidate): number => (rank(a) < rank(b) ? -1 : rank(a) > rank(b) ? 1 : 0);
}
