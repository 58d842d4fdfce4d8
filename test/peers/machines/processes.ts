// What Deployments of a workload cluster run: the real programs, as processes beside the test.
//
//   P1. A program speaks to its cluster's API with a token of its ServiceAccount: what RBAC does not grant, it cannot do.
//   P2. It is ready while its readiness probe answers.
//   P3. What it mounts lies in a folder of its own and changes with its Secret; what it keeps in its data folder outlives it, not the
//       cluster.
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { Fault } from "#core";
import type { Program, ProgramPod, Programs } from "#sandbox/workload/programs.ts";
import { binaries } from "../harness/build.ts";
import { Child, freePorts } from "../harness/child.ts";
import type { KubeWorkload } from "./kube-workloads.ts";
import { managerArgs, under } from "./program-args.ts";

/** A program that runs, as Services look for it. */
export interface RunningPod {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ready: boolean;
  /** The port on 127.0.0.1 for one of the container, by number or name. */
  port(target: number | string): number | undefined;
  /** kill -9; it is started again as after a crash. */
  kill(): Promise<void>;
}

/** Image name to program of test/peers/capi. */
const managers = {
  "cluster-api-controller": "capi-core",
  "kubeadm-bootstrap-controller": "cabpk",
  "kubeadm-control-plane-controller": "kcp",
  "cluster-api-vsphere-controller": "capv",
};

const root = join(import.meta.dirname, "../../..");

export function processPrograms(cluster: KubeWorkload, pods: Set<RunningPod>): Programs {
  const manager =
    (name: string): Program =>
    async (pod, signal) => {
      pod.tellReady(false);
      const at = await settle(cluster, pod);
      const [webhook, health, diagnostics] = (await freePorts(3)) as [number, number, number];
      const ports = { webhook, health, diagnostics };
      const place = { kubeconfig: at.kubeconfig, ports, mounts: at.mounts };
      const { args, ports: mapped } = managerArgs(pod.args, place);
      const probe = probeOf(pod, mapped, health);
      const program = (await binaries("capi"))(name);
      const start = () => new Child({ name, dir: at.dir, program, args, env: at.env });
      await run({ cluster, pod, pods, ports: mapped, start, probe }, signal);
    };
  const agent: Program = async (pod, signal) => {
    const at = await settle(cluster, pod);
    const env = {
      ...at.env,
      PCG_POD_SERVICE_ACCOUNT_DIR: at.serviceAccount,
      PCG_POD_SECRET_DIR: under("/etc/pcg-agent", at.mounts),
      PCG_POD_DATA_DIR: at.data,
    };
    const args = [join(root, "bin/pcg"), "agent"];
    const start = () => new Child({ name: "pcg-agent", dir: at.dir, program: process.execPath, args, env });
    await run({ cluster, pod, pods, ports: new Map(), start }, signal);
  };
  return {
    ...Object.fromEntries(Object.entries(managers).map(([image, name]) => [image, manager(name)])),
    "pcg-agent": agent,
  };
}

interface Run {
  readonly cluster: KubeWorkload;
  readonly pod: ProgramPod;
  readonly pods: Set<RunningPod>;
  readonly ports: ReadonlyMap<number, number>;
  readonly start: () => Child;
  /** Absent: ready while it runs. */
  readonly probe?: () => Promise<boolean>;
}

/** From its start to its end; one that ends by itself is a crash. */
async function run({ pod, pods, ports, start, probe }: Run, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { spec, metadata } = pod.deployment.spec.template;
  const names = (spec.containers[0]?.["ports"] ?? []) as readonly { name?: string; containerPort: number }[];
  let ready = false;
  const child = start();
  const entry: RunningPod = {
    kill: () => child.kill(),
    namespace: pod.namespace,
    labels: metadata?.labels ?? {},
    get ready() {
      return ready;
    },
    port: (target) =>
      ports.get(
        typeof target === "number" ? target : (names.find(({ name }) => name === target)?.containerPort ?? 0),
      ),
  };
  pods.add(entry);
  try {
    while (!signal.aborted && child.end === undefined) {
      ready = probe ? await probe() : true;
      if (probe) pod.tellReady(ready); // P2
      await moment(child, ready ? 1_000 : 200, signal);
    }
    if (!signal.aborted) throw new Fault("Unavailable", child.end ?? "");
  } finally {
    pods.delete(entry);
    await child.stop();
  }
}

/** Until time is over, the program ends, or nobody wants it any more. */
async function moment(child: Child, ms: number, signal: AbortSignal): Promise<void> {
  const over = new AbortController();
  const aborted = new Promise<void>((resolve) =>
    AbortSignal.any([signal, over.signal]).addEventListener("abort", () => resolve(), { once: true }),
  );
  let timer: NodeJS.Timeout | undefined;
  const passed = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)));
  await Promise.race([passed, child.ended, aborted]);
  clearTimeout(timer);
  over.abort();
}

interface Settled {
  readonly dir: string;
  readonly kubeconfig: string;
  readonly mounts: ReadonlyMap<string, string>;
  readonly serviceAccount: string;
  readonly data: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Makes the folders that a container would find mounted. */
async function settle(cluster: KubeWorkload, pod: ProgramPod): Promise<Settled> {
  const dir = join(cluster.dir, "pods", `${pod.namespace}_${pod.name}`);
  const data = join(dir, "data");
  mkdirSync(data, { recursive: true, mode: 0o700 });
  const token = await tokenFor(cluster, pod);
  const serviceAccount = join(dir, "serviceaccount");
  files(serviceAccount, { token, "ca.crt": cluster.authorityCertificate, namespace: pod.namespace });
  files(dir, { kubeconfig: podKubeconfig(cluster, token) });
  const { host, port } = cluster.inside;
  return {
    dir,
    data,
    serviceAccount,
    kubeconfig: join(dir, "kubeconfig"),
    mounts: mountSecrets(pod, join(dir, "mounts")),
    env: {
      PATH: process.env["PATH"] ?? "",
      HOME: dir,
      KUBERNETES_SERVICE_HOST: host,
      KUBERNETES_SERVICE_PORT: String(port),
      ...pod.env,
    },
  };
}

/** Folders by mount path; a Secret that changes is written again, each file at once, as a kubelet does. */
function mountSecrets(pod: ProgramPod, dir: string): Map<string, string> {
  rmSync(dir, { recursive: true, force: true });
  const { volumes = [], containers } = pod.deployment.spec.template.spec;
  const mounts = (containers[0]?.volumeMounts ?? []).map(({ name, mountPath }) => ({
    mountPath,
    folder: join(dir, name),
    secretName: volumes.find((volume) => volume.name === name)?.secret?.secretName ?? "",
  }));
  const fill = (contents: ProgramPod["files"]) => {
    for (const { folder, secretName } of mounts) files(folder, contents[secretName] ?? {});
  };
  fill(pod.files);
  pod.onFiles(fill);
  return new Map(mounts.map(({ mountPath, folder }) => [mountPath, folder]));
}

function files(folder: string, contents: Readonly<Record<string, string>>): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const [name, text] of Object.entries(contents)) {
    const made = join(folder, `..${name}`); // readers pass over such names: a kubelet's own links are called so
    writeFileSync(made, text, { mode: 0o600 });
    renameSync(made, join(folder, name));
  }
}

/** P1. A day: longer than any test. */
async function tokenFor(cluster: KubeWorkload, pod: ProgramPod): Promise<string> {
  const account = String(pod.deployment.spec.template.spec["serviceAccountName"] ?? "default");
  const path = `/api/v1/namespaces/${pod.namespace}/serviceaccounts/${account}/token`;
  const wish = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest" };
  const { status, body } = await cluster.ask("POST", path, { ...wish, spec: { expirationSeconds: 86_400 } });
  const { token } = (body["status"] ?? {}) as { token?: string };
  if (status >= 300 || !token)
    throw new Fault(
      "Unavailable",
      `no token for the ServiceAccount ${pod.namespace}/${account}: ${String(body["message"])}`,
    );
  return token;
}

function podKubeconfig({ inside, authorityCertificate }: KubeWorkload, token: string): string {
  const server = `https://${inside.host}:${inside.port}`;
  const ca = Buffer.from(authorityCertificate).toString("base64");
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "pod",
    contexts: [{ name: "pod", context: { cluster: "own", user: "pod" } }],
    clusters: [{ name: "own", cluster: { server, "certificate-authority-data": ca } }],
    users: [{ name: "pod", user: { token } }],
  });
}

/** The container's own probe, or for one that has none what all managers answer. */
function probeOf(
  pod: ProgramPod,
  ports: ReadonlyMap<number, number>,
  health: number,
): () => Promise<boolean> {
  const [container] = pod.deployment.spec.template.spec.containers;
  const told = container?.["readinessProbe"] as
    { httpGet?: { path?: string; port: number | string } } | undefined;
  const names = (container?.["ports"] ?? []) as readonly { name?: string; containerPort: number }[];
  const wanted = told?.httpGet?.port;
  const inside =
    typeof wanted === "string" ? names.find(({ name }) => name === wanted)?.containerPort : wanted;
  const port = (inside !== undefined ? ports.get(inside) : undefined) ?? health;
  return () => answers(`http://127.0.0.1:${port}${told?.httpGet?.path ?? "/readyz"}`);
}

function answers(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request(url, { agent: false, timeout: 1_000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    asked.once("timeout", () => asked.destroy());
    asked.once("error", () => resolve(false)).end();
  });
}
