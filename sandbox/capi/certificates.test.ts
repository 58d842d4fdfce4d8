import { X509Certificate } from "node:crypto";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { systemClock } from "#core";
import { adminKubeconfig, issue, newAuthority, publicKeyHash } from "./certificates.ts";

describe("certificates of a cluster", () => {
  it("a server certificate is signed by the authority and good for its names", async () => {
    const authority = await newAuthority("kubernetes", systemClock);
    const server = await issue(
      authority,
      { commonName: "kube-apiserver" },
      { server: ["127.20.0.1", "kubernetes"] },
      systemClock,
    );
    const certificate = new X509Certificate(server.certificate);
    const parent = new X509Certificate(authority.certificate);
    expect(certificate.verify(parent.publicKey)).toBe(true);
    expect(certificate.checkIP("127.20.0.1")).toBe("127.20.0.1");
    expect(certificate.checkHost("kubernetes")).toBe("kubernetes");
    expect(certificate.checkHost("elsewhere")).toBeUndefined();
    expect(parent.ca).toBe(true);
  });

  it("the admin's kubeconfig names the endpoint and carries a client certificate of system:masters", async () => {
    const authority = await newAuthority("kubernetes", systemClock);
    const config = parse(
      await adminKubeconfig("c1", { host: "fd00::1", port: 6443 }, authority, systemClock),
    );
    expect(config.clusters[0].cluster.server).toBe("https://[fd00::1]:6443");
    expect(config["current-context"]).toBe("c1-admin@c1");
    const pem = Buffer.from(config.users[0].user["client-certificate-data"], "base64").toString();
    expect(new X509Certificate(pem).subject).toBe("O=system:masters\nCN=kubernetes-admin");
    expect(new X509Certificate(pem).verify(new X509Certificate(authority.certificate).publicKey)).toBe(true);
  });

  it("the discovery hash is that of the public key, as kubeadm pins it", async () => {
    const authority = await newAuthority("kubernetes", systemClock);
    expect(publicKeyHash(authority.certificate)).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(publicKeyHash(authority.certificate)).not.toBe(
      publicKeyHash((await newAuthority("kubernetes", systemClock)).certificate),
    );
  });
});
