// Plain requests to a real API server, for what our store has no words for: dryRun.
import { Agent, request } from "node:https";
import type { Kube } from "./kube.ts";

export interface Reply {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Someone who asks the administrator's questions; close() ends his connections. */
export function asker(kube: Kube): {
  (method: string, path: string, body?: unknown): Promise<Reply>;
  close(): void;
} {
  const agent = new Agent({
    keepAlive: true,
    maxSockets: 8,
    ca: kube.ca,
    cert: kube.admin.certificate,
    key: kube.admin.key.reveal(),
  });
  const ask = (method: string, path: string, body?: unknown) =>
    new Promise<Reply>((resolve, reject) => {
      const headers = body === undefined ? {} : { "content-type": "application/json" };
      const asked = request(kube.server + path, { method, agent, headers }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
        response.on("end", () => {
          const json = response.headers["content-type"]?.startsWith("application/json");
          const read = json ? JSON.parse(text) : { message: text };
          resolve({ status: response.statusCode ?? 0, body: read as Reply["body"] });
        });
      });
      asked.once("error", reject).end(body === undefined ? undefined : JSON.stringify(body));
    });
  return Object.assign(ask, { close: () => agent.destroy() });
}
