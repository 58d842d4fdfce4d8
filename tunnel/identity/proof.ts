// Proofs of enrolment: both sides know a code, and neither the code nor its MAC key ever crosses the wire.
//
//   P1. The wire carries codeId, a one-way image of the code. Who reads it learns 80 random bits' worth of nothing.
//   P2. The request's MAC covers the CSR and the name: an interceptor cannot put its own key in.
//   P3. The answer's MAC covers the request's CSR too: an answer to another request, or an older one, does not fit.
//   P4. Fields are length-prefixed and each message has its own label: no two different messages have the same MAC input.
//
// Key derivation is HKDF-SHA256 (RFC 5869), the MAC HMAC-SHA256 (RFC 2104). A code shorter than 80 bits would need a PAKE.
import {
  createHash,
  createHmac,
  createPublicKey,
  hkdfSync,
  timingSafeEqual,
  X509Certificate,
} from "node:crypto";
import { Fault } from "#core";
import type { RegisterAnswer, RegisterRequest } from "#proto/messages.ts";

/** What is derived from a pairing code (canonical form) or an enrolment token. */
export interface CodeKeys {
  /** Names the code at the plane, hex. Not secret. */
  readonly id: string;
  /** Key of both proofs. Secret. */
  readonly macKey: Buffer;
}

export function deriveCodeKeys(code: string): CodeKeys {
  const derive = (info: string) => Buffer.from(hkdfSync("sha256", code, "pcg enrolment v1", info, 32));
  return { id: derive("id").toString("hex"), macKey: derive("mac") };
}

/** SHA-256 over the DER bytes of a PEM block, hex: white space and line ends do not count. Throws Invalid when it is no PEM. */
export function pemDigest(pem: string): string {
  const body = /-----BEGIN [A-Z0-9 ]+-----([\s\S]+?)-----END/.exec(pem)?.[1];
  if (!body) throw new Fault("Invalid", "the certificate request is not PEM");
  return createHash("sha256").update(Buffer.from(body, "base64")).digest("hex");
}

export function requestProof(macKey: Uint8Array, request: Pick<RegisterRequest, "csr" | "name">): string {
  return mac(macKey, "pcg register request v1", [pemDigest(request.csr), request.name ?? ""]);
}

export function answerProof(macKey: Uint8Array, csr: string, answer: Omit<RegisterAnswer, "proof">): string {
  return mac(macKey, "pcg register answer v1", answerFields(csr, answer));
}

/** The text the plane signs in an answer to a renewal, where no code is at hand. */
export function answerText(csr: string, answer: Omit<RegisterAnswer, "proof">): Buffer {
  return framed("pcg renew answer v1", answerFields(csr, answer));
}

/** The text a holder signs with its old key to get a certificate for a new one. `at`: RFC 3339. */
export function renewalText(csr: string, serial: string, at: string): Buffer {
  return framed("pcg renew request v1", [pemDigest(csr), serial, at]);
}

/** Compares two hex digests in constant time; different lengths are unequal. */
export function sameProof(a: string, b: string): boolean {
  const left = Buffer.from(a, "hex");
  const right = Buffer.from(b, "hex");
  return left.length === 32 && left.length === right.length && timingSafeEqual(left, right);
}

/** Serial number of a PEM certificate as we write it: hex, lower case, without leading zeros. */
export function serialOf(certificatePem: string): string {
  return normaliseSerial(new X509Certificate(certificatePem).serialNumber);
}

export function normaliseSerial(serial: string): string {
  return serial
    .toLowerCase()
    .replace(/[^0-9a-f]/g, "")
    .replace(/^0+(?=.)/, "");
}

/** True when the certificate's public key belongs to this private key's public half (both PEM). */
export function sameKey(certificatePem: string, publicKeyPem: string): boolean {
  const spki = (key: ReturnType<typeof createPublicKey>) => key.export({ type: "spki", format: "der" });
  const left = spki(new X509Certificate(certificatePem).publicKey);
  return left.equals(spki(createPublicKey(publicKeyPem)));
}

function answerFields(csr: string, answer: Omit<RegisterAnswer, "proof">): string[] {
  const { uid, tenantUid, certificate, ca, tunnel, signingKey } = answer;
  return [pemDigest(csr), uid, tenantUid, certificate, ca, tunnel, signingKey]; // P3
}

function mac(key: Uint8Array, label: string, fields: readonly string[]): string {
  return createHmac("sha256", key).update(framed(label, fields)).digest("hex");
}

/** P4 */
function framed(label: string, fields: readonly string[]): Buffer {
  const parts = [label, ...fields].flatMap((field) => {
    const bytes = Buffer.from(field, "utf8");
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return [length, bytes];
  });
  return Buffer.concat(parts);
}
