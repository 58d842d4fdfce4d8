// For tests: a certificate authority in memory, with a server's and any number of clients' certificates (EC P-256).
import "reflect-metadata";
import { webcrypto } from "node:crypto";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { Secret } from "#core";
import type { TlsCredentials } from "./transport/grpc-client.ts";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
type Names = ConstructorParameters<typeof SubjectAlternativeNameExtension>[0];

export interface TestPki {
  /** PEM. */
  readonly ca: string;
  /** For 127.0.0.1 and localhost. */
  server(): Promise<TlsCredentials>;
  /** With one URI in its SAN: pcg://TENANT/ROLE/UID. */
  client(uri: string, options?: { readonly expired?: boolean }): Promise<TlsCredentials>;
}

export async function testPki(name = "test CA"): Promise<TestPki> {
  const keys = await makeKeys();
  const now = Date.now();
  const root = await X509CertificateGenerator.createSelfSigned({
    serialNumber: "01",
    name: `CN=${name}`,
    ...validity(now, false),
    signingAlgorithm: algorithm,
    keys,
    extensions: [new BasicConstraintsExtension(true, undefined, true)],
  });
  const ca = root.toString("pem");
  let serial = 1;
  const issue = async (
    subject: string,
    names: Names,
    usage: string,
    expired = false,
  ): Promise<TlsCredentials> => {
    const own = await makeKeys();
    const certificate = await X509CertificateGenerator.create({
      serialNumber: (++serial).toString(16).padStart(2, "0"),
      subject: `CN=${subject}`,
      issuer: root.subject,
      ...validity(now, expired),
      signingAlgorithm: algorithm,
      publicKey: own.publicKey,
      signingKey: keys.privateKey,
      extensions: [new SubjectAlternativeNameExtension(names), new ExtendedKeyUsageExtension([usage])],
    });
    const pkcs8 = await webcrypto.subtle.exportKey("pkcs8", own.privateKey);
    return {
      cert: certificate.toString("pem"),
      key: new Secret(PemConverter.encode(pkcs8, "PRIVATE KEY")),
      ca,
    };
  };
  return {
    ca,
    server: () =>
      issue(
        "plane",
        [
          { type: "ip", value: "127.0.0.1" },
          { type: "dns", value: "localhost" },
        ],
        ExtendedKeyUsage.serverAuth,
      ),
    client: (uri, options) =>
      issue("peer", [{ type: "url", value: uri }], ExtendedKeyUsage.clientAuth, options?.expired),
  };
}

function makeKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
}

function validity(now: number, expired: boolean): { notBefore: Date; notAfter: Date } {
  const hour = 3_600_000;
  return { notBefore: new Date(now - 2 * hour), notAfter: new Date(now + (expired ? -hour : hour)) };
}
