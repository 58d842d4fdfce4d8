// `pcg` as processes of their own, to be used as a person would, and to be killed. They run from a bundle made once a test run, so that a start takes half a second.
import { spawn, type ChildProcess } from "node:child_process";
import { createServer } from "node:net";
import { readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { bundlePcg } from "../../tools/bundle.ts";

const root = join(import.meta.dirname, "../..");
let bundle: Promise<string> | undefined;

/** The program, bundled as for a release, below node_modules/.cache, where the native addon is found. */
export function pcgBundle(): Promise<string> {
  return (bundle ??= (async () => {
    const outdir = join(root, "node_modules/.cache", `pcg-test-${process.pid}`);
    await removeStale(join(root, "node_modules/.cache"));
    await bundlePcg(root, outdir);
    return join(outdir, "pcg.mjs");
  })());
}

/** Bundles of test runs that are over. */
async function removeStale(cache: string): Promise<void> {
  const names = await readdir(cache).catch(() => []);
  const over = names.filter((name) => name.startsWith("pcg-test-") && !isAlive(Number(name.slice(9))));
  await Promise.all(over.map((name) => rm(join(cache, name), { recursive: true, force: true })));
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

export interface Child {
  /** Starts it; resolves when a line of its output contains `ready`. Rejects with its errors when it ends before. */
  start(): Promise<void>;
  /** kill -9; resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGTERM; resolves with the milliseconds it took. */
  stop(): Promise<number>;
  /** Its process id, while it runs. */
  pid(): number | undefined;
  /** What it wrote to standard output, over all its starts. */
  readonly lines: string[];
}

/** A `pcg` command that runs on, in a folder. */
export async function child(args: readonly string[], cwd: string, ready: string): Promise<Child> {
  const program = await pcgBundle();
  const lines: string[] = [];
  let running: ChildProcess | undefined;

  async function end(signal: NodeJS.Signals): Promise<number> {
    const ended = running;
    running = undefined;
    const at = Date.now();
    if (!ended || ended.exitCode !== null || ended.signalCode !== null) return 0;
    await new Promise<void>((resolve) => {
      ended.once("exit", () => resolve());
      ended.kill(signal);
    });
    return Date.now() - at;
  }

  return {
    lines,
    pid: () => running?.pid,
    start: () =>
      new Promise((resolve, reject) => {
        const started = spawn(program, args, {
          cwd,
          stdio: ["ignore", "pipe", "pipe"],
        });
        running = started;
        const errors: string[] = [];
        started.stdout.setEncoding("utf8").on("data", (text: string) => {
          lines.push(...text.split("\n").filter(Boolean));
          if (text.includes(ready)) resolve();
        });
        started.stderr.setEncoding("utf8").on("data", (text: string) => errors.push(text));
        started.once("exit", (code, signal) =>
          reject(new Error(`pcg ${args.join(" ")} ended (${code ?? signal}): ${errors.join("")}`)),
        );
      }),
    kill: async () => void (await end("SIGKILL")),
    stop: () => end("SIGTERM"),
  };
}

export interface ChildGateway extends Child {
  readonly configPath: string;
  readonly kubeconfigPath: string;
}

/** A gateway with these settings over the usual ones. */
export async function childGateway(folder: string, settings: Record<string, unknown>): Promise<ChildGateway> {
  const dataDir = join(folder, "gateway");
  const configPath = join(folder, "gateway.yaml");
  await writeFile(
    configPath,
    stringify({ dataDir, api: { listen: `127.0.0.1:${await freePort()}` }, ...settings }),
  );
  const gateway = await child(["gateway", "--config", configPath], folder, "gateway ready");
  return { ...gateway, configPath, kubeconfigPath: join(dataDir, "kubeconfig") };
}

/** Runs a `pcg` command to its end. */
export async function pcg(args: readonly string[], cwd: string, env: Record<string, string> = {}) {
  const program = await pcgBundle();
  return new Promise<{ code: number; out: string; err: string }>((resolve) => {
    const run = spawn(program, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let out = "";
    let err = "";
    run.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
    run.stderr.setEncoding("utf8").on("data", (text: string) => (err += text));
    run.once("close", (code) => resolve({ code: code ?? -1, out, err }));
  });
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
