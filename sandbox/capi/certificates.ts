// Keys and certificates of a cluster, as KCP and kubeadm make them. Real ones: the workload API serves TLS with them, and the
// kubeconfig works. Elliptic curves instead of upstream's RSA 2048, since a sandbox makes them by the dozen.
import "reflect-metadata";
import { createHash, createPrivateKey, randomBytes, webcrypto } from "node:crypto";
import { isIP } from "node:net";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { stringify } from "yaml";
import type { Clock } from "#core";

/** PEM both. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

const rsa = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const yearMs = 365 * 86_400_000;

async function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return (await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"])) as webcrypto.CryptoKeyPair;
}

async function keyPem(key: webcrypto.CryptoKey): Promise<string> {
  return `${PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY")}\n`;
}

/** Ours are P-256; upstream's are RSA, in the older form that only OpenSSL reads. */
async function parseKey(pem: string): Promise<webcrypto.CryptoKey> {
  const key = createPrivateKey(pem);
  const der = key.export({ type: "pkcs8", format: "der" });
  const kind = key.asymmetricKeyType === "rsa" ? rsa : algorithm;
  return webcrypto.subtle.importKey("pkcs8", der, kind, true, ["sign"]);
}

function validity(clock: Clock, years: number) {
  const now = clock.now();
  return { notBefore: new Date(now - 3_600_000), notAfter: new Date(now + years * yearMs) };
}

function serialNumber(): string {
  return `01${randomBytes(15).toString("hex")}`;
}

/** A certificate authority, ten years. */
export async function newAuthority(commonName: string, clock: Clock): Promise<KeyPair> {
  const keys = await newKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: [{ CN: [commonName] }],
    ...validity(clock, 10),
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(
        KeyUsageFlags.digitalSignature | KeyUsageFlags.keyEncipherment | KeyUsageFlags.keyCertSign,
        true,
      ),
    ],
  });
  return { certificate: `${certificate.toString("pem")}\n`, key: await keyPem(keys.privateKey) };
}

/** A key pair without a certificate: how service account tokens are signed. `certificate` holds the public key. */
export async function newSigningKey(): Promise<KeyPair> {
  const keys = await newKeys();
  const publicKey = await webcrypto.subtle.exportKey("spki", keys.publicKey);
  return {
    certificate: `${PemConverter.encode(publicKey, "PUBLIC KEY")}\n`,
    key: await keyPem(keys.privateKey),
  };
}

/** A certificate signed by `authority`, one year: for a server with these names, or for a client of this name and groups. */
export async function issue(
  authority: KeyPair,
  subject: { readonly commonName: string; readonly organizations?: readonly string[] },
  use: { readonly server: readonly string[]; readonly alsoClient?: boolean } | "client",
  clock: Clock,
): Promise<KeyPair> {
  const keys = await newKeys();
  const signingKey = await parseKey(authority.key);
  const parent = new X509Certificate(authority.certificate);
  const names = use === "client" ? [] : use.server;
  const certificate = await X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: [...(subject.organizations ?? []).map((name) => ({ O: [name] })), { CN: [subject.commonName] }],
    issuer: parent.subjectName,
    ...validity(clock, 1),
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: signingKey.algorithm.name === rsa.name ? rsa : algorithm,
    extensions: [
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature | KeyUsageFlags.keyEncipherment, true),
      new ExtendedKeyUsageExtension([
        ...(use === "client" ? [] : [ExtendedKeyUsage.serverAuth]),
        ...(use === "client" || use.alsoClient ? [ExtendedKeyUsage.clientAuth] : []),
      ]),
      ...(names.length > 0
        ? [
            new SubjectAlternativeNameExtension(
              names.map((value) => ({ type: isIP(value) ? ("ip" as const) : ("dns" as const), value })),
            ),
          ]
        : []),
    ],
  });
  return { certificate: `${certificate.toString("pem")}\n`, key: await keyPem(keys.privateKey) };
}

/** kubeadm's discovery hash: "sha256:" and the hash of the certificate's public key. */
export function publicKeyHash(certificate: string): string {
  const spki = Buffer.from(new X509Certificate(certificate).publicKey.rawData);
  return `sha256:${createHash("sha256").update(spki).digest("hex")}`;
}

/** An admin's kubeconfig, with the names that Cluster API gives. */
export async function adminKubeconfig(
  cluster: string,
  endpoint: { readonly host: string; readonly port: number },
  authority: KeyPair,
  clock: Clock,
): Promise<string> {
  const user = `${cluster}-admin`;
  const client = await issue(
    authority,
    { commonName: "kubernetes-admin", organizations: ["system:masters"] },
    "client",
    clock,
  );
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  const host = endpoint.host.includes(":") ? `[${endpoint.host}]` : endpoint.host;
  return stringify({
    apiVersion: "v1",
    clusters: [
      {
        cluster: {
          "certificate-authority-data": base64(authority.certificate),
          server: `https://${host}:${endpoint.port}`,
        },
        name: cluster,
      },
    ],
    contexts: [{ context: { cluster, user }, name: `${user}@${cluster}` }],
    "current-context": `${user}@${cluster}`,
    kind: "Config",
    users: [
      {
        name: user,
        user: {
          "client-certificate-data": base64(client.certificate),
          "client-key-data": base64(client.key),
        },
      },
    ],
  });
}
