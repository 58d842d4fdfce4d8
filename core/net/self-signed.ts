// A self-signed certificate for a server whose clients are told which one to expect: a local API, a simulator.
import "reflect-metadata";
import { randomBytes, webcrypto } from "node:crypto";
import { isIP } from "node:net";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { Secret } from "../secret.ts";
import type { Clock } from "../time/clock.ts";

export interface SelfSigned {
  /** PEM. Clients trust this one as their CA. */
  readonly certificate: string;
  /** PKCS#8, PEM. */
  readonly key: Secret;
}

const ecdsa = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const dayMs = 86_400_000;

/** An EC P-256 server certificate for these DNS names and addresses, valid from an hour ago for `days`. */
export async function selfSigned(names: readonly string[], clock: Clock, days = 365): Promise<SelfSigned> {
  const keys = (await webcrypto.subtle.generateKey(ecdsa, true, [
    "sign",
    "verify",
  ])) as webcrypto.CryptoKeyPair;
  const now = clock.now();
  const made = await X509CertificateGenerator.createSelfSigned({
    serialNumber: `01${randomBytes(15).toString("hex")}`,
    name: [{ CN: [names[0] ?? "pcg"] }],
    notBefore: new Date(now - 3_600_000),
    notAfter: new Date(now + days * dayMs),
    keys,
    signingAlgorithm: ecdsa,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature | KeyUsageFlags.keyCertSign, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(
        names.map((value) => ({ type: isIP(value) ? ("ip" as const) : ("dns" as const), value })),
      ),
    ],
  });
  const pkcs8 = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
  return {
    certificate: `${made.toString("pem")}\n`,
    key: new Secret(`${PemConverter.encode(pkcs8, "PRIVATE KEY")}\n`),
  };
}
