// The REST side of vCenter: a session of its own, JSON in and out. `/api` (7.0 U2 and later) first, `/rest` where that is absent.
import { Fault, type Secret } from "#core";
import { httpText, type TextAnswer } from "./soap/http-text.ts";
import type { Transport } from "./soap/transport.ts";

export interface Rest {
  /** Which face the server has; logs in when it has not yet. */
  face(signal?: AbortSignal): Promise<"api" | "rest">;
  /** Calls a path below the face, such as "/cis/tagging/tag"; logs in first, and again when the session has ended. */
  call<T>(
    method: "GET" | "POST" | "DELETE",
    path: RestPath,
    body?: unknown,
    signal?: AbortSignal,
  ): Promise<T>;
  /** Ends the session, if there is one. */
  logout(): Promise<void>;
}

/** The same thing under both faces. The wrapper {"value": …} of `/rest` is taken off. */
export interface RestPath {
  readonly api: string;
  readonly rest: string;
}

interface RestOptions {
  readonly transport: Transport;
  readonly username: string;
  readonly password: Secret;
  /** Resolves when the password is known to be good; a refused one is not tried here either. */
  readonly admitted: (signal?: AbortSignal) => Promise<unknown>;
}

interface RestSession {
  readonly face: "api" | "rest";
  readonly id: string;
}

const login = { api: "/api/session", rest: "/rest/com/vmware/cis/session" } as const;

export function restOf({ transport, username, password, admitted }: RestOptions): Rest {
  let session: Promise<RestSession> | undefined;

  const enter = () =>
    (session ??= logIn().catch((error: unknown) => {
      session = undefined;
      throw error;
    }));

  async function logIn(): Promise<RestSession> {
    await admitted();
    const basic = Buffer.from(`${username}:${password.reveal()}`).toString("base64");
    for (const face of ["api", "rest"] as const) {
      const answer = await httpText(transport, {
        method: "POST",
        path: login[face],
        headers: { authorization: `Basic ${basic}`, "vmware-use-header-authn": "true" },
        body: "",
        repeatable: false,
        timeoutMs: 60_000,
      });
      if (answer.status === 404 && face === "api") continue;
      const id = unwrap<unknown>(
        face,
        checked(answer, `logging in to the REST side of ${transport.server} as '${username}'`),
      );
      if (typeof id !== "string")
        throw new Fault("Unavailable", `${transport.server}: its REST login gave no session`);
      return { face, id };
    }
    throw new Fault("Unavailable", `${transport.server} has no REST side`);
  }

  async function send(
    method: "GET" | "POST" | "DELETE",
    path: string,
    id: string,
    body: unknown,
    signal?: AbortSignal,
  ) {
    return httpText(transport, {
      method,
      path,
      headers: {
        "vmware-api-session-id": id,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      repeatable: method === "GET",
      timeoutMs: 60_000,
      signal,
    });
  }

  return {
    face: async () => (await enter()).face,
    async call<T>(method: "GET" | "POST" | "DELETE", path: RestPath, body?: unknown, signal?: AbortSignal) {
      let { face, id } = await enter();
      let answer = await send(method, path[face], id, body, signal);
      if (answer.status === 401) {
        session = undefined;
        ({ face, id } = await enter());
        answer = await send(method, path[face], id, body, signal);
      }
      return unwrap<T>(face, checked(answer, `${method} ${path[face]} at ${transport.server}`));
    },
    async logout() {
      if (!session) return;
      const { face, id } = await session;
      session = undefined;
      await send("DELETE", login[face], id, undefined);
    },
  };
}

function unwrap<T>(face: "api" | "rest", text: string): T {
  const json: unknown = text === "" ? undefined : JSON.parse(text);
  const wrapped = face === "rest" && typeof json === "object" && json !== null && "value" in json;
  return (wrapped ? json.value : json) as T;
}

function checked(answer: TextAnswer, doing: string): string {
  const { status, text } = answer;
  if (status >= 200 && status < 300) return text;
  if (status === 401) throw new Fault("Unauthorized", `${doing}: vCenter refuses the user name or password`);
  if (status === 403) throw new Fault("Forbidden", `${doing}: the account may not do that`);
  if (status === 404) throw new Fault("NotFound", `${doing}: there is no such thing`);
  throw new Fault("Unavailable", `${doing}: HTTP ${status}`);
}
