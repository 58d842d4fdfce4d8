import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { openDatabase, sealWith } from "#core";
import { encode64, secret } from "#proto";
import { snapshotMigration, sqliteSnapshotShelf } from "../sqlite-snapshots.ts";
import { closureOf } from "./closure.ts";
import { memorySnapshotShelf, readSnapshot, snapshotText, type SnapshotShelf } from "./snapshot.ts";

const password = encode64("correct horse");
const closure = closureOf([
  {
    kind: secret,
    object: {
      apiVersion: "v1",
      kind: "Secret",
      metadata: {
        name: "c1-ca",
        namespace: "cluster-u1",
        uid: "uid-1",
        resourceVersion: "7",
        generation: 1,
        creationTimestamp: "2026-01-01T00:00:00Z",
      },
      data: { "tls.key": password },
    } as never,
  },
]);
const key = { clusterUid: "u1", digest: closure.digest };

it("comes back as it was written, and one that was changed does not", () => {
  const text = snapshotText(closure);
  expect(readSnapshot(text, key)).toEqual(closure);
  expect(() => readSnapshot(text.replace(password, encode64("another")), key)).toThrow(
    "is not what was written",
  );
  expect(() => readSnapshot(text, { ...key, digest: "0" })).toThrow("is not what was written");
});

function shelfContract(name: string, make: () => Promise<{ shelf: SnapshotShelf; close(): Promise<void> }>) {
  it(`${name}: keeps what was put, twice is once, forgets a cluster as a whole`, async () => {
    const { shelf, close } = await make();
    expect(await shelf.get(key)).toBeUndefined();
    await shelf.put(key, "a");
    await shelf.put(key, "a");
    expect(await shelf.get(key)).toBe("a");
    expect(await shelf.get({ ...key, clusterUid: "u2" })).toBeUndefined();
    await shelf.drop("u1");
    expect(await shelf.get(key)).toBeUndefined();
    await close();
  });
}

shelfContract("memory", () =>
  Promise.resolve({ shelf: memorySnapshotShelf(), close: () => Promise.resolve() }),
);
shelfContract("sqlite", async () => {
  const db = await openDatabase(":memory:", { migrations: [snapshotMigration] });
  return { shelf: sqliteSnapshotShelf(db, sealWith(Buffer.alloc(32, 1))), close: () => db.close() };
});

it("lies sealed on the disk: no secret in it can be read without the key, nor put in another's place", async () => {
  const folder = mkdtempSync(join(tmpdir(), "pcg-snapshots-"));
  try {
    const path = join(folder, "gateway.db");
    const db = await openDatabase(path, { migrations: [snapshotMigration] });
    const shelf = sqliteSnapshotShelf(db, sealWith(Buffer.alloc(32, 1)));
    for (let at = 0; at < 5; at++)
      await shelf.put({ clusterUid: "u1", digest: `d${at}` }, snapshotText(closure));
    expect(await shelf.get({ clusterUid: "u1", digest: "d4" })).toBe(snapshotText(closure));
    expect(await shelf.get({ clusterUid: "u1", digest: "d1" })).toBeUndefined(); // the last three are kept
    await db.write((tx) => tx.run("UPDATE jet_snapshot SET digest = 'moved' WHERE digest = 'd4'"));
    await expect(shelf.get({ clusterUid: "u1", digest: "moved" })).rejects.toThrow("does not open");
    const stranger = sqliteSnapshotShelf(db, sealWith(Buffer.alloc(32, 2)));
    await expect(stranger.get({ clusterUid: "u1", digest: "d3" })).rejects.toThrow("does not open");
    await db.close();
    expect(readFileSync(path).includes(password)).toBe(false);
    expect(readFileSync(path).includes("c1-ca")).toBe(false);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
