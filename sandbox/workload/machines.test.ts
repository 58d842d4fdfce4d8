// Machines by themselves: a vCenter in memory, guestinfo written by hand, no Cluster API.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { silentLogger, systemClock } from "#core";
import { memoryStore } from "#core/store/memory-store.ts";
import { configMap, encode64, node, pod, secret } from "#proto";
import { newAuthority, publicKeyHash, type KeyPair } from "../capi/certificates.ts";
import { renderMetadata, renderUserdata } from "../capi/cloud-init.ts";
import { fakeVcenter, type FakeVcenter } from "../capi/fake-vms.ts";
import { eventually } from "../capi/testing.ts";
import type { VmService } from "../capi/vm-service.ts";
import { knobs, type Knobs } from "../knobs.ts";
import { parseEndpoint } from "./boot.ts";
import { machineStandIn, type MachineStandIn } from "./machines.ts";
import { storeWorkloads } from "./store-workloads.ts";

const signal = AbortSignal.timeout(60_000);
const endpoint = { host: "127.20.8.1", port: 6443 };
const token = "abcdef.0123456789abcdef";

let vcenter: FakeVcenter;
let vms: VmService;
let machines: MachineStandIn;
let turn: Knobs;
let authority: KeyPair;

beforeEach(async () => {
  vcenter = fakeVcenter({ username: "u", password: "p", templates: ["t"] });
  vms = await vcenter.login({ username: "u", password: "p" }, "", undefined, signal);
  authority = await newAuthority("kubernetes", systemClock);
  turn = knobs({ pollMs: 5, healthMs: 5, bootMs: 1, joinMs: 1 });
  machines = machineStandIn({
    clock: systemClock,
    log: silentLogger,
    random: Math.random,
    knobs: turn,
    hypervisor: vcenter,
    workloads: storeWorkloads({
      clock: systemClock,
      log: silentLogger,
      listen: false,
      open: async () => memoryStore({ clock: systemClock, requireNamespaces: true }),
      has: async () => false,
      forget: async () => {},
    }),
    programs: () => ({}),
  });
});
afterEach(() => machines.stop());

const pki = () => [
  { path: "/etc/kubernetes/pki/ca.crt", content: authority.certificate },
  { path: "/etc/kubernetes/pki/ca.key", content: authority.key },
];

function initData(): string {
  const configuration = {
    kind: "ClusterConfiguration",
    controlPlaneEndpoint: `${endpoint.host}:${endpoint.port}`,
    kubernetesVersion: "v1.35.4",
  };
  const content = `---\n${stringify(configuration)}---\n${stringify({ kind: "InitConfiguration" })}`;
  return renderUserdata({ files: [...pki(), { path: "/run/kubeadm/kubeadm.yaml", content }], commands: [] });
}

function joinData(
  more: { readonly token?: string; readonly pin?: string; readonly labels?: string } = {},
): string {
  const configuration = {
    kind: "JoinConfiguration",
    discovery: {
      bootstrapToken: {
        apiServerEndpoint: `${endpoint.host}:${endpoint.port}`,
        token: more.token ?? token,
        caCertHashes: [more.pin ?? publicKeyHash(authority.certificate)],
      },
    },
    nodeRegistration: {
      taints: [{ key: "dedicated", value: "gpu", effect: "NoSchedule" }],
      kubeletExtraArgs: [{ name: "node-labels", value: more.labels ?? "pool=w,zone=a" }],
    },
  };
  const path = "/run/kubeadm/kubeadm-join-config.yaml";
  return renderUserdata({ files: [{ path, content: `---\n${stringify(configuration)}` }], commands: [] });
}

/** Clones and turns on a machine with this userdata; answers with its reference. */
async function machine(
  name: string,
  userdata: string | undefined,
  device: { dhcp4?: boolean } = {},
): Promise<string> {
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  const { ref } = await vms.clone(
    {
      name,
      instanceUuid: name,
      template: "t",
      networks: [{ name: "VM Network" }],
      numCPUs: 2,
      memoryMiB: 2048,
      linked: false,
      extraConfig: userdata
        ? { "guestinfo.userdata": base64(userdata), "guestinfo.userdata.encoding": "base64" }
        : {},
    },
    signal,
  );
  const mac = vcenter.vms.get(ref)!.nics[0]!.mac;
  const addresses = device.dhcp4 ? [] : [{ address: `10.1.0.${vcenter.vms.size}`, prefix: 24 }];
  const metadata = renderMetadata(name, [{ mac, spec: { networkName: "VM Network", ...device }, addresses }]);
  await vms.reconfigureExtraConfig(
    ref,
    { "guestinfo.metadata": base64(metadata), "guestinfo.metadata.encoding": "base64" },
    signal,
  );
  await vms.powerOn(ref, signal);
  return ref;
}

const api = () => eventually("the API answers", () => machines.connect(endpoint));

describe("a machine that is turned on", { timeout: 60_000 }, () => {
  it("reports the address of its metadata, and nothing more when it has no kubeadm to run", async () => {
    const ref = await machine("plain", undefined);
    await eventually("its address", () => vcenter.vms.get(ref)?.nics[0]?.addresses[0] === "10.1.0.1");
    expect(machines.workloads()).toEqual([]);
  });

  it("on DHCP it gets an address of its own", async () => {
    const [a, b] = [
      await machine("a", undefined, { dhcp4: true }),
      await machine("b", undefined, { dhcp4: true }),
    ];
    const address = (ref: string) => vcenter.vms.get(ref)?.nics[0]?.addresses[0];
    const both = await eventually(
      "both addresses",
      () => address(a) && address(b) && [address(a), address(b)],
    );
    expect(both[0]).toMatch(/^10\.254\./);
    expect(both[0]).not.toBe(both[1]);
  });

  it("with kubeadm init it makes a cluster: namespaces, kubeadm-config, its Node with label and taint, static pods", async () => {
    await machine("cp", initData());
    const store = await api();
    await eventually("its pods run", async () => (await store.list(pod)).items.length === 4);
    const found = await store.get(node, { name: "cp" });
    expect(found).toMatchObject({
      metadata: { labels: { "node-role.kubernetes.io/control-plane": "", "kubernetes.io/hostname": "cp" } },
      spec: {
        providerID: expect.stringMatching(/^vsphere:\/\/[0-9a-f-]{36}$/),
        taints: [{ key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" }],
      },
      status: { nodeInfo: { kubeletVersion: "v1.35.4" } },
    });
    expect(found?.status?.addresses).toContainEqual({ type: "InternalIP", address: "10.1.0.1" });
    expect(await store.get(configMap, { namespace: "kube-system", name: "kubeadm-config" })).toBeDefined();
  });

  it("joins only with a token that the cluster holds, and comes with its labels and taints", async () => {
    await machine("early", joinData());
    await machine("cp", initData());
    const store = await api();
    await eventually("the control plane's Node", async () => store.get(node, { name: "cp" }));
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(await store.get(node, { name: "early" })).toBeUndefined();
    await store.create(secret, {
      metadata: { name: "bootstrap-token-abcdef", namespace: "kube-system" },
      type: "bootstrap.kubernetes.io/token",
      data: { "token-secret": encode64("0123456789abcdef") },
    });
    const joined = await eventually("it joins", () => store.get(node, { name: "early" }));
    expect(joined).toMatchObject({
      metadata: { labels: { pool: "w", zone: "a" } },
      spec: { taints: [{ key: "dedicated", value: "gpu", effect: "NoSchedule" }] },
    });
  });

  it("refuses a cluster with another authority than the one it was told to trust", async () => {
    await machine("cp", initData());
    const store = await api();
    await store.create(secret, {
      metadata: { name: "bootstrap-token-abcdef", namespace: "kube-system" },
      type: "bootstrap.kubernetes.io/token",
      data: { "token-secret": encode64("0123456789abcdef") },
    });
    await machine("misled", joinData({ pin: `sha256:${"0".repeat(64)}` }));
    await machine("trusting", joinData());
    await eventually("the other joins", () => store.get(node, { name: "trusting" }));
    expect(await store.get(node, { name: "misled" })).toBeUndefined();
  });

  it("turned off its Node falls silent, turned on again it is ready; with its last control plane the cluster is gone", async () => {
    const ref = await machine("cp", initData());
    const store = await api();
    const ready = async () =>
      (await store.get(node, { name: "cp" }))?.status?.conditions?.find((c) => c.type === "Ready")?.status;
    await eventually("ready", async () => (await ready()) === "True");
    await vms.powerOff(ref, signal);
    await eventually("silent", async () => (await ready()) === "Unknown");
    expect(await machines.connect(endpoint)).toBeUndefined();
    await vms.powerOn(ref, signal);
    await eventually("ready again", async () => (await ready()) === "True");
    expect((await store.list(node)).items).toHaveLength(1);
    await vms.powerOff(ref, signal);
    await vms.destroy(ref, signal);
    await eventually("forgotten", () => machines.workloads().length === 0);
  });
});

describe("a machine with a fault", { timeout: 60_000 }, () => {
  const moment = () => new Promise((resolve) => setTimeout(resolve, 30));
  const addresses = (ref: string) => vcenter.vms.get(ref)?.nics[0]?.addresses ?? [];

  it("that boots late reports late, and joins all the same", async () => {
    turn.lateMs = (name) => (name === "cp" ? 200 : 0);
    const slow = await machine("cp", initData());
    const quick = await machine("plain", undefined);
    await eventually("the other reports", () => addresses(quick).length > 0);
    expect(addresses(slow)).toEqual([]);
    const store = await api();
    await eventually("its Node", () => store.get(node, { name: "cp" }));
  });

  it("that never boots reports nothing and forms no cluster", async () => {
    turn.neverBoots = (name) => name === "cp";
    const ref = await machine("cp", initData());
    await moment();
    expect([addresses(ref), machines.workloads()]).toEqual([[], []]);
  });

  it("without an address reaches nobody; when the network is there it goes on", async () => {
    turn.noAddress = () => true;
    const ref = await machine("cp", initData());
    await moment();
    expect([addresses(ref), machines.workloads()]).toEqual([[], []]);
    turn.noAddress = () => false;
    const store = await api();
    await eventually("its Node", () => store.get(node, { name: "cp" }));
    expect(addresses(ref)).toHaveLength(1);
  });

  it("under a wrong host name registers a Node of that name, with its own provider id", async () => {
    turn.wrongHostname = (name) => (name === "cp" ? "localhost" : undefined);
    const ref = await machine("cp", initData());
    const store = await api();
    const found = await eventually("its Node", () => store.get(node, { name: "localhost" }));
    expect(found.spec?.providerID).toBe(`vsphere://${vcenter.vms.get(ref)?.biosUuid}`);
    expect(await store.get(node, { name: "cp" })).toBeUndefined();
  });

  it("whose kubelet is lost stays on, its Node falls silent; found again it is ready", async () => {
    const ref = await machine("cp", initData());
    const store = await api();
    const ready = async () =>
      (await store.get(node, { name: "cp" }))?.status?.conditions?.find((c) => c.type === "Ready")?.status;
    await eventually("ready", async () => (await ready()) === "True");
    turn.nodeLost = () => true;
    await eventually("silent", async () => (await ready()) === "Unknown");
    expect(vcenter.vms.get(ref)?.powerState).toBe("poweredOn");
    turn.nodeLost = () => false;
    await eventually("ready again", async () => (await ready()) === "True");
  });
});

describe("endpoints", () => {
  it.each([
    ["127.0.0.1:6443", { host: "127.0.0.1", port: 6443 }],
    ["[fd00::1]:6443", { host: "fd00::1", port: 6443 }],
    ["api.example.org:443", { host: "api.example.org", port: 443 }],
    ["nowhere", undefined],
    ["", undefined],
  ])("%s", (text, want) => {
    expect(parseEndpoint(text)).toEqual(want);
  });
});
