// Who a client certificate names: the one URI in its SAN (identity/uri.ts), and its serial number. Pure.
import { Fault } from "#core";
import { identityOfAltName } from "../identity/uri.ts";
import type { PeerIdentity } from "../link.ts";

/**
 * The identity in a certificate as Node shows it. Throws Unauthorized when its subjectAltName is anything but one of our URIs.
 * (Node quotes values that hold a comma, so no value can pretend to be two.)
 */
export function identityOf(certificate: {
  readonly subjectaltname?: string | undefined;
  readonly serialNumber: string;
}): PeerIdentity {
  const name = identityOfAltName(certificate.subjectaltname);
  if (!name) {
    throw new Fault(
      "Unauthorized",
      "the client certificate names no gateway and no agent (one URI pcg://TENANT/ROLE/UID)",
    );
  }
  return { ...name, serial: certificate.serialNumber.toLowerCase() };
}
