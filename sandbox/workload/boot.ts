// What a machine learns from its guestinfo when it boots: its name, its addresses, and what kubeadm shall do. Pure.
import { parse, parseAllDocuments } from "yaml";
import { parseMetadata, parseUserdata, type GuestMetadata, type WriteFile } from "../capi/cloud-init.ts";
import type { KeyPair } from "../capi/certificates.ts";
import type { PoweredVm } from "./hypervisor.ts";

export interface Taint {
  readonly key: string;
  readonly value?: string;
  readonly effect: string;
}

export interface NodeSettings {
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly Taint[];
}

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** What kubeadm was told to do. */
export type Kubeadm =
  | {
      readonly do: "init";
      readonly endpoint: Endpoint;
      readonly authority: KeyPair;
      readonly configuration: Readonly<Record<string, unknown>>;
      readonly files: readonly WriteFile[];
      readonly node: NodeSettings;
    }
  | {
      readonly do: "join";
      readonly endpoint: Endpoint;
      readonly token: string;
      readonly caCertHashes: readonly string[];
      /** For a control plane: the keys it was given. */
      readonly authority?: KeyPair;
      readonly files: readonly WriteFile[];
      readonly node: NodeSettings;
    };

export interface Boot {
  readonly hostname: string;
  readonly interfaces: GuestMetadata["interfaces"];
  /** Absent for a VM that is no Kubernetes machine. */
  readonly kubeadm?: Kubeadm;
}

export function readBoot(vm: PoweredVm): Boot {
  const metadata = parseMetadata(guestinfo(vm, "metadata"));
  const userdata = guestinfo(vm, "userdata");
  const kubeadm = userdata.includes("kubeadm") ? readKubeadm(userdata) : undefined;
  return {
    hostname: metadata.hostname || vm.name,
    interfaces: metadata.interfaces,
    ...(kubeadm ? { kubeadm } : {}),
  };
}

function guestinfo(vm: PoweredVm, name: string): string {
  const value = vm.extraConfig[`guestinfo.${name}`] ?? "";
  const encoding = vm.extraConfig[`guestinfo.${name}.encoding`];
  return encoding === "base64" || encoding === "b64" ? Buffer.from(value, "base64").toString() : value;
}

type Json = Record<string, unknown>;

function readKubeadm(userdata: string): Kubeadm | undefined {
  const { files } = parseUserdata(userdata);
  const content = (path: string) => files.find((file) => file.path === path)?.content;
  const certificate = content("/etc/kubernetes/pki/ca.crt");
  const key = content("/etc/kubernetes/pki/ca.key");
  const authority = certificate && key ? { certificate, key } : undefined;
  const init = content("/run/kubeadm/kubeadm.yaml");
  if (init) {
    const documents = parseAllDocuments(init).map((d) => d.toJSON() as Json);
    const of = (kind: string) => documents.find((d) => d.kind === kind) ?? {};
    const configuration = of("ClusterConfiguration");
    const endpoint = parseEndpoint(String(configuration.controlPlaneEndpoint ?? ""));
    if (!authority || !endpoint) return undefined;
    return {
      do: "init",
      endpoint,
      authority,
      configuration,
      files,
      node: nodeSettings(of("InitConfiguration"), true),
    };
  }
  const join = content("/run/kubeadm/kubeadm-join-config.yaml");
  if (!join) return undefined;
  const configuration = parse(join.replace(/^---\n/, "")) as Json;
  const token = ((configuration.discovery as Json | undefined)?.bootstrapToken ?? {}) as Json;
  const endpoint = parseEndpoint(String(token.apiServerEndpoint ?? ""));
  if (!endpoint) return undefined;
  return {
    do: "join",
    endpoint,
    token: String(token.token ?? ""),
    caCertHashes: (token.caCertHashes as string[] | undefined) ?? [],
    ...(authority && configuration.controlPlane ? { authority } : {}),
    files,
    node: nodeSettings(configuration, configuration.controlPlane !== undefined),
  };
}

export function parseEndpoint(text: string): Endpoint | undefined {
  const match = /^(?:\[(.+)\]|([^:]+)):(\d+)$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  return host ? { host, port: Number(match?.[3]) } : undefined;
}

const controlPlaneTaint: Taint = { key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" };

function nodeSettings(configuration: Json, controlPlane: boolean): NodeSettings {
  const registration = (configuration.nodeRegistration ?? {}) as {
    taints?: Taint[];
    kubeletExtraArgs?: { name: string; value: string }[];
  };
  const flag = registration.kubeletExtraArgs?.find((arg) => arg.name === "node-labels")?.value ?? "";
  const labels = Object.fromEntries(
    flag
      .split(",")
      .filter((pair) => pair.includes("="))
      .map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
  );
  const role = controlPlane ? { "node-role.kubernetes.io/control-plane": "" } : {};
  const taints = registration.taints ?? (controlPlane ? [controlPlaneTaint] : []);
  return { labels: { ...labels, ...role }, taints };
}
