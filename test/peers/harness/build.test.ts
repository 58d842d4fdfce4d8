// The builder, with a `go` on the PATH that only pretends: it tells a version, takes a while, and writes what it was asked for.
import { spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";

const root = join(import.meta.dirname, "../../..");
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "pcg-build-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Writes a `go`; each build adds a line to go.log. */
function pretendGo(version: string, build: string): string {
  const bin = join(dir, "bin");
  mkdirSync(bin, { recursive: true });
  const script = `#!/bin/sh
if [ "$1" = env ]; then echo ${version}; exit 0; fi
echo "$@" >> "${dir}/go.log"
while [ "$1" != -o ]; do shift; done
out=$2
${build}
`;
  writeFileSync(join(bin, "go"), script);
  chmodSync(join(bin, "go"), 0o755);
  return bin;
}

const makes = 'sleep 0.5; echo program > "${out}vcsim"; echo program > "${out}govc"';

interface Built {
  readonly code: number | null;
  readonly said: string;
}

/** A process of its own that wants the vsphere module's programs. */
function builder(path: string): { readonly done: Promise<Built>; kill(): void } {
  const script = `
    const { binaries } = await import(${JSON.stringify(join(import.meta.dirname, "build.ts"))});
    try { console.log("at", (await binaries("vsphere", (line) => console.log(line)))("vcsim")); }
    catch (error) { console.log(error.message); process.exit(1); }`;
  const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], {
    cwd: root,
    env: { PATH: path, XDG_CACHE_HOME: dir, HOME: dir },
  });
  let said = "";
  const hear = (text: Buffer) => (said += text.toString());
  child.stdout.on("data", hear);
  child.stderr.on("data", hear);
  const done = new Promise<Built>((resolve) => child.once("close", (code) => resolve({ code, said })));
  return { done, kill: () => child.kill("SIGKILL") };
}

const builds = () =>
  existsSync(join(dir, "go.log")) ? readFileSync(join(dir, "go.log"), "utf8").trim().split("\n").length : 0;
const kept = () => readdirSync(join(dir, "pcg-peers"));

it("without Go it says what to install", async () => {
  const { code, said } = await builder("/nowhere").done;
  expect(code).toBe(1);
  expect(said).toMatch(/there is no `go` on the PATH: install Go 1\.25 or newer/);
});

it("with a Go that is too old it says so", async () => {
  const { code, said } = await builder(`${pretendGo("go1.22.1", makes)}:/usr/bin:/bin`).done;
  expect([code, said]).toEqual([1, expect.stringMatching(/found go1\.22\.1: install Go 1\.25/)]);
});

it("two builders at once build once, and both get the programs; a third finds them there", async () => {
  const path = `${pretendGo("go1.26.0", makes)}:/usr/bin:/bin`;
  const all = await Promise.all([builder(path).done, builder(path).done]);
  expect(all.map(({ code }) => code)).toEqual([0, 0]);
  expect(all.some(({ said }) => said.includes("waiting for another build"))).toBe(true);
  const third = await builder(path).done;
  expect(third.said).toMatch(/^at .*\/vcsim\n$/);
  expect([builds(), kept()]).toEqual([1, [expect.stringMatching(/^vsphere-[0-9a-f]{16}$/)]]);
});

it("another version of Go builds anew", async () => {
  await builder(`${pretendGo("go1.26.0", makes)}:/usr/bin:/bin`).done;
  await builder(`${pretendGo("go1.27.0", makes)}:/usr/bin:/bin`).done;
  expect([builds(), kept().length]).toEqual([2, 2]);
});

it("a build that fails shows why, and leaves nothing behind", async () => {
  const { code, said } = await builder(
    `${pretendGo("go1.26.0", "echo cannot find module >&2; exit 1")}:/usr/bin:/bin`,
  ).done;
  expect([code, said]).toEqual([
    1,
    expect.stringContaining("building vcsim, govc (test/peers/vsphere) failed:\ncannot find module"),
  ]);
  expect(kept()).toEqual([]);
});

it("a builder that was killed does not block the next", async () => {
  const slow = builder(`${pretendGo("go1.26.0", "sleep 30")}:/usr/bin:/bin`);
  for (const deadline = Date.now() + 10_000; builds() === 0 && Date.now() < deadline;) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  slow.kill();
  await slow.done;
  const { code } = await builder(`${pretendGo("go1.26.0", makes)}:/usr/bin:/bin`).done;
  expect(code).toBe(0);
  expect(kept()).toEqual([expect.stringMatching(/^vsphere-[0-9a-f]{16}$/)]);
}, 60_000);
