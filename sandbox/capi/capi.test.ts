import { afterEach, describe, expect, it } from "vitest";
import {
  Fault,
  getCondition,
  isTrue,
  modify,
  type Kind,
  type Resource,
  type ResourceStore,
} from "#core";
import {
  cluster,
  conditionsOf,
  ipAddress,
  ipAddressClaim,
  isPausedNow,
  kubeadmControlPlane,
  machine,
  machineDeployment,
  machineSet,
  moveKinds,
  namespace,
  node,
  secret,
  vsphereCluster,
  vsphereMachine,
  vsphereMachineTemplate,
  vsphereVM,
} from "#proto";
import { capiControllers } from "./index.ts";
import {
  applyGolden,
  available,
  eventually,
  machinesIn,
  newStore,
  smallIpam,
  stage,
  type Stage,
} from "./testing.ts";

let ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.reverse()) await end();
  ends = [];
});

function open(...options: Parameters<typeof stage>): Stage {
  const made = stage(...options);
  ends.push(() => made.end());
  return made;
}

const key = { namespace: "cluster-1", name: "c1" };

async function condition<R extends Resource>(
  store: ResourceStore,
  kind: Kind<R>,
  type: string,
  status: string,
) {
  return eventually(`${type} ${status} on a ${kind.kind}`, async () => {
    const { items } = await store.list(kind);
    return items.flatMap(conditionsOf).find((c) => c.type === type && c.status === status);
  });
}

describe("CAPI and CAPV, played", { timeout: 60_000 }, () => {
  it("a cluster comes to be with three control planes and two workers, deleted it leaves nothing", async () => {
    const s = open();
    await applyGolden(s.store, { replicas: 3, workers: 2, externalEtcd: false });
    const whole = await available(s.store);
    expect(whole.status).toMatchObject({
      phase: "Provisioned",
      controlPlane: { desiredReplicas: 3, readyReplicas: 3, upToDateReplicas: 3 },
      workers: { desiredReplicas: 2, readyReplicas: 2, upToDateReplicas: 2 },
    });
    const { items: machines } = await s.store.list(machine);
    for (const m of machines) expect(isTrue(m.status?.conditions, "Ready"), m.metadata.name).toBe(true);
    expect(s.vcenter.clones).toBe(5);
    const addresses = (await s.store.list(ipAddress)).items.map((a) => a.spec.address);
    expect(new Set(addresses).size).toBe(5);

    await s.store.delete(cluster, key);
    const kinds: Kind[] = [...moveKinds.filter((k) => k.kind !== "ConfigMap"), ipAddress];
    await eventually("nothing is left", async () => {
      const lists = await Promise.all(kinds.map((k) => s.store.list(k)));
      const left = lists.flatMap((list) => list.items.map((o) => `${o.kind}/${o.metadata.name}`));
      return left.length === 0;
    });
    expect(s.vcenter.vms.size).toBe(0);
    expect(s.machines.workloads()).toEqual([]);
  });

  it("fewer replicas remove machines, their Nodes and their addresses", async () => {
    const s = open();
    await applyGolden(s.store, { replicas: 3, workers: 2, externalEtcd: false });
    await available(s.store);
    const [workload] = s.machines.workloads();
    await modify(s.store, kubeadmControlPlane, key, (o) => void (o.spec.replicas = 1));
    await modify(s.store, machineDeployment, { ...key, name: "c1-w" }, (o) => void (o.spec.replicas = 1));
    await machinesIn(s.store, "Running", 2);
    await available(s.store);
    expect((await workload!.store.list(node)).items).toHaveLength(2);
    expect((await s.store.list(ipAddressClaim)).items).toHaveLength(2);
    expect(s.vcenter.vms.size).toBe(2);
  });

  it("an address goes back only when vCenter has destroyed the machine", async () => {
    const s = open();
    await applyGolden(s.store, { workers: 1, externalEtcd: false });
    await available(s.store);
    s.vcenter.refuse("destroy", new Fault("Forbidden", "Permission to perform this operation was denied."));
    await modify(s.store, machineDeployment, { ...key, name: "c1-w" }, (o) => void (o.spec.replicas = 0));
    const refused = await condition(s.store, vsphereVM, "VirtualMachineProvisioned", "False");
    await eventually("the refusal is told", async () => {
      const { items } = await s.store.list(vsphereVM);
      return items.some((vm) =>
        getCondition(vm.status?.conditions, "VirtualMachineProvisioned")?.message.includes("denied"),
      );
    });
    expect(refused).toBeDefined();
    expect((await s.store.list(ipAddressClaim)).items).toHaveLength(2);
    s.vcenter.refuse("destroy", undefined);
    await eventually(
      "the claim is gone",
      async () => (await s.store.list(ipAddressClaim)).items.length === 1,
    );
  });

  it("a new template rolls the workers over without going below what is wanted", async () => {
    const s = open();
    await applyGolden(s.store, { workers: 2, externalEtcd: false });
    await available(s.store);
    const old = (await s.store.list(machineSet)).items[0]!;
    const template = (await s.store.get(vsphereMachineTemplate, { ...key, name: "c1-cp" }))!;
    await s.store.create(vsphereMachineTemplate, {
      metadata: { ...key, name: "c1-w2" },
      spec: { template: { spec: { ...template.spec.template.spec, memoryMiB: 8192 } } },
    });
    await modify(s.store, machineDeployment, { ...key, name: "c1-w" }, (o) => {
      o.spec.template.spec.infrastructureRef.name = "c1-w2";
    });
    let least = Infinity;
    await eventually("two new workers", async () => {
      const { items } = await s.store.list(machine);
      const workers = items.filter((m) => m.metadata.labels?.pool === "w" && !m.metadata.deletionTimestamp);
      least = Math.min(least, workers.filter((m) => isTrue(m.status?.conditions, "Available")).length);
      return (
        workers.length === 2 &&
        workers.every((m) => m.metadata.labels?.["cluster.x-k8s.io/set-name"] !== old.metadata.name)
      );
    });
    await available(s.store);
    expect(least).toBeGreaterThanOrEqual(2);
    const { items: vms } = await s.store.list(vsphereMachine);
    expect(vms.filter((vm) => vm.spec.memoryMiB === 8192)).toHaveLength(2);
  });

  it("a new version replaces the control planes one after the other", async () => {
    const s = open();
    await applyGolden(s.store, { replicas: 3, workers: 0, externalEtcd: false });
    await available(s.store);
    const before = new Set((await s.store.list(machine)).items.map((m) => m.metadata.name));
    await modify(s.store, kubeadmControlPlane, key, (o) => void (o.spec.version = "v1.36.0"));
    await eventually("three new machines", async () => {
      const { items } = await s.store.list(machine);
      expect(items.length).toBeLessThanOrEqual(4);
      return (
        items.length === 3 && items.every((m) => !before.has(m.metadata.name) && m.spec.version === "v1.36.0")
      );
    });
    await available(s.store);
  });

  it("paused, everything says so for its generation and nothing is done; resumed, it goes on", async () => {
    const s = open();
    await applyGolden(s.store, { workers: 1, externalEtcd: false });
    await available(s.store);
    await modify(s.store, cluster, key, (o) => void (o.spec.paused = true));
    const reporting: Kind[] = [
      cluster,
      vsphereCluster,
      kubeadmControlPlane,
      machineDeployment,
      machineSet,
      machine,
      vsphereMachine,
      vsphereVM,
    ];
    await eventually("all are paused", async () => {
      const lists = await Promise.all(reporting.map((k) => s.store.list(k)));
      return lists.every((list) => list.items.length > 0 && list.items.every(isPausedNow));
    });
    expect(
      (await s.store.get(cluster, key))?.status?.conditions?.find((c) => c.type === "Paused")?.message,
    ).toBe("Cluster spec.paused is set to true");
    await modify(s.store, kubeadmControlPlane, key, (o) => void (o.spec.replicas = 3));
    await modify(s.store, machineDeployment, { ...key, name: "c1-w" }, (o) => void (o.spec.replicas = 0));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect((await s.store.list(machine)).items).toHaveLength(2);
    await modify(s.store, cluster, key, (o) => void delete o.spec.paused);
    await machinesIn(s.store, "Running", 3);
    await available(s.store);
  });

  it("moved to another store without status, everything is found again and nothing is cloned twice", async () => {
    const s = open();
    await applyGolden(s.store, { workers: 1, externalEtcd: false });
    await available(s.store);
    const clones = s.vcenter.clones;
    const uuids = [...s.vcenter.vms.values()].map((vm) => vm.biosUuid).sort();
    await modify(s.store, cluster, key, (o) => void (o.spec.paused = true));
    const target = newStore();
    ends.push(() => target.close());
    await move(s.store, target);
    s.run(target, (deps) => [...capiControllers(deps), smallIpam(deps.store)]);
    await modify(target, cluster, key, (o) => void delete o.spec.paused);
    await available(target);
    expect(s.vcenter.clones).toBe(clones);
    expect([...s.vcenter.vms.values()].map((vm) => vm.biosUuid).sort()).toEqual(uuids);

    await modify(target, kubeadmControlPlane, key, (o) => void (o.spec.replicas = 3));
    await available(target);
    expect(s.vcenter.clones).toBe(clones + 2);
  });

  it("a clone whose answer was lost is found by its instance UUID", async () => {
    const s = open();
    const login = s.vcenter.login;
    let lost = 0;
    const lossy: typeof login = async (...args) => {
      const service = await login(...args);
      return {
        ...service,
        async clone(request, signal) {
          const made = await service.clone(request, signal);
          if (lost++ === 0) throw new Fault("Unavailable", "read ECONNRESET");
          return made;
        },
      };
    };
    const other = newStore();
    ends.push(() => other.close());
    s.run(other, (deps) => [...capiControllers({ ...deps, vcenter: lossy }), smallIpam(deps.store)]);
    await applyGolden(other, { workers: 0, externalEtcd: false });
    await machinesIn(other, "Running", 1);
    expect(s.vcenter.clones).toBe(1);
  });

  it("a machine that is gone from vCenter is reported, and not made again behind the operator's back", async () => {
    const s = open();
    await applyGolden(s.store, { workers: 1, externalEtcd: false });
    await available(s.store);
    const clones = s.vcenter.clones;
    const worker = [...s.vcenter.vms.values()].find((vm) => vm.name.startsWith("c1-w-"))!;
    const service = await s.vcenter.login(
      { username: "user", password: "pass" },
      "",
      undefined,
      AbortSignal.timeout(5_000),
    );
    await service.powerOff(worker.ref, AbortSignal.timeout(5_000));
    await service.destroy(worker.ref, AbortSignal.timeout(5_000));
    await eventually("it is told", async () => {
      const vm = await s.store.get(vsphereVM, { ...key, name: worker.name });
      return (
        getCondition(vm?.status?.conditions, "VirtualMachineProvisioned")?.reason === "NotFoundByBIOSUUID"
      );
    });
    expect(s.vcenter.clones).toBe(clones);
  });
});

describe("what goes wrong is told where CAPV tells it, and cured without help", { timeout: 60_000 }, () => {
  it("an identity Secret that is missing", async () => {
    const s = open();
    await applyGolden(s.store, { externalEtcd: false });
    const other = open();
    await other.store.create(namespace, { metadata: { name: "cluster-1" } });
    await other.store.create(vsphereCluster, {
      metadata: key,
      spec: {
        server: "vc",
        identityRef: { kind: "Secret", name: "creds" },
        controlPlaneEndpoint: { host: "127.0.0.1", port: 6443 },
      },
    });
    await other.store.create(cluster, {
      metadata: key,
      spec: {
        infrastructureRef: {
          apiGroup: "infrastructure.cluster.x-k8s.io",
          kind: "VSphereCluster",
          name: "c1",
        },
      },
    });
    const missing = await condition(other.store, vsphereCluster, "VCenterAvailable", "False");
    expect(missing).toMatchObject({ reason: "VCenterUnreachable", message: 'secrets "creds" not found' });
    const told = await condition(other.store, cluster, "InfrastructureReady", "False");
    expect(told.message).toContain("VCenterAvailable");
    await other.store.create(secret, {
      metadata: { ...key, name: "creds" },
      stringData: { username: "user", password: "pass" },
    } as never);
    await condition(other.store, vsphereCluster, "VCenterAvailable", "True");
  });

  it("a template that does not exist: the reason climbs from the VSphereVM to the Cluster", async () => {
    const s = open();
    await applyGolden(s.store, { workers: 0, externalEtcd: false, machine: { template: "nowhere" } });
    const refused = await condition(s.store, vsphereVM, "VirtualMachineProvisioned", "False");
    expect(refused).toBeDefined();
    await eventually("it is told on the Machine", async () => {
      const { items } = await s.store.list(machine);
      return items[0]?.status?.conditions?.some(
        (c) => c.type === "InfrastructureReady" && c.message.includes("nowhere"),
      );
    });
    await eventually("and on the Cluster", async () => {
      const c = await s.store.get(cluster, key);
      return c?.status?.conditions?.some(
        (k) => k.type === "ControlPlaneMachinesReady" && k.message.includes("nowhere"),
      );
    });
  });

  it("templates that are missing block the machines, which says why, until they are there", async () => {
    const s = open();
    await applyGolden(s.store, { workers: 1, externalEtcd: false });
    await available(s.store);
    const at = { ...key, name: "c1-w" };
    await modify(s.store, machineDeployment, at, (o) => {
      o.spec.template.spec.infrastructureRef.name = "later";
      o.spec.replicas = 2;
    });
    const message = await eventually("it says so", async () => {
      const found = await s.store.get(machineDeployment, at);
      return found?.status?.conditions?.find((c) => c.type === "ScalingUp" && c.status === "True")?.message;
    });
    expect(message).toContain("is blocked because VSphereMachineTemplate does not exist");
    await modify(s.store, kubeadmControlPlane, key, (o) => {
      o.spec.machineTemplate.spec.infrastructureRef.name = "later";
      o.spec.replicas = 3;
    });
    await eventually("the control plane says so", async () => {
      const found = await s.store.get(kubeadmControlPlane, key);
      return found?.status?.conditions?.some(
        (c) =>
          c.type === "ScalingUp" &&
          c.message ===
            "Scaling up from 1 to 3 replicas is blocked because VSphereMachineTemplate does not exist",
      );
    });
    const template = (await s.store.get(vsphereMachineTemplate, { ...key, name: "c1-cp" }))!;
    await s.store.create(vsphereMachineTemplate, {
      metadata: { ...key, name: "later" },
      spec: template.spec,
    });
    await available(s.store);
  });

  it("a vCenter that refuses to clone for a while", async () => {
    const s = open();
    s.vcenter.refuse("clone", new Fault("Unavailable", "No host is compatible with the virtual machine."));
    await applyGolden(s.store, { workers: 0, externalEtcd: false });
    await eventually("the refusal is told", async () => {
      const { items } = await s.store.list(vsphereVM);
      const found = getCondition(items[0]?.status?.conditions, "VirtualMachineProvisioned");
      return found?.reason === "NotProvisioned" && found.message.includes("No host is compatible");
    });
    s.vcenter.refuse("clone", undefined);
    await machinesIn(s.store, "Running", 1);
  });

  it("a machine that never boots, until it does", async () => {
    const s = open({ knobs: { neverBoots: () => true } });
    await applyGolden(s.store, { workers: 0, externalEtcd: false });
    const [vm] = await eventually("it waits", async () => {
      const { items } = await s.store.list(vsphereVM);
      const reason = getCondition(items[0]?.status?.conditions, "VirtualMachineProvisioned")?.reason;
      return reason === "WaitingForIPAllocation" && items;
    });
    s.knobs.neverBoots = () => false;
    const service = await s.vcenter.login(
      { username: "user", password: "pass" },
      "",
      undefined,
      AbortSignal.timeout(5_000),
    );
    const found = await service.findByBiosUuid(vm!.spec.biosUUID!, AbortSignal.timeout(5_000));
    await service.powerOff(found!.ref, AbortSignal.timeout(5_000)); // the controller turns it on again, as CAPV would
    await machinesIn(s.store, "Running", 1);
  });

  it("a node that never joins keeps its Machine in Provisioned, and says what is waited for", async () => {
    const s = open({ knobs: { neverJoins: (name) => name.startsWith("c1-w-") } });
    await applyGolden(s.store, { workers: 1, externalEtcd: false });
    const worker = await eventually("it waits", async () => {
      const { items } = await s.store.list(machine);
      return items.find((m) => m.status?.phase === "Provisioned" && m.metadata.labels?.pool === "w");
    });
    await eventually("it says so", async () => {
      const m = await s.store.get(machine, { ...key, name: worker.metadata.name });
      return (
        getCondition(m?.status?.conditions, "NodeHealthy")?.message ===
        `Waiting for a Node with spec.providerID ${m?.spec.providerID} to exist`
      );
    });
  });
});

/** What a pivot does to objects: without status, owners found again by name, in an order in which they are there. */
async function move(from: ResourceStore, to: ResourceStore): Promise<void> {
  await to.create(namespace, { metadata: { name: "cluster-1" } });
  const uids = new Map<string, string>();
  const all = (
    await Promise.all(
      moveKinds.map(async (kind) => (await from.list(kind)).items.map((object) => ({ kind, object }))),
    )
  ).flat();
  let left = all;
  while (left.length > 0) {
    const ready = left.filter(({ object }) =>
      (object.metadata.ownerReferences ?? []).every((ref) => uids.has(ref.uid)),
    );
    if (ready.length === 0) throw new Error("owners are missing");
    for (const { kind, object } of ready) {
      const {
        name,
        namespace: ns = "",
        labels = {},
        annotations = {},
        finalizers = [],
        ownerReferences = [],
      } = object.metadata;
      const { metadata: _m, status: _s, ...content } = object;
      const made = await to.create(kind, {
        ...content,
        metadata: {
          name,
          namespace: ns,
          labels,
          annotations,
          finalizers,
          ownerReferences: ownerReferences.map((ref) => ({ ...ref, uid: uids.get(ref.uid)! })),
        },
      });
      uids.set(object.metadata.uid, made.metadata.uid);
      if (kind.kind === "IPAddressClaim") await to.updateStatus(kind, { ...made, status: object.status });
    }
    left = left.filter((entry) => !ready.includes(entry));
  }
}
