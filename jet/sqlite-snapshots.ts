// Snapshots of pivots in SQLite, sealed (AES-256-GCM). The table is part of whoever's database: put `snapshotMigration` among its
// migrations.
import type { Database, Seal } from "#core";
import type { SnapshotKey, SnapshotShelf } from "./pivot/snapshot.ts";

export const snapshotMigration = `
  CREATE TABLE jet_snapshot (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, cluster TEXT NOT NULL, digest TEXT NOT NULL, body BLOB NOT NULL,
    UNIQUE (cluster, digest)
  );
`;

/** How many of a cluster are kept: the one in use, and what went before it. */
const kept = 3;

export function sqliteSnapshotShelf(db: Database, seal: Seal): SnapshotShelf {
  /** A snapshot moved to another row does not open. */
  const place = ({ clusterUid, digest }: SnapshotKey) => `pivot-snapshot/${clusterUid}/${digest}`;
  return {
    put: (key, text) =>
      db.write(async (tx) => {
        const body = seal.seal(Buffer.from(text, "utf8"), place(key));
        await tx.run("DELETE FROM jet_snapshot WHERE cluster = ? AND digest = ?", key.clusterUid, key.digest);
        const { lastId } = await tx.run(
          "INSERT INTO jet_snapshot (cluster, digest, body) VALUES (?, ?, ?)",
          key.clusterUid,
          key.digest,
          body,
        );
        await tx.run(
          "DELETE FROM jet_snapshot WHERE cluster = ? AND sequence NOT IN" +
            " (SELECT sequence FROM jet_snapshot WHERE cluster = ? AND sequence <= ? ORDER BY sequence DESC LIMIT ?)",
          key.clusterUid,
          key.clusterUid,
          lastId,
          kept,
        );
      }),
    async get(key) {
      const row = await db.get<{ readonly [column: string]: Uint8Array; readonly body: Uint8Array }>(
        "SELECT body FROM jet_snapshot WHERE cluster = ? AND digest = ?",
        key.clusterUid,
        key.digest,
      );
      return row && Buffer.from(seal.open(row.body, place(key))).toString("utf8");
    },
    drop: (clusterUid) =>
      db.write(async (tx) => {
        await tx.run("DELETE FROM jet_snapshot WHERE cluster = ?", clusterUid);
      }),
  };
}
