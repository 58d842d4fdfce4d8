// Renewal: who holds the key of a certificate of ours gets one for a new key.
//
//   W1. A revoked certificate renews nothing. One that expired does, for a while: a site that was cut off for weeks comes back by
//       itself, with the same key that it would have renewed with.
//   W2. A request is good for the key in its CSR only, so one that is played again helps nobody else.
import { verify, X509Certificate } from "node:crypto";
import { formatTime, type Clock } from "#core";
import type { RenewRequest } from "#proto/messages.ts";
import { identityOfAltName, renewalText, serialOf, type IdentityName } from "#tunnel/identity/index.ts";
import type { Authority } from "./authority.ts";
import { Refusal } from "./refusal.ts";

export const defaultRenewGraceMs = 90 * 86_400_000;
const skewMs = 86_400_000;

/** The holder that a renewal request speaks for. Throws Forbidden, saying why, when there is none; Unauthorized for a wrong clock. */
export async function renewalHolder(
  request: RenewRequest,
  deps: { readonly authority: Authority; readonly clock: Clock; readonly graceMs: number },
): Promise<IdentityName> {
  const { authority, clock, graceMs } = deps;
  const certificate = parsed(request.certificate);
  const name = identityOfAltName(certificate.subjectAltName);
  const serial = serialOf(request.certificate);
  if (!name || !certificate.verify(new X509Certificate(authority.caPem).publicKey)) {
    throw refused("the certificate was not issued by this plane");
  }
  const text = renewalText(request.csr, serial, request.at);
  if (!verify("sha256", text, certificate.publicKey, Buffer.from(request.signature, "base64"))) {
    throw refused("the request is not signed with the key of its certificate");
  }
  const now = clock.now();
  if (!(Math.abs(Date.parse(request.at) - now) <= skewMs)) {
    throw new Refusal(
      "Unauthorized", // another try may do better, unlike with what is Forbidden here
      "ClockSkew",
      `the request was signed at ${request.at}, and it is ${formatTime(now)} here: set the clock right`,
    );
  }
  if (now > Date.parse(certificate.validTo) + graceMs)
    throw refused("the certificate expired too long ago; pair again");
  if (!(await authority.isGood(name, serial))) throw refused("the certificate was revoked; pair again"); // W1
  return name;
}

function parsed(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw new Refusal("Invalid", "ValidationFailed", "certificate is not an X.509 certificate in PEM", {
      cause,
    });
  }
}

function refused(why: string): Refusal {
  return new Refusal("Forbidden", "RenewalRefused", why);
}
