// The server's self-signed certificate, and its thumbprint. May be kept, so that a restarted sandbox is still the one clients pinned.
import "reflect-metadata";
import { createHash, webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { Secret } from "#core";

export interface Identity {
  /** PEM. */
  readonly certificate: string;
  /** PEM, PKCS #8. */
  readonly key: Secret;
}

/** Good for ten years from `nowMs`, for loopback names and `host`. */
export async function selfSigned(host: string, nowMs: number): Promise<Identity> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const isAddress = /^[\d.]+$|:/.test(host);
  const names = new Map<string, "ip" | "dns">([
    ["127.0.0.1", "ip"],
    ["localhost", "dns"],
    [host, isAddress ? "ip" : "dns"],
  ]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: "CN=Simulated vCenter",
      notBefore: new Date(nowMs - 3_600_000),
      notAfter: new Date(nowMs + 10 * 365 * 86_400_000),
      keys,
      signingAlgorithm: algorithm,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(
          x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyCertSign,
          true,
        ),
        new x509.SubjectAlternativeNameExtension([...names].map(([value, type]) => ({ type, value }))),
      ],
    },
    webcrypto,
  );
  const key = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
  const pem = `-----BEGIN PRIVATE KEY-----\n${Buffer.from(key)
    .toString("base64")
    .replace(/(.{64})(?=.)/g, "$1\n")}\n-----END PRIVATE KEY-----\n`;
  return { certificate: certificate.toString("pem"), key: new Secret(pem) };
}

/** SHA-256 of the certificate, colon hex. */
export function thumbprintOf(certificatePem: string): string {
  const der = Buffer.from(certificatePem.replace(/-----[^-]+-----|\s/g, ""), "base64");
  const hex = createHash("sha256").update(der).digest("hex").toUpperCase();
  return hex.match(/../g)!.join(":");
}
