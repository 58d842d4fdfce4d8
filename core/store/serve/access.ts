// Who is asking, and questions about oneself.
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import type { TLSSocket } from "node:tls";
import { Fault } from "../../fault.ts";
import { Secret } from "../../secret.ts";
import { isMembers } from "./patch.ts";
import { badRequest } from "./problem.ts";

/** Who is asking: a name and groups, as Kubernetes has them. */
export interface Caller {
  readonly name: string;
  readonly groups: readonly string[];
}

/** Says whom a bearer token belongs to; undefined: to nobody. */
export type Authenticate = (token: string) => Caller | undefined | Promise<Caller | undefined>;

export interface Doors {
  /** The one token, or someone who knows them; absent: no tokens. */
  readonly token?: Secret | Authenticate;
  /** True where client certificates were asked for. */
  readonly certificates: boolean;
}

const admin: Caller = { name: "admin", groups: ["system:masters", "system:authenticated"] };

/** Who sends this request. With no doors at all everyone is the administrator; else Unauthorized for strangers. */
export async function callerOf(request: IncomingMessage, doors: Doors): Promise<Caller> {
  if (!doors.token && !doors.certificates) return admin;
  const caller = (doors.certificates && certified(request)) || (await bearer(request, doors.token));
  if (caller) return caller;
  throw new Fault("Unauthorized", "Unauthorized");
}

function certified(request: IncomingMessage): Caller | undefined {
  const socket = request.socket as TLSSocket;
  if (!socket.authorized) return undefined;
  const shown = socket.getPeerCertificate() as { subject?: { CN?: string; O?: string | string[] } };
  const { CN, O } = shown.subject ?? {};
  const groups = O === undefined ? [] : Array.isArray(O) ? O : [O];
  return CN ? { name: CN, groups: [...groups, "system:authenticated"] } : undefined;
}

async function bearer(request: IncomingMessage, token: Doors["token"]): Promise<Caller | undefined> {
  const given = /^Bearer (.+)$/i.exec(request.headers.authorization ?? "")?.[1];
  if (given === undefined || token === undefined) return undefined;
  if (!(token instanceof Secret)) return token(given);
  return timingSafeEqual(digest(given), digest(token.reveal())) ? admin : undefined;
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/** True for names and addresses that only this machine can reach. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, "");
  return bare === "localhost" || bare === "::1" || (isIP(bare) === 4 && bare.startsWith("127."));
}

/**
 * Whether a Host header is one that a program on this machine would send. A page in a browser that was sent here under a foreign name
 * (DNS rebinding) is not; it matters where nobody has to say who he is.
 */
export function isLocalHost(header: string | undefined): boolean {
  return header === undefined || isLoopback(header.replace(/:\d+$/, ""));
}

/** The answer to a review: everyone who came in may do everything. */
export function review(kind: string, body: unknown, caller: Caller): unknown {
  if (!isMembers(body)) throw badRequest("the body must be one object");
  switch (kind) {
    case "SelfSubjectAccessReview":
      return { ...body, status: { allowed: true, reason: "everyone who is let in may do everything" } };
    case "SelfSubjectRulesReview": {
      const all = { verbs: ["*"], apiGroups: ["*"], resources: ["*"] };
      const paths = { verbs: ["*"], nonResourceURLs: ["*"] };
      return { ...body, status: { resourceRules: [all], nonResourceRules: [paths], incomplete: false } };
    }
    default:
      return { ...body, status: { userInfo: { username: caller.name, groups: caller.groups } } };
  }
}
