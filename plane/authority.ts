// The plane's own certificate authority: it names gateways and agents, and itself.
//
//   A1. From a request it takes the public key and nothing else: names and rights are the authority's words.
//   A2. Every certificate for a gateway or an agent is recorded, by serial, before it is given out.
//   A3. Revocation holds from the moment `revoke` resolves, and survives a restart.
//   A4. The authority's keys lie sealed in the data directory and are never given out.
import "reflect-metadata";
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  webcrypto,
  type KeyObject,
} from "node:crypto";
import { isIP } from "node:net";
import { join } from "node:path";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  PublicKey,
  Pkcs10CertificateRequest,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
  X509CrlGenerator,
  X509CrlReason,
  type Extension,
} from "@peculiar/x509";
import { Fault, type Clock, type Database } from "#core";
import type { Seal } from "#core/store/seal.ts";
import { readSecretFile, writeSecretFile } from "#tunnel/identity/files.ts";
import { identityUri, normaliseSerial, type IdentityName } from "#tunnel/identity/index.ts";

const ecdsa = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const day = 86_400_000;

export interface AuthorityOptions {
  /** How long a gateway's or agent's certificate lasts, milliseconds; 7 days unless told. */
  readonly clientLifeMs?: number;
  /** How long the plane's server certificates last; 398 days unless told. They are made anew at each start. */
  readonly serverLifeMs?: number;
}

export interface IssuedCertificate {
  /** PEM. */
  readonly certificate: string;
  readonly serial: string;
  readonly expiresAt: number;
}

export interface ServerCertificate {
  readonly certificate: string;
  /** PKCS#8, PEM. For the server that listens; never stored. */
  readonly key: string;
}

export interface Authority {
  /** PEM: what clients trust. */
  readonly caPem: string;
  /** Ed25519 public key, PEM. */
  readonly signingKeyPem: string;
  /** Ed25519 over the UTF-8 bytes or buffer, base64. */
  sign(document: string | Uint8Array): string;
  /** Throws Invalid for a request that `issueClient` would not take. */
  checkRequest(csrPem: string): Promise<void>;
  /** A client certificate for the key in a request (A1). Throws Invalid for a request that is broken or not EC P-256. */
  issueClient(name: IdentityName, csrPem: string): Promise<IssuedCertificate>;
  /** A server certificate for these DNS names and addresses, with a fresh key. */
  issueServer(names: readonly string[]): Promise<ServerCertificate>;
  /** Revokes every certificate of a holder. Twice is once. */
  revoke(holder: Pick<IdentityName, "role" | "uid">, reason: string): Promise<void>;
  /** True for a serial we issued to this holder and did not revoke. Expiry is not looked at. */
  isGood(name: IdentityName, serial: string): Promise<boolean>;
  /** The revocation list: PEM, with all revoked serials that have not expired, good for a day. */
  revocationList(): Promise<string>;
}

export async function openAuthority(
  deps: { readonly dataDir: string; readonly db: Database; readonly seal: Seal; readonly clock: Clock },
  options: AuthorityOptions = {},
): Promise<Authority> {
  const { dataDir, db, seal, clock } = deps;
  const { clientLifeMs = 7 * day, serverLifeMs = 398 * day } = options;
  const folder = join(dataDir, "authority");
  const caKey = await keptKey(join(folder, "ca.key.sealed"), "authority key", seal, "ec");
  const signingKey = await keptKey(join(folder, "signing.key.sealed"), "signing key", seal, "ed25519");
  const caKeys = await importPair(caKey);
  const ca = await keptRoot(join(folder, "ca.pem"), caKeys, clock);
  const caPem = ca.toString("pem") + "\n";

  async function issue(subject: string, key: PublicKey, lifeMs: number, extensions: Extension[]) {
    const now = clock.now();
    return X509CertificateGenerator.create({
      serialNumber: newSerial(),
      subject: [{ CN: [subject] }],
      issuer: ca.subjectName.toJSON(),
      notBefore: new Date(now - 3_600_000), // clocks differ
      notAfter: new Date(now + lifeMs),
      publicKey: key,
      signingKey: caKeys.privateKey,
      signingAlgorithm: ecdsa,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        await SubjectKeyIdentifierExtension.create(key),
        await AuthorityKeyIdentifierExtension.create(ca.publicKey),
        ...extensions,
      ],
    });
  }

  return {
    caPem,
    signingKeyPem: createPublicKey(signingKey).export({ type: "spki", format: "pem" }).toString(),
    sign: (document) =>
      sign(
        null,
        typeof document === "string" ? Buffer.from(document, "utf8") : document,
        signingKey,
      ).toString("base64"),

    checkRequest: async (csrPem) => void (await requestedKey(csrPem)),

    async issueClient(name, csrPem) {
      const key = await requestedKey(csrPem);
      const made = await issue(`${name.role} ${name.uid}`, key, clientLifeMs, [
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth], true),
        new SubjectAlternativeNameExtension([{ type: "url", value: identityUri(name) }]),
      ]);
      const serial = normaliseSerial(made.serialNumber);
      const expiresAt = made.notAfter.getTime();
      await db.write((tx) =>
        tx.run(
          "INSERT INTO certificates (serial, role, uid, tenant_uid, issued_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)", // A2
          ...[serial, name.role, name.uid, name.tenantUid, clock.now(), expiresAt],
        ),
      );
      return { certificate: made.toString("pem") + "\n", serial, expiresAt };
    },

    async issueServer(names) {
      const keys = (await webcrypto.subtle.generateKey(ecdsa, true, [
        "sign",
        "verify",
      ])) as webcrypto.CryptoKeyPair;
      const made = await issue(
        names[0] ?? "plane",
        new PublicKey(await webcrypto.subtle.exportKey("spki", keys.publicKey)),
        serverLifeMs,
        [
          new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth], true),
          new SubjectAlternativeNameExtension(
            names.map((value) => ({ type: isIP(value) ? ("ip" as const) : ("dns" as const), value })),
          ),
        ],
      );
      const pkcs8 = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
      return {
        certificate: made.toString("pem") + "\n",
        key: PemConverter.encode(pkcs8, "PRIVATE KEY") + "\n",
      };
    },

    async revoke({ role, uid }, reason) {
      await db.write((tx) =>
        tx.run(
          "UPDATE certificates SET revoked_at = ?, reason = ? WHERE role = ? AND uid = ? AND revoked_at IS NULL", // A3
          ...[clock.now(), reason, role, uid],
        ),
      );
    },

    async isGood(name, serial) {
      const found = await db.get(
        "SELECT 1 FROM certificates WHERE serial = ? AND role = ? AND uid = ? AND tenant_uid = ? AND revoked_at IS NULL",
        ...[normaliseSerial(serial), name.role, name.uid, name.tenantUid],
      );
      return found !== undefined;
    },

    async revocationList() {
      const now = clock.now();
      const rows = await db.all<{ serial: string; revoked_at: number }>(
        "SELECT serial, revoked_at FROM certificates WHERE revoked_at IS NOT NULL AND expires_at > ? ORDER BY serial",
        now,
      );
      const list = await X509CrlGenerator.create({
        issuer: ca.subjectName.toJSON(),
        thisUpdate: new Date(now),
        nextUpdate: new Date(now + day),
        signingAlgorithm: ecdsa,
        signingKey: caKeys.privateKey,
        entries: rows.map((row) => ({
          serialNumber: evenHex(row.serial),
          revocationDate: new Date(row.revoked_at),
          reason: X509CrlReason.privilegeWithdrawn,
        })),
      });
      return PemConverter.encode(list.rawData, "X509 CRL") + "\n"; // openssl's header, not the library's
    },
  };
}

/** The key in a certificate request, after its own signature was checked (the requester holds the private half). */
async function requestedKey(csrPem: string): Promise<PublicKey> {
  let request: Pkcs10CertificateRequest;
  try {
    request = new Pkcs10CertificateRequest(csrPem);
  } catch (cause) {
    throw new Fault("Invalid", "the certificate request (csr) is not PKCS#10 in PEM", { cause });
  }
  const algorithm = request.publicKey.algorithm as { name?: string; namedCurve?: string };
  if (algorithm.name !== "ECDSA" || algorithm.namedCurve !== "P-256") {
    throw new Fault("Invalid", "the certificate request (csr) must be for an EC P-256 key");
  }
  if (!(await request.verify().catch(() => false))) {
    throw new Fault("Invalid", "the certificate request (csr) is not signed with its own key");
  }
  return request.publicKey;
}

async function keptKey(path: string, name: string, seal: Seal, type: "ec" | "ed25519"): Promise<KeyObject> {
  const kept = await readSecretFile(path);
  if (kept !== undefined)
    return createPrivateKey(Buffer.from(seal.open(Buffer.from(kept.trim(), "base64"), name)));
  const { privateKey } =
    type === "ec" ? generateKeyPairSync("ec", { namedCurve: "P-256" }) : generateKeyPairSync("ed25519");
  const pem = privateKey.export({ type: "pkcs8", format: "pem" });
  await writeSecretFile(path, Buffer.from(seal.seal(Buffer.from(pem), name)).toString("base64") + "\n"); // A4
  return privateKey;
}

async function keptRoot(path: string, keys: webcrypto.CryptoKeyPair, clock: Clock): Promise<X509Certificate> {
  const kept = await readSecretFile(path);
  if (kept !== undefined) return new X509Certificate(kept);
  const now = clock.now();
  const root = await X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: [{ O: ["Private Cloud Gateway"] }, { CN: [`plane authority ${randomBytes(4).toString("hex")}`] }],
    notBefore: new Date(now - 3_600_000),
    notAfter: new Date(now + 10 * 365 * day),
    keys,
    signingAlgorithm: ecdsa,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  await writeSecretFile(path, root.toString("pem") + "\n");
  return root;
}

async function importPair(key: KeyObject): Promise<webcrypto.CryptoKeyPair> {
  const der = (k: KeyObject, type: "pkcs8" | "spki") =>
    k.export({ type, format: "der" } as { type: "pkcs8"; format: "der" });
  const { subtle } = webcrypto;
  return {
    privateKey: await subtle.importKey("pkcs8", der(key, "pkcs8"), ecdsa, false, ["sign"]),
    publicKey: await subtle.importKey("spki", der(createPublicKey(key), "spki"), ecdsa, true, ["verify"]),
  };
}

/** 128 random bits, positive (RFC 5280, 4.1.2.2). */
function newSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString("hex");
}

function evenHex(serial: string): string {
  return serial.length % 2 === 0 ? serial : `0${serial}`;
}
