// How a program in a pod reaches its API server: by the files of its service account.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault, type Clock, type KubeConnection } from "#core";

const folder = "/var/run/secrets/kubernetes.io/serviceaccount";
/** Tokens are renewed in their file long before they end. */
const rereadMs = 60_000;

export interface Pod {
  readonly connection: KubeConnection;
  readonly namespace: string;
}

/** Invalid where this is no pod: then a kubeconfig must be named. */
export async function podConnection(
  env: Readonly<Record<string, string | undefined>>,
  clock: Clock,
  at: string = folder,
): Promise<Pod> {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = "443" } = env;
  const file = (name: string) => readFile(join(at, name), "utf8");
  if (!host)
    throw new Fault(
      "Invalid",
      "--kubeconfig is missing, and this is no pod: name the kubeconfig of the API server",
    );
  let token: { readonly text: string; readonly readAt: number } | undefined;
  return {
    connection: {
      server: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
      ca: await file("ca.crt"),
      async token() {
        if (!token || clock.now() - token.readAt > rereadMs)
          token = { text: (await file("token")).trim(), readAt: clock.now() };
        return token.text;
      },
    },
    namespace: (await file("namespace")).trim(),
  };
}
