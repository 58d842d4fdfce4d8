// Keys and certificate requests of the dialling side. The key is made here and never leaves.
import "reflect-metadata";
import { webcrypto } from "node:crypto";
import { Pkcs10CertificateRequestGenerator, PemConverter } from "@peculiar/x509";
import { Secret } from "#core";

export interface KeyAndRequest {
  /** PKCS#8, PEM. */
  readonly privateKey: Secret;
  /** PKCS#10, PEM. */
  readonly csr: string;
}

/** A fresh EC P-256 key and a request for it. The subject is only a hint: the authority writes its own. */
export async function makeKeyAndRequest(commonName: string): Promise<KeyAndRequest> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"])) as CryptoKeyPair;
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: [commonName] }],
    keys,
    signingAlgorithm: algorithm,
  });
  const pkcs8 = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
  return { privateKey: new Secret(PemConverter.encode(pkcs8, "PRIVATE KEY")), csr: request.toString("pem") };
}

type CryptoKeyPair = webcrypto.CryptoKeyPair;
