// A real Kubernetes API on loopback: etcd, kube-apiserver, and of kube-controller-manager the few controllers without which owner
// references and namespaces do nothing. No nodes. Everything lives in one folder and is gone with stop().
import { generateKeyPairSync } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { systemClock } from "#core";
import { makeAuthority, type KeyPair } from "#core/net/authority.ts";
import { binaries } from "./build.ts";
import { Child, freePorts } from "./child.ts";
import { kubeconfigText } from "./kubeconfig.ts";

export interface Kube {
  /** "https://127.0.0.1:34567". */
  readonly server: string;
  /** Text of a kubeconfig for the administrator, and where it lies. */
  readonly kubeconfig: string;
  readonly kubeconfigPath: string;
  /** PEM. */
  readonly ca: string;
  /** The administrator's client certificate. */
  readonly admin: KeyPair;
  /** Its etcd: "http://127.0.0.1:34568". */
  readonly etcd: string;
  /** Where the logs are. */
  readonly dir: string;
  /** Makes the server forget all revisions up to now: etcd is compacted, and the API server, which has a memory of its own, restarted. */
  forget(): Promise<void>;
  /** Ends everything. Twice is once. */
  stop(): Promise<void>;
}

export interface KubeOptions {
  /** An empty folder, for this run only. */
  readonly dir: string;
  /** False: without the controller manager, which takes two seconds less. True unless told. */
  readonly controllers?: boolean;
  /** Where Services get their addresses; in 127.0.0.0/8 a test can listen there itself. "10.96.0.0/16" unless told. */
  readonly serviceCidr?: string;
}

/** Without these, owner references and namespaces do nothing. */
export const controllers = [
  "garbage-collector-controller",
  "namespace-controller",
  "serviceaccount-controller",
  "root-ca-certificate-publisher-controller",
];

/** Starts one. A port that somebody takes between being found free and being used costs another try, no more. */
export async function startKube(options: KubeOptions): Promise<Kube> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce({ ...options, dir: join(options.dir, `kube-${attempt}`) });
    } catch (error) {
      if (attempt === 3 || !String(error).includes("address already in use")) throw error;
    }
  }
}

async function startOnce(options: KubeOptions): Promise<Kube> {
  const { dir } = options;
  mkdirSync(dir, { recursive: true });
  const program = await binaries("kube");
  const files = await writeCredentials(dir);
  const [clientPort, peerPort, port] = (await freePorts(3)) as [number, number, number];
  const server = `https://127.0.0.1:${port}`;
  const kubeconfig = kubeconfigText(server, files.ca, files.admin);
  const kubeconfigPath = write(dir, "admin.kubeconfig", kubeconfig);

  const running: Child[] = [];
  const stop = async () => {
    for (const child of running.splice(0).reverse()) await child.stop();
  };
  const start = (name: string, args: readonly string[]) => {
    const child = new Child({ name, dir, program: program(name), args });
    running.push(child);
    return child;
  };
  const etcd = `http://127.0.0.1:${clientPort}`;
  const startApi = async () => {
    const api = start("kube-apiserver", apiArgs(dir, port, etcd, options.serviceCidr));
    await api.until("becoming ready", () => isReady(server, files.ca, files.admin), 60_000);
    return api;
  };
  try {
    const store = start("etcd", etcdArgs(join(dir, "etcd"), clientPort, peerPort));
    await store.until("answering", async () => (await fetch(`${etcd}/health`)).ok || undefined, 30_000);
    let api = await startApi();
    if (options.controllers ?? true) start("kube-controller-manager", managerArgs(dir, kubeconfigPath));
    return {
      server,
      kubeconfig,
      kubeconfigPath,
      ca: files.ca,
      admin: files.admin,
      etcd,
      dir,
      async forget() {
        await compact(etcd);
        running.splice(running.indexOf(api), 1);
        await api.stop();
        api = await startApi();
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Through etcd's JSON gateway (etcd.io, "grpc-gateway"). */
async function compact(etcd: string): Promise<void> {
  const ask = async (path: string, body: unknown) => {
    const response = await fetch(etcd + path, { method: "POST", body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`etcd: ${path}: ${await response.text()}`);
    return (await response.json()) as { header?: { revision?: string } };
  };
  const { header } = await ask("/v3/kv/range", { key: Buffer.from("none").toString("base64") });
  await ask("/v3/kv/compaction", { revision: header?.revision, physical: true });
}

function etcdArgs(data: string, clientPort: number, peerPort: number): string[] {
  const [client, peer] = [`http://127.0.0.1:${clientPort}`, `http://127.0.0.1:${peerPort}`];
  return [
    `--data-dir=${data}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    "--unsafe-no-fsync", // a test's data need not survive the machine
    "--log-level=warn",
  ];
}

function apiArgs(dir: string, port: number, etcd: string, serviceCidr = "10.96.0.0/16"): string[] {
  const at = (file: string) => join(dir, file);
  return [
    `--etcd-servers=${etcd}`,
    "--bind-address=127.0.0.1",
    `--secure-port=${port}`,
    `--tls-cert-file=${at("server.crt")}`,
    `--tls-private-key-file=${at("server.key")}`,
    `--client-ca-file=${at("ca.crt")}`,
    "--service-account-issuer=https://kubernetes.default.svc",
    `--service-account-key-file=${at("sa.key")}`,
    `--service-account-signing-key-file=${at("sa.key")}`,
    `--service-cluster-ip-range=${serviceCidr}`,
    "--authorization-mode=RBAC",
    "--allow-privileged",
    "--disable-admission-plugins=ServiceAccount",
    "--profiling=false",
  ];
}

function managerArgs(dir: string, kubeconfig: string): string[] {
  return [
    `--kubeconfig=${kubeconfig}`,
    `--controllers=${controllers.join(",")}`,
    "--leader-elect=false",
    "--bind-address=127.0.0.1",
    "--secure-port=0",
    `--root-ca-file=${join(dir, "ca.crt")}`,
    `--service-account-private-key-file=${join(dir, "sa.key")}`,
  ];
}

async function writeCredentials(dir: string): Promise<{ ca: string; admin: KeyPair }> {
  const authority = await makeAuthority("test", systemClock);
  const hosts = [
    "127.0.0.1",
    "10.96.0.1",
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
  ];
  const server = await authority.issue({ name: "kube-apiserver", hosts });
  const admin = await authority.issue({ name: "admin", organization: "system:masters" });
  const { privateKey } = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  write(dir, "ca.crt", authority.certificate);
  write(dir, "server.crt", server.certificate);
  write(dir, "server.key", server.key.reveal());
  write(dir, "sa.key", privateKey);
  return { ca: authority.certificate, admin };
}

function write(dir: string, name: string, text: string): string {
  const path = join(dir, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

export function isReady(server: string, ca: string, admin: KeyPair): Promise<true | undefined> {
  return new Promise((resolve, reject) => {
    const asked = request(
      `${server}/readyz`,
      { ca, cert: admin.certificate, key: admin.key.reveal(), agent: false, timeout: 2000 },
      (response) => {
        response.resume();
        resolve(response.statusCode === 200 ? true : undefined);
      },
    );
    asked.once("timeout", () => asked.destroy(new Error("no answer")));
    asked.once("error", reject).end();
  });
}
