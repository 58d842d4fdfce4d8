// The Deployments of Cluster API's providers as processes beside a test: with the flags, the Secret and the ServiceAccount that a pod
// would have. Their Services are played, so that an API server reaches their webhooks by `clientConfig.service`; it must have been
// started with Service addresses in 127.0.0.0/8.
import { mkdirSync, writeFileSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import type { ResourceStore } from "#core";
import { deployment, secret, secretText, service, type Deployment } from "#proto";
import { imageBaseName } from "#proto/render/images.ts";
import { asker, type Asker } from "./ask.ts";
import { binaries } from "./build.ts";
import { Child, freePorts } from "./child.ts";
import type { Kube } from "./kube.ts";

export interface Managers {
  /** What they have written, by Deployment. */
  logs(): ReadonlyMap<string, string>;
  /** Brings the Secrets that are mounted up to date, as a kubelet does. */
  remount(): Promise<void>;
  stop(): Promise<void>;
}

const programs: Readonly<Record<string, string>> = {
  "cluster-api-controller": "capi-core",
  "kubeadm-bootstrap-controller": "cabpk",
  "kubeadm-control-plane-controller": "kcp",
  "cluster-api-vsphere-controller": "capv",
};

/** Starts those of a namespace, and waits until they say that they are ready. */
export async function startManagers(
  kube: Kube,
  store: ResourceStore,
  namespace: string,
  dir: string,
): Promise<Managers> {
  const ask = asker(kube);
  const running: { readonly one: Deployment; readonly child: Child; readonly folder: string }[] = [];
  const servers: Server[] = [];
  const stop = async () => {
    ask.close();
    for (const server of servers.splice(0)) server.close();
    for (const { child } of running.splice(0)) await child.stop();
  };
  try {
    for (const one of (await store.list(deployment, { namespace })).items) {
      const folder = join(dir, one.metadata.name);
      mkdirSync(folder, { recursive: true });
      const [webhook, health, diagnostics] = (await freePorts(3)) as [number, number, number];
      await mount(store, one, folder);
      const child = await start(ask, kube, one, folder, { webhook, health, diagnostics });
      running.push({ one, child, folder });
      servers.push(await serve(store, one, webhook));
      await child.until("becoming ready", () => answers(`http://127.0.0.1:${health}/readyz`), 60_000);
      await store.updateStatus(deployment, {
        ...one,
        status: { replicas: 1, readyReplicas: 1, availableReplicas: 1 },
      });
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    logs: () => new Map(running.map(({ one, child }) => [one.metadata.name, child.log])),
    async remount() {
      for (const { one, folder } of running) await mount(store, one, folder);
    },
    stop,
  };
}

const containerOf = (one: Deployment) => one.spec.template.spec.containers[0]!;

/** A flag of a container, moved to where a process finds it. */
async function start(
  ask: Asker,
  kube: Kube,
  one: Deployment,
  folder: string,
  ports: { readonly webhook: number; readonly health: number; readonly diagnostics: number },
): Promise<Child> {
  const { image, args = [] } = containerOf(one);
  const program = programs[imageBaseName(image)];
  if (!program) throw new Error(`nothing plays the image ${image}`);
  const own: Readonly<Record<string, string>> = {
    "--webhook-port": String(ports.webhook),
    "--webhook-cert-dir": join(folder, "mounted"),
    "--health-addr": `127.0.0.1:${ports.health}`,
    "--diagnostics-address": `127.0.0.1:${ports.diagnostics}`,
  };
  const moved = args
    .filter((arg) => arg !== "--leader-elect") // whoever is in no pod does not know where its lease would lie
    .map((arg) => {
      const flag = arg.split("=", 1)[0]!;
      return own[flag] === undefined ? arg : `${flag}=${own[flag]}`;
    });
  const kubeconfig = join(folder, "kubeconfig");
  writeFileSync(kubeconfig, await kubeconfigOf(ask, kube, one), { mode: 0o600 });
  const env = { PATH: process.env["PATH"] ?? "", HOME: folder, POD_NAMESPACE: one.metadata.namespace ?? "" };
  return new Child({
    name: program,
    dir: folder,
    program: (await binaries("capi"))(program),
    args: [...moved, "--leader-elect=false", `--kubeconfig=${kubeconfig}`],
    env,
  });
}

/** As its ServiceAccount: what its roles do not say, it may not. */
async function kubeconfigOf(ask: Asker, kube: Kube, one: Deployment): Promise<string> {
  const { namespace } = one.metadata;
  const account = String(one.spec.template.spec["serviceAccountName"]);
  const { status, body } = await ask(
    "POST",
    `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`,
    {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenRequest",
      spec: { expirationSeconds: 86_400 },
    },
  );
  if (status !== 201) throw new Error(`a token for ${account}: ${String(body["message"])}`);
  const { token } = body["status"] as { token: string };
  const ca = Buffer.from(kube.ca).toString("base64");
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "pod",
    contexts: [{ name: "pod", context: { cluster: "own", user: "pod" } }],
    clusters: [{ name: "own", cluster: { server: kube.server, "certificate-authority-data": ca } }],
    users: [{ name: "pod", user: { token } }],
  });
}

/** The one Secret that a manager mounts, in the folder that stands for its mount path. */
async function mount(store: ResourceStore, one: Deployment, folder: string): Promise<void> {
  const name = one.spec.template.spec.volumes?.find((volume) => volume.secret)?.secret?.secretName;
  if (!name) return;
  const object = await store.get(secret, { namespace: one.metadata.namespace ?? "", name });
  mkdirSync(join(folder, "mounted"), { recursive: true });
  for (const key of Object.keys(object?.data ?? {})) {
    writeFileSync(join(folder, "mounted", key), secretText(object, key) ?? "", { mode: 0o600 });
  }
}

/** kube-proxy, for the Services that mean this Deployment's pods. */
async function serve(store: ResourceStore, one: Deployment, port: number): Promise<Server> {
  const labels = one.spec.template.metadata?.labels ?? {};
  const found = (await store.list(service, { namespace: one.metadata.namespace ?? "" })).items.find(
    ({ spec }) =>
      Object.entries((spec as { selector?: Record<string, string> }).selector ?? { "": "" }).every(
        ([key, value]) => labels[key] === value,
      ),
  );
  const { clusterIP } = (found?.spec ?? {}) as { clusterIP?: string };
  if (!clusterIP) throw new Error(`no Service means ${one.metadata.name}`);
  const server = createServer((near) => {
    const far = connect(port, "127.0.0.1");
    near.once("error", () => far.destroy());
    far.once("error", () => near.destroy());
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(443, clusterIP, () => resolve());
  });
  return server;
}

async function answers(url: string): Promise<true | undefined> {
  return (await fetch(url)).ok ? true : undefined;
}
