// Two API servers for the same commands: the real kube-apiserver, and our REST face over a memory store.
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger, systemClock, type Kind } from "#core";
import { makeAuthority } from "#core/net/authority.ts";
import { memoryStore } from "#core/store/memory-store.ts";
import { serveStore } from "#core/store/serve.ts";
import { crdOf } from "#proto/generate-crds.ts";
import { allKinds } from "#proto";
import { asker, type Asker, type Reachable, type Reply } from "./ask.ts";
import { binaries } from "./build.ts";
import { applyCrds } from "./crds.ts";
import { startKube } from "./kube.ts";
import { kubeconfigText } from "./kubeconfig.ts";

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A server, and kubectl that speaks to it. */
export interface Side {
  readonly name: string;
  kubectl(args: readonly string[], input?: string, env?: Readonly<Record<string, string>>): Promise<Outcome>;
  /** A plain request, "GET /apis", as the administrator. A body goes as JSON unless the headers say otherwise. */
  ask(line: string, body?: string, headers?: Readonly<Record<string, string>>): Promise<Reply>;
  /** Starts a kubectl that does not end by itself; `lines` are what it has printed so far. */
  follow(args: readonly string[]): { lines(): string[]; stop(): Promise<void> };
}

export type { Reply } from "./ask.ts";

export interface Sides {
  readonly real: Side;
  readonly ours: Side;
  /** A folder for files that both read. */
  readonly dir: string;
  close(): Promise<void>;
}

export async function startSides(kinds: readonly Kind[]): Promise<Sides> {
  const dir = mkdtempSync(join(tmpdir(), "pcg-peers-"));
  const kubectl = (await binaries("kube"))("kubectl");
  const closing: (() => unknown)[] = [() => rmSync(dir, { recursive: true, force: true })];
  const close = async () => {
    for (const each of closing.splice(0).reverse()) await each();
  };
  try {
    const kube = await startKube({ dir: join(dir, "kube") });
    closing.push(() => kube.stop());
    await applyCrds(kube, kinds.map(crdOf));

    const face = await startFace(kinds);
    closing.push(() => face.close());
    const ours = join(dir, "ours.kubeconfig");
    writeFileSync(ours, face.kubeconfig, { mode: 0o600 });
    const asks = [kube, face].map(asker);
    closing.push(() => asks.forEach((ask) => ask.close()));
    return {
      real: side("kube-apiserver", kubectl, kube.kubeconfigPath, join(dir, "cache-real"), dir, asks[0]!),
      ours: side("our REST face", kubectl, ours, join(dir, "cache-ours"), dir, asks[1]!),
      dir,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Our face over TLS with client certificates, as it stands in production. */
async function startFace(
  kinds: readonly Kind[],
): Promise<Reachable & { readonly kubeconfig: string; close(): Promise<void> }> {
  const authority = await makeAuthority("ours", systemClock);
  const server = await authority.issue({ name: "server", hosts: ["127.0.0.1"] });
  const admin = await authority.issue({ name: "admin", organization: "system:masters" });
  const store = memoryStore({ clock: systemClock, requireNamespaces: true });
  const namespace = allKinds.find((kind) => kind.kind === "Namespace")!;
  for (const name of ["default", "kube-system", "kube-public", "kube-node-lease"]) {
    await store.create(namespace, { metadata: { name } });
  }
  const served = await serveStore(store, {
    kinds: [...allKinds, ...kinds],
    listen: { host: "127.0.0.1", port: 0 },
    tls: { cert: server.certificate, key: server.key, clientCa: authority.certificate },
    log: silentLogger,
    clock: systemClock,
  });
  return {
    server: served.url,
    ca: authority.certificate,
    admin,
    kubeconfig: kubeconfigText(served.url, authority.certificate, admin),
    async close() {
      await served.close();
      await store.close();
    },
  };
}

function side(
  name: string,
  program: string,
  kubeconfig: string,
  cache: string,
  dir: string,
  asks: Asker,
): Side {
  const start = (args: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess =>
    spawn(program, ["--kubeconfig", kubeconfig, "--cache-dir", cache, ...args], {
      cwd: dir,
      env: { PATH: process.env["PATH"] ?? "", HOME: dir, ...env },
    });
  return {
    name,
    ask(line, body, headers) {
      const [method, path] = line.split(" ") as [string, string];
      return asks(method, path, body, headers);
    },
    kubectl(args, input, env) {
      return new Promise((resolve, reject) => {
        const child = start(args, env);
        let [out, err] = ["", ""];
        child.stdout!.on("data", (text: Buffer) => (out += text.toString()));
        child.stderr!.on("data", (text: Buffer) => (err += text.toString()));
        child.once("error", reject);
        child.once("close", (code) => resolve({ code: code ?? -1, out, err }));
        child.stdin!.on("error", () => {}).end(input ?? "");
      });
    },
    follow(args) {
      const child = start(args);
      let out = "";
      child.stdout!.on("data", (text: Buffer) => (out += text.toString()));
      const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
      return {
        lines: () => out.split("\n").filter((line) => line !== ""),
        async stop() {
          child.kill("SIGTERM");
          await ended;
        },
      };
    },
  };
}
