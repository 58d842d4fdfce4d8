// Machines by themselves: a real vcsim, guestinfo written by hand, real API servers and programs. No Cluster API manages them.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseAllDocuments, stringify } from "yaml";
import { defineKind, modify, silentLogger, systemClock, type OwnedStore, type Resource } from "#core";
import { makeAuthority } from "#core/net/authority.ts";
import { kubeStore } from "#core/store/kube-store.ts";
import {
  clusterRoleBinding,
  configMap,
  customResourceDefinition,
  deployment,
  encode64,
  namespace,
  node,
  pod,
  secret,
  service,
  serviceAccount,
} from "#proto";
import { adminKubeconfig, newAuthority, newSigningKey, type KeyPair } from "#sandbox/capi/certificates.ts";
import { renderMetadata, renderUserdata, type WriteFile } from "#sandbox/capi/cloud-init.ts";
import { eventually } from "#sandbox/capi/testing.ts";
import { connectVsphere, type Ref, type VsphereClient } from "#vsphere";
import {
  preparedVcenter,
  startExternalEtcd,
  startMachines,
  type ExternalEtcd,
  type Machines,
  type PreparedVcenter,
} from "./index.ts";

const dir = mkdtempSync(join(tmpdir(), "pcg-peers-"));
const endpoint = { host: "127.31.0.1", port: 6443 };
let vcenter: PreparedVcenter;
let etcd: ExternalEtcd;
let machines: Machines;
let client: VsphereClient;
let authority: KeyPair;
let signing: KeyPair;
let api: OwnedStore;

beforeAll(async () => {
  [vcenter, etcd] = await Promise.all([
    preparedVcenter({ dir: join(dir, "vcenter") }),
    startExternalEtcd({ dir: join(dir, "etcd") }),
  ]);
  machines = startMachines({ dir, vcenter: { ...vcenter, ...vcenter.hands } });
  const { server, user, password, thumbprint } = vcenter;
  const account = { server, username: user, password, thumbprint };
  client = connectVsphere({ ...account, clock: systemClock, log: silentLogger });
  authority = await newAuthority("kubernetes", systemClock);
  signing = await newSigningKey();
  // what KCP puts into a kubeconfig Secret: made with the cluster's authority, without asking the API
  api = await kubeStore(await adminKubeconfig("c1", endpoint, authority, systemClock), {
    clock: systemClock,
  });
});

afterAll(async () => {
  await api?.close();
  await client?.close();
  await machines?.stop();
  await etcd?.stop();
  await vcenter?.stop();
  rmSync(dir, { recursive: true, force: true });
});

async function pki(): Promise<WriteFile[]> {
  const proxy = await newAuthority("front-proxy-ca", systemClock);
  const at = (name: string, content: string) => ({ path: `/etc/kubernetes/pki/${name}`, content });
  return [
    at("ca.crt", authority.certificate),
    at("ca.key", authority.key),
    at("front-proxy-ca.crt", proxy.certificate),
    at("front-proxy-ca.key", proxy.key),
    at("sa.pub", signing.certificate),
    at("sa.key", signing.key),
    at("etcd/ca.crt", etcd.ca),
    at("apiserver-etcd-client.crt", etcd.certificate),
    at("apiserver-etcd-client.key", etcd.key.reveal()),
  ];
}

async function initData(): Promise<string> {
  const external = {
    endpoints: etcd.endpoints,
    caFile: "/etc/kubernetes/pki/etcd/ca.crt",
    certFile: "/etc/kubernetes/pki/apiserver-etcd-client.crt",
    keyFile: "/etc/kubernetes/pki/apiserver-etcd-client.key",
  };
  const configuration = {
    kind: "ClusterConfiguration",
    clusterName: "c1",
    controlPlaneEndpoint: `${endpoint.host}:${endpoint.port}`,
    kubernetesVersion: "v1.35.4",
    networking: { serviceSubnet: "127.88.0.0/16" },
    etcd: { external },
  };
  const content = `---\n${stringify(configuration)}---\n${stringify({ kind: "InitConfiguration" })}`;
  const files = [...(await pki()), { path: "/run/kubeadm/kubeadm.yaml", content }];
  return renderUserdata({ files, commands: [] });
}

const base64 = (text: string) => Buffer.from(text).toString("base64");

/** Clones and turns on a machine as CAPV does. */
async function machine(name: string, address: string, userdata: string): Promise<Ref> {
  const { place } = vcenter;
  const [source, folder, pool] = await Promise.all([
    client.inventory.find("template", place.template),
    client.inventory.find("folder", "/DC0/vm"),
    client.inventory.find("pool", place.pool),
  ]);
  const ref = await client.vms.clone({
    name,
    source: source.ref,
    folder: folder.ref,
    pool: pool.ref,
    extraConfig: { "guestinfo.userdata": base64(userdata), "guestinfo.userdata.encoding": "base64" },
  });
  const [card] = await client.vms.cards(ref);
  const metadata = renderMetadata(name, [
    { mac: card!.mac, spec: { networkName: place.network }, addresses: [{ address, prefix: 24 }] },
  ]);
  const extraConfig = { "guestinfo.metadata": base64(metadata), "guestinfo.metadata.encoding": "base64" };
  await client.vms.reconfigure(ref, { extraConfig });
  await client.vms.powerOn(ref);
  return ref;
}

/** Of a Node, while the API answers. */
const ready = async (name: string) =>
  (await api.get(node, { name }).catch(() => undefined))?.status?.conditions?.find(
    ({ type }) => type === "Ready",
  )?.status;

let first: Ref;

describe("machines on vcsim", { timeout: 120_000 }, () => {
  it("the first forms a cluster: its API answers at the endpoint to whoever has the cluster's authority", async () => {
    first = await machine("c1-a", "10.1.0.10", await initData());
    await eventually("its Node is ready", async () => (await ready("c1-a")) === "True");
    const seen = await client.vms.get(first);
    expect(seen).toMatchObject({ ipAddresses: ["10.1.0.10"], hostName: "c1-a" });
    const found = await api.get(node, { name: "c1-a" });
    expect(found).toMatchObject({
      metadata: { labels: { "node-role.kubernetes.io/control-plane": "" } },
      spec: { providerID: `vsphere://${seen?.biosUuid}` },
      status: { nodeInfo: { kubeletVersion: "v1.35.4" } },
    });
    expect(found?.spec?.taints).toContainEqual(
      expect.objectContaining({ key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" }),
    );
    const statics = await eventually("three static pods", async () => {
      const { items } = await api.list(pod, { namespace: "kube-system" });
      return items.length === 3 && items;
    });
    expect(statics.map(({ metadata }) => metadata.labels?.["component"]).sort()).toEqual([
      "kube-apiserver",
      "kube-controller-manager",
      "kube-scheduler",
    ]);
    const kubeadm = await api.get(configMap, { namespace: "kube-system", name: "kubeadm-config" });
    expect(kubeadm?.data?.["ClusterConfiguration"]).toContain("serviceSubnet: 127.88.0.0/16");
    expect(await etcd.count("/pcg-peers/c1-")).toBeGreaterThan(50);
  });

  it("a Deployment becomes a process with the rights of its ServiceAccount, Available when its probe answers", async () => {
    await installCore();
    const key = { namespace: "capi-system", name: "capi-controller-manager" };
    await eventually("it is tried", () => log(key.name).includes("is forbidden"), 10_000);
    expect((await api.get(deployment, key))?.status?.availableReplicas ?? 0).toBe(0);
    await api.create(clusterRoleBinding, adminOf("capi-system", "capi-manager"));
    await eventually(
      "it is Available",
      async () => (await api.get(deployment, key))?.status?.availableReplicas === 1,
      60_000,
    );
  });

  it("a webhook by clientConfig.service is called: a bad object is refused in the program's words", async () => {
    await expect(api.create(clusters, badCluster())).rejects.toThrow(theirWords);
  });

  it("a program that ends by itself is started again; corrected, it is Available and its Service leads to it", async () => {
    const key = { namespace: "capi-system", name: "capi-controller-manager" };
    const change = (args: string[], portName: string) =>
      modify(api, deployment, key, (o) => {
        const [container] = o.spec.template.spec.containers;
        container!.args = args;
        container!["ports"] = [{ name: portName, containerPort: 9555 }];
        delete container!["readinessProbe"];
      });
    await change(["--no-such-flag"], "none");
    await eventually("it was tried twice", () => log(key.name).split("unknown flag").length > 4);
    expect((await api.get(deployment, key))?.status?.availableReplicas ?? 0).toBe(0);
    await change(["--v=1", "--webhook-port=9555"], "hook");
    await modify(api, service, { ...key, name: "capi-webhook-service" }, (o) => {
      (o.spec as { ports: { targetPort: string }[] }).ports[0]!.targetPort = "hook";
    });
    await eventually(
      "Available",
      async () => (await api.get(deployment, key))?.status?.availableReplicas === 1,
    );
    await expect(api.create(clusters, badCluster())).rejects.toThrow(theirWords);
  });

  it("pcg agent runs beside them, told by its pod where it is", async () => {
    const key = { namespace: "default", name: "pcg-agent" };
    await api.create(serviceAccount, { metadata: key } as never);
    await api.create(clusterRoleBinding, adminOf("default", "pcg-agent"));
    await api.create(secret, { metadata: key, type: "Opaque", data: { signingKey: encode64("none") } });
    const env = { PCG_CLUSTER_UID: "u1", PCG_CLUSTER_NAME: "c1", PCG_NAMESPACE: "default" };
    await api.create(deployment, {
      metadata: key,
      spec: {
        replicas: 1,
        selector: { matchLabels: { app: "agent" } },
        template: {
          metadata: { labels: { app: "agent" } },
          spec: {
            serviceAccountName: "pcg-agent",
            tolerations: [{ operator: "Exists" }],
            containers: [
              {
                name: "agent",
                image: "registry.local/pcg-agent:v1",
                env: Object.entries(env).map(([name, value]) => ({ name, value })),
                volumeMounts: [{ name: "identity", mountPath: "/etc/pcg-agent" }],
              },
            ],
            volumes: [{ name: "identity", secret: { secretName: "pcg-agent" } }],
          },
        },
      },
    } as never);
    const says = () => log("pcg-agent", "default", "pcg-agent");
    await eventually("it works", () => says().includes("works without a line to the plane"));
    await modify(api, secret, key, (o) => void (o.data = { signingKey: encode64("another") }));
    const mounted = join(podFolder("pcg-agent", "default"), "mounts/identity/signingKey");
    await eventually("it finds the new key", () => readFileSync(mounted, "utf8") === "another");
    await api.delete(deployment, key);
  });

  it("turned off, the API is silent; turned on, it holds what it held", async () => {
    await client.vms.powerOff(first);
    await eventually("silent", async () => !(await machines.connect(endpoint)));
    await client.vms.powerOn(first);
    await eventually("back", () => machines.connect(endpoint));
    await eventually("ready", async () => (await ready("c1-a")) === "True");
    expect((await api.list(node)).items).toHaveLength(1);
  });

  it("a machine without an address tells its name only; one that never boots tells nothing", async () => {
    const { knobs } = machines;
    knobs.noAddress = (name) => name === "nameless";
    knobs.neverBoots = (name) => name === "dead";
    const [nameless, dead] = [
      await machine("nameless", "10.1.0.20", ""),
      await machine("dead", "10.1.0.21", ""),
    ];
    const guest = async (ref: Ref) => {
      const found = await client.vms.get(ref);
      return { name: found?.hostName, addresses: found?.ipAddresses };
    };
    await eventually("its name", async () => (await guest(nameless)).name === "nameless");
    expect(await guest(nameless)).toEqual({ name: "nameless", addresses: [] });
    knobs.noAddress = () => false;
    await eventually("its address", async () => (await guest(nameless)).addresses?.[0] === "10.1.0.20");
    expect(await guest(dead)).toEqual({ name: undefined, addresses: [] });
    for (const ref of [nameless, dead]) await client.vms.destroy(ref);
  });

  it("whose kubelet is lost stays on, its Node falls silent", async () => {
    machines.knobs.nodeLost = (name) => name === "c1-a";
    await eventually("silent", async () => (await ready("c1-a")) === "Unknown");
    machines.knobs.nodeLost = () => false;
    await eventually("ready", async () => (await ready("c1-a")) === "True");
  });

  it("the last control plane gone, nothing is left: no API, no key in etcd, no folder", async () => {
    await client.vms.destroy(first);
    await eventually("forgotten", () => machines.workloads().length === 0);
    expect(await etcd.count()).toBe(0);
    expect(readdirSync(join(dir, "clusters"))).toEqual([]);
    expect(await vcenter.machines()).toEqual([]);
  });
});

const clusters = defineKind<Resource>({
  group: "cluster.x-k8s.io",
  version: "v1beta2",
  kind: "Cluster",
  plural: "clusters",
  namespaced: true,
});
const webhookConfigurations = ["Mutating", "Validating"].map((mode) =>
  defineKind<Resource>({
    group: "admissionregistration.k8s.io",
    version: "v1",
    kind: `${mode}WebhookConfiguration`,
    plural: `${mode.toLowerCase()}webhookconfigurations`,
    namespaced: false,
  }),
);

/** No schema forbids this, only the webhook: the feature is off. */
const badCluster = () => ({
  metadata: { namespace: "default", name: "bad" },
  spec: { topology: { classRef: { name: "none" }, version: "v1.35.4" } },
});
const theirWords =
  /spec\.topology: Forbidden: can be set only if the ClusterTopology feature flag is enabled/;

function podFolder(name: string, ns: string): string {
  return join(dir, "clusters/127.31.0.1_6443/pods", `${ns}_${name}`);
}

function log(name: string, ns = "capi-system", program = "capi-core"): string {
  try {
    return readFileSync(join(podFolder(name, ns), `${program}.log`), "utf8");
  } catch {
    return ""; // not started yet
  }
}

function adminOf(ns: string, name: string): Resource & Record<string, unknown> {
  return {
    metadata: { name: `${ns}-${name}` },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "cluster-admin" },
    subjects: [{ kind: "ServiceAccount", name, namespace: ns }],
  } as unknown as Resource & Record<string, unknown>;
}

/** Cluster API's core controller as upstream installs it, but for the rights of its ServiceAccount. */
async function installCore(): Promise<void> {
  const folder = upstream();
  const ns = "capi-system";
  const files = readdirSync(join(folder, "config/crd/bases"));
  for (const crd of files.flatMap((file) => yaml(join(folder, "config/crd/bases", file)))) {
    crd.metadata.labels = { "cluster.x-k8s.io/v1beta2": "v1beta2" };
    await api.create(customResourceDefinition, crd as never);
  }
  await api.create(namespace, { metadata: { name: ns } });
  await api.create(serviceAccount, { metadata: { namespace: ns, name: "capi-manager" } } as never);
  const host = `capi-webhook-service.${ns}.svc`;
  const ca = await makeAuthority("webhooks", systemClock);
  const own = await ca.issue({ name: host, hosts: [host] });
  await api.create(secret, {
    metadata: { namespace: ns, name: "cert" },
    type: "kubernetes.io/tls",
    data: { "tls.crt": encode64(own.certificate), "tls.key": encode64(own.key.reveal()) },
  });
  await api.create(service, {
    metadata: { namespace: ns, name: "capi-webhook-service" },
    spec: { ports: [{ port: 443, targetPort: "webhook-server" }], selector: { app: "capi" } },
  } as never);
  await api.create(deployment, {
    metadata: { namespace: ns, name: "capi-controller-manager" },
    spec: {
      replicas: 1,
      selector: { matchLabels: { app: "capi" } },
      template: {
        metadata: { labels: { app: "capi" } },
        spec: {
          serviceAccountName: "capi-manager",
          tolerations: [{ key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" }],
          containers: [
            {
              name: "manager",
              image: "registry.local/cluster-api/cluster-api-controller:v1.13.5",
              args: ["--leader-elect", "--diagnostics-address=:8443", "--insecure-diagnostics"],
              env: [{ name: "POD_NAMESPACE", valueFrom: { fieldRef: { fieldPath: "metadata.namespace" } } }],
              ports: [
                { name: "webhook-server", containerPort: 9443 },
                { name: "healthz", containerPort: 9440 },
              ],
              readinessProbe: { httpGet: { path: "/readyz", port: "healthz" } },
              volumeMounts: [{ name: "cert", mountPath: "/tmp/k8s-webhook-server/serving-certs" }],
            },
          ],
          volumes: [{ name: "cert", secret: { secretName: "cert" } }],
        },
      },
    },
  } as never);
  const hooks = yaml(join(folder, "config/webhook/manifests.yaml"));
  for (const hook of hooks as (Resource & { webhooks: { clientConfig: object }[] })[]) {
    for (const each of hook.webhooks)
      Object.assign(each.clientConfig, {
        caBundle: encode64(ca.certificate),
        service: {
          ...(each.clientConfig as { service: object }).service,
          name: "capi-webhook-service",
          namespace: ns,
        },
      });
    await api.create(
      webhookConfigurations.find(({ kind }) => kind === hook.kind)!,
      hook,
    );
  }
}

/** Where Go keeps the module that the program was built from. */
function upstream(): string {
  const asked = spawnSync("go", ["list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/cluster-api"], {
    cwd: join(import.meta.dirname, "../capi"),
    encoding: "utf8",
  });
  return asked.stdout.trim();
}

function yaml(path: string): Resource[] {
  return parseAllDocuments(readFileSync(path, "utf8"))
    .map((document) => document.toJSON() as Resource | null)
    .filter((object) => object !== null);
}
