// What CABPK puts into a machine's userdata and CAPV into its metadata, in the forms that cloud-init reads.
// Metadata: netplan version 2, as CAPV renders it; userdata: #cloud-config with kubeadm's files and the one command.
import { parse, stringify } from "yaml";
import type { NetworkDevice } from "#proto";

/** A file that cloud-init writes. */
export interface WriteFile {
  readonly path: string;
  readonly content: string;
  readonly owner?: string;
  readonly permissions?: string;
}

export interface Userdata {
  readonly files: readonly WriteFile[];
  readonly commands: readonly string[];
}

export function renderUserdata(data: Userdata): string {
  const write_files = data.files.map(({ path, owner = "root:root", permissions = "0600", content }) => ({
    path,
    owner,
    permissions,
    content,
  }));
  return `## template: jinja\n#cloud-config\n\n${stringify({ write_files, runcmd: data.commands })}`;
}

/** Reads a userdata as cloud-init would: the files and the commands. Unknown keys are left alone. */
export function parseUserdata(text: string): Userdata {
  const config = (parse(text) ?? {}) as { write_files?: WriteFile[]; runcmd?: unknown[] };
  // CABPK lists a key of the external etcd's authority, which it has not: without a path, without content.
  const files = (config.write_files ?? []).filter(({ path }) => path);
  return { files, commands: (config.runcmd ?? []).map(String) };
}

/** The address of one device that came from a pool. */
export interface DeviceAddress {
  readonly address: string;
  readonly prefix: number;
  readonly gateway?: string;
}

export interface MetadataDevice {
  readonly spec: NetworkDevice;
  readonly mac: string;
  readonly addresses: readonly DeviceAddress[];
}

/** `guestinfo.metadata`, before base64. */
export function renderMetadata(hostname: string, devices: readonly MetadataDevice[]): string {
  const ethernets = Object.fromEntries(
    devices.map((device, index) => [`id${index}`, ethernet(device, index)]),
  );
  return stringify({
    "instance-id": hostname,
    "local-hostname": hostname,
    "wait-on-network": { ipv4: false, ipv6: false },
    network: { version: 2, ethernets },
  });
}

function ethernet({ spec, mac, addresses }: MetadataDevice, index: number) {
  const all = [...(spec.ipAddrs ?? []), ...addresses.map((a) => `${a.address}/${a.prefix}`)];
  const gateway = (v6: boolean) =>
    addresses.find((a) => a.gateway && a.address.includes(":") === v6)?.gateway;
  const gateway4 = gateway(false) ?? spec.gateway4;
  const gateway6 = gateway(true) ?? spec.gateway6;
  const nameservers = {
    ...(spec.nameservers?.length ? { addresses: spec.nameservers } : {}),
    ...(spec.searchDomains?.length ? { search: spec.searchDomains } : {}),
  };
  return {
    match: { macaddress: mac },
    "set-name": spec.deviceName ?? `eth${index}`,
    wakeonlan: true,
    dhcp4: spec.dhcp4 ?? false,
    dhcp6: spec.dhcp6 ?? false,
    ...(all.length > 0 ? { addresses: all } : {}),
    ...(gateway4 ? { gateway4 } : {}),
    ...(gateway6 ? { gateway6 } : {}),
    ...(spec.mtu ? { mtu: spec.mtu } : {}),
    ...(Object.keys(nameservers).length > 0 ? { nameservers } : {}),
  };
}

export interface GuestMetadata {
  readonly hostname: string;
  /** By MAC address: the addresses configured, without prefix. */
  readonly interfaces: readonly {
    readonly mac: string;
    readonly addresses: readonly string[];
    readonly dhcp: boolean;
  }[];
}

/** Reads a metadata as cloud-init's VMware datasource would. */
export function parseMetadata(text: string): GuestMetadata {
  const data = (parse(text) ?? {}) as {
    "local-hostname"?: string;
    network?: {
      ethernets?: Record<
        string,
        { match?: { macaddress?: string }; addresses?: string[]; dhcp4?: boolean; dhcp6?: boolean }
      >;
    };
  };
  return {
    hostname: data["local-hostname"] ?? "",
    interfaces: Object.values(data.network?.ethernets ?? {}).map((ethernet) => ({
      mac: ethernet.match?.macaddress ?? "",
      addresses: (ethernet.addresses ?? []).map((cidr) => cidr.split("/")[0] ?? cidr),
      dhcp: ethernet.dhcp4 === true || ethernet.dhcp6 === true,
    })),
  };
}
