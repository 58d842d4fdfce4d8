// Kubeconfigs. Pure.
import { stringify } from "yaml";
import type { KeyPair } from "#core/net/authority.ts";

/** With everything in it: for the gateway, for kubectl, for copying. */
export function inlineKubeconfig(server: string, ca: string, client: KeyPair): string {
  const data = (text: string) => Buffer.from(text).toString("base64");
  return kubeconfig(
    { server, "certificate-authority-data": data(ca) },
    { "client-certificate-data": data(client.certificate), "client-key-data": data(client.key.reveal()) },
  );
}

/** With the names of files: whoever uses it reads them again when they change. */
export function fileKubeconfig(server: string, caFile: string, pair: { cert: string; key: string }): string {
  return kubeconfig(
    { server, "certificate-authority": caFile },
    { "client-certificate": pair.cert, "client-key": pair.key },
  );
}

function kubeconfig(
  cluster: Readonly<Record<string, string>>,
  user: Readonly<Record<string, string>>,
): string {
  const name = "pcg";
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": name,
    contexts: [{ name, context: { cluster: name, user: name } }],
    clusters: [{ name, cluster }],
    users: [{ name, user }],
  });
}
