// What a kube-apiserver needs to know of its cluster, read from what the first machine was told. Pure.
import { createHash } from "node:crypto";
import { Fault } from "#core";
import type { WorkloadSeed } from "#sandbox/workload/workload.ts";

export interface EtcdAccess {
  readonly endpoints: readonly string[];
  /** PEM; absent where the endpoints are plain HTTP. */
  readonly tls?: { readonly ca: string; readonly certificate: string; readonly key: string };
}

export interface ApiSettings {
  readonly clusterName: string;
  readonly etcd: EtcdAccess;
  /** The cluster's own part of that etcd: by name and authority, so that a second cluster of the name starts empty. */
  readonly prefix: string;
  readonly serviceCidr: string;
  /** The address of the Service `kubernetes`. */
  readonly serviceIp: string;
}

/** Invalid when kubeadm was told nothing, of an etcd on the machine itself, or of files that it was not given. */
export function apiSettings({ configuration, files, authority }: WorkloadSeed): ApiSettings {
  if (!configuration) throw new Fault("Invalid", "a cluster begins with kubeadm init");
  const told = configuration as {
    readonly clusterName?: string;
    readonly networking?: { readonly serviceSubnet?: string };
    readonly etcd?: { readonly external?: ExternalEtcd };
  };
  const external = told.etcd?.external;
  if (!external?.endpoints?.length)
    throw new Fault(
      "Invalid",
      "the machines' stand-in has no etcd on the machines: name an external one in kubeadmConfigSpec.clusterConfiguration.etcd",
    );
  const clusterName = told.clusterName ?? "kubernetes";
  const serviceCidr = told.networking?.serviceSubnet ?? "10.96.0.0/12";
  const digest = createHash("sha256").update(authority.certificate).digest("hex");
  return {
    clusterName,
    etcd: { endpoints: external.endpoints, ...tlsOf(external, (path) => fileAt(files, path)) },
    prefix: `/pcg-peers/${clusterName}-${digest.slice(0, 12)}`,
    serviceCidr,
    serviceIp: firstAddress(serviceCidr),
  };
}

interface ExternalEtcd {
  readonly endpoints?: readonly string[];
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
}

function tlsOf(external: ExternalEtcd, content: (path: string) => string): Pick<EtcdAccess, "tls"> {
  if (external.endpoints?.every((endpoint) => endpoint.startsWith("http:"))) return {};
  const { caFile = "", certFile = "", keyFile = "" } = external;
  return { tls: { ca: content(caFile), certificate: content(certFile), key: content(keyFile) } };
}

function fileAt(files: WorkloadSeed["files"], path: string): string {
  const found = files.find((file) => file.path === path);
  if (!found)
    throw new Fault("Invalid", `the machine was given no file '${path}', which etcd.external names`);
  return found.content;
}

/** "127.88.0.0/16" as "127.88.0.1". */
function firstAddress(cidr: string): string {
  const [address = ""] = cidr.split(",")[0]?.split("/") ?? [];
  const bytes = address.split(".").map(Number);
  if (bytes.length !== 4 || bytes.some((byte) => !(byte >= 0 && byte < 256)))
    throw new Fault("Invalid", `networking.serviceSubnet: '${cidr}' is no IPv4 network`);
  return bytes.with(3, (bytes[3] ?? 0) + 1).join(".");
}
