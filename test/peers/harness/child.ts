// A program run beside a test: its output in a file, its end certain.
//
//   C1. stop() ends it: SIGTERM, and SIGKILL for one that does not listen. Twice is once.
//   C2. It does not outlive the test's process, whatever ends that: a watchdog reads a pipe which closes then, and kills it.
//   C3. One that ends by itself while it is waited for fails the wait with the last lines of its log.
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";

export interface ChildOptions {
  readonly program: string;
  readonly args: readonly string[];
  /** The log is `<name>.log` in this folder. */
  readonly dir: string;
  readonly name: string;
  readonly env?: Readonly<Record<string, string>>;
}

export class Child {
  readonly name: string;
  readonly #log: string;
  readonly #process: ChildProcess;
  readonly #watchdog: ChildProcess;
  readonly #ended: Promise<void>;
  #end: string | undefined;

  constructor({ program, args, dir, name, env }: ChildOptions) {
    this.name = name;
    this.#log = join(dir, `${name}.log`);
    const log = openSync(this.#log, "a");
    this.#process = spawn(program, args, {
      cwd: dir,
      stdio: ["ignore", log, log],
      env: env ?? { PATH: process.env["PATH"] ?? "", HOME: dir },
    });
    closeSync(log);
    this.#ended = new Promise((resolve) => {
      this.#process.once("error", (error) => resolve(void (this.#end = error.message)));
      this.#process.once("exit", (code, signal) => resolve(void (this.#end = signal ?? `status ${code}`)));
    });
    this.#watchdog = watchdog(this.#process.pid);
  }

  /** Resolves when it has ended, however that came. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /** How it ended, and the end of its log; undefined while it runs. */
  get end(): string | undefined {
    return this.#end === undefined ? undefined : `${this.name} ended (${this.#end}): ${this.#tail()}`;
  }

  /** What it has written so far. */
  get log(): string {
    return readFileSync(this.#log, "utf8");
  }

  /** Waits until the probe gives something; a probe that throws is asked again (C3). */
  async until<T>(what: string, probe: () => Promise<T | undefined>, patienceMs: number): Promise<T> {
    let why = "";
    for (const deadline = Date.now() + patienceMs; Date.now() < deadline;) {
      if (this.#end !== undefined) throw new Error(`${this.name} ended (${this.#end}): ${this.#tail()}`);
      try {
        const found = await probe();
        if (found !== undefined) return found;
      } catch (error) {
        why = error instanceof Error ? error.message : String(error);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`${this.name}: ${what} took more than ${patienceMs} ms (${why}): ${this.#tail()}`);
  }

  async stop(): Promise<void> {
    if (this.#end === undefined) this.#process.kill("SIGTERM");
    const hard = setTimeout(() => this.#process.kill("SIGKILL"), 5000);
    await this.#ended;
    clearTimeout(hard);
    this.#watchdog.kill("SIGKILL"); // before its pipe closes: the number may belong to someone else by then
  }

  /** Ends it without warning, as a power cut does. */
  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.stop();
  }

  #tail(): string {
    return `its log ends with\n${this.log.split("\n").slice(-15).join("\n")}`;
  }
}

/** C2. In its own group, so that a Ctrl-C does not end it before it can act. */
function watchdog(pid: number | undefined): ChildProcess {
  const script = 'cat >/dev/null; kill -9 "$1" 2>/dev/null';
  const child = spawn("sh", ["-c", script, "watchdog", String(pid ?? 0)], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  child.unref();
  (child.stdin as unknown as { unref?(): void }).unref?.();
  return child;
}

/** Ports on 127.0.0.1 that nobody listens on at this moment. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, () => {
      const server = createServer();
      return new Promise<typeof server>((resolve, reject) => {
        server.once("error", reject).listen(0, "127.0.0.1", () => resolve(server));
      });
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
