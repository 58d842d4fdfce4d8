// Looks at what there is to know about a cluster before anything is done for it. Reads only.
import { isFault, linkAbort, onAbort, type Clock, type Kind, type Resource, type ResourceStore } from "#core";
import {
  clusterApiKinds,
  ipAddress,
  ipAddressClaim,
  machine,
  namespace,
  nodeNameOf,
  secret,
  secretText,
  spa,
  type Spa,
  type SpaSpec,
} from "#proto";
import { clusterNamespace, clusterNames, words } from "#proto/render/names.ts";
import { activeSide } from "../pivot/journal.ts";
import { readDecision } from "../pivot/decision.ts";
import type { Mirrored, Mirrors, WorkloadClusters } from "../ports.ts";
import { keptKubeconfigName } from "../spa/seen.ts";
import { leasesOf, planLeases, type LeasePlan } from "./leases.ts";
import type { RecoverySeen } from "./plan-recovery.ts";
import { kubeconfigOf, specOf } from "./rebuilt.ts";

export interface RecoveryObserver {
  readonly store: ResourceStore;
  readonly mirrors: Mirrors;
  readonly workloads: WorkloadClusters;
  readonly clock: Clock;
  /** How this site reaches its vCenter: a mirror does not say. */
  readonly cloud: () => SpaSpec["cloud"];
}

export interface Found {
  readonly seen: RecoverySeen;
  readonly spa: Spa | undefined;
  readonly mirrored: Mirrored | undefined;
  readonly leases: LeasePlan | undefined;
}

/** What the store has of all clusters, from one look at each kind: a start must not ask a thousand times what asking once tells. */
export interface Inventory {
  readonly spas: ReadonlyMap<string, Spa>;
  readonly objects: ReadonlyMap<string, RecoverySeen["objects"]>;
}

export async function takeInventory(store: ResourceStore): Promise<Inventory> {
  const spas = (await served(store, spa)).map((one) => [one.metadata.namespace ?? "", one] as const);
  const objects = new Map<string, RecoverySeen["objects"]>();
  for (const kind of clusterApiKinds) {
    for (const one of await served(store, kind)) {
      const ns = one.metadata.namespace ?? "";
      const isNode = kind === machine && nodeNameOf(one as never) !== undefined;
      objects.set(ns, isNode || objects.get(ns) === "complete" ? "complete" : "incomplete");
    }
  }
  return { spas: new Map(spas), objects };
}

/** Every cluster that the store or a mirror knows. */
export async function knownClusters({ store, mirrors }: RecoveryObserver): Promise<string[]> {
  const prefix = clusterNamespace("");
  const spaces = (await store.list(namespace)).items.map((one) => one.metadata.name);
  const spas = (await served(store, spa)).map((one) => one.metadata.namespace ?? "");
  const uids = [...spaces, ...spas]
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length));
  return [...new Set([...uids, ...(await mirrors.clusters())])].sort();
}

export async function observeCluster(
  observer: RecoveryObserver,
  uid: string,
  behind: boolean,
  signal: AbortSignal,
  /** Of a moment ago; looked at afresh where absent. */
  inventory?: Inventory,
): Promise<Found> {
  const { store, mirrors } = observer;
  const ns = clusterNamespace(uid);
  const object = inventory
    ? inventory.spas.get(ns)
    : (await served(store, spa, ns)).find((one) => one.spec.clusterUid === uid);
  const about = await mirrors.about(uid);
  const forgotten = await mirrors.isForgotten(uid);
  const held = object?.metadata.annotations?.[words.held];
  const journal = object?.status?.pivot;
  const doubted = behind || held !== undefined || !object;
  const mirrored =
    about && !forgotten && (doubted || about.counter > object.spec.counter)
      ? await mirrors.latest(uid)
      : undefined;
  const leases =
    mirrored && doubted && (!object || activeSide(journal) === "workload")
      ? await readLeases(observer, mirrored, object)
      : undefined;
  const proved = about !== undefined && (!journal || about.epoch >= journal.epoch);
  const toAsk = object && doubted && !proved && !forgotten && activeSide(journal) !== "workload";
  return {
    spa: object,
    mirrored,
    leases,
    seen: {
      spa: object && {
        counter: object.spec.counter,
        journal,
        held,
        word: wordOf(object),
      },
      objects: inventory ? (inventory.objects.get(ns) ?? "none") : await objectsSeen(store, ns),
      mirror: about && { id: about.pivotId, epoch: about.epoch, counter: about.counter },
      forgotten,
      target: toAsk ? await askTarget(observer, object, mirrored, signal) : { kind: "unasked" },
      leases: leases ? { todo: leases.todo, conflicts: leases.conflicts } : "unasked",
      behind,
    },
  };
}

function wordOf({ metadata }: Spa): "gateway" | "workload" | undefined {
  const word = metadata.annotations?.[words.adopt];
  return word === "gateway" || word === "workload" ? word : undefined;
}

async function objectsSeen(store: ResourceStore, ns: string): Promise<RecoverySeen["objects"]> {
  let any = false;
  for (const kind of clusterApiKinds) {
    const items = await served(store, kind, ns);
    any ||= items.length > 0;
    if (kind === machine && items.some((one) => nodeNameOf(one as never))) return "complete";
  }
  return any ? "incomplete" : "none";
}

async function readLeases(
  { store, cloud }: RecoveryObserver,
  mirrored: Mirrored,
  object: Spa | undefined,
): Promise<LeasePlan> {
  const spec = specOf(mirrored, object?.spec.cloud ?? cloud());
  const claims = await served(store, ipAddressClaim);
  const addresses = await served(store, ipAddress);
  return planLeases(leasesOf(mirrored, spec), claims, addresses, mirrored.clusterUid);
}

/** How long a cluster may take to say whom it belongs to, milliseconds. */
const patienceMs = 5_000;

async function askTarget(
  { store, workloads, clock }: RecoveryObserver,
  { spec }: Spa,
  mirrored: Mirrored | undefined,
  outer: AbortSignal,
): Promise<RecoverySeen["target"]> {
  const names = clusterNames(spec.clusterUid, spec.clusterName);
  const at = (name: string) => store.get(secret, { namespace: names.namespace, name });
  const kubeconfig =
    secretText(await at(names.kubeconfig), "value") ??
    secretText(await at(keptKubeconfigName), "value") ??
    (mirrored && secretText(kubeconfigOf(mirrored) as never, "value"));
  if (!kubeconfig) return { kind: "silent" };
  const { signal, abort, unlink } = linkAbort(outer);
  const cancel = clock.after(patienceMs, abort);
  const work = (async () => {
    const workload = await workloads.connect(kubeconfig, signal);
    try {
      const decision = await readDecision(workload, names.namespace);
      return { kind: "answered" as const, decision };
    } finally {
      await workload.close().catch(() => {});
    }
  })();
  try {
    return await Promise.race([work, aborted(signal)]);
  } catch {
    outer.throwIfAborted();
    return { kind: "silent" };
  } finally {
    cancel();
    unlink();
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    onAbort(signal, () => reject(signal.reason as Error));
  });
}

/** A kind that is not served (yet) has no objects. */
export async function served<R extends Resource>(
  store: ResourceStore,
  kind: Kind<R>,
  ns?: string,
  signal?: AbortSignal,
): Promise<R[]> {
  try {
    return [...(await store.list(kind, ns === undefined ? {} : { namespace: ns }, signal)).items];
  } catch (error) {
    if (isFault(error, "NotFound")) return [];
    throw error;
  }
}
