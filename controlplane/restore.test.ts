import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { settleFolders, type Layout } from "./layout.ts";
import { expectData, finishRestore } from "./restore.ts";

let dir: string;
let layout: Layout;
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "pcg-restore-"));
  layout = await settleFolders(dir);
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function data(folder: string, what: string): void {
  mkdirSync(join(folder, "member"), { recursive: true });
  writeFileSync(join(folder, "member", "db"), what);
}
const present = () => readFileSync(join(layout.etcd, "member", "db"), "utf8");

describe("a restore that a crash cut off", () => {
  it("before it was decided: the old data stays", async () => {
    data(layout.etcd, "old");
    data(`${layout.etcd}.next`, "half");
    await finishRestore(layout);
    expect(present()).toBe("old");
  });

  const decided: readonly [string, () => void][] = [
    ["before anything moved", () => (data(layout.etcd, "old"), data(`${layout.etcd}.next`, "new"))],
    [
      "when the old was moved away",
      () => (data(`${layout.etcd}.before`, "old"), data(`${layout.etcd}.next`, "new")),
    ],
    ["when all had moved", () => (data(`${layout.etcd}.before`, "old"), data(layout.etcd, "new"))],
  ];
  it.each(decided)("after it was decided, %s: it is finished, once", async (_name, arrange) => {
    arrange();
    writeFileSync(`${layout.etcd}.restored`, "{}");
    await finishRestore(layout);
    await finishRestore(layout);
    expect(present()).toBe("new");
    expect(existsSync(`${layout.etcd}.restored`)).toBe(false);
    expect(existsSync(`${layout.etcd}.next`)).toBe(false);
  });
});

describe("data that is gone", () => {
  it("a first start expects none", async () => {
    await expectData(layout);
  });

  it("is told, with the snapshot to put back", async () => {
    writeFileSync(layout.begun, "");
    await expect(expectData(layout)).rejects.toThrow(
      /is gone, and there is no snapshot.*remove .*begun first/,
    );
    writeFileSync(join(layout.snapshots, "2026-11-27T22-30-00Z-r1234-o250.db"), "");
    await expect(expectData(layout)).rejects.toThrow(
      /the last snapshot is of 2026-11-27T22:30:00.000Z: put it back with `pcg controlplane restore`/,
    );
    data(layout.etcd, "there");
    await expectData(layout);
  });
});
