// How each program is started and asked how it is. Pure: paths and ports in, arguments out.
import type { Bundle } from "./bundle.ts";
import type { Certificates } from "./certificates.ts";
import type { Layout } from "./layout.ts";
import type { PortName, Ports } from "./ports.ts";
import type { Command } from "./supervisor/process.ts";
import { providerNames, providers, type ProgramName } from "./versions.ts";
import { join } from "node:path";

/** The programs that run; etcdutl is a tool. */
export const runningNames = [
  "etcd",
  "kube-apiserver",
  "kube-controller-manager",
  "capi-core",
  "cabpk",
  "kcp",
  "capv",
] as const satisfies readonly ProgramName[];

export type RunningName = (typeof runningNames)[number];

/** Where a program says whether it is ready. */
export type Health =
  | { readonly kind: "socket"; readonly socketPath: string; readonly path: string }
  | { readonly kind: "http"; readonly port: number; readonly path: string }
  | { readonly kind: "https"; readonly port: number; readonly path: string };

/**
 * How much garbage each may gather, in percent of what it needs, before it collects (GOGC; Go's own is 100). All together shall stay
 * below 1 GiB while a cluster is made: decision 33 has the table.
 */
const collectAt: Readonly<Record<RunningName, string>> = {
  etcd: "50",
  "kube-apiserver": "40",
  "kube-controller-manager": "50",
  "capi-core": "50",
  cabpk: "50",
  kcp: "50",
  capv: "50",
};

export interface Recipe {
  readonly name: RunningName;
  readonly version: string;
  readonly command: Command;
  readonly health: Health;
  /** How long it may take to end by itself. The API server keeps nothing; etcd is asked last and needs a moment for its files. */
  readonly stopMs: number;
}

export interface RecipeInput {
  readonly bundle: Bundle;
  readonly layout: Layout;
  readonly ports: Ports;
  readonly certificates: Pick<Certificates, "caFile" | "serviceAccountKey" | "encryption">;
  /** False: etcd does not wait for the disk. For tests whose data need not survive the machine. */
  readonly fsync: boolean;
  /** How large etcd's file may become. */
  readonly quotaBytes: number;
}

export function recipesOf(input: RecipeInput): Readonly<Record<RunningName, Recipe>> {
  const { bundle, layout, ports } = input;
  const recipe = (
    name: RunningName,
    args: readonly string[],
    health: Health,
    stopMs: number,
    env: Readonly<Record<string, string>> = {},
  ): Recipe => {
    const { path, version } = bundle.programs[name];
    const common = { HOME: layout.run, TMPDIR: layout.run, GOGC: collectAt[name] };
    return {
      name,
      version,
      health,
      stopMs,
      command: { path, args, cwd: layout.run, env: { ...common, ...env } },
    };
  };
  const managers = providerNames.map((provider) => {
    const { program, namespace } = providers[provider];
    const name = program as ManagerName;
    const health = {
      kind: "http",
      port: ports[`${name}.health` satisfies PortName],
      path: "/readyz",
    } as const;
    return recipe(name, managerArgs(name, input), health, 1500, { POD_NAMESPACE: namespace });
  });
  const [core, cabpk, kcp, capv] = managers as [Recipe, Recipe, Recipe, Recipe];
  return {
    etcd: recipe(
      "etcd",
      etcdArgs(input),
      { kind: "socket", socketPath: layout.etcdHttpSocket, path: "/health" },
      2000,
    ),
    "kube-apiserver": recipe(
      "kube-apiserver",
      apiArgs(input),
      { kind: "https", port: ports["kube-apiserver"], path: "/readyz" },
      1000,
    ),
    "kube-controller-manager": recipe(
      "kube-controller-manager",
      controllerArgs(input),
      { kind: "https", port: ports["kube-controller-manager"], path: "/healthz" },
      500,
    ),
    "capi-core": core,
    cabpk,
    kcp,
    capv,
  };
}

/** What etcd advertises must look like host:port, and the socket for its peers is the file of that name in its working directory. */
export const peerUrl = "unix://peer:1";

/**
 * etcd listens on sockets in a folder that is ours alone, and on no port: no other user of the machine can speak to it, and no
 * certificate is needed. It has no peers, and its clients do not ask what it advertises.
 */
function etcdArgs({ layout, fsync, quotaBytes }: RecipeInput): string[] {
  return [
    "--name=pcg",
    `--data-dir=${layout.etcd}`,
    `--listen-client-urls=unix://${layout.etcdSocket}`,
    `--listen-client-http-urls=unix://${layout.etcdHttpSocket}`,
    `--listen-peer-urls=${peerUrl}`, // a path would be dropped, and an abstract socket be open to everybody
    "--advertise-client-urls=unix://client:1",
    `--initial-advertise-peer-urls=${peerUrl}`,
    `--initial-cluster=pcg=${peerUrl}`,
    `--quota-backend-bytes=${quotaBytes}`,
    "--log-level=warn",
    ...(fsync ? [] : ["--unsafe-no-fsync"]),
  ];
}

function apiArgs({ layout, ports, certificates }: RecipeInput): string[] {
  const pair = layout.pair("kube-apiserver");
  return [
    `--etcd-servers=unix://${layout.etcdSocket}`,
    "--bind-address=127.0.0.1",
    `--secure-port=${ports["kube-apiserver"]}`,
    `--tls-cert-file=${join(pair, "tls.crt")}`,
    `--tls-private-key-file=${join(pair, "tls.key")}`,
    `--client-ca-file=${certificates.caFile}`,
    "--anonymous-auth=false",
    `--encryption-provider-config=${certificates.encryption}`,
    "--service-account-issuer=https://kubernetes.default.svc",
    `--service-account-key-file=${certificates.serviceAccountKey}`,
    `--service-account-signing-key-file=${certificates.serviceAccountKey}`,
    "--service-cluster-ip-range=10.96.0.0/16",
    "--feature-gates=APIServerIdentity=false", // there is one: its lease would be a write every ten seconds, for ever
    "--endpoint-reconciler-type=none", // nobody looks for it in its own Endpoints, and loopback is no endpoint
    "--authorization-mode=RBAC",
    "--disable-admission-plugins=ServiceAccount",
    "--profiling=false",
  ];
}

/** Without these, owner references and the deletion of namespaces do nothing. */
const controllers = [
  "garbage-collector-controller",
  "namespace-controller",
  "serviceaccount-controller",
  "root-ca-certificate-publisher-controller",
];

function controllerArgs({ layout, ports, certificates }: RecipeInput): string[] {
  const pair = layout.pair("kube-controller-manager");
  return [
    `--kubeconfig=${kubeconfigOf(layout, "kube-controller-manager")}`,
    `--controllers=${controllers.join(",")}`,
    "--leader-elect=false",
    "--bind-address=127.0.0.1",
    `--secure-port=${ports["kube-controller-manager"]}`,
    `--tls-cert-file=${join(pair, "tls.crt")}`,
    `--tls-private-key-file=${join(pair, "tls.key")}`,
    `--root-ca-file=${certificates.caFile}`,
    `--service-account-private-key-file=${certificates.serviceAccountKey}`,
    "--profiling=false",
  ];
}

export type ManagerName = Exclude<RunningName, "etcd" | "kube-apiserver" | "kube-controller-manager">;

function managerArgs(name: ManagerName, { layout, ports }: RecipeInput): string[] {
  return [
    `--kubeconfig=${kubeconfigOf(layout, name)}`,
    `--webhook-port=${ports[`${name}.webhook`]}`,
    `--webhook-cert-dir=${layout.pair(name)}`,
    `--health-addr=127.0.0.1:${ports[`${name}.health`]}`,
    "--diagnostics-address=0", // no metrics: one port less each
    "--leader-elect=false", // there is one of each
    // CAPV reads its own vCenter login from a file, and complains where there is none: ours is empty. Clusters bring their own.
    ...(name === "capv" ? [`--credentials-file=${credentialsOf(layout)}`] : []),
  ];
}

export function kubeconfigOf(layout: Layout, name: RunningName): string {
  return join(layout.pair(name), "kubeconfig");
}

/** CAPV's own login, which it never gets. */
export function credentialsOf(layout: Layout): string {
  return join(layout.pair("capv"), "credentials.yaml");
}
