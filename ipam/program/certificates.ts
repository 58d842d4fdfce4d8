// The webhooks' certificate: made by us, kept in a Secret that replicas share, renewed at two thirds of its life.
//
//   H1. Of several processes one makes it: creating the Secret, or changing it at the revision that was seen, decides.
//   H2. While a new one spreads, both authorities are trusted.
import { X509Certificate } from "node:crypto";
import { isFault, type Clock, type Key, type ResourceStore } from "#core";
import { makeAuthority } from "#core/net/authority.ts";
import { secret, type SecretObject } from "#proto";
import type { ServingPair } from "../webhooks/server.ts";

export interface Serving extends ServingPair {
  /** PEM of all authorities to trust. */
  readonly ca: string;
  /** When to look for a new one, milliseconds since 1970. */
  readonly renewAt: number;
}

const days = 90;

/** The certificate now, made or renewed where it is time to. */
export async function servingCertificate(
  deps: { readonly store: ResourceStore; readonly clock: Clock },
  key: Required<Key>,
  hosts: readonly string[],
): Promise<Serving> {
  const { store, clock } = deps;
  for (let attempt = 1; ; attempt++) {
    const found = await store.get(secret, key);
    const known = found && read(found);
    if (known && clock.now() < known.renewAt && covers(known, hosts)) return known;
    const authority = await makeAuthority(`${key.name} ${new Date(clock.now()).toISOString()}`, clock, days);
    const pair = await authority.issue({ name: hosts[0] ?? key.name, hosts });
    const former = known ? firstOf(known.ca) : "";
    const data = {
      "tls.crt": encoded(pair.certificate),
      "tls.key": encoded(pair.key.reveal()),
      "ca.crt": encoded(authority.certificate + former), // H2
    };
    try {
      const written = found
        ? await store.update(secret, { ...found, data })
        : await store.create(secret, { metadata: { ...key }, type: "kubernetes.io/tls", data } as never);
      const made = read(written);
      if (made) return made;
    } catch (error) {
      if (!isFault(error, "Conflict", "AlreadyExists") || attempt >= 5) throw error; // H1: look at what the other made
    }
  }
}

function read(object: SecretObject): Serving | undefined {
  const data = object.data ?? {};
  const [cert, key, ca] = ["tls.crt", "tls.key", "ca.crt"].map((name) => decoded(data[name]));
  if (!cert || !key || !ca) return undefined;
  return { cert, key, ca, renewAt: renewalOf(cert) };
}

/** Two thirds of the way through a certificate's life. Pure. */
export function renewalOf(cert: string): number {
  const { validFrom, validTo } = new X509Certificate(cert);
  const [from, to] = [Date.parse(validFrom), Date.parse(validTo)];
  return from + ((to - from) * 2) / 3;
}

function covers({ cert }: Serving, hosts: readonly string[]): boolean {
  const certificate = new X509Certificate(cert);
  return hosts.every((host) => certificate.checkHost(host) ?? certificate.checkIP(host));
}

function firstOf(pem: string): string {
  const end = "-----END CERTIFICATE-----";
  const at = pem.indexOf(end);
  return at < 0 ? "" : `${pem.slice(0, at + end.length)}\n`;
}

function encoded(text: string): string {
  return Buffer.from(text, "utf8").toString("base64");
}

function decoded(text: string | undefined): string {
  return text === undefined ? "" : Buffer.from(text, "base64").toString("utf8");
}
