import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { parseMetadata, parseUserdata, renderMetadata, renderUserdata } from "./cloud-init.ts";

describe("guestinfo", () => {
  it("metadata is netplan version 2 as CAPV renders it", () => {
    const text = renderMetadata("c1-abcde", [
      {
        mac: "00:0c:29:34:35:37",
        spec: {
          networkName: "VM Network",
          nameservers: ["10.1.0.2"],
          searchDomains: ["example.org"],
          mtu: 1400,
        },
        addresses: [{ address: "10.1.0.10", prefix: 24, gateway: "10.1.0.1" }],
      },
      { mac: "00:0c:29:34:35:38", spec: { networkName: "storage", dhcp4: true }, addresses: [] },
    ]);
    expect(parse(text)).toMatchObject({
      "instance-id": "c1-abcde",
      "local-hostname": "c1-abcde",
      "wait-on-network": { ipv4: false, ipv6: false },
      network: {
        version: 2,
        ethernets: {
          id0: {
            match: { macaddress: "00:0c:29:34:35:37" },
            "set-name": "eth0",
            dhcp4: false,
            addresses: ["10.1.0.10/24"],
            gateway4: "10.1.0.1",
            mtu: 1400,
            nameservers: { addresses: ["10.1.0.2"], search: ["example.org"] },
          },
          id1: { "set-name": "eth1", dhcp4: true },
        },
      },
    });
    expect(parseMetadata(text)).toEqual({
      hostname: "c1-abcde",
      interfaces: [
        { mac: "00:0c:29:34:35:37", addresses: ["10.1.0.10"], dhcp: false },
        { mac: "00:0c:29:34:35:38", addresses: [], dhcp: true },
      ],
    });
  });

  it("an IPv6 gateway goes where IPv6 gateways go", () => {
    const text = renderMetadata("x", [
      {
        mac: "m",
        spec: { networkName: "n" },
        addresses: [{ address: "fd00::5", prefix: 64, gateway: "fd00::1" }],
      },
    ]);
    expect(parse(text).network.ethernets.id0).toMatchObject({
      addresses: ["fd00::5/64"],
      gateway6: "fd00::1",
    });
    expect(parse(text).network.ethernets.id0).not.toHaveProperty("gateway4");
  });

  it("userdata survives the way there and back, whatever is in the files", () => {
    const files = [
      {
        path: "/etc/a",
        content: "line: 1\n---\n# {{ x }}\n\ttab\n",
        owner: "root:root",
        permissions: "0600",
      },
    ];
    const text = renderUserdata({ files, commands: ["kubeadm init --config /run/kubeadm/kubeadm.yaml"] });
    expect(text.startsWith("## template: jinja\n#cloud-config\n")).toBe(true);
    expect(parseUserdata(text)).toEqual({
      files,
      commands: ["kubeadm init --config /run/kubeadm/kubeadm.yaml"],
    });
  });
});
