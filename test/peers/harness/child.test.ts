// Programs beside a test: one that fails says why, and nothing outlives its test.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Child } from "./child.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "pcg-child-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const alive = (pid: number) => spawnSync("kill", ["-0", String(pid)]).status === 0;

async function eventually(reached: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 10_000; !reached();) {
    if (Date.now() > deadline) throw new Error("waited in vain");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

it("a program that ends while it is waited for shows the end of its log", async () => {
  const child = new Child({ program: "sh", args: ["-c", "echo no room; exit 3"], dir, name: "poor" });
  const waiting = child.until("being rich", () => Promise.resolve(undefined), 10_000);
  await expect(waiting).rejects.toThrow(/poor ended \(status 3\): its log ends with\nno room/);
  await child.stop();
});

it("a program that is not there says so", async () => {
  const child = new Child({ program: join(dir, "none"), args: [], dir, name: "none" });
  await expect(child.until("x", () => Promise.resolve(undefined), 10_000)).rejects.toThrow(
    /none ended \(spawn .*ENOENT\)/,
  );
  await child.stop();
});

it("a program that does not listen to SIGTERM is ended all the same", async () => {
  const script = "trap '' TERM; echo $$; while :; do sleep 0.1; done";
  const child = new Child({ program: "sh", args: ["-c", script], dir, name: "stubborn" });
  const pid = await child.until(
    "saying who it is",
    () => Promise.resolve(Number(child.log) || undefined),
    10_000,
  );
  expect(alive(pid)).toBe(true);
  await child.stop();
  expect(alive(pid)).toBe(false);
}, 20_000);

it("a program does not outlive a test that is killed", async () => {
  const script = `
    const { Child } = await import(${JSON.stringify(join(import.meta.dirname, "child.ts"))});
    const child = new Child({ program: "sh", args: ["-c", "echo $$; exec sleep 60"], dir: ${JSON.stringify(dir)}, name: "orphan" });
    console.log(await child.until("saying who it is", async () => Number(child.log) || undefined, 10_000));
    setInterval(() => {}, 1000);`;
  const file = join(dir, "test.mts");
  writeFileSync(file, script);
  const test = spawn(process.execPath, ["--import", "tsx", file], {
    cwd: join(import.meta.dirname, "../../.."),
  });
  let said = "";
  test.stdout.on("data", (text: Buffer) => (said += text.toString()));
  await eventually(() => Number(said) > 0);
  const pid = Number(said);
  expect(alive(pid)).toBe(true);
  test.kill("SIGKILL");
  await eventually(() => !alive(pid));
});
