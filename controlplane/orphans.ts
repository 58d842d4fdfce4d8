// Programs of an earlier run on this data directory that are still there. The kernel ends ours with us (supervisor/process.ts, C1); here
// is the rest: a gateway that was started in another way, a kernel that could not.
import { readdir, readFile } from "node:fs/promises";
import { basename } from "node:path";
import { sleep, type Clock, type Logger } from "#core";
import { runningNames } from "./recipes.ts";

export interface ProcessSeen {
  readonly pid: number;
  readonly args: readonly string[];
}

/**
 * Those of these processes that are ours and should not be: one of our programs, told to use this data directory. The caller holds the
 * directory's lock, so nobody else can rightly run there. Pure.
 */
export function orphansAmong(processes: readonly ProcessSeen[], dataDir: string): ProcessSeen[] {
  const names: readonly string[] = runningNames;
  const within = new RegExp(`(^|[=/])${escape(dataDir)}/`);
  return processes.filter(
    ({ args: [program = "", ...args] }) =>
      names.includes(basename(program)) && args.some((arg) => within.test(arg)),
  );
}

/** Ends them, and waits until they are gone. */
export async function endOrphans(
  dataDir: string,
  deps: { readonly clock: Clock; readonly log: Logger },
  signal: AbortSignal,
): Promise<void> {
  for (let round = 0; ; round++) {
    const found = orphansAmong(await processes(), dataDir);
    if (found.length === 0) return;
    for (const { pid, args } of found) {
      if (round === 0) {
        deps.log.warn("ending a program that an earlier run left", { pid, path: args[0] });
      }
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // it ended meanwhile
      }
    }
    await sleep(deps.clock, 50, signal);
  }
}

/** Everybody on this machine whom we may look at. */
async function processes(): Promise<ProcessSeen[]> {
  const pids = (await readdir("/proc")).map(Number).filter((pid) => pid > 0);
  const seen = await Promise.all(
    pids.map(async (pid) => {
      try {
        const text = await readFile(`/proc/${pid}/cmdline`, "utf8");
        return text === "" ? [] : [{ pid, args: text.split("\0") }];
      } catch {
        return []; // it ended meanwhile
      }
    }),
  );
  return seen.flat();
}

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
