// Who we are at the plane: what enrolment gave us, kept in one file of mode 0600 that is replaced whole.
import { join } from "node:path";
import { X509Certificate } from "node:crypto";
import { z } from "zod";
import { Fault, Secret } from "#core";
import type { Seal } from "#core/store/seal.ts";
import { readSecretFile, writeSecretFile } from "./files.ts";
import { sealed, unsealed } from "./sealing.ts";
import type { Role } from "./uri.ts";

export interface Identity {
  readonly role: Role;
  /** The gateway's uid at the plane, or the cluster's uid for an agent. */
  readonly uid: string;
  readonly tenantUid: string;
  /** Where we enrolled, and renew. */
  readonly planeUrl: string;
  /** PEM. */
  readonly certificate: string;
  /** PKCS#8, PEM. */
  readonly privateKey: Secret;
  /** PEM bundle: who signs the plane's server certificates. Trust this and nothing else on the link. */
  readonly ca: string;
  /** host:port of the tunnel endpoint. */
  readonly tunnel: string;
  /** Ed25519 public key (PEM) that signs desired state. */
  readonly signingKey: string;
}

const stored = z.object({
  version: z.literal(1),
  role: z.enum(["gateway", "agent"]),
  uid: z.string(),
  tenantUid: z.string(),
  planeUrl: z.string(),
  certificate: z.string(),
  privateKey: z.string(),
  ca: z.string(),
  tunnel: z.string(),
  signingKey: z.string(),
});

export const identityFile = (dataDir: string) => join(dataDir, "identity.json");

/** The identity in a data directory; undefined when it never enrolled. Throws Invalid for a damaged file. */
export async function loadIdentity(dataDir: string, seal?: Seal): Promise<Identity | undefined> {
  const path = identityFile(dataDir);
  const text = await readSecretFile(path);
  if (text === undefined) return undefined;
  try {
    const { version: _, privateKey, ...rest } = stored.parse(JSON.parse(unsealed(text, "identity", seal)));
    return { ...rest, privateKey: new Secret(privateKey) };
  } catch (cause) {
    throw new Fault(
      "Invalid",
      `${path} is damaged or sealed with another key; restore it, or remove it and pair again`,
      { cause },
    );
  }
}

/** Stores an identity; the old one stays until the new one is on disk. */
export async function saveIdentity(dataDir: string, identity: Identity, seal?: Seal): Promise<void> {
  const text = JSON.stringify({ version: 1, ...identity, privateKey: identity.privateKey.reveal() });
  await writeSecretFile(identityFile(dataDir), sealed(text, "identity", seal));
}

/** When the certificate was issued and when it ends, milliseconds since 1970. */
export function validity(certificatePem: string): { fromMs: number; untilMs: number } {
  const certificate = new X509Certificate(certificatePem);
  return { fromMs: Date.parse(certificate.validFrom), untilMs: Date.parse(certificate.validTo) };
}

/** When to renew: two thirds into the certificate's life. Pure. */
export function renewAt({ fromMs, untilMs }: { fromMs: number; untilMs: number }): number {
  return fromMs + Math.round(((untilMs - fromMs) * 2) / 3);
}
