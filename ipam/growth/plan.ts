// How much room a cluster's autoscaler gets in each pool, given everything we saw. Pure.
//
//   G1. Kept for a cluster in a pool: for each MachineDeployment with a maximum, (maximum + surge of a roll-out) × its cards on that pool,
//       or what it holds, where that is more; and what others of the cluster hold there, since all that the cluster holds counts against
//       what is set aside for it.
//   G2. Without a MachineDeployment that may grow, nothing is kept. A MachineDeployment that is being deleted grows no more.
//   G3. A paused cluster and a paused pool stay as they are.
//   G4. Of a cluster that was never seen, nothing is given back for ten minutes: it may be on its way (clusterctl move).
//   G5. An address whose machine is not known yet counts as another's only after a while: else each new machine would be counted twice
//       until it is known.
//   G6. While the template of a node group is not there, no less is kept than before.
//   G7. Where the pool cannot hold the maximum, all of it is set aside all the same, and it is said.
import type { Plan } from "#core";
import type { MachineDeployment } from "#proto";
import { poolName, type PoolPlace } from "../words.ts";

export interface NodeGroup {
  readonly deployment: MachineDeployment;
  /** Machines at once: the maximum and the surge. */
  readonly machines: number;
  readonly max: number;
  /** One for each card and pool that it names: the same pool twice is two addresses a machine. */
  readonly cards: readonly PoolPlace[];
  /** Whether its template is there, which tells the cards. */
  readonly isKnown: boolean;
}

/** An address of the cluster in a pool. */
export interface Held {
  /** The MachineDeployment of its machine; "": another's; undefined: the machine is not known. */
  readonly deployment: string | undefined;
  readonly ageMs: number;
}

export interface GrowthPool {
  readonly place: PoolPlace;
  readonly isPaused: boolean;
  /** What is kept for the cluster now; undefined: nothing. */
  readonly kept: number | undefined;
  readonly held: readonly Held[];
  /** How many more the cluster could get; Infinity where it does not matter. */
  readonly room: number;
}

export interface Saying {
  readonly deployment: MachineDeployment;
  readonly reason: "AutoscalerSizes" | "NoRoomToGrow" | "NothingSetAside";
  readonly message: string;
}

export interface GrowthSeen {
  /** "moving": not there, and never seen. */
  readonly cluster: "active" | "paused" | "gone" | "moving";
  /** What is wrong with node groups by themselves. */
  readonly faults: readonly Saying[];
  readonly groups: readonly NodeGroup[];
  /** Those that node groups name, and those in which something is kept for the cluster. */
  readonly pools: readonly GrowthPool[];
}

export type GrowthAction =
  | { readonly do: "set aside"; readonly place: PoolPlace; readonly count: number }
  | { readonly do: "give back"; readonly place: PoolPlace }
  | ({ readonly do: "say" } & Saying);

/** How long an address waits for its machine to be known (G5). */
const strangerMs = 10_000;
/** How long a cluster may be on its way (G4). */
export const movingMs = 10 * 60_000;

export function planGrowth(seen: GrowthSeen): Plan<GrowthAction> {
  const nothing = { actions: [], conditions: [] };
  if (seen.cluster === "paused") return nothing; // G3
  if (seen.cluster === "moving") return seen.pools.length > 0 ? { ...nothing, after: movingMs } : nothing; // G4
  const groups = seen.cluster === "gone" ? [] : seen.groups;
  const actions: GrowthAction[] = seen.faults.map((saying) => ({ do: "say", ...saying }));
  let after = Infinity;
  for (const pool of seen.pools) {
    if (pool.isPaused) continue; // G3
    const { place, kept } = pool;
    const { count, strangers } = roomWanted(pool, groups);
    for (const { ageMs } of strangers) after = Math.min(after, strangerMs - ageMs);
    const isLess = count < (kept ?? 0);
    if (isLess && groups.some(({ isKnown }) => !isKnown)) continue; // G6
    if (count > 0 && count !== kept) actions.push({ do: "set aside", place, count });
    if (count === 0 && kept !== undefined) actions.push({ do: "give back", place });
    actions.push(...shortage(pool, groups, count));
  }
  return { actions, conditions: [], ...(after < Infinity ? { after: Math.max(after, 1) } : {}) };
}

/** G1, G2, G5. */
function roomWanted({ place, held }: GrowthPool, groups: readonly NodeGroup[]) {
  const here = groups.filter(({ cards }) => cardsOn(place, cards) > 0);
  const names = new Set(here.map(({ deployment }) => deployment.metadata.name));
  const own = here.reduce((sum, { deployment: { metadata }, machines, cards }) => {
    const has = held.filter(({ deployment }) => deployment === metadata.name).length;
    return sum + Math.max(has, machines * cardsOn(place, cards));
  }, 0);
  const strangers = held.filter(({ deployment, ageMs }) => deployment === undefined && ageMs < strangerMs);
  const others = held.filter(({ deployment }) => deployment === undefined || !names.has(deployment));
  const count = own === 0 ? 0 : own + others.length - strangers.length;
  return { count, strangers: own === 0 ? [] : strangers };
}

/** G7. */
function shortage(
  { place, held, room }: GrowthPool,
  groups: readonly NodeGroup[],
  count: number,
): GrowthAction[] {
  const missing = count - held.length - room;
  if (missing <= 0) return [];
  return groups
    .filter(({ cards }) => cardsOn(place, cards) > 0)
    .map(({ deployment, max }) => ({
      do: "say",
      deployment,
      reason: "NoRoomToGrow",
      message:
        `${poolName(place)} lacks ${missing} addresses for its cluster to grow as far as autoscalers may, this one to ${max} machines; ` +
        "add addresses to the pool, or lower the maximum",
    }));
}

function cardsOn(place: PoolPlace, cards: readonly PoolPlace[]): number {
  return cards.filter((card) => poolName(card) === poolName(place)).length;
}
