// Who a certificate names: the URI `pcg://<tenantUid>/gateway/<uid>` or `pcg://<tenantUid>/agent/<clusterUid>` in its SAN. Pure.
import { Fault } from "#core";
import type { PeerIdentity } from "../link.ts";

const pattern = /^URI:pcg:\/\/([A-Za-z0-9._-]+)\/(gateway|agent)\/([A-Za-z0-9._-]+)$/;

/**
 * The identity in a certificate's subjectAltName as Node prints it, and its serial number. Throws Unauthorized when it names none,
 * or more than one. (Node quotes values that hold a comma, so no value can pretend to be two.)
 */
export function identityOf(certificate: {
  readonly subjectaltname?: string | undefined;
  readonly serialNumber: string;
}): PeerIdentity {
  const names = (certificate.subjectaltname ?? "").split(", ").filter((name) => name.startsWith("URI:"));
  const [only] = names;
  const match = names.length === 1 && only ? pattern.exec(only) : null;
  const [, tenantUid, role, uid] = match ?? [];
  if (!tenantUid || !uid || (role !== "gateway" && role !== "agent")) {
    throw new Fault(
      "Unauthorized",
      "the client certificate names no gateway and no agent (one URI pcg://TENANT/ROLE/UID)",
    );
  }
  return { tenantUid, role, uid, serial: certificate.serialNumber.toLowerCase() };
}
