// Asking a program whether it is ready.
import { request as plain } from "node:http";
import { request as tls } from "node:https";
import type { KeyPair } from "#core/net/authority.ts";
import type { Health } from "./recipes.ts";

export interface ProbeIdentity {
  /** PEM. */
  readonly ca: string;
  readonly client: KeyPair;
}

/** True for an answer of 200. Rejects where there is none. */
export function probe(health: Health, identity: ProbeIdentity, signal: AbortSignal): Promise<boolean> {
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
      response.resume();
      resolve(response.statusCode === 200);
    });
    asked.once("error", reject);
    asked.end();
  });
}
