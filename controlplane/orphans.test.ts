import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { silentLogger, systemClock } from "#core";
import { endOrphans, orphansAmong } from "./orphans.ts";

it("ours are told from strangers by program and data directory", () => {
  const process = (pid: number, ...args: string[]) => ({ pid, args });
  const all = [
    process(1, "/bundle/bin/etcd", "--name=pcg", "--data-dir=/var/lib/pcg/cp/etcd"),
    process(2, "/bundle/bin/capv", "--kubeconfig=/var/lib/pcg/cp/pki/capv/kubeconfig"),
    process(3, "/usr/bin/etcd", "--data-dir=/var/lib/etcd"),
    process(4, "/bundle/bin/etcd", "--data-dir=/var/lib/pcg/cp2/etcd"),
    process(5, "vim", "/var/lib/pcg/cp/ports.json"),
    process(6, "/bundle/bin/etcd", "--data-dir=/mnt/var/lib/pcg/cp/etcd"),
    process(7, "node", "gateway"),
  ];
  expect(orphansAmong(all, "/var/lib/pcg/cp").map(({ pid }) => pid)).toEqual([1, 2]);
});

it("they are ended, and the start goes on when they are gone", async () => {
  const dir = mkdtempSync(join(tmpdir(), "pcg-orphan-"));
  const orphan = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)", `${dir}/etcd`], {
    argv0: "etcd",
  });
  const gone = new Promise((resolve) => orphan.once("exit", (_code, signal) => resolve(signal)));
  await new Promise((resolve) => orphan.once("spawn", resolve));
  await endOrphans(dir, { clock: systemClock, log: silentLogger }, new AbortController().signal);
  expect(await gone).toBe("SIGKILL");
  rmSync(dir, { recursive: true });
});
