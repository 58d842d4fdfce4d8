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
  sleep,
  timestamp,
  type Clock,
  type Controller,
  type Logger,
  type ResourceStore,
} from "#core";
import { configMap, node as nodeKind, pod as podKind, secret as secretKind, secretText } from "#proto";
import { parse } from "yaml";
import { publicKeyHash } from "../capi/certificates.ts";
import type { Workloads } from "../capi/context.ts";
import { editStatus, ensure } from "../capi/edit.ts";
import type { Knobs } from "../knobs.ts";
import { readBoot, type Boot, type Endpoint, type Kubeadm } from "./boot.ts";
import type { Hypervisor, PoweredVm } from "./hypervisor.ts";
import { LiveCluster } from "./live-cluster.ts";
import {
  kubeadmConfigMap,
  nodeDraft,
  nodeStatus,
  runningPod,
  silentStatus,
  staticPods,
  type NodeFacts,
} from "./node.ts";
import type { Programs } from "./programs.ts";
import type { Workload, WorkloadHost } from "./workload.ts";

export interface MachineDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  readonly hypervisor: Hypervisor;
  readonly workloads: WorkloadHost;
  readonly knobs: Knobs;
  /** What Deployments of a cluster may run. A function, since the programs may need the stand-in itself. */
  readonly programs: (workload: Workload) => Programs;
  /** What else works on a cluster's API while it answers, until the signal aborts. */
  readonly controllers?: (workload: Workload, signal: AbortSignal) => readonly Controller[];
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

export function machineStandIn(deps: MachineDeps): MachineStandIn {
  const clusters = new Map<string, Promise<LiveCluster>>();
  const open = new Map<string, LiveCluster>();
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
    await sleep(deps.clock, deps.knobs.bootMs + deps.knobs.lateMs(vm.name), signal);
    if (deps.knobs.neverBoots(vm.name)) return;
    const machine = bootOf(vm);
    await network(vm, machine, signal);
    const { kubeadm } = machine;
    if (!kubeadm) return;
    await sleep(deps.clock, deps.knobs.joinMs, signal);
    if (deps.knobs.neverJoins(vm.name)) return;
    for (let attempt = 1; ; attempt++) {
      try {
        const facts = await joinCluster(vm, machine, kubeadm);
        return await beat(vm, kubeadm, facts, signal);
      } catch (error) {
        const fault = Fault.from(error);
        if (attempt % 40 === 10 && fault.code !== "Cancelled")
          deps.log.warn("kubeadm fails; trying on", { vm: vm.name, attempt, error: fault });
        await sleep(deps.clock, Math.min(5_000, deps.knobs.pollMs * attempt), signal);
      }
    }
  }

  /** What the machine takes its guestinfo for. */
  function bootOf(vm: PoweredVm): Boot {
    const told = readBoot(vm);
    return { ...told, hostname: deps.knobs.wrongHostname(vm.name) ?? told.hostname };
  }

  /** Tells vCenter the name and the addresses; a machine without a network tells its name, and waits for one. */
  async function network(vm: PoweredVm, { hostname, interfaces }: Boot, signal: AbortSignal): Promise<void> {
    if (deps.knobs.noAddress(vm.name)) {
      await deps.hypervisor.setGuest(vm.biosUuid, { hostName: hostname, addresses: new Map() });
      while (deps.knobs.noAddress(vm.name)) await sleep(deps.clock, deps.knobs.healthMs, signal);
    }
    const addresses = addressesOf(vm, interfaces);
    await deps.hypervisor.setGuest(vm.biosUuid, { hostName: hostname, addresses });
  }

  /** The kubelet's heartbeat, for as long as the machine runs: silent while the knob says so. */
  async function beat(vm: PoweredVm, kubeadm: Kubeadm, facts: NodeFacts, signal: AbortSignal): Promise<void> {
    for (let silent = false; ;) {
      await sleep(deps.clock, deps.knobs.healthMs, signal);
      const lost = deps.knobs.nodeLost(vm.name);
      const store = (await clusters.get(endpointText(kubeadm.endpoint)))?.workload.reachable;
      if (lost === silent || !store) continue;
      const at = timestamp(deps.clock);
      await editStatus(store, nodeKind, { name: facts.name }, (node) => {
        node.status = lost ? silentStatus(node.status, at) : nodeStatus({ ...facts, at });
      });
      silent = lost;
    }
  }

  /** Static addresses as the metadata says; a device on DHCP gets one from 10.254.0.0/16. */
  function addressesOf(
    vm: PoweredVm,
    interfaces: Boot["interfaces"],
  ): ReadonlyMap<string, readonly string[]> {
    const found = new Map<string, readonly string[]>();
    for (const [index, { mac, addresses, dhcp }] of interfaces.entries()) {
      const lease = `10.254.${Number.parseInt(vm.biosUuid.slice(0, 2), 16)}.${1 + ((Number.parseInt(vm.biosUuid.slice(2, 4), 16) + index) % 254)}`;
      const own = addresses.length > 0 ? addresses : dhcp ? [lease] : [];
      // vcsim has been seen to leave a template's card beside the one that takes its place, with the same MAC.
      found.set(mac, [...(found.get(mac) ?? []), ...own]);
    }
    return found;
  }

  async function joinCluster(vm: PoweredVm, machine: Boot, kubeadm: Kubeadm): Promise<NodeFacts> {
    const key = endpointText(kubeadm.endpoint);
    const controlPlane = kubeadm.authority !== undefined;
    const known = controlPlane && (clusters.has(key) || (await deps.workloads.has(kubeadm.endpoint)));
    if (kubeadm.do === "init" || known) await clusterAt(kubeadm); // M3: after a restart any control plane brings it back
    const cluster = await clusters.get(key);
    if (!cluster) throw new Fault("Unavailable", `the API at ${key} does not answer`);
    if (controlPlane) {
      cluster.members.add(vm.biosUuid);
      cluster.up.add(vm.biosUuid);
      await cluster.start();
    }
    const store = cluster.workload.reachable;
    if (!store) throw new Fault("Unavailable", `the API at ${key} does not answer`);
    if (kubeadm.do === "init") await ensure(store, configMap, kubeadmConfigMap(kubeadm.configuration));
    else if (!(await isMember(store, vm))) await checkToken(store, kubeadm);
    return register(store, vm, machine, kubeadm);
  }

  /** A machine that joined before has credentials of its own and needs no token. */
  async function isMember(store: ResourceStore, vm: PoweredVm): Promise<boolean> {
    const { items } = await store.list(nodeKind);
    return items.some((node) => node.spec?.providerID === `vsphere://${vm.biosUuid}`);
  }

  function clusterAt(kubeadm: Kubeadm): Promise<LiveCluster> {
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

  async function openCluster(kubeadm: Kubeadm): Promise<LiveCluster> {
    const { endpoint, authority, files } = kubeadm;
    if (!authority) throw new Fault("Bug", "a cluster is opened by a control plane");
    const configuration = kubeadm.do === "init" ? { configuration: kubeadm.configuration } : {};
    return new LiveCluster(deps, await deps.workloads.open({ endpoint, authority, files, ...configuration }));
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
  ): Promise<NodeFacts> {
    const controlPlane = kubeadm.authority !== undefined;
    const addresses = [...addressesOf(vm, machine.interfaces).values()].flat();
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
    for (const draft of controlPlane ? staticPods(facts.name, externalEtcd) : []) {
      const pod = await ensure(store, podKind, draft);
      const { name, namespace = "" } = pod.metadata;
      const component = pod.metadata.labels?.component ?? name;
      await editStatus(store, podKind, { name, namespace }, (p) => {
        p.status = runningPod(component, String(p.status?.startTime ?? facts.at));
      });
    }
    return facts;
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
    const machine = bootOf(vm);
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
    if (cluster.up.size === 0) await cluster.stop();
    if (state !== "gone") return;
    cluster.members.delete(vm.biosUuid);
    if (cluster.members.size > 0) return;
    clusters.delete(key);
    await cluster.close(true);
    if (open.get(key) === cluster) open.delete(key); // listed until nothing is left of it
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
        await Promise.all([...open.values()].map((cluster) => cluster.close(false)));
      })()),
  };
}

function endpointText({ host, port }: Endpoint): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
