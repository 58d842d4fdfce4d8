// What one round of the static-IP controller sees: a machine (or a cluster's endpoint), what it asks for, and its claims.
import {
  isFault,
  keyOf,
  keyText,
  listAll,
  matchLabels,
  parseKey,
  type Key,
  type Kind,
  type Resource,
  type ResourceStore,
} from "#core";
import {
  cluster,
  clusterNameLabel,
  globalInClusterIPPool,
  inClusterIPPool,
  ipAddress,
  ipAddressClaim,
  metal3IPAddress,
  metal3IPClaim,
  metal3IPPool,
  vsphereCluster,
  vsphereMachine,
  vsphereMachineTemplate,
  type Cluster,
  type IPAddressClaim,
  type Metal3IPClaim,
  type NetworkDevice,
  type VSphereCluster,
  type VSphereMachine,
} from "#proto";
import { isPaused } from "../claim/observe.ts";
import { poolView, readInventory } from "../inventory/index.ts";
import { asksForPool, selectPool, wishOf, type Candidate, type Selection, type Wish } from "./select.ts";
import {
  listed,
  nameServersAnnotation,
  poolNamespaceAnnotation,
  searchDomainsAnnotation,
  subjectAnnotation,
  subjectKindLabel,
  templateAnnotation,
} from "./words.ts";

/** "machine": the cards of a VSphereMachine. "endpoint": the control plane endpoint of a VSphereCluster. */
export type SubjectKind = "machine" | "endpoint";

/** One address that is asked for. */
export interface Need {
  /** The card; 0 for an endpoint. */
  readonly index: number;
  readonly claimName: string;
  readonly wish: Wish;
}

/** What comes with an address. */
export interface Supply {
  readonly address: string;
  readonly prefix: number | undefined;
  readonly gateway: string | undefined;
  readonly nameServers: readonly string[];
  readonly searchDomains: readonly string[];
}

export type StaticClaim = {
  readonly claimKind: Kind;
  readonly object: IPAddressClaim | Metal3IPClaim;
  readonly key: Key;
  /** Whether we, or the static-IP controller before us, made it for this subject. */
  readonly isOurs: boolean;
  readonly isExhausted: boolean;
  /** Its address, once it has one. */
  readonly supply: Supply | undefined;
  readonly pool: Key;
};

export interface StaticSeen {
  readonly kind: SubjectKind;
  readonly key: Key;
  /** The VSphereMachine or VSphereCluster; undefined: it is gone. */
  readonly subject: VSphereMachine | VSphereCluster | undefined;
  readonly cluster: "missing" | "paused" | "active";
  readonly clusterName: string | undefined;
  /** Where the cluster's API listens: for an endpoint that says no port. */
  readonly apiPort: number;
  readonly needs: readonly Need[];
  /** By claim name; also those of a subject that is gone. */
  readonly claims: ReadonlyMap<string, StaticClaim>;
  /** By card: the pool to take, for those without a claim and those whose claim found its pool exhausted. */
  readonly selections: ReadonlyMap<number, Selection>;
  /** Whether the machine is there still, as far as can be known; asked only when its object is gone. */
  readonly vm: VmPresence;
}

export type VmPresence = "there" | "gone" | "unknown";

/** Asks vCenter, or whoever knows. */
export interface VmWitness {
  /** Whether a VM of this name exists, or any reports one of the addresses. "unknown" where nobody can say now. */
  presence(
    vm: {
      readonly name: string;
      readonly namespace: string | undefined;
      readonly addresses: readonly string[];
    },
    signal: AbortSignal,
  ): Promise<VmPresence>;
}

export const subjectKinds: Readonly<Record<SubjectKind, Kind>> = {
  machine: vsphereMachine as Kind,
  endpoint: vsphereCluster as Kind,
};

/** Cluster API's and kubeadm's. */
const usualApiPort = 6443;

export async function observe(
  deps: { readonly store: ResourceStore; readonly witness: VmWitness },
  kind: SubjectKind,
  key: Key,
  signal: AbortSignal,
): Promise<StaticSeen | undefined> {
  const { store } = deps;
  const subject = (await store.get(subjectKinds[kind], key, signal)) as StaticSeen["subject"];
  const owned = await ownClaims(store, kind, key, signal);
  if (!subject) {
    if (owned.length === 0) return undefined;
    const addresses = owned.flatMap(({ supply }) => (supply ? [supply.address] : []));
    const vm =
      kind === "endpoint"
        ? "gone"
        : await deps.witness.presence({ ...key, namespace: key.namespace, addresses }, signal);
    return {
      kind,
      key,
      subject,
      cluster: "active",
      clusterName: undefined,
      apiPort: usualApiPort,
      needs: [],
      claims: new Map(owned.map((claim) => [claim.key.name, claim])),
      selections: new Map(),
      vm,
    };
  }
  const clusterName = clusterNameOf(kind, subject);
  const found = clusterName ? await store.get(cluster, { ...key, name: clusterName }, signal) : undefined;
  const needs = await needsOf(store, kind, subject, signal);
  const poolNamespace =
    found?.metadata.annotations?.[poolNamespaceAnnotation] || (key.namespace ?? "default");
  const claims = new Map(owned.map((claim) => [claim.key.name, claim]));
  for (const { claimName } of needs)
    for (const namespace of new Set([key.namespace ?? "default", poolNamespace]))
      if (!claims.has(claimName)) {
        const other = await claimAt(store, kind, subject, { namespace, name: claimName }, signal);
        if (other) claims.set(claimName, other);
      }
  const open = needs.filter(({ claimName }) => {
    const claim = claims.get(claimName);
    return !claim || (claim.isOurs && claim.isExhausted && !claim.supply);
  });
  return {
    kind,
    key,
    subject,
    cluster: stateOf(found, subject),
    clusterName,
    apiPort: found?.spec.clusterNetwork?.apiServerPort ?? usualApiPort,
    needs,
    claims,
    selections: open.length > 0 && found ? await select(store, open, poolNamespace, signal) : new Map(),
    vm: "there",
  };
}

function stateOf(found: Cluster | undefined, subject: Resource): StaticSeen["cluster"] {
  if (!found) return "missing";
  return found.spec.paused || isPaused(found) || isPaused(subject) ? "paused" : "active";
}

export function clusterNameOf(kind: SubjectKind, subject: Resource): string | undefined {
  const owner = subject.metadata.ownerReferences?.find((ref) => ref.kind === cluster.kind);
  return subject.metadata.labels?.[clusterNameLabel] ?? (kind === "endpoint" ? owner?.name : undefined);
}

/** Whether a card waits for an address from us. One with addressesFromPools is CAPV's own. */
export function isStatic(device: NetworkDevice): boolean {
  const { dhcp4, dhcp6, ipAddrs, addressesFromPools, skipIPAllocation } = device;
  return !dhcp4 && !dhcp6 && !skipIPAllocation && !ipAddrs?.length && !addressesFromPools?.length;
}

async function needsOf(
  store: ResourceStore,
  kind: SubjectKind,
  subject: VSphereMachine | VSphereCluster,
  signal: AbortSignal,
): Promise<Need[]> {
  const { name, namespace = "default", labels, annotations } = subject.metadata;
  if (kind === "endpoint") {
    const { spec } = subject as VSphereCluster;
    const wish = wishOf(subject.metadata, namespace, { zone: undefined, cardNetwork: undefined });
    return !spec.controlPlaneEndpoint?.host && asksForPool(wish) ? [{ index: 0, claimName: name, wish }] : [];
  }
  const { spec } = subject as VSphereMachine;
  const devices = spec.network.devices.map((device, index) => ({ device, index }));
  const open = devices.filter(({ device }) => isStatic(device));
  if (open.length === 0) return [];
  const templateName = annotations?.[templateAnnotation];
  const template = templateName
    ? await store.get(vsphereMachineTemplate, { namespace, name: templateName }, signal)
    : undefined;
  const meta = {
    labels: { ...template?.metadata.labels, ...labels },
    annotations: { ...template?.metadata.annotations, ...annotations },
  };
  return open
    .map(({ device, index }) => ({
      index,
      claimName: `${name}-${index}`,
      wish: wishOf(meta, namespace, { zone: spec.failureDomain, cardNetwork: device.networkName }),
    }))
    .filter(({ wish }) => asksForPool(wish));
}

/** The claims that bear our mark for this subject, in any namespace. */
async function ownClaims(
  store: ResourceStore,
  kind: SubjectKind,
  key: Key,
  signal: AbortSignal,
): Promise<StaticClaim[]> {
  const options = { labels: matchLabels({ [subjectKindLabel]: kind }) };
  const lists = await Promise.all(
    [metal3IPClaim as Kind, ipAddressClaim as Kind].map((claimKind) =>
      listAll(store, claimKind, options, signal).then(
        ({ items }) => items.map((object) => ({ claimKind, object })),
        (error: unknown) => {
          if (isFault(error, "NotFound")) return []; // not served here
          throw error;
        },
      ),
    ),
  );
  const text = keyText(key);
  const mine = lists.flat().filter(({ object }) => object.metadata.annotations?.[subjectAnnotation] === text);
  return Promise.all(
    mine.map(({ claimKind, object }) => staticClaim(store, claimKind, object as never, true, signal)),
  );
}

/** A claim of that name that nobody marked: the static-IP controller's, or a stranger's. */
async function claimAt(
  store: ResourceStore,
  kind: SubjectKind,
  subject: Resource,
  key: Key,
  signal: AbortSignal,
): Promise<StaticClaim | undefined> {
  for (const claimKind of [metal3IPClaim as Kind, ipAddressClaim as Kind]) {
    const object = await store.get(claimKind, key, signal).catch((error: unknown) => {
      if (isFault(error, "NotFound")) return undefined;
      throw error;
    });
    if (!object) continue;
    const isOurs =
      object.metadata.ownerReferences?.some(
        (ref) => ref.kind === subjectKinds[kind].kind && ref.name === subject.metadata.name,
      ) ?? false;
    return staticClaim(store, claimKind, object as never, isOurs, signal);
  }
  return undefined;
}

async function staticClaim(
  store: ResourceStore,
  claimKind: Kind,
  object: IPAddressClaim | Metal3IPClaim,
  isOurs: boolean,
  signal: AbortSignal,
): Promise<StaticClaim> {
  const key = keyOf(object);
  if (claimKind.group === metal3IPClaim.group) {
    const claim = object as Metal3IPClaim;
    const pool = {
      namespace: claim.spec.pool.namespace || (key.namespace ?? "default"),
      name: claim.spec.pool.name ?? "",
    };
    return {
      claimKind,
      object,
      key,
      isOurs,
      isExhausted: claim.status?.errorMessage?.includes("no free address") ?? false,
      supply: await metal3Supply(store, claim, pool, signal),
      pool,
    };
  }
  const claim = object as IPAddressClaim;
  const { name, kind } = claim.spec.poolRef;
  const pool = kind === globalInClusterIPPool.kind ? { name } : { ...key, name };
  const ready = claim.status?.conditions?.find(({ type }) => type === "Ready");
  return {
    claimKind,
    object,
    key,
    isOurs,
    isExhausted: ready?.reason === "PoolExhausted",
    supply: await capiSupply(store, claim, pool, signal),
    pool,
  };
}

async function metal3Supply(
  store: ResourceStore,
  claim: Metal3IPClaim,
  poolKey: Key,
  signal: AbortSignal,
): Promise<Supply | undefined> {
  const name = claim.status?.address?.name;
  if (!name) return undefined;
  const address = await store.get(metal3IPAddress, { ...keyOf(claim), name }, signal);
  if (!address) return undefined;
  const pool = await store.get(metal3IPPool, poolKey, signal);
  const { spec } = address;
  return {
    address: spec.address,
    prefix: spec.prefix,
    gateway: spec.gateway,
    nameServers: spec.dnsServers ?? pool?.spec.dnsServers ?? annotated(pool, nameServersAnnotation),
    searchDomains: annotated(pool, searchDomainsAnnotation),
  };
}

async function capiSupply(
  store: ResourceStore,
  claim: IPAddressClaim,
  poolKey: Key,
  signal: AbortSignal,
): Promise<Supply | undefined> {
  const name = claim.status?.addressRef?.name;
  if (!name) return undefined;
  const address = await store.get(ipAddress, { ...keyOf(claim), name }, signal);
  if (!address) return undefined;
  const kind = poolKey.namespace === undefined ? globalInClusterIPPool : inClusterIPPool;
  const pool = await store.get(kind, poolKey, signal);
  const { spec } = address;
  return {
    address: spec.address,
    prefix: spec.prefix,
    gateway: spec.gateway,
    nameServers: annotated(pool, nameServersAnnotation),
    searchDomains: annotated(pool, searchDomainsAnnotation),
  };
}

function annotated(pool: Resource | undefined, annotation: string): string[] {
  return listed(pool?.metadata.annotations?.[annotation]);
}

async function select(
  store: ResourceStore,
  open: readonly Need[],
  poolNamespace: string,
  signal: AbortSignal,
): Promise<Map<number, Selection>> {
  const inventory = await readInventory(store, signal);
  const candidates: Candidate[] = inventory.pools.map((pool) => ({
    pool,
    free: BigInt(poolView(pool, inventory).free),
  }));
  return new Map(open.map(({ index, wish }) => [index, selectPool(wish, candidates, poolNamespace)]));
}

/** The subject that a claim of ours is for; undefined for other claims. */
export function subjectOf(kind: SubjectKind, { metadata }: Resource): Key | undefined {
  if (metadata.labels?.[subjectKindLabel] === kind) {
    const text = metadata.annotations?.[subjectAnnotation];
    return text ? parseKey(text) : undefined;
  }
  const owner = metadata.ownerReferences?.find((ref) => ref.kind === subjectKinds[kind].kind);
  const { namespace } = metadata;
  return owner && { ...(namespace ? { namespace } : {}), name: owner.name };
}
