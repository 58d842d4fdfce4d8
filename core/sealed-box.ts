// Bytes that only one reader can open, and that only who shares a token with him could have sealed: X25519 (RFC 7748) with a key of the
// moment, HKDF-SHA256 (RFC 5869) over what both sides agreed on and the token, AES-256-GCM. As HPKE has it in its mode with a
// pre-shared key (RFC 9180, mode_psk), in a form of our own.
//
//   B1. Whoever carries a box learns its size and nothing else; a box made without the token does not open.
//   B2. A box opens only in the context (whose it is, which one) that it was sealed for.
//   B3. Each box has a key of its own: two boxes of the same bytes have nothing in common.
//
// A box is: one byte format (1), 32 bytes public key of the moment, 16 bytes tag, ciphertext.
import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
} from "node:crypto";
import { Fault } from "./fault.ts";
import { Secret } from "./secret.ts";

/** The reader's key. Both halves are base64 of 32 bytes. */
export interface BoxKey {
  readonly publicKey: string;
  readonly privateKey: Secret;
}

/** What a writer knows: the reader's public half, and a token that the two share and nobody between them has. */
export interface BoxAddress {
  readonly publicKey: string;
  readonly token: Secret;
}

export function makeBoxKey(): BoxKey {
  const { publicKey, privateKey } = generateKeyPairSync("x25519");
  return { publicKey: rawPublic(publicKey), privateKey: new Secret(rawPrivate(privateKey)) };
}

/** The key of which this is the private half. Invalid where it is none. */
export function boxKeyOf(privateKey: Secret): BoxKey {
  return { publicKey: rawPublic(createPublicKey(privateOf(privateKey))), privateKey };
}

/** A token that follows from the reader's key and a name: he need not remember to whom he gave which. */
export function tokenFor({ privateKey }: BoxKey, name: string): Secret {
  const bytes = hkdfSync(
    "sha256",
    Buffer.from(privateKey.reveal(), "base64"),
    "",
    `pcg box token ${name}`,
    32,
  );
  return new Secret(Buffer.from(bytes).toString("base64"));
}

/** Seals for the reader. Invalid where the address is none. */
export function sealBox(to: BoxAddress, bytes: Uint8Array, context: string): Uint8Array {
  const reader = publicOf(to.publicKey);
  const moment = generateKeyPairSync("x25519");
  const first = Buffer.from(rawPublic(moment.publicKey), "base64");
  const { key, nonce } = derive(
    diffieHellman({ privateKey: moment.privateKey, publicKey: reader }),
    first,
    to.publicKey,
    to.token,
  );
  const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(context));
  const body = Buffer.concat([cipher.update(bytes), cipher.final()]);
  return Buffer.concat([Buffer.of(1), first, cipher.getAuthTag(), body]);
}

/** Invalid for whatever was not sealed for this key, with this token, for this context (B1, B2). */
export function openBox(reader: BoxKey, token: Secret, box: Uint8Array, context: string): Uint8Array {
  const bytes = Buffer.from(box.buffer, box.byteOffset, box.byteLength);
  if (bytes.length < 49 || bytes[0] !== 1) throw new Fault("Invalid", "this is not a sealed box");
  const first = bytes.subarray(1, 33);
  try {
    const shared = diffieHellman({
      privateKey: privateOf(reader.privateKey),
      publicKey: publicOf(first.toString("base64")),
    });
    const { key, nonce } = derive(shared, first, reader.publicKey, token);
    const decipher = createDecipheriv("aes-256-gcm", key, nonce)
      .setAAD(Buffer.from(context))
      .setAuthTag(bytes.subarray(33, 49));
    return Buffer.concat([decipher.update(bytes.subarray(49)), decipher.final()]);
  } catch (cause) {
    throw new Fault(
      "Invalid",
      "the box does not open: it was sealed for another key, another purpose, or changed",
      {
        cause,
      },
    );
  }
}

/** B3: key and nonce follow from the key of the moment, which is used once. */
function derive(
  shared: Buffer,
  first: Buffer,
  publicKey: string,
  token: Secret,
): { readonly key: Buffer; readonly nonce: Buffer } {
  const material = Buffer.concat([shared, Buffer.from(token.reveal(), "base64")]);
  const salt = Buffer.concat([first, Buffer.from(publicKey, "base64")]);
  const bytes = Buffer.from(hkdfSync("sha256", material, salt, "pcg sealed box 1", 44));
  return { key: bytes.subarray(0, 32), nonce: bytes.subarray(32) };
}

// RFC 8410: before the 32 bytes of a key stands always the same.
const publicPrefix = Buffer.from("302a300506032b656e032100", "hex");
const privatePrefix = Buffer.from("302e020100300506032b656e04220420", "hex");

function rawPublic(key: KeyObject): string {
  return key.export({ type: "spki", format: "der" }).subarray(publicPrefix.length).toString("base64");
}

function rawPrivate(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "der" }).subarray(privatePrefix.length).toString("base64");
}

function publicOf(text: string): KeyObject {
  return createPublicKey({ key: Buffer.concat([publicPrefix, raw(text)]), format: "der", type: "spki" });
}

function privateOf(secret: Secret): KeyObject {
  const key = Buffer.concat([privatePrefix, raw(secret.reveal())]);
  return createPrivateKey({ key, format: "der", type: "pkcs8" });
}

function raw(text: string): Buffer {
  const bytes = Buffer.from(text, "base64");
  if (bytes.length !== 32) throw new Fault("Invalid", "a box key has 32 bytes, in base64");
  return bytes;
}
