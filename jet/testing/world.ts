// A whole small world for Jet's tests: a gateway's store, workload clusters, a datacenter, a plane that listens; all in memory, with a
// clock that moves when told.
import {
  Fault,
  formatTime,
  silentLogger,
  type Controller,
  type OwnedStore,
  type Problem,
  type Resource,
} from "#core";
import { memoryStore } from "#core/store/memory-store.ts";
import { fakeClock } from "#core/time/fake-clock.ts";
import {
  deployment,
  encode64,
  inClusterIPPool,
  ipAddress,
  ipAddressClaim,
  machine,
  machineDeployment,
  namespace,
  secret,
  spa,
  spaSpecSchema,
  spectroCluster,
  type ClusterEvent,
  type ClusterStatus,
  type Spa,
} from "#proto";
import { words } from "#proto/render/names.ts";
import { machineStatuses } from "#proto/render/machines.ts";
import type { z } from "zod";
import {
  acceptDesired,
  makeJet,
  memoryEventShelf,
  memorySnapshotShelf,
  type Cloud,
  type JetDeps,
} from "../index.ts";
import { modify } from "../ensure.ts";
import { readDecision } from "../pivot/decision.ts";
import { providerNamespace } from "../providers.ts";
import { randomFrom } from "./random.ts";
import { Datacenter, playCapi, playClaim } from "./play-capi.ts";
import { clusterApiKinds } from "#proto";

export type SpecInput = z.input<typeof spaSpecSchema>;

/** A wish for cluster c1: one control plane, one worker pool of two. */
export function wish(change: Partial<SpecInput> = {}): z.output<typeof spaSpecSchema> {
  return spaSpecSchema.parse({
    clusterUid: "u1",
    clusterName: "c1",
    cloud: { type: "vsphere", server: "vc.test", thumbprint: "AA:BB", credentialRef: { name: "lab" } },
    placement: {
      datacenter: "DC0",
      computeCluster: "DC0_C0",
      datastore: "ds0",
      networkName: "VM Network",
      ipPoolRef: { name: "edge" },
    },
    kubernetesVersion: "v1.35.4",
    controlPlane: { replicas: 1 },
    workerPools: [{ name: "w", size: 2 }],
    agent: { planeUrl: "https://plane.test" },
    ...change,
  } satisfies SpecInput);
}

export class World {
  readonly clock = fakeClock();
  readonly gateway: OwnedStore = memoryStore({ clock: this.clock });
  readonly dc = new Datacenter();
  workload: OwnedStore = memoryStore({ clock: this.clock });
  /** What the play of the world is told. */
  readonly knobs = {
    cloudProblems: [] as Problem[],
    template: "/DC0/vm/templates/u-v1.35.4" as string | undefined,
    thumbprint: undefined as string | undefined,
    password: "right",
    workloadUp: true,
    /** The gateway does not reach the workload API, which lives on as long as a control-plane VM does. */
    cut: false,
    vcenterUp: true,
    /** Whether the Deployments in the workload cluster get their pods. */
    podsRun: true,
    vmFailure: undefined as string | undefined,
    playAgent: true,
    /** "10.0.0.10:6443" of those where somebody answers. */
    answering: new Set<string>(),
  };
  readonly statuses: ClusterStatus[] = [];
  readonly events: ClusterEvent[] = [];
  readonly shelf = memoryEventShelf();
  readonly snapshots = memorySnapshotShelf();
  /** Copies of clusters' objects; none unless a test brings them. */
  mirrors: JetDeps["mirrors"];
  asked = 0;
  /** Wraps the gateway's store as Jet sees it; for tests that break it. */
  jetStore: JetDeps["store"] = this.gateway;
  wrapWorkload: (store: OwnedStore) => OwnedStore = (store) => store;
  #controller: Controller | undefined;
  readonly #random = randomFrom(1);

  cloud(password: string): Cloud {
    const knobs = this.knobs;
    const login = () => {
      this.asked++;
      if (!knobs.vcenterUp) throw new Fault("Unavailable", "vc.test: connection refused");
      if (password !== knobs.password) throw new Fault("Unauthorized", "incorrect user name or password");
    };
    return {
      check: (_placements, _image) => {
        login();
        return Promise.resolve(knobs.cloudProblems);
      },
      findTemplate: () => Promise.resolve(knobs.template ? { path: knobs.template } : undefined),
      thumbprint: () => Promise.resolve(knobs.thumbprint),
      census: ({ biosUUIDs, names, leased }) => {
        login();
        const bears = ({ name, ipAddress = "" }: { name: string; ipAddress?: string }) =>
          leased?.addresses.includes(ipAddress) && name.startsWith(leased.prefix);
        return Promise.resolve(
          [...this.dc.vms.values()]
            .filter((vm) => biosUUIDs.includes(vm.biosUUID) || names.includes(vm.name) || bears(vm))
            .map((vm) => ({ ...vm, moref: `vm-${vm.name}` })),
        );
      },
      destroy: (vm) => {
        login();
        this.dc.destroy(vm.name);
        return Promise.resolve();
      },
    };
  }

  deps(): JetDeps {
    return {
      store: this.jetStore,
      cloudFor: (_cloud, { password }) => failSoft(() => this.cloud(password.reveal())),
      pools: {
        room: async (ref) => {
          const pool = await this.gateway.get(inClusterIPPool, {
            namespace: ref.namespace ?? "",
            name: ref.name,
          });
          if (!pool) return undefined;
          const used = (await this.gateway.list(ipAddressClaim, { namespace: ref.namespace ?? "" })).items
            .length;
          return { total: pool.spec.addresses.length, free: pool.spec.addresses.length - used };
        },
      },
      workloads: {
        connect: () => Promise.resolve(this.wrapWorkload(this.#overTheLine(this.workload))),
      },
      answers: ({ host, port }) => Promise.resolve(this.knobs.answering.has(`${host}:${port}`)),
      outlet: {
        status: (status) => {
          this.statuses.push(status);
          return Promise.resolve();
        },
        event: (event) => {
          this.events.push(event);
          return Promise.resolve();
        },
      },
      events: this.shelf,
      snapshots: this.snapshots,
      crds: () => [],
      ...(this.mirrors ? { mirrors: this.mirrors } : {}),
      clock: this.clock,
      log: silentLogger,
      random: this.#random,
    };
  }

  /** A fresh Jet, as after a restart. */
  restart(): void {
    const jet = makeJet(this.deps(), { quietMs: 0, watchMs: 1_000, deadAfterMs: 60_000 });
    this.#controller = jet.controllers[0];
  }

  async prepare(addresses = 8, password = "right"): Promise<void> {
    await this.gateway.create(namespace, { metadata: { name: "pcg-system" } });
    await this.setPassword(password);
    await this.gateway.create(inClusterIPPool, {
      metadata: { name: "edge", namespace: "default" },
      spec: {
        addresses: Array.from({ length: addresses }, (_, at) => `10.0.0.${at + 10}`),
        prefix: 24,
        gateway: "10.0.0.1",
      },
    });
    this.restart();
  }

  async setPassword(password: string): Promise<void> {
    const key = { namespace: "pcg-system", name: "lab" };
    const data = { username: encode64("jet@vsphere.local"), password: encode64(password) };
    const have = await this.gateway.get(secret, key);
    if (have) await this.gateway.update(secret, { ...have, data });
    else await this.gateway.create(secret, { metadata: { ...key }, type: "Opaque", data });
  }

  async want(spec = wish()): Promise<void> {
    await acceptDesired(this.gateway, {
      clusterUid: spec.clusterUid,
      gatewayUid: "g1",
      counter: spec.counter,
      spec,
    });
  }

  spa(): Promise<Spa | undefined> {
    return this.gateway.get(spa, { namespace: "cluster-u1", name: "c1" });
  }

  /** One round of Jet. */
  async round(): Promise<number | undefined> {
    const { after } = await this.#controller!.reconciler.reconcile(
      { namespace: "cluster-u1", name: "c1" },
      new AbortController().signal,
    );
    return after;
  }

  /** One pass of everybody else: IPAM, CAPI on both sides, the kubelets and the agent of the workload cluster. */
  async play(): Promise<void> {
    const { knobs } = this;
    const failing = (password: string) =>
      knobs.vmFailure ??
      (knobs.vcenterUp ? undefined : "vCenter is unreachable") ??
      (password === knobs.password ? undefined : "incorrect user name or password");
    for (const claim of (await this.gateway.list(ipAddressClaim, { namespace: "default" })).items) {
      if (!claim.status?.addressRef) await playClaim(this.gateway, claim, "default");
    }
    await playCapi(this.gateway, this.dc, { failing });
    if (!knobs.workloadUp || !this.apiLives) return;
    if (knobs.cut) return this.#playAlone();
    if (await this.#providersRun()) await playCapi(this.workload, this.dc, { failing });
    if (!knobs.podsRun) return;
    for (const object of (await this.workload.list(deployment)).items) {
      const up = object.spec.replicas;
      if (object.status?.availableReplicas === up) continue;
      await this.workload.updateStatus(deployment, {
        ...object,
        status: { ...object.status, availableReplicas: up },
      });
    }
    if (this.knobs.playAgent) await this.#playAgent();
  }

  /** The store as long as the gateway reaches it. */
  #overTheLine(store: OwnedStore): OwnedStore {
    const reach = async () => {
      if (!this.knobs.workloadUp || this.knobs.cut || !this.apiLives)
        throw new Fault("Unavailable", "connection refused");
      return store;
    };
    return {
      get: async (...args) => (await reach()).get(...args),
      list: async (...args) => (await reach()).list(...args),
      create: async (...args) => (await reach()).create(...args),
      update: async (...args) => (await reach()).update(...args),
      updateStatus: async (...args) => (await reach()).updateStatus(...args),
      delete: async (...args) => (await reach()).delete(...args),
      watch: (...args) => store.watch(...args),
      close: () => Promise.resolve(),
    };
  }

  /** Whether a control plane of the workload cluster exists: without one there is no API, and nobody acts in it. */
  get apiLives(): boolean {
    return [...this.dc.vms.keys()].some((name) => name.startsWith("c1-cp"));
  }

  async #providersRun(): Promise<boolean> {
    const { items } = await this.workload.list(deployment, { namespace: providerNamespace });
    return items.length >= 4 && items.every((object) => (object.status?.availableReplicas ?? 0) > 0);
  }

  /** A workload cluster that nobody reaches replaces every worker that it loses, as a health check would have it. */
  async #playAlone(): Promise<void> {
    if (!(await this.workload.get(secret, { namespace: "cluster-u1", name: "c1-identity" }))) return;
    const taken = [...this.dc.vms.values()].map((vm) => vm.ipAddress);
    const pool = await this.workload.get(inClusterIPPool, { namespace: "cluster-u1", name: "c1" });
    for (const { metadata } of (await this.workload.list(machine)).items) {
      if (this.dc.vms.has(metadata.name) || this.dc.vms.has(`${metadata.name}-again`)) continue;
      const free = pool?.spec.addresses.find((address) => !taken.includes(address));
      this.dc.clone(`${metadata.name}-again`, free);
      taken.push(free);
    }
  }

  /** Two workers, as the agent would make them after the pivot. */
  async addWorkers(): Promise<void> {
    await this.workload.create(machineDeployment, {
      metadata: { name: "c1-w", namespace: "cluster-u1", labels: { [words.clusterName]: "c1" } },
      spec: {
        clusterName: "c1",
        replicas: 2,
        selector: {},
        template: {
          metadata: { labels: { [words.pool]: "w" } },
          spec: {
            clusterName: "c1",
            bootstrap: { dataSecretName: "w" },
            infrastructureRef: {
              apiGroup: "infrastructure.cluster.x-k8s.io",
              kind: "VSphereMachineTemplate",
              name: "c1-w",
            },
          },
        },
      },
    } as never);
    await this.until("has workers", () => this.dc.vms.size === 3);
    await this.round();
  }

  async #playAgent(): Promise<void> {
    const key = { namespace: "cluster-u1", name: "c1" };
    const running = await this.workload.get(deployment, {
      namespace: "cluster-u1",
      name: "cluster-management-agent",
    });
    if (!running?.spec.replicas) return;
    const active = (await readDecision(this.workload, "cluster-u1"))?.state === "Active";
    const objects: Resource[] = [];
    for (const kind of clusterApiKinds)
      objects.push(...(await this.workload.list(kind, { namespace: "cluster-u1" })).items);
    await modify(
      this.workload,
      spectroCluster,
      key,
      (have) => ({
        ...have,
        status: {
          heartbeat: { version: "test", lastHeartbeat: formatTime(this.clock.now()) },
          observedCounter: have.spec.counter,
          machines: machineStatuses(objects),
          conditions: ["ControlPlaneNodeAdditionDone", "WorkerNodeAdditionDone"].map((type) => ({
            type,
            status: active ? ("True" as const) : ("False" as const),
            reason: active ? "Added" : "NotOwner",
            message: "",
            lastTransitionTime: "2026-01-01T00:00:00Z",
          })),
        },
      }),
      "status",
    );
  }

  /** Rounds and passes in turn, time moving on, until `done`; fails after 200 rounds with what the SPA says. */
  async until(what: string, done: () => Promise<boolean> | boolean, rounds = 200): Promise<void> {
    for (let at = 0; at < rounds; at++) {
      if (await done()) return;
      const after = await this.round();
      await this.play();
      await this.clock.advance(Math.min(after ?? 1_000, 60_000));
    }
    const object = await this.spa();
    throw new Error(`never ${what}: ${JSON.stringify(object?.status?.milestones ?? object, undefined, 1)}`);
  }

  untilState(state: string): Promise<void> {
    return this.until(`became ${state}`, async () => (await this.spa())?.status?.state === state);
  }

  untilMilestone(key: string): Promise<void> {
    return this.until(
      `reached ${key}`,
      async () => (await this.spa())?.status?.milestones?.find((m) => m.key === key)?.state === "Done",
    );
  }

  async untilGone(): Promise<void> {
    await this.until("gone", async () => (await this.spa()) === undefined);
  }

  /** Everything of the cluster that is left on the gateway: "Kind/name". */
  async residue(): Promise<string[]> {
    const left: string[] = [...this.dc.vms.keys()].map((name) => `VM/${name}`);
    for (const kind of [...clusterApiKinds, spa, secret, ipAddressClaim, ipAddress, inClusterIPPool]) {
      for (const object of (await this.gateway.list(kind)).items) {
        const { namespace: ns, labels, name } = object.metadata;
        if (ns === "cluster-u1" || labels?.[words.clusterUid] === "u1") left.push(`${kind.kind}/${name}`);
      }
    }
    if (await this.gateway.get(namespace, { name: "cluster-u1" })) left.push("Namespace/cluster-u1");
    return left;
  }

  async close(): Promise<void> {
    await this.gateway.close();
    await this.workload.close();
  }
}

/** A cloud whose every call fails in its promise, never at once. */
function failSoft(make: () => Cloud): Cloud {
  const cloud = make();
  return {
    check: async (...args) => cloud.check(...args),
    findTemplate: async (...args) => cloud.findTemplate(...args),
    thumbprint: async (signal) => cloud.thumbprint?.(signal),
    census: async (...args) => cloud.census(...args),
    destroy: async (...args) => cloud.destroy(...args),
  };
}
