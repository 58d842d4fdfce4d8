// Looks at everything a round needs. Reads only.
import { isDeleting, Secret, type Resource, type ResourceStore } from "#core";
import {
  clusterApiKinds,
  inClusterIPPool,
  ipAddress,
  ipAddressClaim,
  secret,
  secretText,
  spa,
  type IPAddress,
  type IPAddressClaim,
  type Ledger,
  type Spa,
} from "#proto";
import { machineStatuses } from "#proto/render/machines.ts";
import { addressNeeds } from "#proto/render/addresses.ts";
import { clusterNames, words } from "#proto/render/names.ts";
import { ledgerOf, mergeLedgers } from "../ledger.ts";
import { activeSide, isRevival } from "../pivot/journal.ts";
import type { JetDeps } from "../ports.ts";
import type { LeasedAddress } from "../render/cluster.ts";
import { leaseNames } from "../render/lease.ts";
import { askCertificate, askCloud, countStrays } from "./observe-cloud.ts";
import {
  type SpaSeen,
  keptKubeconfigName,
  type CredentialSeen,
  type NeedSeen,
  type LeaseSeen,
  type WorkloadSeen,
  placementsOf,
} from "./seen.ts";
import { readEndpoint } from "./observe-endpoint.ts";
import { readEtcd } from "./observe-etcd.ts";
import { readImages } from "./observe-images.ts";
import type { Observer } from "./observer.ts";
import { readWorkload } from "./observe-workload.ts";
import { resolvedEndpoint } from "./rendered.ts";
import { readZones } from "./zones.ts";

export async function observeSpa(
  { deps, options, memory, certificates, endpoints }: Observer,
  key: { readonly namespace?: string; readonly name: string },
  signal: AbortSignal,
): Promise<SpaSeen | undefined> {
  const { store } = deps;
  const found = await store.get(spa, key, signal);
  if (!found) return undefined;
  const names = clusterNames(found.spec.clusterUid, found.spec.clusterName);
  // Deletion is for good: a wish that comes later cannot undo what is half gone.
  const { pivot, state } = found.status ?? {};
  const deleting =
    isDeleting(found) ||
    found.spec.action === "Delete" ||
    (pivot?.direction === "ToGateway" && !isRevival(pivot)) ||
    state === "Deleting";
  const side = activeSide(found.status?.pivot);
  const credential = await readCredential(store, options.systemNamespace, found);
  const gateway = { objects: await readObjects(store, names.namespace) };
  const born = side !== "gateway" || gateway.objects.some((o) => o.kind === "Cluster");
  const kubeconfig = {
    made: secretText(
      await store.get(secret, { namespace: names.namespace, name: names.kubeconfig }),
      "value",
    ),
    kept: secretText(
      await store.get(secret, { namespace: names.namespace, name: keptKubeconfigName }),
      "value",
    ),
  };
  const leaseClaims = await readLeaseClaims(store, names.uid);
  const needs = await readNeeds(deps, found, leaseClaims);
  const workload = await readWorkload(
    deps,
    options,
    found,
    names,
    kubeconfig.made ?? kubeconfig.kept,
    side,
    signal,
  );
  const mirrored =
    deleting && workload.kind !== "reachable" ? await deps.mirrors?.latest(names.uid) : undefined;
  const ledger = ledgerSeen(found, gateway.objects, workload, mirrored?.objects ?? []);
  const empty = gateway.objects.length === 0;
  const zones = await readZones(found, store, workload.kind === "reachable" ? workload.store : undefined);
  const toCount =
    deleting &&
    (found.status?.deletion?.way === "ByLedger" ||
      (side === "gateway" ? empty : workload.kind !== "reachable"));
  return {
    spa: found,
    names,
    deleting,
    side,
    credential,
    cloud:
      born || deleting
        ? { kind: "unasked" }
        : await askCloud(deps, memory, names.namespace, found, credential, signal),
    certificate:
      born || deleting ? await askCertificate(deps, certificates, found, credential, signal) : undefined,
    etcd: await readEtcd(store, options.systemNamespace, found, names, deps.clock.now()),
    images: await readImages(store, options.systemNamespace, found, options.imageSource),
    endpoint:
      born || deleting
        ? undefined
        : await readEndpoint(deps, endpoints, found, resolvedEndpoint({ needs, spa: found }), signal),
    needs,
    ...(zones ? { zones } : {}),
    gateway,
    identity: await store.get(secret, { namespace: names.namespace, name: names.identity }),
    childPools: (await store.list(inClusterIPPool, { namespace: names.namespace })).items,
    kubeconfig,
    workload,
    ledger,
    strays: toCount
      ? await countStrays(deps, { found, names, credential, ledger, needs }, signal)
      : { kind: "unasked" },
    secrets: deleting && empty ? await secretNames(store, names.namespace) : [],
    leaseClaims,
    ...(deps.mirrors ? { mirror: { about: await deps.mirrors.about(names.uid) } } : {}),
  };
}

async function readCredential(
  store: ResourceStore,
  systemNamespace: string,
  { spec }: Spa,
): Promise<CredentialSeen> {
  const { name } = spec.cloud.credentialRef;
  const object = await store.get(secret, { namespace: systemNamespace, name });
  const username = secretText(object, "username");
  const password = secretText(object, "password");
  if (object && username && password !== undefined) {
    return {
      kind: "found",
      username,
      password: new Secret(password),
      version: object.metadata.resourceVersion,
    };
  }
  const where = `Secret ${systemNamespace}/${name}`;
  return {
    kind: "missing",
    message: object
      ? `${where} lacks username or password; add both`
      : `${where} does not exist; register the cloud account on this gateway, or create it with username and password`,
  };
}

async function readObjects(store: ResourceStore, ns: string): Promise<Resource[]> {
  const objects: Resource[] = [];
  for (const kind of clusterApiKinds) objects.push(...(await store.list(kind, { namespace: ns })).items);
  // Claims too: an address that does not come is the deepest cause there is.
  for (const claim of (await store.list(ipAddressClaim, { namespace: ns })).items) {
    if (!claim.metadata.labels?.[words.stays]) objects.push(claim);
  }
  return objects;
}

/** What earlier rounds wrote down, and everything that this one sees of machines. */
function ledgerSeen(
  found: Spa,
  objects: readonly Resource[],
  workload: WorkloadSeen,
  mirrored: readonly Resource[],
): Ledger {
  const told = workload.kind === "reachable" ? (workload.spectroCluster?.status?.machines ?? []) : [];
  const machines = [
    ...(found.status?.machines ?? []),
    ...machineStatuses([...mirrored, ...objects]),
    ...told,
  ];
  const seen = ledgerOf(
    [...mirrored, ...objects],
    machines,
    placementsOf(found).map((p) => p.placement),
  );
  return mergeLedgers(found.status?.ledger, seen);
}

async function secretNames(store: ResourceStore, ns: string): Promise<string[]> {
  return (await store.list(secret, { namespace: ns })).items.map((object) => object.metadata.name);
}

async function readLeaseClaims(store: ResourceStore, uid: string): Promise<IPAddressClaim[]> {
  const labels = [
    { key: words.clusterUid, op: "=" as const, value: uid },
    { key: words.leaseOf, op: "exists" as const },
  ];
  return (await store.list(ipAddressClaim, { labels })).items;
}

async function readNeeds(
  { store, pools }: JetDeps,
  { spec }: Spa,
  claims: readonly IPAddressClaim[],
): Promise<NeedSeen[]> {
  const seen: NeedSeen[] = [];
  for (const wish of addressNeeds(spec)) {
    // A smaller wish gives no address back: machines may still have it.
    const held = claims.filter((claim) => claim.metadata.labels?.[words.leaseOf] === wish.child).length;
    const need = { ...wish, count: Math.max(wish.count, held) };
    const leases: LeaseSeen[] = [];
    for (const at of leaseNames(spec, need)) {
      const claim = await store.get(ipAddressClaim, at);
      const ref = claim?.status?.addressRef?.name;
      const address = ref ? await store.get(ipAddress, { namespace: at.namespace, name: ref }) : undefined;
      leases.push({ at, claim, address: address && leased(address) });
    }
    seen.push({ need, room: await pools.room(need.parent), leases });
  }
  return seen;
}

function leased({ spec }: IPAddress): LeasedAddress {
  return { address: spec.address, prefix: spec.prefix, ...(spec.gateway ? { gateway: spec.gateway } : {}) };
}
