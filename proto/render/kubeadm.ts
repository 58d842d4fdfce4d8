// The part of a kubeadm configuration that control planes and workers share.
import type { DesiredState } from "../kinds/spectro-cluster.ts";

export interface NodeWishes {
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Absent: kubeadm's own; empty: none. */
  readonly taints?:
    | readonly { readonly key: string; readonly value?: string | undefined; readonly effect: string }[]
    | undefined;
}

/** How a node registers. The name comes from cloud-init's metadata, the provider id from the external cloud provider. */
export function nodeRegistration({ labels, taints }: NodeWishes): object {
  const nodeLabels = Object.entries(labels ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(",");
  return {
    name: "{{ local_hostname }}",
    kubeletExtraArgs: [
      { name: "cloud-provider", value: "external" },
      ...(nodeLabels ? [{ name: "node-labels", value: nodeLabels }] : []),
    ],
    ...(taints ? { taints } : {}),
  };
}

/** Users, clocks and host names of every node. */
export function nodeBasics(spec: DesiredState): object {
  const { sshKeys, ntpServers } = spec.access;
  return {
    users: sshKeys?.length
      ? [{ name: "spectro", sudo: "ALL=(ALL) NOPASSWD:ALL", sshAuthorizedKeys: sshKeys }]
      : undefined,
    ntp: ntpServers?.length ? { enabled: true, servers: ntpServers } : undefined,
    preKubeadmCommands: hostnameCommands,
  };
}

/** A node must find its own name before any DNS knows it. */
export const hostnameCommands: readonly string[] = [
  'hostnamectl set-hostname "{{ ds.meta_data.hostname }}"',
  'echo "127.0.0.1 localhost {{ ds.meta_data.hostname }}" >> /etc/hosts',
];
