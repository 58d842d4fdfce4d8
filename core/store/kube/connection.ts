// Where a Kubernetes API is and how to prove who we are: from plain values or from a kubeconfig.
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { parse } from "yaml";
import { Fault, type Problem } from "../../fault.ts";

export interface KubeConnection {
  /** "https://10.0.0.1:6443", with a path where the API stands below one. */
  readonly server: string;
  /** PEM of the authorities that vouch for the server; absent: the system's. */
  readonly ca?: string;
  /** A bearer token, or where to get the present one before each request. */
  readonly token?: string | (() => Promise<string>);
  /** PEM. */
  readonly clientCert?: string;
  readonly clientKey?: string;
  /** The name the server's certificate must bear, where it is not the one in `server`. */
  readonly serverName?: string;
  /** Takes any server for the right one. For trials on loopback only. */
  readonly insecure?: boolean;
  /** An HTTP proxy to go through. */
  readonly proxyUrl?: string;
}

/** What a kubeStore can be made from: the text of a kubeconfig, the path of one, or plain values. */
export type KubeAccess = string | { readonly kubeconfigFile: string } | KubeConnection;

/** Invalid when the kubeconfig cannot be read or says too little; then every mistake is told. */
export async function connectionFrom(access: KubeAccess): Promise<KubeConnection> {
  if (typeof access === "string") return fromKubeconfig(access, "the kubeconfig", undefined);
  if (!("kubeconfigFile" in access)) return access;
  const path = access.kubeconfigFile;
  const text = await readFile(path, "utf8").catch((cause: Error) => {
    throw new Fault("Invalid", `reading the kubeconfig ${path}: ${cause.message}`, { cause });
  });
  return fromKubeconfig(text, `the kubeconfig ${path}`, dirname(resolve(path)));
}

/** The parts of a kubeconfig that are read here. */
interface Kubeconfig {
  readonly "current-context"?: string;
  readonly contexts?: readonly {
    readonly name?: string;
    readonly context?: { readonly cluster?: string; readonly user?: string };
  }[];
  readonly clusters?: readonly { readonly name?: string; readonly cluster?: KubeconfigCluster }[];
  readonly users?: readonly { readonly name?: string; readonly user?: KubeconfigUser }[];
}

interface KubeconfigCluster {
  readonly server?: string;
  readonly "certificate-authority"?: string;
  readonly "certificate-authority-data"?: string;
  readonly "tls-server-name"?: string;
  readonly "insecure-skip-tls-verify"?: boolean;
  readonly "proxy-url"?: string;
}

interface KubeconfigUser {
  readonly token?: string;
  readonly tokenFile?: string;
  readonly "client-certificate"?: string;
  readonly "client-certificate-data"?: string;
  readonly "client-key"?: string;
  readonly "client-key-data"?: string;
  readonly exec?: unknown;
  readonly "auth-provider"?: unknown;
}

/**
 * The current context of a kubeconfig (kubernetes.io/docs/reference/config-api/kubeconfig.v1). What says more than files and values,
 * credential plugins above all, is read by @kubernetes/client-node, which is loaded only then: it weighs more than this store.
 */
async function fromKubeconfig(
  text: string,
  name: string,
  folder: string | undefined,
): Promise<KubeConnection> {
  const config = parsed(text, name);
  const problems: Problem[] = [];
  const current = config["current-context"];
  const context = config.contexts?.find(({ name: each }) => each === current)?.context;
  if (!context)
    problems.push({ field: "current-context", message: `there is no context "${current ?? ""}"` });
  const cluster = config.clusters?.find(({ name: each }) => each === context?.cluster)?.cluster;
  if (context && !cluster?.server) {
    problems.push({
      field: "clusters",
      message: `there is no server for cluster "${context.cluster ?? ""}"`,
    });
  }
  if (problems.length > 0 || !cluster?.server) throw invalid(name, problems);
  const user = config.users?.find(({ name: each }) => each === context?.user)?.user ?? {};
  if (user.exec || user["auth-provider"]) return byClientNode(text, cluster, folder);

  const pem = (data: string | undefined, file: string | undefined) => content(data, file, folder, name);
  const ca = await pem(cluster["certificate-authority-data"], cluster["certificate-authority"]);
  const clientCert = await pem(user["client-certificate-data"], user["client-certificate"]);
  const clientKey = await pem(user["client-key-data"], user["client-key"]);
  const { tokenFile } = user;
  const token = user.token ?? (tokenFile ? () => fileText(tokenFile, folder, name) : undefined);
  return {
    ...placeOf(cluster),
    ...(ca ? { ca } : {}),
    ...(clientCert ? { clientCert } : {}),
    ...(clientKey ? { clientKey } : {}),
    ...(token ? { token } : {}),
  };
}

function placeOf(cluster: KubeconfigCluster): KubeConnection {
  const serverName = cluster["tls-server-name"];
  const proxyUrl = cluster["proxy-url"];
  return {
    server: cluster.server ?? "",
    ...(serverName ? { serverName } : {}),
    ...(cluster["insecure-skip-tls-verify"] ? { insecure: true } : {}),
    ...(proxyUrl ? { proxyUrl } : {}),
  };
}

async function byClientNode(
  text: string,
  cluster: KubeconfigCluster,
  folder: string | undefined,
): Promise<KubeConnection> {
  const { KubeConfig } = await import("@kubernetes/client-node");
  const config = new KubeConfig();
  config.loadFromString(text);
  if (folder) config.makePathsAbsolute(folder);
  const asPem = (value: unknown) =>
    typeof value === "string" || Buffer.isBuffer(value) ? value.toString() : undefined;
  const first: Record<string, unknown> = {};
  await config.applyToHTTPSOptions(first);
  const [ca, clientCert, clientKey] = [asPem(first["ca"]), asPem(first["cert"]), asPem(first["key"])];
  return {
    ...placeOf(cluster),
    ...(ca ? { ca } : {}),
    ...(clientCert ? { clientCert } : {}),
    ...(clientKey ? { clientKey } : {}),
    token: async () => {
      const options: { headers?: Record<string, string> } = { headers: {} };
      await config.applyToHTTPSOptions(options);
      return (options.headers?.["Authorization"] ?? "").replace(/^Bearer /, "");
    },
  };
}

function parsed(text: string, name: string): Kubeconfig {
  let value: unknown;
  try {
    value = parse(text);
  } catch (cause) {
    throw new Fault("Invalid", `${name} is not YAML: ${(cause as Error).message}`, { cause });
  }
  if (typeof value !== "object" || value === null)
    throw invalid(name, [{ field: "", message: "it is empty" }]);
  return value as Kubeconfig;
}

async function content(
  data: string | undefined,
  file: string | undefined,
  folder: string | undefined,
  name: string,
): Promise<string | undefined> {
  if (data) return Buffer.from(data, "base64").toString();
  return file ? fileText(file, folder, name) : undefined;
}

async function fileText(file: string, folder: string | undefined, name: string): Promise<string> {
  const path = folder ? resolve(folder, file) : file;
  try {
    return (await readFile(path, "utf8")).trim();
  } catch (cause) {
    throw new Fault("Invalid", `${name} names ${path}, which cannot be read: ${(cause as Error).message}`, {
      cause,
    });
  }
}

function invalid(name: string, problems: readonly Problem[]): Fault {
  const list = problems.map(({ field, message }) => (field ? `${field}: ${message}` : message)).join("; ");
  return new Fault("Invalid", `${name} cannot be used: ${list}`, { problems });
}
