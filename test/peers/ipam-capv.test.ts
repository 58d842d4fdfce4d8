// CAPV's two ways to an address, end to end with the real CAPV: pools named by a card (`addressesFromPools`), and the labels of the
// static-IP controller for cards without anything and for a cluster's endpoint. Our IPAM runs as its users run it: `pcg ipam run`.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { modify, Secret, type Key, type Kind } from "#core";
import { growthAnnotation } from "#ipam/policy.ts";
import {
  cluster,
  event,
  inClusterIPPool,
  ipAddress,
  ipAddressClaim,
  machineDeployment,
  maxSizeAnnotation,
  minSizeAnnotation,
  namespace,
  vsphereCluster,
  vsphereMachine,
  vsphereMachineTemplate,
  vsphereVM,
  type NetworkDevice,
  type VSphereMachine,
} from "#proto";
import { ensure } from "#sandbox/capi/edit.ts";
import { applyGolden, eventually, machinesIn } from "#sandbox/capi/testing.ts";
import { binaries } from "./harness/build.ts";
import type { Child } from "./harness/child.ts";
import { takeSubnet, type Subnet } from "../../cli/demo/subnet.ts";
import { pcg, startIpam } from "./harness/ipam-program.ts";
import { asServiceAccount } from "./harness/service-account.ts";
import { run } from "./harness/vsphere.ts";
import { settleGolden, startSite, type Site } from "./machines/index.ts";

const dir = mkdtempSync(join(tmpdir(), "pcg-peers-"));
/** For each thing that is waited for; CI machines may be slow. */
const patienceMs = 180_000;
const place = "cluster-1";
/** Where our IPAM is installed. */
const home = "pcg-ipam-system";
const at = (name: string): Required<Key> => ({ namespace: place, name });
let subnet: Subnet;
/** The one address of the pool "vips" that is given. */
let vip: string;
let site: Site;
let ipam: Child;

/** Every state of every VSphereMachine that there was, in order. */
const states: VSphereMachine[] = [];
const watching = new AbortController();
let following: Promise<void> = Promise.resolve();

beforeAll(async () => {
  subnet = await takeSubnet();
  vip = `${subnet.prefix}10`;
  site = await startSite({ dir, plainEtcd: true, ipam: false });
  const { store, vcenter } = site;
  const passwordFile = join(dir, "reader");
  writeFileSync(passwordFile, vcenter.hands.password.reveal(), { mode: 0o600 });
  ipam = await startIpam({ kubeconfigPath: await installed() }, dir, "ipam", [
    ...["--webhook-port=0", "--leader-elect", `--leader-election-namespace=${home}`],
    `--data-dir=${join(dir, "ipam-data")}`,
    `--vcenter-server=${vcenter.server}`,
    `--vcenter-username=${vcenter.hands.user}`,
    `--vcenter-password-file=${passwordFile}`,
    `--vcenter-thumbprint=${vcenter.thumbprint}`,
  ]);
  await ensure(store, namespace, { metadata: { name: place } });
  following = follow(watching.signal);
  await pool("vips", [`${vip}-${subnet.prefix}12`], undefined);
  await pool("front", ["10.77.0.11-10.77.0.30"], "10.77.0.1", {
    "ipam.pcg.dev/dns-servers": "10.77.0.2, 10.77.0.3",
    "cluster.x-k8s.io/dns-search-domains": "shop.example",
  });
  await pool("back", ["10.77.1.11-10.77.1.30"], "10.77.1.1");
  await pool("claimed", ["10.77.2.11-10.77.2.30"], "10.77.2.1");
  const wish = await settleGolden(site, { endpoint: { host: vip, port: 6443 }, giveEtcdKey: true });
  // What is there already is left as it is by the golden objects.
  await ensure(store, vsphereCluster, {
    metadata: { ...at("c1"), labels: { "cluster.x-k8s.io/ip-pool-name": "vips" } },
    spec: {
      controlPlaneEndpoint: { port: 6443 },
      identityRef: { kind: "Secret", name: "creds" },
      server: vcenter.server,
      thumbprint: vcenter.thumbprint,
    },
  });
  await template("c1-cp", [card(), card()], { "cluster.x-k8s.io/ip-pool-name": "front" });
  await template(
    "c1-w",
    [
      card({
        addressesFromPools: [
          { apiGroup: inClusterIPPool.group, kind: inClusterIPPool.kind, name: "claimed" },
        ],
        nameservers: ["10.77.2.2"],
      }),
      card(),
    ],
    { "cluster.x-k8s.io/ip-pool-name": "back" },
  );
  await applyGolden(store, { ...wish, workers: 0 });
  await modify(store, machineDeployment, at("c1-w"), ({ spec }) => {
    spec.template.spec.infrastructureRef.name = "c1-w";
    spec.replicas = 1;
  });
}, 2 * patienceMs);

afterAll(async () => {
  watching.abort();
  await following;
  await ipam?.stop();
  await site?.end();
  await subnet?.release();
  rmSync(dir, { recursive: true, force: true });
});

/** Applies what `pcg ipam manifests` prints; gives the kubeconfig of its ServiceAccount, as which our IPAM runs. */
async function installed(): Promise<string> {
  const { kubeconfigPath } = site.controlPlane;
  const file = join(dir, "manifests.yaml");
  writeFileSync(file, await run(process.execPath, [pcg, "ipam", "manifests", "--no-webhooks"], {}));
  const kubectl = (await binaries("kube"))("kubectl");
  const apply = ["apply", "--server-side", "--force-conflicts", "-f", file];
  await run(kubectl, [`--kubeconfig=${kubeconfigPath}`, ...apply], {});
  return asServiceAccount(
    kubeconfigPath,
    { namespace: home, name: "pcg-ipam" },
    join(dir, "ipam.kubeconfig"),
  );
}

async function pool(
  name: string,
  addresses: string[],
  gateway: string | undefined,
  annotations: Record<string, string> = {},
): Promise<void> {
  await site.store.create(inClusterIPPool, {
    metadata: { ...at(name), annotations },
    spec: { addresses, prefix: 24, ...(gateway ? { gateway } : {}) },
  });
}

function card(more: Partial<NetworkDevice> = {}): NetworkDevice {
  return { networkName: site.vcenter.place.network, ...more };
}

async function template(
  name: string,
  devices: NetworkDevice[],
  labels: Record<string, string>,
): Promise<void> {
  const { server, thumbprint, place: vc } = site.vcenter;
  const { datacenter, datastore, folder, pool: resourcePool, template: image } = vc;
  const where = { server, thumbprint, datacenter, datastore, folder, resourcePool };
  await site.store.create(vsphereMachineTemplate, {
    metadata: { ...at(name), labels },
    spec: {
      template: { spec: { ...where, template: image, numCPUs: 2, memoryMiB: 2048, network: { devices } } },
    },
  });
}

async function follow(signal: AbortSignal): Promise<void> {
  const { revision } = await site.store.list(vsphereMachine);
  for await (const event of site.store.watch(vsphereMachine, { after: revision }, signal))
    if (event.type !== "Bookmark") states.push(event.object);
}

/** A card as cloud-init is told of it. */
interface Ethernet {
  readonly addresses?: readonly string[];
  readonly gateway4?: string;
  readonly nameservers?: { readonly addresses?: readonly string[]; readonly search?: readonly string[] };
}

/** `guestinfo.metadata` of a VM of vcsim, card by card; empty until CAPV has written it. */
async function guestinfo(vm: string): Promise<Ethernet[]> {
  const info = await site.vcenter.govc(["vm.info", "-e", "-json", `/DC0/vm/${vm}`]);
  const { virtualMachines } = JSON.parse(info) as {
    virtualMachines?: { config: { extraConfig?: { key: string; value: string }[] } }[];
  };
  const settings = virtualMachines?.[0]?.config.extraConfig ?? [];
  const text = settings.find(({ key }) => key === "guestinfo.metadata")?.value;
  if (!text) return [];
  const data = parse(Buffer.from(text, "base64").toString()) as {
    network: { ethernets: Record<string, Ethernet> };
  };
  return Object.values(data.network.ethernets);
}

/** The addresses that a machine's claims hold, by claim. */
async function held(machine: string): Promise<Record<string, string>> {
  const { items } = await site.store.list(ipAddress, { namespace: place });
  const own = items.filter(({ spec }) => spec.claimRef.name.startsWith(`${machine}-`));
  return Object.fromEntries(own.map(({ spec }) => [spec.claimRef.name, spec.address]));
}

const isThere = async (vm: string) =>
  (await site.vcenter.machines()).some((path) => path.split("/").at(-1) === vm);

const machineOf = async (part: "control plane" | "worker") => {
  const { items } = await site.store.list(vsphereMachine, { namespace: place });
  const isControlPlane = (each: VSphereMachine) =>
    each.metadata.labels?.["cluster.x-k8s.io/control-plane"] !== undefined;
  return items.find((each) => isControlPlane(each) === (part === "control plane"));
};

/**
 * Waits until a machine holds no address. Whoever looks at its addresses first and at vCenter afterwards, and finds an address gone and
 * the VM there, has seen one freed too early.
 */
async function freedAfterVm(vm: string, before: Record<string, string>): Promise<void> {
  await eventually(
    `${vm} holds no address`,
    async () => {
      const now = await held(vm);
      const isWhole = Object.keys(now).length === Object.keys(before).length;
      if (!isWhole && (await isThere(vm)))
        throw new Error(`${vm} is there and holds ${JSON.stringify(now)} only`);
      return Object.keys(now).length === 0;
    },
    patienceMs,
  );
}

const named = async (part: "control plane" | "worker"): Promise<VSphereMachine> => {
  const found = await machineOf(part);
  if (!found) throw new Error(`there is no ${part}`);
  return found;
};

describe("addresses for CAPV, by the real CAPV", { timeout: 4 * patienceMs }, () => {
  it("labels bring a cluster its endpoint and its machines their cards: the cluster forms", async () => {
    await machinesIn(site.store, "Running", 2, 2 * patienceMs);
    const { spec } = (await site.store.get(vsphereCluster, at("c1")))!;
    expect(spec.controlPlaneEndpoint).toEqual({ host: vip, port: 6443 });
    expect((await site.store.get(cluster, at("c1")))?.spec.controlPlaneEndpoint).toMatchObject({ host: vip });
  });

  it("two cards of a machine get theirs in one change, with the pool's gateway and name servers", async () => {
    const { metadata, spec } = await named("control plane");
    const holds = await held(metadata.name);
    expect(Object.keys(holds)).toEqual([`${metadata.name}-0`, `${metadata.name}-1`]);
    const cards = Object.values(holds).map((address) => ({
      ipAddrs: [`${address}/24`],
      gateway4: "10.77.0.1",
      nameservers: ["10.77.0.2", "10.77.0.3"],
      searchDomains: ["shop.example"],
    }));
    expect(spec.network.devices).toMatchObject(cards);
    const filled = states
      .filter((each) => each.metadata.uid === metadata.uid)
      .map(({ spec: was }) => was.network.devices.filter(({ ipAddrs }) => ipAddrs?.length).length);
    expect(new Set(filled)).toEqual(new Set([0, 2])); // never one
    expect(await guestinfo(metadata.name)).toMatchObject(
      Object.values(holds).map((address) => ({
        addresses: [`${address}/24`],
        gateway4: "10.77.0.1",
        nameservers: { addresses: ["10.77.0.2", "10.77.0.3"], search: ["shop.example"] },
      })),
    );
  });

  it("a card with addressesFromPools is CAPV's: its claim is bound, and the card stays as it was; the one beside it is ours", async () => {
    const { metadata, spec } = await named("worker");
    const holds = await held(metadata.name);
    expect(holds).toEqual({
      [`${metadata.name}-0-0`]: expect.stringMatching(/^10\.77\.2\./),
      [`${metadata.name}-1`]: expect.stringMatching(/^10\.77\.1\./),
    });
    const [theirs, ours] = Object.values(holds);
    const claim = await site.store.get(ipAddressClaim, at(`${metadata.name}-0-0`));
    expect(claim?.metadata.ownerReferences).toMatchObject([{ kind: "VSphereVM", name: metadata.name }]);
    for (const { metadata: of, spec: was } of states.filter(({ metadata: of }) => of.uid === metadata.uid)) {
      const [card] = was.network.devices;
      expect([of.name, card?.ipAddrs, card?.gateway4]).toEqual([metadata.name, undefined, undefined]);
    }
    expect(spec.network.devices[1]?.ipAddrs).toEqual([`${ours}/24`]);
    expect(await guestinfo(metadata.name)).toMatchObject([
      { addresses: [`${theirs}/24`], gateway4: "10.77.2.1", nameservers: { addresses: ["10.77.2.2"] } },
      { addresses: [`${ours}/24`], gateway4: "10.77.1.1" },
    ]);
  });

  it("what an autoscaler may make of the workers is set aside in both pools, those that they hold included", async () => {
    const kept = async () =>
      Promise.all(
        ["claimed", "back", "front"].map(
          async (name) =>
            (await site.store.get(inClusterIPPool, at(name)))?.metadata.annotations?.[growthAnnotation],
        ),
      );
    const bound = (annotations: Record<string, string | undefined>) =>
      modify(site.store, machineDeployment, at("c1-w"), ({ metadata }) => {
        const all = Object.entries({ ...metadata.annotations, ...annotations });
        metadata.annotations = Object.fromEntries(
          all.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
        );
      });
    await bound({ [minSizeAnnotation]: "1", [maxSizeAnnotation]: "3" });
    const share = `${place}/c1=4`; // three, and one while changes are rolled out
    const isKept = async () => JSON.stringify(await kept()) === JSON.stringify([share, share, undefined]);
    await eventually("room is set aside", isKept, patienceMs);
    await bound({ [minSizeAnnotation]: undefined, [maxSizeAnnotation]: undefined });
    const isBack = async () => (await kept()).every((each) => each === undefined);
    await eventually("it is given back", isBack, patienceMs);
  });

  it("a machine that is deleted holds its addresses until its VM is gone, also while vCenter keeps CAPV out", async () => {
    const { name } = (await named("worker")).metadata;
    const before = await held(name);
    const { password } = site.vcenter;
    await site.vcenter.setPassword(new Secret("another"));
    await modify(site.store, machineDeployment, at("c1-w"), (object) => void (object.spec.replicas = 0));
    await eventually(
      "the VSphereVM is being deleted",
      async () => (await site.store.get(vsphereVM, at(name)))?.metadata.deletionTimestamp,
      patienceMs,
    );
    expect(await held(name)).toEqual(before);
    expect(await isThere(name)).toBe(true);
    await site.vcenter.setPassword(password);
    await freedAfterVm(name, before);
    await eventually(
      "its claims are gone",
      async () => {
        const { items } = await site.store.list(ipAddressClaim, { namespace: place });
        return !items.some(({ metadata }) => metadata.name.startsWith(`${name}-`));
      },
      patienceMs,
    );
  });

  it("where the objects are gone and the VM is not, vCenter is believed; the history tells of it afterwards", async () => {
    const { template: _, ...where } = (await named("control plane")).spec;
    const name = "stray";
    const labels = {
      "cluster.x-k8s.io/cluster-name": "c1",
      "cluster.x-k8s.io/ip-pool-name": "back",
    };
    await site.store.create(vsphereMachine, {
      metadata: { ...at(name), labels },
      spec: { ...where, template: "none", network: { devices: [card()] } },
    });
    const before = await eventually(
      "it has its address",
      async () => {
        const has = await held(name);
        return Object.keys(has).length === 1 && has;
      },
      patienceMs,
    );
    await site.vcenter.govc([
      "vm.create",
      "-on=false",
      "-net=VM Network",
      "-pool=/DC0/host/DC0_C0/Resources",
      name,
    ]);
    await site.store.delete(vsphereMachine, at(name));
    await eventually(
      "it is said that the VM is there",
      async () => {
        const { items } = await site.store.list(event, { namespace: place });
        return items.some(
          ({ reason, involvedObject }) => reason === "MachineStillThere" && involvedObject?.name === name,
        );
      },
      patienceMs,
    );
    expect(await held(name)).toEqual(before);
    await site.vcenter.govc(["vm.destroy", name]);
    await freedAfterVm(name, before);
    const [address] = Object.values(before);
    await eventually(
      "both ends of its spell are written",
      async () => {
        const words = ["ip", "history", address!, "--data", join(dir, "ipam-data"), "-o", "json"];
        const told = await run(process.execPath, [pcg, ...words], {});
        const { items } = JSON.parse(told) as { items: { event: string; claim: string }[] };
        const own = items.filter(({ claim }) => claim === `${place}/${name}-0`);
        return own.map((each) => each.event).join() === "given,released";
      },
      patienceMs,
    );
  });

  it("the cluster deleted, nothing is left: no VM, no claim, no address, the endpoint's included", async () => {
    const { name } = (await named("control plane")).metadata;
    const before = await held(name);
    await site.store.delete(cluster, at("c1"));
    await freedAfterVm(name, before);
    await eventually(
      "no claim and no address is left, and no cluster",
      async () => {
        const kinds = [ipAddressClaim, ipAddress, cluster, vsphereCluster] as unknown as Kind[];
        const lists = await Promise.all(kinds.map((kind) => site.store.list(kind, { namespace: place })));
        return lists.every(({ items }) => items.length === 0);
      },
      patienceMs,
    );
    expect(await site.vcenter.machines()).toEqual([]);
    await eventually(
      "all pools are whole",
      async () => {
        const { items } = await site.store.list(inClusterIPPool, { namespace: place });
        return items.every(({ status }) => status?.ipAddresses?.used === 0);
      },
      patienceMs,
    );
  });
});
