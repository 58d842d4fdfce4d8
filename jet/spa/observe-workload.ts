// What the workload cluster's own API says, if it answers at all.
import { Fault, isFault, type OwnedStore } from "#core";
import {
  cluster,
  customResourceDefinition,
  deployment,
  inClusterIPPool,
  namespace,
  pod,
  secret,
  secretText,
  spectroCluster,
  vsphereCluster,
  vsphereVM,
  type Deployment,
  type Pod,
  type SecretObject,
  type Spa,
} from "#proto";
import type { ClusterNames } from "#proto/render/names.ts";
import type { JetDeps } from "../ports.ts";
import type { Trouble } from "../milestones.ts";
import { podTrouble } from "../pods.ts";
import { isRevival, isSettled } from "../pivot/journal.ts";
import { machineLeft, ruins } from "../mirror/revive.ts";
import { deploymentKeys, isAvailable, readInstalled } from "../providers.ts";
import type { Observer } from "./observer.ts";
import type { SpaSeen, WorkloadSeen } from "./seen.ts";

export async function readWorkload(
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
  const revived = isRevival(found.status?.pivot) && isSettled(found.status?.pivot);
  const owns = side === "workload" && isSettled(found.status?.pivot);
  try {
    const seen = await within(deps, options.workloadTimeoutMs, signal, async (limit) => {
      store = await deps.workloads.connect(kubeconfig, signal);
      await store.get(namespace, { name: "kube-system" }, limit);
      const here = { namespace: names.namespace };
      const deployments = new Map<string, Deployment>();
      for (const at of deploymentKeys(names.uid, options.providers)) {
        const one = await optional(store.get(deployment, at, limit));
        if (one) deployments.set(`${at.namespace}/${at.name}`, one);
      }
      const identity =
        side === "workload" ? await store.get(secret, { ...here, name: names.identity }, limit) : undefined;
      return {
        kind: "reachable" as const,
        store,
        installed: await readInstalled(store, names.uid, limit),
        deployments,
        spectroCluster: await optional(store.get(spectroCluster, { ...here, name: names.cluster }, limit)),
        identity,
        vsphereCluster:
          side === "workload"
            ? await optional(store.get(vsphereCluster, { ...here, name: names.cluster }, limit))
            : undefined,
        vsphereVMs:
          side === "workload" ? ((await optional(store.list(vsphereVM, here, limit)))?.items ?? []) : [],
        etcd:
          side === "workload" && found.spec.controlPlane.etcd ? await etcdSecretsIn(store, names, limit) : [],
        kubeconfig:
          side === "workload"
            ? secretText(await store.get(secret, { ...here, name: names.kubeconfig }, limit), "value")
            : undefined,
        ...(owns ? await lostIn(deps, store, names, limit) : {}),
        ...(revived && (await ruins(store, names, limit)).length > 0 ? { ruins: true as const } : {}),
        childPools:
          side === "workload"
            ? ((await optional(store.list(inClusterIPPool, here, limit)))?.items ?? [])
            : [],
      };
    });
    if (side !== "gateway" || !isSettled(found.status?.pivot)) return seen;
    const wanted = deploymentKeys(names.uid, options.providers);
    const idle = wanted.filter((at) => !isAvailable(seen.deployments.get(`${at.namespace}/${at.name}`)));
    if (idle.length > 0) return { ...seen, pods: await podsOf(deps, options, seen.store, idle, signal) };
    return { ...seen, silent: await silence(deps, options, seen.store, signal) };
  } catch (error) {
    await (store as OwnedStore | undefined)?.close().catch(() => {});
    signal.throwIfAborted();
    return {
      kind: "unreachable",
      fault: Fault.from(error, `talking to the cluster's API for ${found.spec.clusterName}`),
    };
  }
}

async function lostIn(
  { mirrors }: Pick<JetDeps, "mirrors">,
  store: OwnedStore,
  { uid, namespace, cluster: name }: ClusterNames,
  limit: AbortSignal,
): Promise<Pick<WorkloadSeen & { kind: "reachable" }, "lost">> {
  const clusters = await optional(store.list(cluster, { namespace }, limit));
  const crd = `${cluster.plural}.${cluster.group}`;
  // A server that has the CRD and does not serve it has just started.
  if (!clusters && (await store.get(customResourceDefinition, { name: crd }, limit))) return {};
  if (clusters?.items.some(({ metadata }) => metadata.name === name)) return {};
  const mirrored = await mirrors?.latest(uid);
  const left = await machineLeft(store, namespace, mirrored?.objects ?? [], limit);
  return { lost: left === undefined ? {} : { left } };
}

async function etcdSecretsIn(
  store: OwnedStore,
  names: ClusterNames,
  limit: AbortSignal,
): Promise<SecretObject[]> {
  const found: SecretObject[] = [];
  for (const name of [names.etcdCa, names.etcdClient]) {
    const one = await store.get(secret, { namespace: names.namespace, name }, limit);
    if (one) found.push(one);
  }
  return found;
}

/** What is wrong with the pods in these namespaces; who cannot tell has nothing to say. */
async function podsOf(
  deps: JetDeps,
  { workloadTimeoutMs }: Observer["options"],
  store: OwnedStore,
  idle: readonly { readonly namespace: string }[],
  signal: AbortSignal,
): Promise<Trouble | undefined> {
  try {
    return await within(deps, workloadTimeoutMs, signal, async (limit) => {
      const pods: Pod[] = [];
      for (const namespace of new Set(idle.map((at) => at.namespace))) {
        pods.push(...(await store.list(pod, { namespace }, limit)).items);
      }
      return podTrouble(pods);
    });
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}

/** Whether the providers answer; a server that does not within its time has not. */
async function silence(
  deps: JetDeps,
  { providers, workloadTimeoutMs }: Observer["options"],
  store: OwnedStore,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    return await within(deps, workloadTimeoutMs, signal, (limit) => providers.silent(store, limit));
  } catch (error) {
    signal.throwIfAborted();
    return Fault.from(error, "asking the providers").message;
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
