// The REST side: sessions with checked passwords, under both faces. Nothing else yet: tags and libraries answer 404.
import type { KnobState } from "./knobs.ts";
import type { Rights } from "./rights.ts";
import type { SimSessions } from "./sim-sessions.ts";

export interface RestCall {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly sessionId: string | undefined;
  readonly client: { readonly userAgent: string; readonly address: string };
}

export interface RestAnswer {
  readonly status: number;
  readonly body?: unknown;
}

interface Deps {
  readonly rights: Rights;
  readonly sessions: SimSessions;
  readonly knobs: KnobState;
}

const loginPaths: Readonly<Record<string, "api" | "rest">> = {
  "/api/session": "api",
  "/rest/com/vmware/cis/session": "rest",
};

/** Undefined for a path that is not REST's. */
export function restAnswer(call: RestCall, deps: Deps): RestAnswer | undefined {
  const [path = "", query = ""] = call.path.split("?");
  const face = loginPaths[path];
  if (!face) return /^\/(api|rest)\//.test(path) ? afterLogin(call, deps) : undefined;
  const wrap = (value: unknown) => (face === "rest" ? { value } : value);
  if (call.method === "DELETE") {
    const ended = call.sessionId !== undefined && deps.sessions.end(call.sessionId);
    return ended ? { status: face === "api" ? 204 : 200 } : unauthorized;
  }
  if (call.method === "GET" || query.includes("~action=get")) {
    const session = deps.sessions.use(call.sessionId);
    return session ? { status: 200, body: wrap({ user: session.username }) } : unauthorized;
  }
  const [username, password] = basic(call.authorization);
  if (deps.knobs.refuseLogins || username === undefined || !deps.rights.accepts(username, password ?? ""))
    return unauthorized;
  const session = deps.sessions.open(username, call.client);
  return { status: face === "api" ? 201 : 200, body: wrap(session.key) };
}

const unauthorized: RestAnswer = {
  status: 401,
  body: { type: "com.vmware.vapi.std.errors.unauthenticated" },
};

function afterLogin(call: RestCall, deps: Deps): RestAnswer {
  return deps.sessions.use(call.sessionId) ? { status: 404 } : unauthorized;
}

/** User name and password of a Basic header. */
function basic(header: string | undefined): [string | undefined, string | undefined] {
  const encoded = /^Basic (.+)$/i.exec(header ?? "")?.[1];
  if (encoded === undefined) return [undefined, undefined];
  const text = Buffer.from(encoded, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon < 0 ? [text, ""] : [text.slice(0, colon), text.slice(colon + 1)];
}
