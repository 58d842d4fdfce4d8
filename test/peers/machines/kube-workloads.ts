// The API of a workload cluster, really: kube-apiserver at the cluster's endpoint with the keys that the machine was given, its data
// in the cluster's own part of the external etcd, and of kube-controller-manager the few controllers without which owner references
// and namespaces do nothing.
//
//   A1. Everything it is started from is what cloud-init would have written to the machine's disk: a kubeconfig that somebody else made
//       with the cluster's authority works.
//   A2. One server stands for all control-plane machines of a cluster.
//   A3. Forgotten means forgotten: the cluster's keys in etcd and its folder are removed.
//   A4. With a line, what comes to the endpoint goes through it; who lives in the cluster speaks to the server itself.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Fault, Secret, type Clock, type Logger, type OwnedStore, type ResourceStore } from "#core";
import type { KeyPair } from "#core/net/authority.ts";
import { kubeStore } from "#core/store/kube-store.ts";
import { issue, type KeyPair as PemPair } from "#sandbox/capi/certificates.ts";
import type { Endpoint } from "#sandbox/workload/boot.ts";
import type { Workload, WorkloadHost, WorkloadSeed } from "#sandbox/workload/workload.ts";
import { asker, type Asker } from "../harness/ask.ts";
import { binaries } from "../harness/build.ts";
import { Child, freePorts } from "../harness/child.ts";
import { openLine, type Line } from "../harness/line.ts";
import { controllers, isReady } from "../harness/kube.ts";
import { kubeconfigText } from "../harness/kubeconfig.ts";
import { apiSettings, type ApiSettings } from "./api-settings.ts";
import { removeKeys } from "./etcd.ts";

export interface KubeWorkloadDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** A folder for all clusters; what lies there is found again. */
  readonly dir: string;
  /** A line that can be cut lies before each API (A4). */
  readonly line?: boolean;
}

export function kubeWorkloads(deps: KubeWorkloadDeps): WorkloadHost {
  const folderOf = ({ host, port }: Endpoint) => join(deps.dir, `${host}_${port}`);
  const seedFile = (endpoint: Endpoint) => join(folderOf(endpoint), "seed.json");
  return {
    has: async (endpoint) => existsSync(seedFile(endpoint)),
    async open(given) {
      const path = seedFile(given.endpoint);
      const seed = existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as WorkloadSeed) : given;
      const settings = apiSettings(seed);
      const dir = folderOf(seed.endpoint);
      write(path, JSON.stringify(seed));
      return KubeWorkload.prepare(deps, dir, seed, settings);
    },
  };
}

export class KubeWorkload implements Workload {
  readonly endpoint: Endpoint;
  readonly store: OwnedStore;
  readonly kubeconfig: string;
  readonly authorityCertificate: string;
  /** "https://127.31.0.1:6443". */
  readonly server: string;
  /** Where it is reached from within: the endpoint, or what is behind the line (A4). */
  readonly inside: Endpoint;
  /** The cluster's folder: keys, logs, what its programs keep. */
  readonly dir: string;
  readonly settings: ApiSettings;
  /** The administrator's plain requests. */
  readonly ask: Asker;
  readonly #deps: KubeWorkloadDeps;
  readonly #admin: KeyPair;
  #running: Child[] = [];
  #line: Line | undefined;
  #starting: Promise<void> | undefined;
  #up = false;

  private constructor(
    deps: KubeWorkloadDeps,
    dir: string,
    seed: WorkloadSeed,
    settings: ApiSettings,
    admin: KeyPair,
    store: OwnedStore,
    kubeconfig: string,
    inside: Endpoint,
  ) {
    this.#deps = deps;
    this.dir = dir;
    this.endpoint = seed.endpoint;
    this.settings = settings;
    this.authorityCertificate = seed.authority.certificate;
    this.server = serverOf(seed.endpoint);
    this.#admin = admin;
    this.store = store;
    this.kubeconfig = kubeconfig;
    this.inside = inside;
    this.ask = asker({ server: serverOf(inside), ca: this.authorityCertificate, admin });
  }

  static async prepare(
    deps: KubeWorkloadDeps,
    dir: string,
    seed: WorkloadSeed,
    settings: ApiSettings,
  ): Promise<KubeWorkload> {
    const { clock } = deps;
    const { authority, endpoint } = seed;
    for (const { path, content } of seed.files) write(join(dir, "disk", path), content);
    const subject = { commonName: "kubernetes-admin", organizations: ["system:masters"] };
    const made = await issue(authority, subject, "client", clock);
    const admin = { certificate: made.certificate, key: new Secret(made.key) };
    const hosts = [
      endpoint.host,
      settings.serviceIp,
      ...["localhost", "127.0.0.1", "kubernetes", "kubernetes.default", "kubernetes.default.svc"],
    ];
    const own = await issue(authority, { commonName: "kube-apiserver" }, { server: hosts }, clock);
    put(dir, "apiserver", own);
    if (settings.etcd.tls) {
      put(dir, "etcd-client", settings.etcd.tls);
      write(join(dir, "etcd-ca.crt"), settings.etcd.tls.ca);
    }
    const inside = deps.line ? { host: "127.0.0.1", port: (await freePorts(1))[0]! } : endpoint;
    const kubeconfig = kubeconfigText(serverOf(inside), authority.certificate, admin);
    write(join(dir, "admin.kubeconfig"), kubeconfig);
    const store = await kubeStore(kubeconfig, { clock });
    return new KubeWorkload(deps, dir, seed, settings, admin, store, kubeconfig, inside);
  }

  /** The line before it; undefined while it does not run, and where none was asked for. */
  get line(): Line | undefined {
    return this.#line;
  }

  get reachable(): ResourceStore | undefined {
    return this.#up ? this.store : undefined;
  }

  start(): Promise<void> {
    this.#starting ??= this.#start().catch(async (error: unknown) => {
      await this.stop();
      throw error;
    });
    return this.#starting;
  }

  async #start(): Promise<void> {
    const program = await binaries("kube");
    const { dir } = this;
    const run = (name: string, args: readonly string[]) => {
      const child = new Child({ name, dir, program: program(name), args });
      this.#running.push(child);
      return child;
    };
    const api = run("kube-apiserver", apiArgs(dir, this.inside, this.settings));
    const asked = () => isReady(serverOf(this.inside), this.authorityCertificate, this.#admin);
    await api.until("becoming ready", asked, 60_000);
    run("kube-controller-manager", managerArgs(dir));
    if (this.#deps.line) this.#line = await openLine(this.inside, this.endpoint);
    this.#up = true;
    this.#deps.log.info("a workload API answers", {
      server: this.server,
      cluster: this.settings.clusterName,
    });
  }

  async stop(): Promise<void> {
    this.#up = false;
    this.#starting = undefined;
    await this.#line?.close();
    this.#line = undefined;
    const running = this.#running.splice(0);
    for (const child of running.reverse()) await child.stop();
  }

  async close(forget: boolean): Promise<void> {
    await this.stop();
    this.ask.close();
    await this.store.close();
    if (!forget) return;
    await removeKeys(this.settings.etcd, this.settings.prefix); // A3
    rmSync(this.dir, { recursive: true, force: true });
  }
}

function apiArgs(
  dir: string,
  { host, port }: Endpoint,
  { etcd, prefix, serviceCidr }: ApiSettings,
): string[] {
  const pki = (file: string) => join(dir, "disk/etc/kubernetes/pki", file);
  const etcdTls = [
    `--etcd-cafile=${join(dir, "etcd-ca.crt")}`,
    `--etcd-certfile=${join(dir, "etcd-client.crt")}`,
    `--etcd-keyfile=${join(dir, "etcd-client.key")}`,
  ];
  return [
    `--etcd-servers=${etcd.endpoints.join(",")}`,
    `--etcd-prefix=${prefix}`,
    ...(etcd.tls ? etcdTls : []),
    `--bind-address=${host}`,
    `--advertise-address=${host}`,
    `--secure-port=${port}`,
    "--endpoint-reconciler-type=none", // an Endpoints object must not name a loopback address
    `--tls-cert-file=${join(dir, "apiserver.crt")}`,
    `--tls-private-key-file=${join(dir, "apiserver.key")}`,
    `--client-ca-file=${pki("ca.crt")}`,
    "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
    `--service-account-key-file=${pki("sa.pub")}`,
    `--service-account-signing-key-file=${pki("sa.key")}`,
    `--requestheader-client-ca-file=${pki("front-proxy-ca.crt")}`,
    "--requestheader-allowed-names=front-proxy-client",
    "--requestheader-username-headers=X-Remote-User",
    "--requestheader-group-headers=X-Remote-Group",
    "--requestheader-extra-headers-prefix=X-Remote-Extra-",
    `--service-cluster-ip-range=${serviceCidr}`,
    "--enable-bootstrap-token-auth=true",
    "--authorization-mode=Node,RBAC",
    "--allow-privileged",
    // Pods are played, nobody mounts their tokens; and no node controller would take the taint of a new Node away.
    "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition",
    "--profiling=false",
  ];
}

function managerArgs(dir: string): string[] {
  const pki = (file: string) => join(dir, "disk/etc/kubernetes/pki", file);
  return [
    `--kubeconfig=${join(dir, "admin.kubeconfig")}`,
    `--controllers=${controllers.join(",")}`,
    "--leader-elect=false",
    "--bind-address=127.0.0.1",
    "--secure-port=0",
    `--root-ca-file=${pki("ca.crt")}`,
    `--service-account-private-key-file=${pki("sa.key")}`,
  ];
}

function serverOf({ host, port }: Endpoint): string {
  if (!/^127\./.test(host))
    throw new Fault("Invalid", `the endpoint ${host} is no loopback address: choose one in 127.0.0.0/8`);
  return `https://${host}:${port}`;
}

function put(dir: string, name: string, { certificate, key }: PemPair): void {
  write(join(dir, `${name}.crt`), certificate);
  write(join(dir, `${name}.key`), key);
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeFileSync(path, text, { mode: 0o600 });
}
