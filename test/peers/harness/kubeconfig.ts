import type { KeyPair } from "#core/net/authority.ts";

/** A kubeconfig (JSON, which is YAML) with everything in it. */
export function kubeconfigText(server: string, ca: string, admin: KeyPair): string {
  const data = (text: string) => Buffer.from(text).toString("base64");
  return JSON.stringify(
    {
      apiVersion: "v1",
      kind: "Config",
      "current-context": "test",
      contexts: [{ name: "test", context: { cluster: "test", user: "admin" } }],
      clusters: [{ name: "test", cluster: { server, "certificate-authority-data": data(ca) } }],
      users: [
        {
          name: "admin",
          user: {
            "client-certificate-data": data(admin.certificate),
            "client-key-data": data(admin.key.reveal()),
          },
        },
      ],
    },
    undefined,
    2,
  );
}
