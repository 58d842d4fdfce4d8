// What a process and all that it started take of memory and of processor time, looked at over and over.
import { readdir, readFile } from "node:fs/promises";
import { basename } from "node:path";

/** A number by program; what runs twice counts twice. */
export type ByProgram = Readonly<Record<string, number>>;

export const totalOf = (numbers: ByProgram): number =>
  Object.values(numbers).reduce((sum, one) => sum + one, 0);

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly name: string;
  readonly rssMiB: number;
  readonly cpuS: number;
}

export interface Look {
  /** Resident MiB. */
  readonly memory: ByProgram;
  /** Processor seconds since each began. */
  readonly cpu: ByProgram;
}

/** A process, called `name`, and everything below it. */
export async function lookBelow(pid: number, name: string): Promise<Look> {
  const entries = await Promise.all((await readdir("/proc")).map(readProcess));
  const all = entries.filter((one) => one !== undefined);
  const memory: Record<string, number> = {};
  const cpu: Record<string, number> = {};
  const add = (one: Process, as: string) => {
    memory[as] = (memory[as] ?? 0) + one.rssMiB;
    cpu[as] = (cpu[as] ?? 0) + one.cpuS;
    for (const child of all.filter(({ parent }) => parent === one.pid)) add(child, child.name);
  };
  const root = all.find((one) => one.pid === pid);
  if (root) add(root, name);
  return { memory, cpu };
}

/** Linux counts processor time in these. */
const ticksPerSecond = 100;

async function readProcess(entry: string): Promise<Process | undefined> {
  const pid = Number(entry);
  if (!Number.isInteger(pid)) return undefined;
  try {
    const status = await readFile(`/proc/${pid}/status`, "utf8");
    const [program = ""] = (await readFile(`/proc/${pid}/cmdline`, "utf8")).split("\0");
    const stat = (await readFile(`/proc/${pid}/stat`, "utf8")).split(") ")[1]?.split(" ") ?? [];
    const number = (key: string) => Number(new RegExp(`^${key}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0);
    return {
      pid,
      parent: number("PPid"),
      name: basename(program),
      rssMiB: number("VmRSS") / 1024,
      cpuS: (Number(stat[11]) + Number(stat[12])) / ticksPerSecond,
    };
  } catch {
    return undefined; // it ended
  }
}

export interface Watch {
  /** Each program's own highest, MiB. */
  readonly highest: ByProgram;
  /** The moment at which all together took the most, MiB. */
  readonly peak: ByProgram;
  /** Processor seconds meanwhile. */
  readonly cpu: ByProgram;
  readonly looks: number;
}

/** Looks every 250 ms until `work` ends. */
export async function watchBelow(pid: number, name: string, work: Promise<unknown>): Promise<Watch> {
  let over = false;
  const ended = work.finally(() => (over = true));
  ended.catch(() => {}); // awaited below
  const first = await lookBelow(pid, name);
  const highest: Record<string, number> = {};
  let last = first;
  let peak = first.memory;
  let looks = 1;
  while (!over) {
    last = await lookBelow(pid, name);
    looks++;
    for (const [program, mib] of Object.entries(last.memory))
      highest[program] = Math.max(highest[program] ?? 0, mib);
    if (totalOf(last.memory) > totalOf(peak)) peak = last.memory;
    await Promise.race([ended.catch(() => {}), new Promise((resolve) => setTimeout(resolve, 250))]);
  }
  await ended;
  const cpu = Object.fromEntries(
    Object.entries(last.cpu).map(([program, s]) => [program, s - (first.cpu[program] ?? 0)]),
  );
  return { highest, peak, cpu, looks };
}
