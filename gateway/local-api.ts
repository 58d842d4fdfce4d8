// The gateway's local API: the REST face over its embedded store, for kubectl, `pcg`, and the controllers beside it.
// It listens where the operator says (loopback unless told), speaks TLS, and wants a token that lies in the data directory.
import { createPrivateKey, randomBytes, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { join } from "node:path";
import { stringify } from "yaml";
import { Secret, type Clock, type Logger, type ResourceStore } from "#core";
import { selfSigned, type SelfSigned } from "#core/net/self-signed.ts";
import { serveStore } from "#core/store/serve.ts";
import { allKinds } from "#proto";
import { readSecretFile, writeSecretFile } from "#tunnel/identity/files.ts";

export interface LocalApi {
  readonly url: string;
  /** A file for kubectl, mode 0600, with the address, the certificate and the token. */
  readonly kubeconfigPath: string;
  close(): Promise<void>;
}

export interface LocalApiOptions {
  readonly dataDir: string;
  readonly listen: { readonly host: string; readonly port: number };
}

export async function startLocalApi(
  deps: { readonly store: ResourceStore; readonly clock: Clock; readonly log: Logger },
  options: LocalApiOptions,
): Promise<LocalApi> {
  const { dataDir, listen } = options;
  const token = await keptToken(join(dataDir, "api-token"));
  const tls = await keptCertificate(
    dataDir,
    [...new Set([listen.host, "localhost", "127.0.0.1"])],
    deps.clock,
  );
  const served = await serveStore(deps.store, {
    kinds: allKinds,
    listen,
    tls: { cert: tls.certificate, key: tls.key.reveal() },
    token,
    log: deps.log.child({ component: "local-api" }),
    clock: deps.clock,
  });
  const kubeconfigPath = join(dataDir, "kubeconfig");
  await writeSecretFile(kubeconfigPath, kubeconfig(served.url, tls.certificate, token));
  return { url: served.url, kubeconfigPath, close: () => served.close() };
}

const monthMs = 30 * 86_400_000;

/** The certificate of the last start, while it is good for another month and for these names: clients have pinned it. */
async function keptCertificate(dataDir: string, names: readonly string[], clock: Clock): Promise<SelfSigned> {
  const [certificatePath, keyPath] = [join(dataDir, "api-cert.pem"), join(dataDir, "api-key.pem")];
  const [certificate, key] = [await readSecretFile(certificatePath), await readSecretFile(keyPath)];
  if (certificate && key) {
    const kept = new X509Certificate(certificate);
    const named = names.every((name) => (isIP(name) ? kept.checkIP(name) : kept.checkHost(name)));
    const mine = kept.checkPrivateKey(createPrivateKey(key));
    if (named && mine && Date.parse(kept.validTo) - clock.now() > monthMs)
      return { certificate, key: new Secret(key) };
  }
  const made = await selfSigned(names, clock);
  await writeSecretFile(keyPath, made.key.reveal());
  await writeSecretFile(certificatePath, made.certificate);
  return made;
}

async function keptToken(path: string): Promise<Secret> {
  const kept = (await readSecretFile(path))?.trim();
  if (kept) return new Secret(kept);
  const made = randomBytes(24).toString("base64url");
  await writeSecretFile(path, `${made}\n`);
  return new Secret(made);
}

function kubeconfig(server: string, ca: string, token: Secret): string {
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      {
        name: "gateway",
        cluster: { server, "certificate-authority-data": Buffer.from(ca).toString("base64") },
      },
    ],
    users: [{ name: "operator", user: { token: token.reveal() } }],
    contexts: [{ name: "gateway", context: { cluster: "gateway", user: "operator", namespace: "default" } }],
    "current-context": "gateway",
  });
}
