// Asking a program whether it is ready.
import { request as plain } from "node:http";
import { request as tls } from "node:https";
import type { KeyPair } from "#core/net/authority.ts";
import type { Health } from "./recipes.ts";
import type { Answer } from "./supervisor/decide.ts";

export interface ProbeIdentity {
  /** PEM. */
  readonly ca: string;
  readonly client: KeyPair;
}

const spaceAlarm =
  "etcd's database has reached its quota and takes no writes: delete what is not needed; it is compacted and goes on by itself";

/** What a program answers; rejects where it does not. */
export function probe(health: Health, identity: ProbeIdentity, signal: AbortSignal): Promise<Answer> {
  const common = { path: health.path, agent: false, signal } as const;
  return new Promise((resolve, reject) => {
    const asked =
      health.kind === "socket"
        ? plain({ ...common, socketPath: health.socketPath })
        : health.kind === "http"
          ? plain({ ...common, host: "127.0.0.1", port: health.port })
          : tls({
              ...common,
              host: "127.0.0.1",
              port: health.port,
              ca: identity.ca,
              cert: identity.client.certificate,
              key: identity.client.key.reveal(),
            });
    asked.once("response", (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk.slice(0, 10_000)));
      response.once("error", reject);
      response.once("end", () => resolve(judge(response.statusCode ?? 0, text)));
    });
    asked.once("error", reject);
    asked.end();
  });
}

/** What an answer means. Kubernetes' programs list their checks, "[-]" before those that fail; etcd gives its reason as JSON. Pure. */
export function judge(status: number, text: string): Answer {
  if (status === 200) return { ready: true };
  const failing = [...text.matchAll(/^\[-\](\S+)/gm)].map(([, name]) => name);
  if (failing.length > 0) return { ready: false, says: `not ready: ${failing.join(", ")}` };
  const [, reason] = /"reason":"([^"]+)"/.exec(text) ?? [];
  if (reason?.includes("NOSPACE")) return { ready: false, says: spaceAlarm };
  return { ready: false, says: reason ?? `it answers with status ${status}` };
}
