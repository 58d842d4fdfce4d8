// The embedded control plane on the real programs: what it starts, that its webhooks work, that nothing is lost and nothing left behind.
import { spawn, type ChildProcess } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { connect } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  listSnapshots,
  openBundle,
  preflightExternal,
  restoreControlPlane,
  startControlPlane,
  type Bundle,
  type ControlPlane,
  type ProgramStatus,
} from "#controlplane";
import { settleCertificates } from "#controlplane/certificates.ts";
import { etcdAt } from "#controlplane/etcd.ts";
import { relieve } from "#controlplane/housekeeping.ts";
import { settleFolders } from "#controlplane/layout.ts";
import {
  defineKind,
  isFault,
  modify,
  silentLogger,
  systemClock,
  type Kind,
  type OwnedStore,
  type Resource,
} from "#core";
import { kubeStore } from "#core/store/kube-store.ts";
import { KubeClient } from "#core/store/kube/client.ts";
import { connectionFrom } from "#core/store/kube/connection.ts";
import { configMap, secret } from "#proto";
import { bundleCopy, peerBundle } from "./harness/bundle.ts";
import { crdKind } from "./harness/crds.ts";

const webhookConfigurations = defineKind({
  group: "admissionregistration.k8s.io",
  version: "v1",
  kind: "ValidatingWebhookConfiguration",
  plural: "validatingwebhookconfigurations",
  namespaced: false,
  hasStatus: false,
});
const serviceAccounts = defineKind({
  group: "",
  version: "v1",
  kind: "ServiceAccount",
  plural: "serviceaccounts",
  hasStatus: false,
});
const namespaces = defineKind({
  group: "",
  version: "v1",
  kind: "Namespace",
  plural: "namespaces",
  namespaced: false,
});
const capvKind = (kind: string) =>
  defineKind({
    group: "infrastructure.cluster.x-k8s.io",
    version: "v1beta2",
    kind,
    plural: `${kind.toLowerCase()}s`,
  });
const vsphereClusters = capvKind("VSphereCluster");
const vsphereMachines = capvKind("VSphereMachine");
const vsphereMachineTemplates = capvKind("VSphereMachineTemplate");
const vsphereVMs = capvKind("VSphereVM");
const clusters = (version: string) =>
  defineKind({ group: "cluster.x-k8s.io", version, kind: "Cluster", plural: "clusters" });

/** Of the four providers. */
const crdCount = 25;

const deps = { clock: systemClock, log: silentLogger, random: Math.random };
const never = new AbortController().signal;

let dir: string;
let folder: string;
let bundle: Bundle;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "pcg-cp-"));
  folder = await peerBundle();
  bundle = await openBundle(folder);
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function until<T>(what: string, probe: () => Promise<T | undefined>, patienceMs = 30_000): Promise<T> {
  for (const deadline = Date.now() + patienceMs; ;) {
    const found = await probe();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`${what} took more than ${patienceMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function servedSerial(port: number): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerX509Certificate()?.serialNumber);
      socket.end();
    });
    socket.once("error", reject);
  });
}

function isAlive(pid: number | undefined): boolean {
  if (pid === undefined) return false;
  try {
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return false;
  }
}

describe("a control plane", () => {
  let controlPlane: ControlPlane;
  let store: OwnedStore;

  beforeAll(async () => {
    const dataDir = join(dir, "one");
    controlPlane = await startControlPlane({ dataDir, bundle, fsync: false }, deps, never);
    store = await kubeStore(controlPlane.kubeconfig, { clock: systemClock });
    await store.create(namespaces, { metadata: { name: "clusters" } });
  });

  afterAll(async () => {
    await store?.close();
    await controlPlane?.close();
  });

  const statusOf = async (name: string) => (await controlPlane.status()).find((each) => each.name === name)!;

  it("has seven programs ready, with their memory and versions", async () => {
    const status = await controlPlane.status();
    expect(status.map(({ name, state, version }) => `${name} ${version} ${state}`)).toEqual([
      "etcd 3.6.14 ready",
      "kube-apiserver 1.35.4 ready",
      "kube-controller-manager 1.35.4 ready",
      "capi-core 1.13.5 ready",
      "cabpk 1.13.5 ready",
      "kcp 1.13.5 ready",
      "capv 1.16.1 ready",
    ]);
    for (const { rssMiB } of status) expect(rssMiB).toBeGreaterThan(10);
  });

  it("serves every kind of Cluster API and CAPV, labelled with its contracts", async () => {
    const { items } = await store.list(crdKind);
    expect(items).toHaveLength(crdCount);
    for (const { metadata, status } of items) {
      expect(status?.conditions?.find(({ type }) => type === "Established")?.status, metadata.name).toBe(
        "True",
      );
      expect(metadata.labels, metadata.name).toMatchObject({ "cluster.x-k8s.io/v1beta2": "v1beta2" });
    }
  });

  it("a webhook refuses a Cluster that the schema alone lets through", async () => {
    const bad: Promise<Resource> = store.create(clusters("v1beta2"), {
      metadata: { namespace: "clusters", name: "bad" },
      spec: {
        clusterNetwork: { pods: { cidrBlocks: ["no-network"] } },
        infrastructureRef: {
          apiGroup: "infrastructure.cluster.x-k8s.io",
          kind: "VSphereCluster",
          name: "bad",
        },
      },
    });
    await expect(bad).rejects.toMatchObject({
      code: expect.stringMatching(/Invalid|Forbidden/) as string,
      message: expect.stringContaining("no-network") as string,
    });
  });

  it("a VSphereCluster without a login of its own is refused, with what to do", async () => {
    const template = (rest: object) =>
      store.create(vsphereClusters, {
        metadata: { namespace: "clusters", name: "lonely" },
        spec: { server: "127.0.0.1", thumbprint: "AA", ...rest },
      });
    await expect(template({})).rejects.toThrow(/spec\.identityRef is missing: name the Secret/);
    await template({ identityRef: { kind: "Secret", name: "lonely" } });
    await store.delete(vsphereClusters, { namespace: "clusters", name: "lonely" });
  });

  it("the way to vCenter changes where Jet writes it, and a VM's other fields stay fixed", async () => {
    const at = { namespace: "clusters", name: "way" };
    const clone = {
      template: "t",
      datacenter: "DC0",
      network: { devices: [{ networkName: "n", dhcp4: true }] },
    };
    const reached = { server: "vc.old", thumbprint: "AA" };
    // CAPV's own controllers write beside us.
    const edit = (kind: Kind, change: object) =>
      modify(store, kind, at, (have) => ({ ...have, spec: { ...(have.spec as object), ...change } }));
    const cluster = { ...reached, identityRef: { kind: "Secret", name: "way" } };
    await store.create(vsphereClusters, { metadata: at, spec: cluster });
    await edit(vsphereClusters, { server: "vc.new", thumbprint: "BB" });

    // CAPV brings what the machine is silent about from the VSphereCluster to the VM
    await store.create(vsphereVMs, { metadata: at, spec: { ...clone, ...reached, biosUUID: "1" } });
    await edit(vsphereVMs, { thumbprint: "BB" });
    await edit(vsphereVMs, { server: "vc.new", thumbprint: "CC" });
    await expect(edit(vsphereVMs, { template: "other" })).rejects.toThrow(/cannot be modified/);
    await expect(edit(vsphereVMs, { server: "vc.x", template: "other" })).rejects.toThrow(
      /cannot be modified/,
    );
    await expect(edit(vsphereVMs, { server: "vc.x", biosUUID: "2" })).rejects.toThrow(/cannot be modified/);
    await expect(edit(vsphereVMs, { server: "vc.x", folder: "f" })).rejects.toThrow(/cannot be modified/);

    // why neither machines nor templates name a vCenter
    const machine = { ...clone, ...reached };
    await store.create(vsphereMachines, { metadata: at, spec: machine });
    await expect(edit(vsphereMachines, { thumbprint: "BB" })).rejects.toThrow(/cannot be modified/);
    await store.create(vsphereMachineTemplates, { metadata: at, spec: { template: { spec: machine } } });
    const other = { template: { spec: { ...machine, thumbprint: "BB" } } };
    await expect(edit(vsphereMachineTemplates, other)).rejects.toThrow(/immutable/);
    for (const kind of [vsphereVMs, vsphereMachines, vsphereMachineTemplates, vsphereClusters])
      await store.delete(kind, at);
  });

  it("an object of v1beta1 is converted both ways", async () => {
    await store.create(clusters("v1beta1"), {
      metadata: { namespace: "clusters", name: "old" },
      spec: {
        paused: true,
        infrastructureRef: {
          apiVersion: "infrastructure.cluster.x-k8s.io/v1beta1",
          kind: "VSphereCluster",
          name: "old",
          namespace: "clusters",
        },
      },
    });
    const newer = await store.get(clusters("v1beta2"), { namespace: "clusters", name: "old" });
    expect(newer?.spec).toMatchObject({
      paused: true,
      infrastructureRef: { apiGroup: "infrastructure.cluster.x-k8s.io" },
    });
    const older = await store.get(clusters("v1beta1"), { namespace: "clusters", name: "old" });
    expect(older?.spec).toMatchObject({
      infrastructureRef: { apiVersion: "infrastructure.cluster.x-k8s.io/v1beta2" },
    });
    await store.delete(clusters("v1beta2"), { namespace: "clusters", name: "old" });
  });

  it("is closed to whoever has no certificate", async () => {
    const statusOfPath = (path: string) =>
      new Promise<number | undefined>((resolve, reject) => {
        const asked = request(controlPlane.server + path, { rejectUnauthorized: false, agent: false });
        asked.once("response", (response) => resolve(response.resume().statusCode)).once("error", reject);
        asked.end();
      });
    expect(await statusOfPath("/api")).toBe(401);
    expect(await statusOfPath("/readyz")).toBe(401);
  });

  it("passes the preflight of an external cluster; a user without rights is told what to grant", async () => {
    await preflightExternal(controlPlane.kubeconfig, deps);
    await store.create(serviceAccounts, { metadata: { namespace: "default", name: "nobody" } });
    const admin = await connectionFrom(controlPlane.kubeconfig);
    const client = new KubeClient(admin, systemClock, 10_000);
    const made = (await client.fetch({
      method: "POST",
      path: "/api/v1/namespaces/default/serviceaccounts/nobody/token",
      body: { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: {} },
      doing: "asking for a token",
    })) as { status: { token: string } };
    await client.close();
    const nobody = { server: admin.server, ca: admin.ca!, token: made.status.token };
    await expect(preflightExternal(nobody, deps)).rejects.toMatchObject({
      code: "Invalid",
      message: expect.stringContaining(
        "grant get, list, watch, create, update, patch, delete on machines.cluster.x-k8s.io in all namespaces",
      ) as string,
    });
  });

  it("certificates made anew are served without a restart", async () => {
    const dataDir = join(dir, "one");
    const before = await controlPlane.status();
    for (const name of ["kube-apiserver", "capv"]) rmSync(join(dataDir, "pki", name, "tls.crt"));
    await settleCertificates(await settleFolders(dataDir), systemClock);
    const ports = JSON.parse(readFileSync(join(dataDir, "ports.json"), "utf8")) as Record<string, number>;
    const made = (name: string) =>
      new X509Certificate(readFileSync(join(dataDir, "pki", name, "tls.crt"))).serialNumber;
    for (const [name, port] of [
      ["kube-apiserver", "kube-apiserver"],
      ["capv", "capv.webhook"],
    ] as const) {
      await until(`the new certificate of ${name}`, async () =>
        (await servedSerial(ports[port]!)) === made(name) ? true : undefined,
      );
    }
    expect((await controlPlane.status()).map(({ pid }) => pid)).toEqual(before.map(({ pid }) => pid));
  });

  it.each(["capv", "etcd", "kube-apiserver"])("%s comes back when it is killed", async (name) => {
    const before = await statusOf(name);
    process.kill(before.pid!, "SIGKILL");
    const after = await until(`a new ${name}`, async () => {
      const now = await statusOf(name);
      return now.state === "ready" && now.pid !== before.pid ? now : undefined;
    });
    expect(after.restarts).toBe(before.restarts + 1);
    await until("the API", async () => {
      try {
        return await store.get(namespaces, { name: "clusters" });
      } catch (error) {
        if (isFault(error, "Unavailable", "TimedOut")) return undefined;
        throw error;
      }
    });
  });

  it("a second one on the same data directory is told that there is one", async () => {
    const second = startControlPlane({ dataDir: join(dir, "one"), bundle, lockMs: 300 }, deps, never);
    await expect(second).rejects.toMatchObject({
      code: "Busy",
      message: expect.stringContaining("another process runs the control plane") as string,
    });
  });
});

describe("a supervisor that is killed", () => {
  interface Ready {
    readonly child: ChildProcess;
    readonly server: string;
    readonly kubeconfig: string;
    readonly programs: readonly ProgramStatus[];
  }

  const children: ChildProcess[] = [];
  afterAll(() => {
    for (const child of children) child.kill("SIGKILL");
  });

  async function supervise(dataDir: string): Promise<Ready> {
    const script = join(import.meta.dirname, "harness/control-plane-child.ts");
    const child = spawn(process.execPath, ["--import", "tsx", script, folder, dataDir], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    children.push(child);
    for await (const line of createInterface({ input: child.stdout })) {
      return { child, ...(JSON.parse(line) as Omit<Ready, "child">) };
    }
    throw new Error("the control plane's process ended without a word");
  }

  it("leaves no program behind, and the next one finds everything where it was", async () => {
    const dataDir = join(dir, "killed");
    const first = await supervise(dataDir);
    const store = await kubeStore(first.kubeconfig, { clock: systemClock });
    const kept = { metadata: { namespace: "default", name: "kept" }, data: { answer: "42" } };
    await store.create(configMap, kept as never);
    await store.close();

    first.child.kill("SIGKILL");
    await until("the end of all programs", async () =>
      first.programs.every(({ pid }) => !isAlive(pid)) ? true : undefined,
    );

    const second = await supervise(dataDir);
    expect(second.server).toBe(first.server);
    const again = await kubeStore(first.kubeconfig, { clock: systemClock }); // the old one is good still
    expect(await again.get(configMap, kept.metadata)).toMatchObject({ data: { answer: "42" } });
    await again.close();

    const ended = new Promise((resolve) => second.child.once("exit", resolve));
    second.child.kill("SIGTERM");
    expect(await ended).toBe(0);
    expect(second.programs.filter(({ pid }) => isAlive(pid))).toEqual([]);
  }, 180_000);
});

describe("etcd's file", () => {
  it("that has reached its quota says so, and goes on when there is room", async () => {
    const dataDir = join(dir, "quota");
    const quotaBytes = 24 * 1024 ** 2;
    const controlPlane = await startControlPlane({ dataDir, bundle, fsync: false, quotaBytes }, deps, never);
    const store = await kubeStore(controlPlane.kubeconfig, { clock: systemClock });
    try {
      const large = (name: string) =>
        store.create(configMap, {
          metadata: { namespace: "default", name },
          data: { text: "x".repeat(700_000) },
        } as never);
      let refused = "";
      for (let count = 0; count < 60 && !refused; count++) {
        await large(`large-${count}`).catch((error: unknown) => (refused = String(error)));
      }
      expect(refused).toMatch(/database space exceeded/);
      const status = await until("the alarm", async () => {
        const [etcd] = await controlPlane.status();
        return etcd?.state === "ready" ? undefined : etcd;
      });
      expect(status.message).toMatch(/has reached its quota and takes no writes: delete what is not needed/);
      expect(status.restarts).toBe(0);

      for (const { metadata } of (await store.list(configMap, { namespace: "default" })).items) {
        if (metadata.name.startsWith("large-")) await store.delete(configMap, metadata);
      }
      const etcd = etcdAt(join(dataDir, "run/etcd-http.sock"));
      expect(await relieve(etcd, silentLogger, never)).toBe("defragment");
      await large("after");
      expect((await etcd.status()).dbSize).toBeLessThan(quotaBytes / 2);
    } finally {
      await store.close();
      await controlPlane.close();
    }
  }, 180_000);
});

describe("a start that finds things changed", () => {
  it("takes other ports, writes them everywhere, and clears an earlier bundle's webhooks away", async () => {
    const dataDir = join(dir, "changed");
    const old = { namespace: "default", name: "old" };
    const options = { dataDir, bundle, fsync: false };
    const first = await startControlPlane(options, deps, never);
    const before = await kubeStore(first.kubeconfig, { clock: systemClock });
    await before.create(clusters("v1beta2"), {
      metadata: old,
      spec: {
        paused: true,
        infrastructureRef: {
          apiGroup: "infrastructure.cluster.x-k8s.io",
          kind: "VSphereCluster",
          name: "old",
        },
      },
    });
    await before.create(webhookConfigurations, {
      metadata: {
        name: "of-an-earlier-bundle",
        labels: { "app.kubernetes.io/managed-by": "pcg-controlplane" },
      },
    });
    await before.create(webhookConfigurations, { metadata: { name: "of-somebody-else" } });
    await before.close();
    await first.close();

    const ports = JSON.parse(readFileSync(join(dataDir, "ports.json"), "utf8")) as Record<string, number>;
    const strangers = ["kube-apiserver", "capi-core.webhook"].map((name) => {
      const server = createServer().listen(ports[name], "127.0.0.1");
      return server;
    });
    await Promise.all(strangers.map((server) => new Promise((resolve) => server.once("listening", resolve))));
    const second = await startControlPlane(options, deps, never);
    const after = await kubeStore(second.kubeconfig, { clock: systemClock });
    try {
      expect(second.server).not.toBe(first.server);
      expect(readFileSync(second.kubeconfigPath, "utf8")).toBe(second.kubeconfig);
      expect(await after.get(clusters("v1beta1"), old)).toMatchObject({
        spec: { infrastructureRef: { apiVersion: "infrastructure.cluster.x-k8s.io/v1beta2" } },
      });
      const names = (await after.list(webhookConfigurations)).items.map(({ metadata }) => metadata.name);
      expect(names).toContain("of-somebody-else");
      expect(names).toContain("capi-validating-webhook-configuration");
      expect(names).not.toContain("of-an-earlier-bundle");
    } finally {
      await after.close();
      await second.close();
      for (const server of strangers) server.close();
    }
  }, 180_000);
});

describe("a lost disk", () => {
  const key = { namespace: "default", name: "saved" };
  let dataDir: string;
  let kubeconfig: string;
  let seen: string;

  async function withControlPlane<T>(
    work: (store: OwnedStore, controlPlane: ControlPlane) => Promise<T>,
  ): Promise<T> {
    const controlPlane = await startControlPlane({ dataDir, bundle, fsync: false }, deps, never);
    const store = await kubeStore(controlPlane.kubeconfig, { clock: systemClock });
    try {
      return await work(store, controlPlane);
    } finally {
      await store.close();
      await controlPlane.close();
    }
  }

  beforeAll(async () => {
    dataDir = join(dir, "lost");
    await withControlPlane(async (store, controlPlane) => {
      kubeconfig = controlPlane.kubeconfig;
      await store.create(configMap, { metadata: key, data: { answer: "42" } } as never);
      await store.create(secret, {
        metadata: key,
        stringData: { password: "correct horse" },
      } as never);
      const taken = await controlPlane.snapshot();
      expect(taken.objects).toBeGreaterThan(200);
      expect(taken.bytes).toBeGreaterThan(1_000_000);
      const text = readFileSync(taken.path);
      expect(text.includes("answer"), "an object of the snapshot").toBe(true);
      expect(text.includes(Buffer.from("correct horse")), "a secret in the clear").toBe(false);
      await store.create(configMap, { metadata: { ...key, name: "later" } });
      seen = (await store.list(configMap, { namespace: "default" })).revision;
    });
  });

  it("is not begun anew in silence", async () => {
    rmSync(join(dataDir, "etcd"), { recursive: true });
    await expect(startControlPlane({ dataDir, bundle, fsync: false }, deps, never)).rejects.toMatchObject({
      code: "Invalid",
      message: expect.stringMatching(/is gone.*pcg controlplane restore/) as string,
    });
  });

  it("is restored: objects, secrets and the address are back, what came later is not", async () => {
    await restoreControlPlane({ dataDir, bundle }, deps, never);
    await withControlPlane(async (store, controlPlane) => {
      expect(controlPlane.kubeconfig).toBe(kubeconfig);
      expect(await store.get(configMap, key)).toMatchObject({ data: { answer: "42" } });
      expect(await store.get(secret, key)).toMatchObject({
        data: { password: Buffer.from("correct horse").toString("base64") },
      });
      expect(await store.get(configMap, { ...key, name: "later" })).toBeUndefined();
      expect((await store.list(crdKind)).items).toHaveLength(crdCount);
    });
  });

  it("whoever watched before is told to list again", async () => {
    await withControlPlane(async (store) => {
      const stop = new AbortController();
      const watch = store.watch(configMap, { after: seen, namespace: "default" }, stop.signal);
      const first = watch[Symbol.asyncIterator]().next();
      await expect(first).rejects.toMatchObject({ code: "Gone" });
      stop.abort();
    });
  });

  it("a damaged snapshot is passed over, and refused when it is named", async () => {
    const good = (await listSnapshots(join(dataDir, "snapshots")))[0]!;
    const bad = join(dataDir, "snapshots", "2099-01-01T00-00-00Z-r1-o1.db");
    const bytes = readFileSync(good.path);
    bytes[5000]! ^= 1;
    writeFileSync(bad, bytes);
    const { from } = await restoreControlPlane({ dataDir, bundle }, deps, never);
    expect(from).toBe(good.path);
    await expect(restoreControlPlane({ dataDir, bundle, file: bad }, deps, never)).rejects.toThrow(
      /does not have the SHA-256 it should/,
    );
  });
});

describe("a bundle", () => {
  it("with a changed program is refused, and the file is named", async () => {
    const spoilt = join(dir, "spoilt");
    bundleCopy(folder, spoilt);
    rmSync(join(spoilt, "bin/capv"));
    writeFileSync(join(spoilt, "bin/capv"), "#!/bin/sh\n", { mode: 0o755 });
    await expect(openBundle(spoilt)).rejects.toMatchObject({
      code: "Invalid",
      message: expect.stringMatching(/bin\/capv has SHA-256 .* Install the bundle that belongs to/) as string,
    });
  });

  it("of another version is refused before anything is read", async () => {
    const old = join(dir, "old");
    bundleCopy(folder, old);
    const manifest = readFileSync(join(old, "manifest.json"), "utf8");
    writeFileSync(join(old, "manifest.json"), manifest.replaceAll("1.35.4", "1.34.2"));
    await expect(openBundle(old)).rejects.toThrow(
      "kube-apiserver is version 1.34.2, and this gateway is made for 1.35.4",
    );
  });
});
