// The certificate that the providers' webhooks serve with. One for all of them: they live in one namespace, behind four Services.
//
//   C1. Renewed when less than a third of its life is left, or when it does not fit the Services.
//   C2. Trust goes before the certificate: an API server believes the new authority before anybody serves with it, and the former one
//       for as long as it is valid. So a renewal is never noticed.
//   C3. The authority's key is kept nowhere; a new certificate has a new authority.
import { X509Certificate } from "node:crypto";
import type { Secret } from "#core";
import { type Clock } from "#core";
import { makeAuthority } from "#core/net/authority.ts";

export interface ServingCertificate {
  /** PEM. */
  readonly certificate: string;
  readonly key: Secret;
  /** PEM: whom an API server shall believe; the newest first. */
  readonly authorities: string;
}

const days = 365;

/** When a certificate is to be renewed (C1), milliseconds since 1970. */
export function renewalAt(certificate: string): number {
  const { validFrom, validTo } = new X509Certificate(certificate);
  const [from, to] = [Date.parse(validFrom), Date.parse(validTo)];
  return to - (to - from) / 3;
}

/** The certificate to serve with from now on: the present one, where it still does. `hosts`: the Services' names. */
export async function servingCertificate(
  present: ServingCertificate | undefined,
  hosts: readonly string[],
  clock: Clock,
): Promise<ServingCertificate> {
  const now = clock.now();
  if (present && serves(present, hosts, now)) return present;
  const authority = await makeAuthority("pcg-provider-webhooks", clock, days);
  const issued = await authority.issue({ name: "provider-webhooks", hosts });
  const former = present ? stillValid(present.authorities, now) : [];
  return { ...issued, authorities: [authority.certificate, ...former].join("") }; // C2
}

function serves(
  { certificate, authorities }: ServingCertificate,
  hosts: readonly string[],
  now: number,
): boolean {
  try {
    const leaf = new X509Certificate(certificate);
    const known = pemsIn(authorities).some((pem) => leaf.verify(new X509Certificate(pem).publicKey));
    return known && now < renewalAt(certificate) && hosts.every((host) => leaf.checkHost(host) !== undefined);
  } catch {
    return false; // whatever it is, it is no certificate
  }
}

/** At most the newest one: two renewals within a year need a person's hand. */
function stillValid(authorities: string, now: number): string[] {
  return pemsIn(authorities)
    .slice(0, 1)
    .filter((pem) => isCertificate(pem) && Date.parse(new X509Certificate(pem).validTo) > now)
    .map((pem) => `${pem}\n`);
}

function isCertificate(pem: string): boolean {
  try {
    return Boolean(new X509Certificate(pem));
  } catch {
    return false;
  }
}

function pemsIn(text: string): string[] {
  return text.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
}
