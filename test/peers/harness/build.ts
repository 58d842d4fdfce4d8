// The real peers' programs, built once from the Go modules beside this folder.
//
//   B1. A program lies in the cache under a key of everything it is made of: module files, sources, flags, Go's version. What is there
//       is complete: a build happens elsewhere and is moved in at the end.
//   B2. Two builders of the same thing: one builds, the other waits. A builder that died is found out and replaced.
//   B3. Where Go is missing or too old, the message says so and what to do. Nothing is skipped.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import { stepsOf, type ModuleName, type Step } from "./recipe.ts";

/** Says how a build is going; a line a call. */
export type Report = (line: string) => void;

const modules = join(import.meta.dirname, "..");

/** Where a module's programs are, built if need be (minutes, the first time). */
export async function binaries(
  name: ModuleName,
  report: Report = () => {},
): Promise<(program: string) => string> {
  const folder = join(modules, name);
  const steps = stepsOf(name, folder);
  const target = join(cacheFolder(), `${name}-${keyOf(folder, steps, goVersion())}`);
  if (!existsSync(target)) await buildOnce(name, folder, steps, target, report);
  return (program) => join(target, program);
}

/** Outside the tree, so that a fresh clone finds what an older one built. */
function cacheFolder(): string {
  const home = process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  return join(home, "pcg-peers");
}

/** "go1.26.8"; fails in words (B3). */
function goVersion(): string {
  const asked = spawnSync("go", ["env", "GOVERSION"], { encoding: "utf8" });
  const version = asked.stdout?.trim() ?? "";
  const [, major, minor] = /^go(\d+)\.(\d+)/.exec(version) ?? [];
  const fits = Number(major) > 1 || (Number(major) === 1 && Number(minor) >= 25);
  if (asked.status === 0 && (fits || version.startsWith("devel"))) return version;
  const found = asked.error ? "there is no `go` on the PATH" : `found ${version || "no version"}`;
  throw new Error(
    `the real peers (etcd, kube-apiserver, vcsim) are built from Go modules, and ${found}: ` +
      "install Go 1.25 or newer (https://go.dev/dl), then run this again",
  );
}

/** B1 */
function keyOf(folder: string, steps: readonly Step[], go: string): string {
  const hash = createHash("sha256").update(JSON.stringify([go, process.platform, process.arch, steps]));
  for (const file of sourcesOf(folder)) hash.update(`\0${file}\0`).update(readFileSync(join(folder, file)));
  return hash.digest("hex").slice(0, 16);
}

function sourcesOf(folder: string): string[] {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" });
  return files.filter((file) => /\.go$|^go\.(mod|sum)$/.test(file)).sort();
}

async function buildOnce(
  name: ModuleName,
  folder: string,
  steps: readonly Step[],
  target: string,
  report: Report,
): Promise<void> {
  mkdirSync(cacheFolder(), { recursive: true });
  const release = await lock(`${target}.lock`, () => existsSync(target), report);
  if (!release) return; // somebody else built it meanwhile
  const workshop = `${target}.${process.pid}`;
  try {
    sweep(target);
    mkdirSync(workshop);
    const began = Date.now();
    const programs = steps.flatMap((step) => step.programs);
    report(
      `building ${programs.join(", ")} (once; kept in ${target}; a few minutes when Go's own cache is cold)`,
    );
    for (const step of steps) await buildStep(name, folder, step, workshop, report);
    renameSync(workshop, target);
    report(`built ${programs.join(", ")} in ${seconds(began)} s`);
  } finally {
    rmSync(workshop, { recursive: true, force: true });
    release();
  }
}

async function buildStep(
  name: ModuleName,
  folder: string,
  step: Step,
  workshop: string,
  report: Report,
): Promise<void> {
  const what = step.programs.join(", ");
  const output = step.output ? join(workshop, step.output) : `${workshop}/`;
  const args = [
    "build",
    "-trimpath",
    "-buildvcs=false",
    "-ldflags",
    step.ldflags,
    "-o",
    output,
    ...step.packages,
  ];
  const began = Date.now();
  const still = setInterval(() => report(`  still building ${what}: ${seconds(began)} s`), 20_000);
  try {
    const { code, said } = await run("go", args, folder);
    if (code !== 0) throw new Error(`building ${what} (test/peers/${name}) failed:\n${said.slice(-4000)}`);
  } finally {
    clearInterval(still);
  }
  report(`  ${what}: ${seconds(began)} s`);
}

function run(command: string, args: readonly string[], cwd: string): Promise<{ code: number; said: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    const hear = (text: Buffer) => (said += text.toString());
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    const stop = () => child.kill();
    process.once("exit", stop);
    child.once("error", reject);
    child.once("close", (code) => {
      process.off("exit", stop);
      resolve({ code: code ?? 1, said });
    });
  });
}

/** Removes what builders that died left of this build. */
function sweep(target: string): void {
  const prefix = `${basename(target)}.`;
  for (const name of readdirSync(cacheFolder())) {
    const pid = Number(name.startsWith(prefix) ? name.slice(prefix.length) : Number.NaN);
    if (pid > 0 && (pid === process.pid || !isAlive(pid))) {
      rmSync(join(cacheFolder(), name), { recursive: true, force: true });
    }
  }
}

/** B2. Gives what releases the lock, or undefined when the thing was `done` by another meanwhile. */
async function lock(path: string, done: () => boolean, report: Report): Promise<(() => void) | undefined> {
  for (let told = false; ;) {
    try {
      writeFileSync(path, String(process.pid), { flag: "wx" });
      const release = () => rmSync(path, { force: true });
      if (!done()) return release;
      release(); // it was finished just before
      return undefined;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    if (done()) return undefined;
    const holder = holderOf(path);
    if (holder !== undefined && !isAlive(holder)) {
      rmSync(path, { force: true });
      continue;
    }
    if (!told) report(`waiting for another build (process ${holder ?? "unknown"})`);
    told = true;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

/** Who holds a lock; undefined while he has not signed yet. One that stays unsigned was left by a crash. */
function holderOf(path: string): number | undefined {
  try {
    const pid = Number(readFileSync(path, "utf8"));
    if (pid > 0) return pid;
    return Date.now() - statSync(path).mtimeMs > 10_000 ? Number.MAX_SAFE_INTEGER : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function seconds(since: number): number {
  return Math.round((Date.now() - since) / 1000);
}
