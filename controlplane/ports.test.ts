import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { choosePorts, portNames, settlePorts } from "./ports.ts";

let dir: string;
beforeEach(() => (dir = mkdtempSync(join(tmpdir(), "pcg-ports-"))));
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const deps = { random: Math.random };

it("ports stay as they were, and each name has one of its own", async () => {
  const file = join(dir, "ports.json");
  const first = await settlePorts(file, deps);
  expect(new Set(Object.values(first)).size).toBe(portNames.length);
  expect(await settlePorts(file, deps)).toEqual(first);
});

it("one that somebody has taken is replaced, and the others stay", async () => {
  const file = join(dir, "ports.json");
  const first = await settlePorts(file, deps);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(first["kube-apiserver"], "127.0.0.1", resolve));
  const second = await settlePorts(file, deps);
  await new Promise((resolve) => server.close(resolve));
  const { "kube-apiserver": was, ...others } = first;
  expect(second["kube-apiserver"]).not.toBe(was);
  expect(second).toMatchObject(others);
  expect(await settlePorts(file, deps)).toEqual(second);
});

it("two names that remember one port do not share it", async () => {
  const ports = await choosePorts(
    { "kube-apiserver": 25_000, "capv.webhook": 25_000 },
    { ...deps, isFree: () => Promise.resolve(true) },
  );
  expect(ports["kube-apiserver"]).toBe(25_000);
  expect(ports["capv.webhook"]).not.toBe(25_000);
});

it("a damaged memory is none, and a machine without a free port says so", async () => {
  const file = join(dir, "ports.json");
  writeFileSync(file, "{");
  expect(await settlePorts(file, deps)).toHaveProperty("kube-apiserver");
  await expect(choosePorts({}, { ...deps, isFree: () => Promise.resolve(false) })).rejects.toMatchObject({
    code: "Unavailable",
  });
});
