// Plain requests to an API server, for what our store has no words for.
import { Agent, request } from "node:https";
import type { KeyPair } from "#core/net/authority.ts";

/** A server, and whom it lets in. */
export interface Reachable {
  readonly server: string;
  readonly ca: string;
  readonly admin: KeyPair;
}

export interface Reply {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Someone who asks the administrator's questions; close() ends his connections. */
export interface Asker {
  /** A body that is no text goes as JSON. */
  (method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<Reply>;
  close(): void;
}

export function asker({ server, ca, admin }: Reachable): Asker {
  const agent = new Agent({
    keepAlive: true,
    maxSockets: 8,
    ca,
    cert: admin.certificate,
    key: admin.key.reveal(),
  });
  const ask = (
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ) =>
    new Promise<Reply>((resolve, reject) => {
      const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
      const length = { "content-type": "application/json", "content-length": Buffer.byteLength(text ?? "") };
      const sent = { ...(text === undefined ? {} : length), ...headers };
      const asked = request(server + path, { method, agent, headers: sent }, (response) => {
        let answer = "";
        response.setEncoding("utf8").on("data", (chunk: string) => (answer += chunk));
        response.on("end", () => {
          const json = response.headers["content-type"]?.startsWith("application/json");
          const read = json ? JSON.parse(answer) : { message: answer };
          resolve({ status: response.statusCode ?? 0, body: read as Reply["body"] });
        });
      });
      asked.once("error", reject);
      asked.end(text);
    });
  return Object.assign(ask, { close: () => agent.destroy() });
}
