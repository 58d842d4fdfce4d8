// The gateway as a process of its own, to be killed. It runs from a bundle made once a test run, so that a start takes half a second.
import { spawn, type ChildProcess } from "node:child_process";
import { createServer } from "node:net";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";
import { stringify } from "yaml";

const root = join(import.meta.dirname, "../..");
let bundle: Promise<string> | undefined;

/** dist-like bundle of `pcg` below node_modules/.cache, where the native addon is found. */
export function pcgBundle(): Promise<string> {
  return (bundle ??= (async () => {
    const outfile = join(root, "node_modules/.cache", `pcg-test-${process.pid}.mjs`);
    await build({
      entryPoints: [join(root, "cli/main.ts")],
      outfile,
      bundle: true,
      platform: "node",
      target: "node20",
      format: "esm",
      external: ["sqlite3"],
      banner: {
        js: `import { createRequire as pcgCreateRequire } from "node:module"; const require = pcgCreateRequire(import.meta.url);`,
      },
      logLevel: "silent",
    });
    return outfile;
  })());
}

export interface ChildGateway {
  readonly configPath: string;
  readonly dataDir: string;
  readonly kubeconfigPath: string;
  /** Starts it; resolves when it is ready. */
  start(): Promise<void>;
  /** kill -9; resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGTERM; resolves with the milliseconds it took. */
  stop(): Promise<number>;
  /** Runs `pcg` with these arguments; resolves with its exit status and output. */
  pcg(...args: string[]): Promise<{ code: number; out: string; err: string }>;
  readonly lines: string[];
}

export async function childGateway(folder: string, settings: Record<string, unknown>): Promise<ChildGateway> {
  const program = await pcgBundle();
  const dataDir = join(folder, "gateway");
  const configPath = join(folder, "gateway.yaml");
  await mkdir(folder, { recursive: true });
  await writeFile(
    configPath,
    stringify({ dataDir, api: { listen: `127.0.0.1:${await freePort()}` }, ...settings }),
  );
  const lines: string[] = [];
  let child: ChildProcess | undefined;

  const gone = (process: ChildProcess) =>
    new Promise<void>((resolve) => {
      if (process.exitCode !== null || process.signalCode !== null) resolve();
      else process.once("exit", () => resolve());
    });

  return {
    configPath,
    dataDir,
    kubeconfigPath: join(dataDir, "kubeconfig"),
    lines,
    start: () =>
      new Promise((resolve, reject) => {
        const started = spawn(process.execPath, [program, "gateway", "--config", configPath], {
          stdio: ["ignore", "pipe", "pipe"],
        });
        child = started;
        const errors: string[] = [];
        started.stdout.setEncoding("utf8").on("data", (text: string) => {
          lines.push(...text.split("\n").filter(Boolean));
          if (text.includes("gateway ready")) resolve();
        });
        started.stderr.setEncoding("utf8").on("data", (text: string) => errors.push(text));
        started.once("exit", (code, signal) =>
          reject(new Error(`the gateway ended (${code ?? signal}): ${errors.join("")}`)),
        );
      }),
    async kill() {
      const killed = child;
      child = undefined;
      killed?.kill("SIGKILL");
      if (killed) await gone(killed);
    },
    async stop() {
      const stopped = child;
      child = undefined;
      const at = Date.now();
      stopped?.kill("SIGTERM");
      if (stopped) await gone(stopped);
      return Date.now() - at;
    },
    pcg: (...args) => runPcg(program, args, folder),
  };
}

export function runPcg(
  program: string,
  args: readonly string[],
  cwd: string,
  env: Record<string, string> = {},
) {
  return new Promise<{ code: number; out: string; err: string }>((resolve) => {
    const run = spawn(process.execPath, [program, ...args], {
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
