// Everything Jet looks at in a round, in one value. Reads only; what is missing is a fact, not an error.
import {
  Fault,
  isDeleting,
  isFault,
  Secret,
  type Kind,
  type OwnedStore,
  type Problem,
  type Resource,
  type ResourceStore,
} from "#core";
import {
  clusterApiKinds,
  customResourceDefinition,
  deployment,
  inClusterIPPool,
  ipAddress,
  ipAddressClaim,
  namespace,
  secret,
  secretText,
  spa,
  spectroCluster,
  vsphereMachineTemplate,
  vsphereVM,
  type Deployment,
  type IPAddress,
  type IPAddressClaim,
  type SecretObject,
  type Spa,
  type SpectroCluster,
} from "#proto";
import { addressNeeds, controlPlanePlacement, type AddressNeed } from "#proto/render/addresses.ts";
import { clusterNames, words, type ClusterNames } from "#proto/render/names.ts";
import { activeSide } from "../pivot/journal.ts";
import type { Cloud, InstallImages, JetDeps, JetOptions, PlacementAt, VmFacts } from "../ports.ts";
import { deploymentKeys } from "../providers.ts";
import type { LeasedAddress } from "../render/cluster.ts";
import { leaseNames, type LeaseName } from "../render/lease.ts";

export type CredentialSeen =
  | { readonly kind: "missing"; readonly message: string }
  | {
      readonly kind: "found";
      readonly username: string;
      readonly password: Secret;
      readonly version: string;
    };

export type CloudSeen =
  /** Not asked this round. */
  | { readonly kind: "unasked" }
  | { readonly kind: "failed"; readonly fault: Fault }
  | {
      readonly kind: "answered";
      readonly problems: readonly Problem[];
      readonly template: string | undefined;
    };

export interface LeaseSeen {
  readonly at: LeaseName;
  readonly claim: IPAddressClaim | undefined;
  readonly address: LeasedAddress | undefined;
}

export interface NeedSeen {
  readonly need: AddressNeed;
  readonly room: { readonly total: number; readonly free: number } | undefined;
  readonly leases: readonly LeaseSeen[];
}

export interface Side {
  /** All Cluster API objects in the cluster's namespace. */
  readonly objects: readonly Resource[];
}

export type WorkloadSeen =
  /** No kubeconfig yet. */
  | { readonly kind: "none" }
  | { readonly kind: "unreachable"; readonly fault: Fault }
  | {
      readonly kind: "reachable";
      readonly store: OwnedStore;
      readonly crds: number;
      readonly deployments: ReadonlyMap<string, Deployment>;
      readonly spectroCluster: SpectroCluster | undefined;
      /** Only looked at where the workload cluster owns its objects. */
      readonly identity: SecretObject | undefined;
      readonly kubeconfig: string | undefined;
      readonly childPools: readonly Resource[];
    };

export interface SpaSeen {
  readonly spa: Spa;
  readonly names: ClusterNames;
  readonly deleting: boolean;
  /** Which side owns the Cluster API objects, by the journal. */
  readonly side: "gateway" | "workload" | "none";
  readonly credential: CredentialSeen;
  readonly cloud: CloudSeen;
  readonly needs: readonly NeedSeen[];
  readonly gateway: Side;
  readonly identity: SecretObject | undefined;
  readonly childPools: readonly Resource[];
  /** The kubeconfig as Cluster API wrote it on the gateway, and our copy of it that outlasts the pivot. */
  readonly kubeconfig: { readonly made: string | undefined; readonly kept: string | undefined };
  readonly workload: WorkloadSeen;
  /** VMs that should be gone; only looked for at the end of a deletion, or where the cluster's API is dead. */
  readonly strays:
    | { readonly kind: "unasked" }
    | { readonly kind: "failed"; readonly fault: Fault }
    | { readonly kind: "counted"; readonly vms: readonly VmFacts[] };
  /** Claims and addresses still leased, found by label; includes those of an earlier, larger wish. */
  readonly leaseClaims: readonly IPAddressClaim[];
}

/** Where our copy of a workload cluster's kubeconfig lies, in the cluster's namespace on the gateway. */
export const keptKubeconfigName = "pcg-workload-kubeconfig";

/** Remembers the datacenter's answer for a while, so that every wake-up is not a login. */
export interface CloudMemory {
  get(
    key: string,
  ): { readonly question: string; readonly at: number; readonly answer: CloudSeen } | undefined;
  set(
    key: string,
    value: { readonly question: string; readonly at: number; readonly answer: CloudSeen },
  ): void;
}

export interface Observer {
  readonly deps: JetDeps;
  readonly options: Required<Pick<JetOptions, "systemNamespace" | "workloadTimeoutMs">> & {
    readonly images: InstallImages;
  };
  readonly memory: CloudMemory;
}

export async function observeSpa(
  { deps, options, memory }: Observer,
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
    pivot?.direction === "ToGateway" ||
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
  const workload = await readWorkload(
    deps,
    options,
    found,
    names,
    kubeconfig.made ?? kubeconfig.kept,
    side,
    signal,
  );
  const toCount =
    deleting && (side === "gateway" ? gateway.objects.length === 0 : workload.kind !== "reachable");
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
    needs: await readNeeds(deps, found, leaseClaims),
    gateway,
    identity: await store.get(secret, { namespace: names.namespace, name: names.identity }),
    childPools: (await store.list(inClusterIPPool, { namespace: names.namespace })).items,
    kubeconfig,
    workload,
    strays: toCount ? await countStrays(deps, found, names, credential, signal) : { kind: "unasked" },
    leaseClaims,
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

/** Every placement of a spec with the field it came from. */
export function placementsOf({ spec }: Pick<Spa, "spec">): PlacementAt[] {
  return [
    { field: "placement", placement: spec.placement },
    ...(spec.controlPlane.placement
      ? [{ field: "controlPlane.placement", placement: spec.controlPlane.placement }]
      : []),
    ...spec.workerPools.flatMap((pool, at) =>
      pool.placement ? [{ field: `workerPools[${at}].placement`, placement: pool.placement }] : [],
    ),
  ];
}

export function imageWish({ spec }: Pick<Spa, "spec">) {
  return {
    kubernetesVersion: spec.kubernetesVersion,
    ...(spec.image.template ? { template: spec.image.template } : {}),
  };
}

function cloudOf(deps: JetDeps, found: Spa, credential: CredentialSeen): Cloud | undefined {
  return credential.kind === "found" ? deps.cloudFor(found.spec.cloud, credential) : undefined;
}

/** Good answers are kept 5 s, bad ones until the SPA's next try; a change of the wish or of the credential asks at once. */
async function askCloud(
  deps: JetDeps,
  memory: CloudMemory,
  key: string,
  found: Spa,
  credential: CredentialSeen,
  signal: AbortSignal,
): Promise<CloudSeen> {
  const cloud = cloudOf(deps, found, credential);
  if (!cloud || credential.kind !== "found") return { kind: "unasked" };
  const question = `${found.metadata.generation}/${credential.version}`;
  const old = memory.get(key);
  const now = deps.clock.now();
  if (old?.question === question) {
    const retryAt = found.status?.milestones?.find((m) => m.key === "ImageResolutionDone")?.nextRetryAt;
    const good = old.answer.kind === "answered" && old.answer.problems.length === 0 && old.answer.template;
    const until = good ? old.at + 5_000 : retryAt ? Date.parse(retryAt) : old.at + 1_000;
    if (now < until) return old.answer;
  }
  const answer = await ask();
  memory.set(key, { question, at: now, answer });
  return answer;

  async function ask(): Promise<CloudSeen> {
    try {
      const problems = await cloud!.check(placementsOf(found), imageWish(found), signal);
      const template =
        problems.length > 0
          ? undefined
          : await cloud!.findTemplate(controlPlanePlacement(found.spec), imageWish(found), signal);
      return { kind: "answered", problems, template: template?.path };
    } catch (error) {
      if (isFault(error, "Cancelled")) throw error;
      return { kind: "failed", fault: Fault.from(error, `asking vCenter ${found.spec.cloud.server}`) };
    }
  }
}

async function readWorkload(
  deps: JetDeps,
  options: Observer["options"],
  found: Spa,
  names: ClusterNames,
  kubeconfig: string | undefined,
  side: SpaSeen["side"],
  signal: AbortSignal,
): Promise<WorkloadSeen> {
  if (!kubeconfig) return { kind: "none" };
  let store: OwnedStore | undefined;
  try {
    return await within(deps, options.workloadTimeoutMs, signal, async (limit) => {
      store = await deps.workloads.connect(kubeconfig, signal);
      await store.get(namespace, { name: "kube-system" }, limit);
      const here = { namespace: names.namespace };
      const deployments = new Map<string, Deployment>();
      for (const at of deploymentKeys(names.uid, options.images)) {
        const one = await optional(store.get(deployment, at, limit));
        if (one) deployments.set(`${at.namespace}/${at.name}`, one);
      }
      const identity =
        side === "workload" ? await store.get(secret, { ...here, name: names.identity }, limit) : undefined;
      return {
        kind: "reachable" as const,
        store,
        crds: (await store.list(customResourceDefinition, {}, limit)).items.length,
        deployments,
        spectroCluster: await optional(store.get(spectroCluster, { ...here, name: names.cluster }, limit)),
        identity,
        kubeconfig:
          side === "workload"
            ? secretText(await store.get(secret, { ...here, name: names.kubeconfig }, limit), "value")
            : undefined,
        childPools: side === "workload" ? (await store.list(inClusterIPPool, here, limit)).items : [],
      };
    });
  } catch (error) {
    await (store as OwnedStore | undefined)?.close().catch(() => {});
    signal.throwIfAborted();
    return {
      kind: "unreachable",
      fault: Fault.from(error, `talking to the cluster's API for ${found.spec.clusterName}`),
    };
  }
}

/** A kind whose CRD is not installed yet answers NotFound for everything. */
async function optional<T>(work: Promise<T | undefined>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isFault(error, "NotFound")) return undefined;
    throw error;
  }
}

async function within<T>(
  { clock }: JetDeps,
  ms: number,
  signal: AbortSignal,
  work: (limit: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = new AbortController();
  const stop = () => limit.abort(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  const timedOut = new Promise<never>((_, reject) => {
    const cancel = clock.after(ms, () => {
      const fault = new Fault("TimedOut", `no answer within ${Math.round(ms / 1000)} s`);
      reject(fault);
      limit.abort(fault);
    });
    limit.signal.addEventListener("abort", cancel, { once: true });
  });
  timedOut.catch(() => {});
  try {
    return await Promise.race([work(limit.signal), timedOut]);
  } finally {
    signal.removeEventListener("abort", stop);
    limit.abort();
  }
}

async function countStrays(
  deps: JetDeps,
  found: Spa,
  names: ClusterNames,
  credential: CredentialSeen,
  signal: AbortSignal,
): Promise<SpaSeen["strays"]> {
  const cloud = cloudOf(deps, found, credential);
  if (!cloud)
    return {
      kind: "failed",
      fault: new Fault("Unauthorized", credential.kind === "missing" ? credential.message : ""),
    };
  const machines = found.status?.machines ?? [];
  try {
    const vms = await cloud.census(
      {
        placements: placementsOf(found).map((p) => p.placement),
        biosUUIDs: machines.flatMap((m) => (m.biosUUID ? [m.biosUUID.toLowerCase()] : [])),
        names: machines.map((m) => m.name),
      },
      signal,
    );
    return { kind: "counted", vms };
  } catch (error) {
    if (isFault(error, "Cancelled")) throw error;
    return {
      kind: "failed",
      fault: Fault.from(error, `counting the VMs of ${names.cluster} in ${found.spec.cloud.server}`),
    };
  }
}

/** The template that the machines of this side are cloned from, by what was rendered earlier. */
export function renderedTemplate(side: Side): string | undefined {
  const object = side.objects.find((o) => o.kind === vsphereMachineTemplate.kind);
  return (object?.spec as { template?: { spec?: { template?: string } } } | undefined)?.template?.spec
    ?.template;
}

export function objectsOf<R extends Resource>(side: Side, kind: Kind<R>): R[] {
  return side.objects.filter((o) => o.kind === kind.kind) as R[];
}

export function biosUUIDsOf(side: Side): string[] {
  return objectsOf(side, vsphereVM).flatMap((vm) => (vm.spec.biosUUID ? [vm.spec.biosUUID] : []));
}
