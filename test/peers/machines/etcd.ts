// An etcd for the API servers of clusters, outside of their machines: TLS, clients with a certificate only.
import { mkdirSync, writeFileSync } from "node:fs";
import { request as clear } from "node:http";
import { request as secure } from "node:https";
import { join } from "node:path";
import { Fault, systemClock, Secret } from "#core";
import { issue, newAuthority } from "#sandbox/capi/certificates.ts";
import { binaries } from "../harness/build.ts";
import { Child, freePorts } from "../harness/child.ts";
import type { EtcdAccess } from "./api-settings.ts";

export interface ExternalEtcd {
  /** As `etcd.external.endpoints` takes them. */
  readonly endpoints: readonly string[];
  /** PEM: what clients trust (`tls.crt` of the Secret CLUSTER-etcd). */
  readonly ca: string;
  /** Of that authority. Who does not give it away (`tls.key` of CLUSTER-etcd) leaves KCP with the client's certificate. */
  readonly caKey: Secret;
  /** A client's own (`tls.crt` and `tls.key` of the Secret CLUSTER-apiserver-etcd-client). */
  readonly certificate: string;
  readonly key: Secret;
  /** How many keys there are under a prefix; everything unless told. */
  count(prefix?: string): Promise<number>;
  stop(): Promise<void>;
}

export interface ExternalEtcdOptions {
  /** An empty folder. */
  readonly dir: string;
  /** Without TLS, as in the recorded golden run; certificates are made all the same. */
  readonly plain?: boolean;
}

export async function startExternalEtcd({ dir, plain = false }: ExternalEtcdOptions): Promise<ExternalEtcd> {
  mkdirSync(dir, { recursive: true });
  const program = (await binaries("kube"))("etcd");
  const authority = await newAuthority("etcd-ca", systemClock);
  const hosts = ["127.0.0.1", "localhost"];
  // its JSON gateway is a client of its own
  const server = await issue(
    authority,
    { commonName: "etcd" },
    { server: hosts, alsoClient: true },
    systemClock,
  );
  const client = await issue(authority, { commonName: "kube-apiserver-etcd-client" }, "client", systemClock);
  const write = (name: string, text: string) => {
    writeFileSync(join(dir, name), text, { mode: 0o600 });
    return join(dir, name);
  };
  const [ca, cert, key] = [
    write("ca.crt", authority.certificate),
    write("server.crt", server.certificate),
    write("server.key", server.key),
  ];
  const [clientPort, peerPort] = (await freePorts(2)) as [number, number];
  const [endpoint, peer] = [
    `${plain ? "http" : "https"}://127.0.0.1:${clientPort}`,
    `http://127.0.0.1:${peerPort}`,
  ];
  const args = [
    `--data-dir=${join(dir, "data")}`,
    `--listen-client-urls=${endpoint}`,
    `--advertise-client-urls=${endpoint}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    ...(plain
      ? []
      : [`--cert-file=${cert}`, `--key-file=${key}`, `--trusted-ca-file=${ca}`, "--client-cert-auth"]),
    "--unsafe-no-fsync", // a test's data need not survive the machine
    "--log-level=warn",
  ];
  const child = new Child({ name: "external-etcd", dir, program, args });
  const access: EtcdAccess = {
    endpoints: [endpoint],
    ...(plain
      ? {}
      : { tls: { ca: authority.certificate, certificate: client.certificate, key: client.key } }),
  };
  try {
    await child.until("answering", async () => (await countKeys(access, "/")) >= 0 || undefined, 30_000);
  } catch (error) {
    await child.stop();
    throw error;
  }
  return {
    endpoints: access.endpoints,
    ca: authority.certificate,
    certificate: client.certificate,
    key: new Secret(client.key),
    caKey: new Secret(authority.key),
    count: (prefix = "/") => countKeys(access, prefix),
    stop: () => child.stop(),
  };
}

export async function countKeys(etcd: EtcdAccess, prefix: string): Promise<number> {
  const { count } = await ask(etcd, "/v3/kv/range", { ...range(prefix), count_only: true });
  return Number(count ?? 0);
}

/** Removes everything under a prefix. */
export async function removeKeys(etcd: EtcdAccess, prefix: string): Promise<void> {
  await ask(etcd, "/v3/kv/deleterange", range(prefix));
}

function range(prefix: string): { key: string; range_end: string } {
  const end = Buffer.from(prefix);
  end[end.length - 1] = (end.at(-1) ?? 0) + 1;
  return { key: Buffer.from(prefix).toString("base64"), range_end: end.toString("base64") };
}

/** Through etcd's JSON gateway (etcd.io, "grpc-gateway"). */
function ask(etcd: EtcdAccess, path: string, body: unknown): Promise<{ readonly count?: string }> {
  const { endpoints, tls } = etcd;
  const url = `${endpoints[0] ?? ""}${path}`;
  const options = {
    method: "POST",
    agent: false as const,
    timeout: 10_000,
    ...(tls ? { ca: tls.ca, cert: tls.certificate, key: tls.key } : {}),
  };
  return new Promise((resolve, reject) => {
    const asked = (tls ? secure : clear)(url, options, (response) => {
      let answer = "";
      response.setEncoding("utf8").on("data", (chunk: string) => (answer += chunk));
      response.on("end", () => {
        if (response.statusCode === 200) resolve(JSON.parse(answer) as { count?: string });
        else
          reject(new Fault("Unavailable", `etcd: ${path}: ${response.statusCode} ${answer.slice(0, 200)}`));
      });
    });
    asked.once("timeout", () => asked.destroy(new Error("no answer")));
    asked.once("error", reject).end(JSON.stringify(body));
  });
}
