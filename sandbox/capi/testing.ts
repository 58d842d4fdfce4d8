// For tests of this folder: a datacenter in memory, the golden cluster's objects, and waiting.
import {
  isTrue,
  runControllers,
  silentLogger,
  systemClock,
  type Controller,
  type Draft,
  type Kind,
  type Logger,
  type OwnedStore,
  type Resource,
  type ResourceStore,
} from "#core";
import { memoryStore } from "#core/store/memory-store.ts";
import {
  cluster,
  clusterApiKinds,
  encode64,
  ipAddress,
  ipAddressClaim,
  ipamGroup,
  kubeadmConfigTemplate,
  kubeadmControlPlane,
  machine,
  machineDeployment,
  namespace,
  secret,
  vsphereCluster,
  vsphereMachineTemplate,
  type Cluster,
  type Machine,
  type MachineDeployment,
} from "#proto";
import { knobs as defaultKnobs, type Knobs } from "../knobs.ts";
import { machineStandIn, type MachineStandIn } from "../workload/machines.ts";
import type { Programs } from "../workload/programs.ts";
import { storeWorkloads } from "../workload/store-workloads.ts";
import { ensure } from "./edit.ts";
import { fakeVcenter, type FakeVcenter } from "./fake-vms.ts";
import { capiControllers, type CapiDeps } from "./index.ts";

export interface Stage {
  readonly store: OwnedStore;
  readonly vcenter: FakeVcenter;
  readonly machines: MachineStandIn;
  readonly knobs: Knobs;
  readonly deps: CapiDeps;
  /** Runs controllers over another store until the stage ends or the answer is called. */
  run(store: ResourceStore, controllers: (deps: CapiDeps) => readonly Controller[]): () => Promise<void>;
  end(): Promise<void>;
}

export interface StageOptions {
  readonly knobs?: Partial<Knobs>;
  readonly programs?: Programs;
  readonly listen?: boolean;
  readonly log?: Logger;
  readonly random?: () => number;
  /** Whether the controllers run over the stage's own store from the start; true unless told. */
  readonly controllers?: boolean;
}

export function newStore(): OwnedStore {
  return memoryStore({ clock: systemClock });
}

/** A datacenter with the CAPI controllers and a small IPAM over a memory store. */
export function stage(options: StageOptions = {}): Stage {
  const knobs = defaultKnobs({ pollMs: 10, bootMs: 2, joinMs: 2, healthMs: 50, ...options.knobs });
  const vcenter = fakeVcenter({ username: "user", password: "pass", templates: ["DC0_C0_RP0_VM0"] });
  const log = options.log ?? silentLogger;
  const random = options.random ?? Math.random;
  const clock = systemClock;
  const machines = machineStandIn({
    clock,
    log,
    random,
    knobs,
    hypervisor: vcenter,
    workloads: storeWorkloads({
      clock,
      log,
      listen: options.listen ?? false,
      open: async () => memoryStore({ clock, requireNamespaces: true }),
      has: async () => false,
      forget: async () => {},
    }),
    programs: () => options.programs ?? {},
  });
  const store = newStore();
  const deps: CapiDeps = { store, clock, log, random, vcenter: vcenter.login, workloads: machines, knobs };
  const stops: (() => Promise<void>)[] = [];
  const run: Stage["run"] = (over, make) => {
    const stop = new AbortController();
    const running = runControllers(
      { store: over, clock, log, random },
      make({ ...deps, store: over }),
      stop.signal,
    );
    const halt = async () => {
      stop.abort();
      await running.stopped;
    };
    stops.push(halt);
    return halt;
  };
  if (options.controllers !== false) run(store, (d) => [...capiControllers(d), smallIpam(d.store)]);
  return {
    store,
    vcenter,
    machines,
    knobs,
    deps,
    run,
    async end() {
      await Promise.all(stops.map((halt) => halt()));
      await machines.stop();
      await store.close();
    },
  };
}

/** Gives each claim on a pool of Cluster API's own group the next of 10.1.0.10, .11, … as the in-cluster provider would; no pools, no reuse. */
export function smallIpam(store: ResourceStore): Controller {
  const release = "ipam.cluster.x-k8s.io/ReleaseAddress";
  let next = 10;
  return {
    name: "small-ipam",
    kind: ipAddressClaim,
    follows: [],
    concurrency: 1,
    reconciler: {
      async reconcile(key) {
        const claim = await store.get(ipAddressClaim, key);
        if (claim?.spec.poolRef.apiGroup !== ipamGroup) return {};
        const finalizers = claim.metadata.finalizers ?? [];
        if (claim.metadata.deletionTimestamp) {
          if (finalizers.length === 1 && finalizers[0] === release) {
            await store.delete(ipAddress, key).catch(() => {});
            await store.update(ipAddressClaim, { ...claim, metadata: { ...claim.metadata, finalizers: [] } });
          }
          return {};
        }
        if (!finalizers.includes(release)) {
          const metadata = { ...claim.metadata, finalizers: [...finalizers, release] };
          await store.update(ipAddressClaim, { ...claim, metadata });
          return {};
        }
        if (claim.status?.addressRef) return {};
        await ensure(store, ipAddress, {
          metadata: { ...key, labels: claim.metadata.labels ?? {} },
          spec: {
            address: `10.1.0.${next++}`,
            prefix: 24,
            gateway: "10.1.0.1",
            claimRef: { name: key.name },
            poolRef: claim.spec.poolRef,
          },
        });
        await store.updateStatus(ipAddressClaim, { ...claim, status: { addressRef: { name: key.name } } });
        return {};
      },
    },
  };
}

const infra = (kind: string, name: string) => ({ apiGroup: "infrastructure.cluster.x-k8s.io", kind, name });

const machineSpec = {
  datacenter: "DC0",
  datastore: "LocalDS_0",
  folder: "vm",
  memoryMiB: 2048,
  network: {
    devices: [
      {
        addressesFromPools: [{ apiGroup: "ipam.cluster.x-k8s.io", kind: "InClusterIPPool", name: "nodes" }],
        nameservers: ["10.1.0.2"],
        networkName: "VM Network",
      },
    ],
  },
  numCPUs: 2,
  resourcePool: "DC0_C0/Resources",
  server: "127.0.0.1:8989",
  template: "DC0_C0_RP0_VM0",
  thumbprint: "4C:3D",
};

export interface GoldenWish {
  readonly name?: string;
  readonly namespace?: string;
  readonly replicas?: number;
  readonly workers?: number;
  readonly endpoint?: { readonly host: string; readonly port: number };
  readonly externalEtcd?: boolean;
  /** The etcd that is really there; PEM. KCP, given the key of its authority, makes a client certificate of its own. */
  readonly etcd?: {
    readonly endpoints: readonly string[];
    readonly ca: string;
    readonly caKey?: string;
    readonly certificate: string;
    readonly key: string;
  };
  /** Of the cluster's Services; none unless told. */
  readonly serviceCidr?: string;
  readonly credential?: { readonly username: string; readonly password: string };
  /** Differences from the golden machine. */
  readonly machine?: Partial<typeof machineSpec>;
  /** A pool of this API group in place of the golden one: of another IPAM. */
  readonly poolGroup?: string;
}

const recordedEtcd: NonNullable<GoldenWish["etcd"]> = {
  endpoints: ["http://127.0.0.1:2379"],
  ...{ ca: "…", caKey: "…", certificate: "…", key: "…" },
};

/** Creates what a person created for the golden cluster, in the order in which that was done. */
export async function applyGolden(store: ResourceStore, wish: GoldenWish = {}): Promise<void> {
  const { name = "c1", namespace: ns = "cluster-1", replicas = 1, workers = 2, externalEtcd = true } = wish;
  const { endpoint = { host: "127.0.0.1", port: 6443 } } = wish;
  const { credential = { username: "user", password: "pass" } } = wish;
  const spec = { ...machineSpec, ...wish.machine };
  if (wish.poolGroup) {
    const [device] = spec.network.devices;
    const addressesFromPools = [{ ...device!.addressesFromPools[0]!, apiGroup: wish.poolGroup }];
    spec.network = { devices: [{ ...device!, addressesFromPools }] };
  }
  const meta = (of: string) => ({ name: of, namespace: ns });
  const put = <R extends Resource>(kind: Kind<R>, draft: Draft<R>) => ensure(store, kind, draft);
  await put(namespace, { metadata: { name: ns } });
  await put(secret, {
    metadata: meta("creds"),
    type: "Opaque",
    data: { username: encode64(credential.username), password: encode64(credential.password) },
  });
  const { etcd = recordedEtcd } = wish;
  const etcdSecrets = [
    ["etcd", etcd.ca, etcd.caKey],
    ["apiserver-etcd-client", etcd.certificate, etcd.key],
  ] as const;
  if (externalEtcd)
    for (const [purpose, certificate, key] of etcdSecrets)
      await put(secret, {
        metadata: { ...meta(`${name}-${purpose}`), labels: { "cluster.x-k8s.io/cluster-name": name } },
        type: "cluster.x-k8s.io/secret",
        data: { "tls.crt": encode64(certificate), ...(key ? { "tls.key": encode64(key) } : {}) },
      });
  await put(vsphereMachineTemplate, { metadata: meta(`${name}-cp`), spec: { template: { spec } } });
  await put(vsphereCluster, {
    metadata: meta(name),
    spec: {
      controlPlaneEndpoint: endpoint,
      identityRef: { kind: "Secret", name: "creds" },
      server: spec.server,
      thumbprint: spec.thumbprint,
    },
  });
  const external = { caFile: "/a", certFile: "/b", keyFile: "/c", endpoints: etcd.endpoints };
  await put(kubeadmControlPlane, {
    metadata: meta(name),
    spec: {
      replicas,
      version: "v1.35.4",
      machineTemplate: { spec: { infrastructureRef: infra("VSphereMachineTemplate", `${name}-cp`) } },
      kubeadmConfigSpec: externalEtcd ? { clusterConfiguration: { etcd: { external } } } : {},
    },
  });
  await put(kubeadmConfigTemplate, {
    metadata: meta(`${name}-w`),
    spec: {
      template: {
        spec: { joinConfiguration: { nodeRegistration: { name: "{{ ds.meta_data.hostname }}" } } },
      },
    },
  });
  const configRef = {
    apiGroup: "bootstrap.cluster.x-k8s.io",
    kind: "KubeadmConfigTemplate",
    name: `${name}-w`,
  };
  await put(machineDeployment, {
    metadata: meta(`${name}-w`),
    spec: {
      clusterName: name,
      replicas: workers,
      selector: { matchLabels: { pool: "w" } },
      template: {
        metadata: { labels: { pool: "w" } },
        spec: {
          clusterName: name,
          version: "v1.35.4",
          bootstrap: { configRef },
          infrastructureRef: infra("VSphereMachineTemplate", `${name}-cp`),
        },
      },
    },
  });
  await put(cluster, {
    metadata: meta(name),
    spec: {
      clusterNetwork: {
        pods: { cidrBlocks: ["192.168.0.0/16"] },
        ...(wish.serviceCidr ? { services: { cidrBlocks: [wish.serviceCidr] } } : {}),
      },
      controlPlaneRef: { apiGroup: "controlplane.cluster.x-k8s.io", kind: "KubeadmControlPlane", name },
      infrastructureRef: infra("VSphereCluster", name),
    },
  });
}

/** Looks every few milliseconds until `look` gives something else than undefined or false. */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  withinMs = 30_000,
): Promise<T> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Every object of the kinds that make up a cluster, and its Secrets. */
export async function everything(store: ResourceStore, more: readonly Kind[] = []): Promise<Resource[]> {
  const lists = await Promise.all([...clusterApiKinds, secret, ...more].map((kind) => store.list(kind)));
  return lists.flatMap((list) => list.items);
}

/** Waits until there are so many machines, all in this phase. */
export function machinesIn(
  store: ResourceStore,
  phase: string,
  count: number,
  withinMs?: number,
): Promise<Machine[]> {
  const look = async () => {
    const { items } = await store.list(machine);
    return items.length === count && items.every((m) => m.status?.phase === phase) && items;
  };
  return eventually(`${count} machines in phase ${phase}`, look, withinMs);
}

/** Waits until the Cluster is Available and has all the machines that are wanted now. */
export function available(store: ResourceStore): Promise<Cluster> {
  return eventually("the cluster is Available", async () => {
    const [found] = (await store.list(cluster)).items;
    const { controlPlane, workers } = found?.status ?? {};
    const wanted = async (kind: typeof kubeadmControlPlane | typeof machineDeployment) =>
      (await store.list(kind as Kind<MachineDeployment>)).items.reduce((sum, o) => sum + o.spec.replicas, 0);
    const whole = (of: typeof workers, count: number) =>
      of?.desiredReplicas === count && of.availableReplicas === count && of.replicas === count;
    return (
      whole(controlPlane, await wanted(kubeadmControlPlane)) &&
      whole(workers, await wanted(machineDeployment)) &&
      isTrue(found?.status?.conditions, "Available") &&
      found
    );
  });
}
