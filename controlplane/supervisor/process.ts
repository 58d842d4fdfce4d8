// A program as a child process, on Linux.
//
//   C1. It does not outlive us, whatever ends us: the kernel kills it when its parent dies (PR_SET_PDEATHSIG, set by setpriv before it
//       becomes the program, so that there is no guard process in between that could die first).
//   C2. What it writes comes line by line; a line that does not end is cut.
//   C3. How it ended is told once, in words.
import { spawn, type ChildProcess } from "node:child_process";
import { readFile } from "node:fs/promises";
import type { Readable } from "node:stream";

export interface Command {
  readonly path: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

export interface Spawned {
  readonly pid: number | undefined;
  /** How it ended: "status 1", "SIGKILL", or why it could not be started. Never rejects. */
  readonly ended: Promise<string>;
  kill(signal: "SIGTERM" | "SIGKILL"): void;
}

export type Spawn = (command: Command, onLine: (line: string) => void) => Spawned;

const longestLine = 64 * 1024;

export const spawnProgram: Spawn = ({ path, args, env, cwd }, onLine) => {
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", path, ...args], {
    cwd,
    env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  hear(child.stdout, onLine);
  hear(child.stderr, onLine);
  return {
    pid: child.pid,
    ended: endOf(child),
    kill: (signal) => void child.kill(signal),
  };
};

/** C3. "close" comes after the last line was heard. */
function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once("error", (error: NodeJS.ErrnoException) =>
      resolve(error.code === "ENOENT" ? "setpriv (util-linux) is not installed" : error.message),
    );
    child.once("close", (code, signal) => resolve(signal ?? `status ${code}`));
  });
}

/** C2 */
function hear(stream: Readable, onLine: (line: string) => void): void {
  let rest = "";
  stream.setEncoding("utf8").on("data", (chunk: string) => {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop() ?? "";
    for (const part of parts) if (part.trim()) onLine(part);
    if (rest.length > longestLine) {
      onLine(rest.slice(0, longestLine));
      rest = "";
    }
  });
  stream.once("end", () => rest.trim() && onLine(rest));
}

/** What of a process lies in memory, MiB; undefined when it is gone. */
export async function rssMiB(pid: number): Promise<number | undefined> {
  try {
    const status = await readFile(`/proc/${pid}/status`, "utf8");
    const [, kB] = /^VmRSS:\s+(\d+) kB/m.exec(status) ?? [];
    return kB === undefined ? undefined : Math.round(Number(kB) / 1024);
  } catch {
    return undefined;
  }
}
