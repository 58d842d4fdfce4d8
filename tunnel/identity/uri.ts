// How a certificate names its holder: one URI SAN, pcg://<tenantUid>/<role>/<uid>.

export type Role = "gateway" | "agent";

export interface IdentityName {
  readonly role: Role;
  /** The gateway's uid, or the cluster's uid for an agent. */
  readonly uid: string;
  readonly tenantUid: string;
}

const part = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

export function identityUri({ role, uid, tenantUid }: IdentityName): string {
  return `pcg://${tenantUid}/${role}/${uid}`;
}

/** The name in a URI; undefined for anything that is not exactly one of ours. */
export function parseIdentityUri(uri: string): IdentityName | undefined {
  const [tenantUid = "", role = "", uid = "", ...more] = uri.startsWith("pcg://")
    ? uri.slice(6).split("/")
    : [];
  if (more.length > 0 || !part.test(tenantUid) || !part.test(uid)) return undefined;
  return role === "gateway" || role === "agent" ? { role, uid, tenantUid } : undefined;
}

/** Reads node's `subjectaltname` text ("URI:pcg://...") of a verified certificate; undefined unless it holds exactly one of ours. */
export function identityOfAltName(subjectAltName: string | undefined): IdentityName | undefined {
  const entries = (subjectAltName ?? "").split(", ");
  const [only] = entries;
  if (entries.length !== 1 || !only?.startsWith("URI:")) return undefined;
  return parseIdentityUri(only.slice(4));
}
