// Plays the machines: cloud-init, kubeadm and kubelet for every VM of the simulated vCenter that is powered on.
//
//   M1. A machine knows only what its guestinfo says: its name, its addresses, what kubeadm shall do. It never looks into a store that
//       is not its own cluster's.
//   M2. kubeadm init makes the cluster at its endpoint; join waits until the cluster answers and holds the token it was given.
//   M3. Booting again changes nothing that is there: the Node is made ready, not made twice.
//   M4. Off: the Node falls silent. Destroyed: when it was the last control plane, the cluster is forgotten.
import {
  Fault,
  isFault,
  runControllers,
  sleep,
  timestamp,
  type Clock,
  type Logger,
  type ResourceStore,
  type RunningControllers,
} from "#core";
import { configMap, node as nodeKind, pod as podKind, secret as secretKind, secretText } from "#proto";
import { parse } from "yaml";
import { publicKeyHash } from "../capi/certificates.ts";
import type { Workloads } from "../capi/context.ts";
import { editStatus, ensure } from "../capi/edit.ts";
import type { Knobs } from "../knobs.ts";
import { readBoot, type Boot, type Endpoint, type Kubeadm } from "./boot.ts";
import type { Hypervisor, PoweredVm } from "./hypervisor.ts";
import { kubelet } from "./kubelet.ts";
import { kubeadmConfigMap, nodeDraft, nodeStatus, runningPod, silentStatus, staticPods } from "./node.ts";
import type { Programs } from "./programs.ts";
import { Workload, type WorkloadDeps } from "./workload.ts";

export interface MachineDeps extends WorkloadDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  readonly hypervisor: Hypervisor;
  readonly knobs: Knobs;
  /** What Deployments may run. A function, since the programs may need the stand-in itself. */
  readonly programs: () => Programs;
}

export interface MachineStandIn extends Workloads {
  /** The clusters there are, by endpoint. */
  workloads(): readonly {
    readonly endpoint: Endpoint;
    readonly store: ResourceStore;
    readonly kubeconfig: string;
  }[];
  /** Ends programs, servers and stores; what is on disk stays. Twice is once. */
  stop(): Promise<void>;
}

interface Cluster {
  readonly workload: Workload;
  /** Control-plane VMs that run now, and all that exist. */
  readonly up: Set<string>;
  readonly members: Set<string>;
  readonly stop: AbortController;
  readonly controllers: RunningControllers;
  readonly kubelet: { stop(): Promise<void> };
}

export function machineStandIn(deps: MachineDeps): MachineStandIn {
  const clusters = new Map<string, Promise<Cluster>>();
  const open = new Map<string, Cluster>();
  const boots = new Map<string, AbortController>();
  const tails = new Map<string, Promise<void>>();
  const stopped = new AbortController();

  /** Work on one VM runs in order. */
  const enqueue = (vm: PoweredVm, work: () => Promise<void>) => {
    const tail = (tails.get(vm.biosUuid) ?? Promise.resolve()).then(work).catch((error: unknown) => {
      if (!isFault(error, "Cancelled"))
        deps.log.warn("playing a machine failed", { vm: vm.name, error: Fault.from(error) });
    });
    tails.set(vm.biosUuid, tail);
  };

  const unlisten = deps.hypervisor.onPower((vm, state) => {
    if (stopped.signal.aborted) return;
    boots.get(vm.biosUuid)?.abort();
    boots.delete(vm.biosUuid);
    if (state !== "on") return enqueue(vm, () => goDown(vm, state));
    const abort = new AbortController();
    boots.set(vm.biosUuid, abort);
    enqueue(vm, () => boot(vm, AbortSignal.any([abort.signal, stopped.signal])));
  });

  async function boot(vm: PoweredVm, signal: AbortSignal): Promise<void> {
    await sleep(deps.clock, deps.knobs.bootMs, signal);
    if (deps.knobs.neverBoots(vm.name)) return;
    const machine = readBoot(vm);
    const addresses = addressesOf(vm, machine);
    await deps.hypervisor.setGuest(vm.biosUuid, { hostName: machine.hostname, addresses });
    if (!machine.kubeadm) return;
    await sleep(deps.clock, deps.knobs.joinMs, signal);
    if (deps.knobs.neverJoins(vm.name)) return;
    for (let attempt = 1; ; attempt++) {
      try {
        return await joinCluster(vm, machine, machine.kubeadm, [...addresses.values()].flat());
      } catch (error) {
        const fault = Fault.from(error);
        if (attempt % 40 === 10)
          deps.log.warn("kubeadm fails; trying on", { vm: vm.name, attempt, error: fault });
        await sleep(deps.clock, Math.min(5_000, deps.knobs.pollMs * attempt), signal);
      }
    }
  }

  /** Static addresses as the metadata says; a device on DHCP gets one from 10.254.0.0/16. */
  function addressesOf(vm: PoweredVm, machine: Boot): ReadonlyMap<string, readonly string[]> {
    return new Map(
      machine.interfaces.map(({ mac, addresses, dhcp }, index) => {
        const lease = `10.254.${Number.parseInt(vm.biosUuid.slice(0, 2), 16)}.${1 + ((Number.parseInt(vm.biosUuid.slice(2, 4), 16) + index) % 254)}`;
        return [mac, addresses.length > 0 ? addresses : dhcp ? [lease] : []];
      }),
    );
  }

  async function joinCluster(
    vm: PoweredVm,
    machine: Boot,
    kubeadm: Kubeadm,
    addresses: readonly string[],
  ): Promise<void> {
    const key = endpointText(kubeadm.endpoint);
    const controlPlane = kubeadm.authority !== undefined;
    const known = controlPlane && (clusters.has(key) || (await deps.has(kubeadm.endpoint)));
    if (kubeadm.do === "init" || known) await clusterAt(kubeadm); // M3: after a restart any control plane brings it back
    const cluster = await clusters.get(key);
    if (!cluster) throw new Fault("Unavailable", `the API at ${key} does not answer`);
    if (kubeadm.authority) {
      cluster.members.add(vm.biosUuid);
      cluster.up.add(vm.biosUuid);
      await cluster.workload.start();
    }
    const store = cluster.workload.reachable;
    if (!store) throw new Fault("Unavailable", `the API at ${key} does not answer`);
    if (kubeadm.do === "init") await ensure(store, configMap, kubeadmConfigMap(kubeadm.configuration));
    else if (!(await isMember(store, vm))) await checkToken(store, kubeadm);
    await register(store, vm, machine, kubeadm, addresses);
  }

  /** A machine that joined before has credentials of its own and needs no token. */
  async function isMember(store: ResourceStore, vm: PoweredVm): Promise<boolean> {
    const { items } = await store.list(nodeKind);
    return items.some((node) => node.spec?.providerID === `vsphere://${vm.biosUuid}`);
  }

  function clusterAt(kubeadm: Kubeadm): Promise<Cluster> {
    const key = endpointText(kubeadm.endpoint);
    const have = clusters.get(key);
    if (have) return have;
    const making = openCluster(kubeadm).then((cluster) => {
      open.set(key, cluster);
      return cluster;
    });
    clusters.set(key, making);
    making.catch(() => clusters.delete(key));
    return making;
  }

  async function openCluster(kubeadm: Kubeadm): Promise<Cluster> {
    if (!kubeadm.authority) throw new Fault("Bug", "a cluster is opened by a control plane");
    const workload = await Workload.open(deps, kubeadm.endpoint, kubeadm.authority);
    const stop = new AbortController();
    const log = deps.log.child({ workload: endpointText(kubeadm.endpoint) });
    const inner = kubelet({
      store: workload.store,
      kubeconfig: workload.kubeconfig,
      programs: deps.programs(),
      clock: deps.clock,
      log,
    });
    const { clock, random } = deps;
    const controllers = runControllers(
      { store: workload.store, clock, random, log },
      [inner.controller],
      stop.signal,
    );
    return { workload, up: new Set(), members: new Set(), stop, controllers, kubelet: inner };
  }

  /** M2: a token that the API does not hold, or another authority than the one pinned, is refused as kubeadm would. */
  async function checkToken(store: ResourceStore, kubeadm: Extract<Kubeadm, { do: "join" }>): Promise<void> {
    const [id = "", secret = ""] = kubeadm.token.split(".");
    const held = await store.get(secretKind, { namespace: "kube-system", name: `bootstrap-token-${id}` });
    if (secretText(held, "token-secret") !== secret)
      throw new Fault("Unauthorized", `the bootstrap token ${id} is not known to the cluster`);
    const cluster = await clusters.get(endpointText(kubeadm.endpoint));
    const pins = kubeadm.caCertHashes;
    const hash = cluster && publicKeyHash(cluster.workload.authorityCertificate);
    if (hash && pins.length > 0 && !pins.includes(hash))
      throw new Fault("Unauthorized", "the cluster's authority is not the one the machine was told to trust");
  }

  async function register(
    store: ResourceStore,
    vm: PoweredVm,
    machine: Boot,
    kubeadm: Kubeadm,
    addresses: readonly string[],
  ): Promise<void> {
    const controlPlane = kubeadm.authority !== undefined;
    const { version, externalEtcd } = await clusterFacts(store);
    const facts = {
      name: machine.hostname,
      biosUuid: vm.biosUuid,
      addresses,
      version,
      settings: kubeadm.node,
      controlPlane,
      bare: deps.knobs.bareNodes,
      at: timestamp(deps.clock),
    };
    const key = { name: facts.name };
    await ensure(store, nodeKind, nodeDraft(facts));
    await editStatus(store, nodeKind, key, (node) => (node.status = nodeStatus(facts)));
    if (!controlPlane) return;
    for (const draft of staticPods(facts.name, externalEtcd)) {
      const pod = await ensure(store, podKind, draft);
      const { name, namespace = "" } = pod.metadata;
      const component = pod.metadata.labels?.component ?? name;
      await editStatus(store, podKind, { name, namespace }, (p) => {
        p.status = runningPod(component, String(p.status?.startTime ?? facts.at));
      });
    }
  }

  async function clusterFacts(store: ResourceStore): Promise<{ version: string; externalEtcd: boolean }> {
    const held = await store.get(configMap, { namespace: "kube-system", name: "kubeadm-config" });
    const configuration = parse(held?.data?.ClusterConfiguration ?? "{}") as {
      kubernetesVersion?: string;
      etcd?: { external?: unknown };
    };
    return {
      version: configuration.kubernetesVersion ?? "",
      externalEtcd: configuration.etcd?.external !== undefined,
    };
  }

  /** M4 */
  async function goDown(vm: PoweredVm, state: "off" | "gone"): Promise<void> {
    const machine = readBoot(vm);
    const { kubeadm } = machine;
    const key = kubeadm && endpointText(kubeadm.endpoint);
    const cluster = key ? await clusters.get(key) : undefined;
    if (!cluster || !key) return;
    const store = cluster.workload.reachable;
    if (store)
      await editStatus(store, nodeKind, { name: machine.hostname }, (node) => {
        node.status = silentStatus(node.status, timestamp(deps.clock));
      });
    if (!cluster.members.has(vm.biosUuid)) return;
    cluster.up.delete(vm.biosUuid);
    if (cluster.up.size === 0) await cluster.workload.stop();
    if (state !== "gone") return;
    cluster.members.delete(vm.biosUuid);
    if (cluster.members.size > 0) return;
    clusters.delete(key);
    open.delete(key);
    await closeCluster(cluster, true);
  }

  async function closeCluster(cluster: Cluster, forget: boolean): Promise<void> {
    cluster.stop.abort();
    await cluster.kubelet.stop();
    await cluster.controllers.stopped;
    await cluster.workload.close(forget);
  }

  let stopping: Promise<void> | undefined;
  return {
    async connect(endpoint) {
      return open.get(endpointText(endpoint))?.workload.reachable;
    },
    workloads: () =>
      [...open.values()].map(({ workload }) => ({
        endpoint: workload.endpoint,
        store: workload.store,
        kubeconfig: workload.kubeconfig,
      })),
    stop: () =>
      (stopping ??= (async () => {
        unlisten();
        stopped.abort();
        await Promise.all(tails.values());
        await Promise.all([...open.values()].map((cluster) => closeCluster(cluster, false)));
      })()),
  };
}

function endpointText({ host, port }: Endpoint): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
