// What one round sees: a cluster, its MachineDeployments, the pools that their machines take addresses from, and who holds some there.
import {
  isDeleting,
  keyText,
  ownerOf,
  type Clock,
  type Key,
  type Kind,
  type Lister,
  type ResourceStore,
} from "#core";
import {
  cluster,
  clusterNameLabel,
  deploymentNameLabel,
  ipamGroup,
  vsphereMachine,
  type Cluster,
  type IPAddress,
  type MachineDeployment,
  type Metal3IPPool,
  type VSphereMachine,
  type VSphereMachineTemplate,
  type VSphereVM,
} from "#proto";
import { isPaused } from "../claim/observe.ts";
import { ofPool } from "../in-use.ts";
import { knownMetal3Pool, knownPool, pointerText, type PoolPointer } from "../inventory/index.ts";
import { grownFor } from "../policy.ts";
import { roomFor } from "../set-aside.ts";
import { isStatic } from "../static/observe.ts";
import { asksForPool, selectPool, wishOf, type Candidate } from "../static/select.ts";
import { poolNamespaceAnnotation } from "../static/words.ts";
import { poolTerms } from "../terms.ts";
import { placeOf, placeText, poolKinds, poolPlace, type Pool, type PoolPlace } from "../words.ts";
import { growthOf } from "./group.ts";
import type { GrowthPool, GrowthSeen, Held, NodeGroup, Saying } from "./plan.ts";

/** Local copies. */
export interface Copies {
  readonly deployments: Lister<MachineDeployment>;
  readonly templates: Lister<VSphereMachineTemplate>;
  readonly machines: Lister<VSphereMachine>;
  readonly vms: Lister<VSphereVM>;
  readonly addresses: Lister<IPAddress>;
  readonly pools: ReadonlyMap<Kind<Pool>, Lister<Pool>>;
  /** Where the server has them: labels may select them, though nothing can be set aside there. */
  readonly metal3Pools: Lister<Metal3IPPool> | undefined;
}

/** What is remembered of a cluster between rounds. */
export interface Memory {
  /** It was there once. */
  wasThere: boolean;
  firstMissedAt: number | undefined;
  /** By address: the MachineDeployment of its machine, "" for another's. Machines may go before their addresses do. */
  readonly bearers: Map<string, string>;
}

export interface GrowthWorld {
  readonly store: ResourceStore;
  readonly clock: Clock;
  readonly copies: Copies;
  readonly serves: (pool: Pool) => boolean;
}

export async function observe(
  world: GrowthWorld,
  key: Key,
  memory: Memory,
  movingMs: number,
  signal: AbortSignal,
): Promise<GrowthSeen> {
  const { store, clock, copies } = world;
  // From the store itself: on its word room is given back.
  const found = await store.get(cluster, key, signal);
  const now = clock.now();
  if (found) Object.assign(memory, { wasThere: true, firstMissedAt: undefined });
  else memory.firstMissedAt ??= now;
  const isMoving = !found && !memory.wasThere && now - (memory.firstMissedAt ?? now) < movingMs;
  const faults: Saying[] = [];
  const groups = found ? nodeGroups(copies, found, faults) : [];
  const text = keyText(key);
  const places = new Map(groups.flatMap(({ cards }) => cards).map((place) => [placeText(place), place]));
  for (const [kind, pools] of copies.pools)
    for (const pool of pools.list())
      if (grownFor(pool, text) !== undefined) places.set(placeText(placeOf(kind, pool)), placeOf(kind, pool));
  const held = places.size > 0 ? heldBy(copies, key, memory, now) : [];
  return {
    cluster: found
      ? found.spec.paused || isPaused(found)
        ? "paused"
        : "active"
      : isMoving
        ? "moving"
        : "gone",
    faults,
    groups,
    pools: [...places.values()].flatMap((place) => growthPool(world, text, place, held)),
  };
}

function growthPool(
  { copies, serves, clock }: GrowthWorld,
  clusterText: string,
  place: PoolPlace,
  all: readonly (Held & { readonly pool: string })[],
): GrowthPool[] {
  const pool = copies.pools.get(place.kind)?.get(place.key);
  if (!pool || isDeleting(pool) || !serves(pool)) return [];
  const terms = poolTerms(pool);
  const text = placeText(place);
  const { namespace } = place.key;
  const inUse = ofPool(copies.addresses.list(namespace === undefined ? {} : { namespace }), place);
  return [
    {
      place,
      isPaused: isPaused(pool),
      kept: grownFor(pool, clusterText),
      held: all.filter((each) => each.pool === text),
      room:
        terms.kind === "terms" ? roomFor(clusterText, { pool, terms, inUse, now: clock.now() }) : Infinity,
    },
  ];
}

function nodeGroups(copies: Copies, owner: Cluster, faults: Saying[]): NodeGroup[] {
  const { name, namespace = "default" } = owner.metadata;
  return copies.deployments.list({ namespace }).flatMap((deployment) => {
    if (deployment.spec.clusterName !== name || isDeleting(deployment)) return []; // G2
    const growth = growthOf(deployment);
    if (growth.kind === "fixed") return [];
    if (growth.kind === "wrong") {
      faults.push({ deployment, reason: "AutoscalerSizes", message: growth.message });
      return [];
    }
    const { max, surge } = growth;
    const cards = cardsOf(copies, owner, deployment, faults);
    return [{ deployment, max, machines: max + surge, cards: cards ?? [], isKnown: cards !== undefined }];
  });
}

/**
 * A card that CAPV provides for names its pools; another's pool is selected by labels, as for its machines (static/). Undefined where
 * the template is not there (yet).
 */
function cardsOf(
  copies: Copies,
  owner: Cluster,
  deployment: MachineDeployment,
  faults: Saying[],
): PoolPlace[] | undefined {
  const { namespace = "default" } = deployment.metadata;
  const { infrastructureRef, failureDomain } = deployment.spec.template.spec;
  const template = copies.templates.get({ namespace, name: infrastructureRef.name });
  if (!template) return undefined;
  const { devices } = template.spec.template.spec.network;
  const at = (kindName: string, name: string): PoolPlace[] => {
    const kind = poolKinds.find((each) => each.kind === kindName);
    return kind ? [{ kind, key: kind.namespaced ? { namespace, name } : { name } }] : [];
  };
  const pooled = devices
    .flatMap(({ addressesFromPools = [] }) => addressesFromPools)
    .filter(({ apiGroup }) => apiGroup === ipamGroup)
    .flatMap(({ kind, name }) => at(kind, name));
  const poolNamespace = owner.metadata.annotations?.[poolNamespaceAnnotation] || namespace;
  const selected = devices.filter(isStatic).flatMap((device) => {
    const where = { zone: failureDomain, cardNetwork: device.networkName };
    const wish = wishOf(template.metadata, namespace, where);
    if (!asksForPool(wish)) return [];
    const selection = selectPool(wish, candidates(copies), poolNamespace);
    if (selection.kind === "none") return []; // its machines will say so
    const { pointer } = selection.candidate.pool;
    const why = whyNot(pointer, namespace);
    if (why === undefined) return at(pointer.kind, pointer.name);
    const message = `${pointerText(pointer)} sets nothing aside for an autoscaler: ${why}`;
    faults.push({ deployment, reason: "NothingSetAside", message });
    return [];
  });
  return [...pooled, ...selected];
}

/** Claims in another namespace than the cluster's do not bear its name. */
function whyNot({ kind, namespace }: PoolPointer, home: string): string | undefined {
  if (kind === "IPPool") return "pools of Metal3 cannot";
  return namespace === undefined || namespace === home
    ? undefined
    : `it is in another namespace than the cluster`;
}

/** As if every pool had room: what is wanted does not depend on what is free. */
function candidates({ pools, metal3Pools }: Copies): Candidate[] {
  const known = [...pools].flatMap(([kind, lister]) => lister.list().map((pool) => knownPool(kind, pool)));
  return [...known, ...(metal3Pools?.list() ?? []).map(knownMetal3Pool)].map((pool) => ({ pool, free: 1n }));
}

/** The addresses that bear the cluster's name, each with the MachineDeployment that its machine is of. */
function heldBy(
  { addresses, machines, vms }: Copies,
  { namespace = "default", name }: Key,
  memory: Memory,
  now: number,
): (Held & { readonly pool: string })[] {
  const own = addresses
    .list({ namespace })
    .filter(({ metadata }) => metadata.labels?.[clusterNameLabel] === name);
  const there = new Set(own.map(({ metadata }) => metadata.name));
  for (const bearer of memory.bearers.keys()) if (!there.has(bearer)) memory.bearers.delete(bearer);
  const deploymentOf = (machine: string | undefined): string | undefined => {
    const object = machine === undefined ? undefined : machines.get({ namespace, name: machine });
    return object && (object.metadata.labels?.[deploymentNameLabel] ?? "");
  };
  return own.flatMap((address) => {
    const place = poolPlace(address);
    if (!place) return [];
    const { metadata } = address;
    // CAPV names claims VM-CARD-POOL, static/ MACHINE-CARD.
    const vm = vms.get({ namespace, name: metadata.name.replace(/-\d+-\d+$/, "") });
    const deployment =
      memory.bearers.get(metadata.name) ??
      deploymentOf(vm && ownerOf(vm, vsphereMachine)?.name) ??
      deploymentOf(metadata.name.replace(/-\d+$/, ""));
    if (deployment !== undefined) memory.bearers.set(metadata.name, deployment);
    const ageMs = now - Date.parse(metadata.creationTimestamp);
    return [{ pool: placeText(place), deployment, ageMs }];
  });
}
