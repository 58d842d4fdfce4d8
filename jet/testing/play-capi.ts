// Cluster API and CAPV, played by hand in a few dozen lines: enough of their manners to drive Jet in a test. One call is one pass over
// a store. They act only on an unpaused Cluster whose identity Secret is there, report Paused for the generation they saw, and make
// each VM exactly once: a second VM of a name, or for a Machine that has one, fails the test.
import {
  ownerReference,
  setCondition,
  type ConditionDraft,
  type Kind,
  type Resource,
  type ResourceStore,
} from "#core";
import {
  cluster,
  inClusterIPPool,
  ipAddress,
  ipAddressClaim,
  kubeadmConfig,
  kubeadmControlPlane,
  machine,
  machineDeployment,
  machineSet,
  secret,
  secretText,
  vsphereCluster,
  vsphereMachine,
  vsphereMachineTemplate,
  vsphereVM,
  clusterApiKinds,
  encode64,
  type Cluster,
} from "#proto";
import { ensureExists, ensureForgotten, modify } from "../ensure.ts";

/** The datacenter of a test: which VMs exist. */
export class Datacenter {
  readonly vms = new Map<
    string,
    { readonly name: string; readonly biosUUID: string; readonly ipAddress?: string }
  >();
  /** Names of VMs in the order in which they went. */
  readonly destroyed: string[] = [];
  #made = 0;
  /** VMs ever made. */
  get made(): number {
    return this.#made;
  }

  clone(name: string, ipAddress?: string): string {
    if (this.vms.has(name)) throw new Error(`VM ${name} was cloned twice`);
    const biosUUID = `4200${String(++this.#made).padStart(4, "0")}-0000-4000-8000-000000000000`;
    this.vms.set(name, { name, biosUUID, ...(ipAddress ? { ipAddress } : {}) });
    return biosUUID;
  }

  destroy(name: string): void {
    if (this.vms.delete(name)) this.destroyed.push(name);
  }
}

export interface PlayOptions {
  /** A message that all work on VMs fails with, under this password. */
  readonly failing?: (password: string) => string | undefined;
  /** The kubeconfig that KCP writes. */
  readonly kubeconfig?: string;
  /** Only the Clusters of this namespace. */
  readonly namespace?: string;
}

/** One pass of all controllers over all clusters of a store. */
export async function playCapi(
  store: ResourceStore,
  dc: Datacenter,
  options: PlayOptions = {},
): Promise<void> {
  const { items } = await store.list(cluster, options.namespace ? { namespace: options.namespace } : {});
  for (const object of items) await new Play(store, dc, object, options).pass();
}

class Play {
  readonly #store: ResourceStore;
  readonly #dc: Datacenter;
  readonly #cluster: Cluster;
  readonly #options: PlayOptions;
  #password = "";

  constructor(store: ResourceStore, dc: Datacenter, object: Cluster, options: PlayOptions) {
    this.#store = store;
    this.#dc = dc;
    this.#cluster = object;
    this.#options = options;
  }

  get #ns(): string {
    return this.#cluster.metadata.namespace ?? "";
  }

  get #name(): string {
    return this.#cluster.metadata.name;
  }

  async pass(): Promise<void> {
    const paused = this.#cluster.spec.paused === true;
    for (const kind of clusterApiKinds) {
      if (!kind.hasStatus) continue;
      for (const object of (await this.#store.list(kind, { namespace: this.#ns })).items) {
        await this.#say(kind, object, {
          type: "Paused",
          status: paused ? "True" : "False",
          reason: paused ? "Paused" : "NotPaused",
          message: "",
        });
      }
    }
    if (paused) return;
    const [infra] = (await this.#store.list(vsphereCluster, { namespace: this.#ns })).items;
    const name = infra?.spec.identityRef?.name;
    const identity = name && (await this.#store.get(secret, { namespace: this.#ns, name }));
    if (!infra || !identity) return;
    this.#password = secretText(identity, "password") ?? "";
    if (this.#cluster.metadata.deletionTimestamp) return this.#remove();
    await this.#guard(cluster, this.#cluster, "cluster.cluster.x-k8s.io");
    await this.#status(vsphereCluster, infra, { initialization: { provisioned: true } });
    for (const kind of [vsphereCluster, vsphereMachineTemplate, kubeadmControlPlane]) await this.#own(kind);
    await this.#controlPlane();
    await this.#workers();
  }

  async #own(kind: Kind): Promise<void> {
    for (const object of (await this.#store.list(kind, { namespace: this.#ns })).items) {
      if (object.metadata.ownerReferences?.length) continue;
      await modify(this.#store, kind, { namespace: this.#ns, name: object.metadata.name }, (have) => ({
        ...have,
        metadata: { ...have.metadata, ownerReferences: [ownerReference(cluster, this.#cluster)] },
      }));
    }
  }

  async #guard(kind: Kind, object: Resource, finalizer: string): Promise<void> {
    if (object.metadata.finalizers?.includes(finalizer)) return;
    await modify(this.#store, kind, { namespace: this.#ns, name: object.metadata.name }, (have) => ({
      ...have,
      metadata: { ...have.metadata, finalizers: [...(have.metadata.finalizers ?? []), finalizer] },
    }));
  }

  async #controlPlane(): Promise<void> {
    const [plane] = (await this.#store.list(kubeadmControlPlane, { namespace: this.#ns })).items;
    if (!plane) return;
    await this.#guard(kubeadmControlPlane, plane, "kubeadm.controlplane.cluster.x-k8s.io");
    await ensureExists(this.#store, secret, {
      metadata: {
        name: `${this.#name}-kubeconfig`,
        namespace: this.#ns,
        labels: { "cluster.x-k8s.io/cluster-name": this.#name },
        ownerReferences: [ownerReference(kubeadmControlPlane, plane, { controller: true })],
      },
      type: "cluster.x-k8s.io/secret",
      data: { value: encode64(this.#options.kubeconfig ?? "kubeconfig") },
    } as never);
    const want = plane.spec.replicas;
    for (let at = 0; at < want; at++) {
      await this.#machine(
        `${plane.metadata.name}-m${at}`,
        ownerReference(kubeadmControlPlane, plane, { controller: true }),
        {
          "cluster.x-k8s.io/control-plane": "",
        },
      );
    }
    const ready = (await this.#machinesReady()).filter(
      (m) => "cluster.x-k8s.io/control-plane" in (m.metadata.labels ?? {}),
    ).length;
    if (ready === 0) return;
    await this.#status(kubeadmControlPlane, plane, {
      initialization: { controlPlaneInitialized: true },
      replicas: ready,
      readyReplicas: ready,
      availableReplicas: ready,
      upToDateReplicas: ready,
    });
    await this.#status(cluster, this.#cluster, {
      initialization: { infrastructureProvisioned: true, controlPlaneInitialized: true },
    });
  }

  async #workers(): Promise<void> {
    for (const deployment of (await this.#store.list(machineDeployment, { namespace: this.#ns })).items) {
      const labels = deployment.spec.template.metadata?.labels ?? {};
      const set = await ensureExists(this.#store, machineSet, {
        metadata: {
          name: `${deployment.metadata.name}-s`,
          namespace: this.#ns,
          labels,
          ownerReferences: [ownerReference(machineDeployment, deployment)],
        },
        spec: {
          clusterName: this.#name,
          replicas: deployment.spec.replicas,
          selector: {},
          template: deployment.spec.template,
        },
      } as never);
      for (let at = 0; at < deployment.spec.replicas; at++) {
        await this.#machine(`${deployment.metadata.name}-s-m${at}`, ownerReference(machineSet, set), labels);
      }
      const count = deployment.spec.replicas;
      await this.#status(machineDeployment, deployment, {
        replicas: count,
        readyReplicas: count,
        availableReplicas: count,
        upToDateReplicas: count,
      });
    }
  }

  async #machinesReady() {
    return (await this.#store.list(machine, { namespace: this.#ns })).items.filter((m) => m.status?.nodeRef);
  }

  async #machine(
    name: string,
    owner: ReturnType<typeof ownerReference>,
    extra: Record<string, string>,
  ): Promise<void> {
    const { cluster: clusterName } = { cluster: this.#name };
    const labels = { "cluster.x-k8s.io/cluster-name": clusterName, ...extra };
    const meta = { name, namespace: this.#ns, labels };
    const whole = await ensureExists(this.#store, machine, {
      metadata: { ...meta, finalizers: ["machine.cluster.x-k8s.io"], ownerReferences: [owner] },
      spec: {
        clusterName,
        bootstrap: { configRef: ref("bootstrap.cluster.x-k8s.io", "KubeadmConfig", name) },
        infrastructureRef: ref("infrastructure.cluster.x-k8s.io", "VSphereMachine", name),
      },
    } as never);
    const byMachine = [ownerReference(machine, whole, { controller: true })];
    const config = await ensureExists(this.#store, kubeadmConfig, {
      metadata: { ...meta, ownerReferences: byMachine },
      spec: { format: "cloud-config" },
    } as never);
    await ensureExists(this.#store, secret, {
      metadata: { ...meta, ownerReferences: [ownerReference(kubeadmConfig, config)] },
      type: "cluster.x-k8s.io/secret",
      data: { value: encode64("#cloud-config") },
    } as never);
    const clone = { template: "t", network: { devices: [{ networkName: "VM Network", dhcp4: true }] } };
    const infra = await ensureExists(this.#store, vsphereMachine, {
      metadata: {
        ...meta,
        finalizers: ["vspheremachine.infrastructure.cluster.x-k8s.io"],
        ownerReferences: byMachine,
      },
      spec: clone,
    } as never);
    const vm = await ensureExists(this.#store, vsphereVM, {
      metadata: {
        ...meta,
        finalizers: ["vspherevm.infrastructure.cluster.x-k8s.io"],
        ownerReferences: [ownerReference(vsphereMachine, infra)],
      },
      spec: clone,
    } as never);
    const why = this.#options.failing?.(this.#password);
    if (why) {
      await this.#say(vsphereVM, vm, {
        type: "VirtualMachineProvisioned",
        status: "False",
        reason: "CloningFailed",
        message: why,
      });
      return;
    }
    const claim = await ensureExists(this.#store, ipAddressClaim, {
      metadata: {
        ...meta,
        name: `${name}-0-0`,
        finalizers: ["vspherevm.infrastructure.cluster.x-k8s.io/ip-claim-protection"],
        ownerReferences: [ownerReference(vsphereVM, vm)],
      },
      spec: { poolRef: ref("ipam.cluster.x-k8s.io", "InClusterIPPool", clusterName) },
    } as never);
    const address = await playClaim(this.#store, claim, this.#ns);
    const uuid = (vm.spec as { biosUUID?: string }).biosUUID;
    if (!uuid) {
      const made = this.#dc.clone(name, address);
      await modify(this.#store, vsphereVM, { namespace: this.#ns, name }, (have) => ({
        ...have,
        spec: { ...have.spec, biosUUID: made },
      }));
    } else if (!this.#dc.vms.has(name)) throw new Error(`the VM of ${name} is gone`);
    await this.#status(vsphereVM, vm, { ready: true, addresses: address ? [address] : [], host: "esx-1" });
    await this.#say(vsphereVM, vm, {
      type: "VirtualMachineProvisioned",
      status: "True",
      reason: "Provisioned",
      message: "",
    });
    await this.#status(vsphereMachine, infra, { initialization: { provisioned: true } });
    await this.#status(machine, whole, { phase: "Running", nodeRef: { name } });
  }

  async #remove(): Promise<void> {
    for (const vm of (await this.#store.list(vsphereVM, { namespace: this.#ns })).items) {
      const why = this.#options.failing?.(this.#password);
      if (why) {
        await this.#say(vsphereVM, vm, {
          type: "VirtualMachineProvisioned",
          status: "False",
          reason: "DeletionFailed",
          message: why,
        });
        return;
      }
      const known = this.#dc.vms.get(vm.metadata.name);
      if (known && known.biosUUID === vm.spec.biosUUID) this.#dc.destroy(vm.metadata.name);
    }
    const kinds: Kind[] = [ipAddress, ipAddressClaim, ...[...clusterApiKinds].reverse()];
    for (const kind of kinds) {
      for (const object of (await this.#store.list(kind, { namespace: this.#ns })).items) {
        if (object.metadata.labels?.["jet.pcg.dev/stays"]) continue;
        await ensureForgotten(this.#store, kind, object);
      }
    }
  }

  async #status(kind: Kind, object: Resource, part: object): Promise<void> {
    await modify(
      this.#store,
      kind,
      { namespace: this.#ns, name: object.metadata.name },
      (have) => {
        const status = { ...(have.status as object | undefined), ...part };
        return JSON.stringify(status) === JSON.stringify(have.status) ? undefined : { ...have, status };
      },
      "status",
    );
  }

  async #say(kind: Kind, object: Resource, draft: ConditionDraft): Promise<void> {
    await modify(
      this.#store,
      kind,
      { namespace: this.#ns, name: object.metadata.name },
      (have) => {
        const status = (have.status ?? {}) as { conditions?: never[] };
        const conditions = setCondition(
          status.conditions,
          { ...draft, observedGeneration: have.metadata.generation },
          "2026-01-01T00:00:00Z",
        );
        return JSON.stringify(conditions) === JSON.stringify(status.conditions)
          ? undefined
          : { ...have, status: { ...status, conditions } };
      },
      "status",
    );
  }
}

function ref(apiGroup: string, kind: string, name: string) {
  return { apiGroup, kind, name };
}

/** Serves a claim from the pool in `poolNamespace`, as an IPAM provider would; the address, or undefined when the pool is empty or missing. */
export async function playClaim(
  store: ResourceStore,
  claim: Resource,
  poolNamespace: string,
): Promise<string | undefined> {
  const { name, namespace } = claim.metadata;
  const poolRef = (claim.spec as { poolRef: { name: string; kind: string; apiGroup: string } }).poolRef;
  const pool = await store.get(inClusterIPPool, { namespace: poolNamespace, name: poolRef.name });
  if (!pool) return undefined;
  const key = { namespace: namespace ?? "", name };
  const have = await store.get(ipAddress, key);
  const taken = (await store.list(ipAddress, { namespace: poolNamespace })).items
    .filter((a) => a.spec.poolRef.name === poolRef.name)
    .map((a) => a.spec.address);
  const address = have?.spec.address ?? pool.spec.addresses.find((a) => !taken.includes(a));
  if (!address) return undefined;
  await ensureExists(store, ipAddress, {
    metadata: { name, namespace: namespace ?? "", ownerReferences: [ownerReference(ipAddressClaim, claim)] },
    spec: {
      address,
      prefix: pool.spec.prefix,
      claimRef: { name },
      poolRef,
      ...(pool.spec.gateway ? { gateway: pool.spec.gateway } : {}),
    },
  } as never);
  await modify(
    store,
    ipAddressClaim,
    key,
    (object) =>
      object.status?.addressRef
        ? undefined
        : { ...object, status: { ...object.status, addressRef: { name } } },
    "status",
  );
  return address;
}
