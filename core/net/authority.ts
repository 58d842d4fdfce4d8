// A small certificate authority for servers and clients that are started together: an API server and those who speak to it.
import "reflect-metadata";
import { randomBytes, webcrypto } from "node:crypto";
import { isIP } from "node:net";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
  type Extension,
} from "@peculiar/x509";
import { Secret } from "../secret.ts";
import type { Clock } from "../time/clock.ts";

export interface KeyPair {
  /** PEM. */
  readonly certificate: string;
  /** PKCS#8, PEM. */
  readonly key: Secret;
}

/** Whom a certificate is for. */
export interface Subject {
  /** The common name: a server's, or the user's name at an API server. */
  readonly name: string;
  /** The organisation: the user's group at an API server. */
  readonly organization?: string;
  /** DNS names and addresses that a server is reached by; none for a client. */
  readonly hosts?: readonly string[];
}

export interface Authority {
  /** PEM: what others must trust. */
  readonly certificate: string;
  /** PKCS#8, PEM: with it the authority can be opened again. */
  readonly key: Secret;
  /** Makes a key and signs a certificate for it, good for servers and clients; it ends no later than the authority's own. */
  issue(subject: Subject): Promise<KeyPair>;
}

const ecdsa = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const dayMs = 86_400_000;

/** An authority with a new EC P-256 key. Its certificates, and its own, are valid from an hour ago for `days`. */
export async function makeAuthority(name: string, clock: Clock, days = 365): Promise<Authority> {
  const keys = await makeKeys();
  const root = await X509CertificateGenerator.createSelfSigned({
    ...validity(clock, days),
    serialNumber: serial(),
    name: [{ CN: [name] }],
    keys,
    signingAlgorithm: ecdsa,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return authorityOf(root, keys, await pemOf(keys), clock, days);
}

/** The authority that was made once and kept. It issues certificates that are valid for `days`. */
export async function openAuthority(kept: KeyPair, clock: Clock, days = 365): Promise<Authority> {
  const root = new X509Certificate(kept.certificate);
  const pkcs8 = PemConverter.decodeFirst(kept.key.reveal());
  const privateKey = await webcrypto.subtle.importKey("pkcs8", pkcs8, ecdsa, true, ["sign"]);
  const publicKey = await root.publicKey.export(ecdsa, ["verify"]);
  return authorityOf(root, { privateKey, publicKey }, kept.key, clock, days);
}

function authorityOf(
  root: X509Certificate,
  keys: webcrypto.CryptoKeyPair,
  key: Secret,
  clock: Clock,
  days: number,
): Authority {
  return {
    certificate: `${root.toString("pem")}\n`,
    key,
    async issue(subject) {
      const own = await makeKeys();
      const { notBefore, notAfter } = validity(clock, days);
      const made = await X509CertificateGenerator.create({
        notBefore,
        notAfter: notAfter < root.notAfter ? notAfter : root.notAfter,
        serialNumber: serial(),
        subject: [
          ...(subject.organization === undefined ? [] : [{ O: [subject.organization] }]),
          { CN: [subject.name] },
        ],
        issuer: root.subjectName.toJSON(),
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: ecdsa,
        extensions: [
          ...leafExtensions(subject.hosts ?? []),
          await AuthorityKeyIdentifierExtension.create(keys.publicKey),
        ],
      });
      return { certificate: `${made.toString("pem")}\n`, key: await pemOf(own) };
    },
  };
}

function validity(clock: Clock, days: number): { notBefore: Date; notAfter: Date } {
  const now = clock.now();
  return { notBefore: new Date(now - 3_600_000), notAfter: new Date(now + days * dayMs) };
}

async function pemOf(keys: webcrypto.CryptoKeyPair): Promise<Secret> {
  const pkcs8 = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
  return new Secret(`${PemConverter.encode(pkcs8, "PRIVATE KEY")}\n`);
}

function leafExtensions(hosts: readonly string[]): Extension[] {
  const names = hosts.map((value) => ({ type: isIP(value) ? ("ip" as const) : ("dns" as const), value }));
  return [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
    ...(names.length > 0 ? [new SubjectAlternativeNameExtension(names)] : []),
  ];
}

async function makeKeys(): Promise<webcrypto.CryptoKeyPair> {
  return (await webcrypto.subtle.generateKey(ecdsa, true, ["sign", "verify"])) as webcrypto.CryptoKeyPair;
}

function serial(): string {
  return `01${randomBytes(15).toString("hex")}`;
}
