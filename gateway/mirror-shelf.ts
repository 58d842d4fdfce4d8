// Mirrors in the gateway's own database: beside its control plane, not in it, so that they are there when that is lost.
//
//   S1. They lie as they came, sealed; what is read is opened in memory.
//   S2. A mirror counts when all its parts are here and it opens: made by that cluster's agent (or by Jet), and no other's.
//   S3. Never backwards: by epoch first, then by sequence. The last two of a cluster are kept, and parts of one that is on its way.
//   S4. What a cluster's deletion forgot stays forgotten: a late part does not bring it back.
import {
  Fault,
  openBox,
  sealBox,
  type BoxKey,
  type Clock,
  type Database,
  type Logger,
  type Reader,
} from "#core";
import type { Mirrored, Mirrors } from "#jet";
import { mirrorContext, packMirror, unpackMirror, type MirrorDocument, type MirrorPart } from "#proto";
import { mirrorToken } from "./mirror-key.ts";

export const mirrorMigration = `
  CREATE TABLE mirror_part (
    cluster TEXT NOT NULL, sequence INTEGER NOT NULL, part INTEGER NOT NULL, parts INTEGER NOT NULL, bytes BLOB NOT NULL,
    PRIMARY KEY (cluster, part)
  ) WITHOUT ROWID;
  CREATE TABLE mirror (
    cluster TEXT NOT NULL, sequence INTEGER NOT NULL, pivot TEXT NOT NULL, epoch INTEGER NOT NULL, counter INTEGER NOT NULL, digest TEXT NOT NULL,
    taken_at TEXT NOT NULL, box BLOB NOT NULL, PRIMARY KEY (cluster, sequence)
  );
  CREATE TABLE mirror_forgotten (cluster TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
`;

export interface MirrorShelf extends Mirrors {
  /** Takes a part in; true when it made a mirror whole. Parts that are old, of a forgotten cluster or not to be opened count as taken. */
  take(part: MirrorPart): Promise<boolean>;
  /** Cluster uid to the digest of its newest mirror. */
  have(): Promise<Readonly<Record<string, string>>>;
}

interface MirrorRow {
  readonly [column: string]: string | number | Uint8Array;
  readonly cluster: string;
  readonly sequence: number;
  readonly pivot: string;
  readonly epoch: number;
  readonly counter: number;
  readonly digest: string;
  readonly taken_at: string;
  readonly box: Uint8Array;
}

interface PartRow {
  readonly [column: string]: number | Uint8Array;
  readonly sequence: number;
  readonly part: number;
  readonly parts: number;
  readonly bytes: Uint8Array;
}

const newest = "ORDER BY epoch DESC, sequence DESC";
const kept = 2;
/** A snapshot of the control plane older than this is not restored in earnest. */
const rememberedMs = 400 * 86_400_000;

export function mirrorShelf(deps: {
  readonly db: Database;
  readonly key: BoxKey;
  readonly clock: Clock;
  readonly log: Logger;
}): MirrorShelf {
  const { db, key, clock, log } = deps;

  async function head(clusterUid: string): Promise<MirrorRow | undefined> {
    return db.get<MirrorRow>(
      `SELECT cluster, sequence, pivot, epoch, counter, digest, taken_at, '' AS box FROM mirror WHERE cluster = ? ${newest} LIMIT 1`,
      clusterUid,
    );
  }

  function opened(clusterUid: string, sequence: number, box: Uint8Array): MirrorDocument {
    const bytes = openBox(key, mirrorToken(key, clusterUid), box, mirrorContext(clusterUid, sequence));
    return unpackMirror(bytes);
  }

  async function store(document: MirrorDocument, sequence: number, box: Uint8Array): Promise<void> {
    const { clusterUid, decision, counter, digest, takenAt } = document;
    await db.write(async (tx) => {
      if (await isForgotten(tx, clusterUid)) return;
      const last = await tx.get<MirrorRow>(
        `SELECT * FROM mirror WHERE cluster = ? ${newest} LIMIT 1`,
        clusterUid,
      );
      const isNewer =
        !last || decision.epoch > last.epoch || (decision.epoch === last.epoch && sequence > last.sequence); // S3
      if (isNewer) {
        await tx.run(
          "INSERT OR REPLACE INTO mirror (cluster, sequence, pivot, epoch, counter, digest, taken_at, box) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
          ...[clusterUid, sequence, decision.id, decision.epoch, counter, digest, takenAt, box],
        );
        await tx.run(
          `DELETE FROM mirror WHERE cluster = ?1 AND sequence NOT IN (SELECT sequence FROM mirror WHERE cluster = ?1 ${newest} LIMIT ${kept})`,
          clusterUid,
        );
      }
      await tx.run("DELETE FROM mirror_part WHERE cluster = ? AND sequence <= ?", clusterUid, sequence);
    });
  }

  return {
    async take({ clusterUid, sequence, part, parts, data }) {
      if (await isForgotten(db, clusterUid)) return false; // S4
      if (sequence <= ((await head(clusterUid))?.sequence ?? 0)) return false;
      const whole = await db.write(async (tx) => {
        const others = await tx.all<PartRow>("SELECT * FROM mirror_part WHERE cluster = ?", clusterUid);
        if (others.some((other) => other.sequence > sequence)) return undefined;
        if (others.some((other) => other.sequence < sequence))
          await tx.run("DELETE FROM mirror_part WHERE cluster = ?", clusterUid);
        await tx.run(
          "INSERT OR REPLACE INTO mirror_part (cluster, sequence, part, parts, bytes) VALUES (?, ?, ?, ?, ?)",
          ...[clusterUid, sequence, part, parts, Buffer.from(data, "base64")],
        );
        const all = await tx.all<PartRow>(
          "SELECT * FROM mirror_part WHERE cluster = ? ORDER BY part",
          clusterUid,
        );
        return all.length === parts && all.every((one, at) => one.parts === parts && one.part === at)
          ? Buffer.concat(all.map((one) => one.bytes))
          : undefined;
      });
      if (!whole) return false;
      try {
        const document = opened(clusterUid, sequence, whole);
        if (document.clusterUid !== clusterUid)
          throw new Fault("Invalid", `the mirror speaks of cluster ${document.clusterUid}`);
        await store(document, sequence, whole);
        return true;
      } catch (error) {
        // Another try would not open it either; Jet brings the agent the key of today, and the agent sends anew.
        log.warn("a mirror does not open", { cluster: clusterUid, sequence, error });
        await db.write((tx) =>
          tx.run("DELETE FROM mirror_part WHERE cluster = ? AND sequence <= ?", clusterUid, sequence),
        );
        return false;
      }
    },

    async keep(mirrored) {
      const { clusterUid } = mirrored;
      // One more than the last: the agent counts by its clock, which may be behind ours.
      const sequence = ((await head(clusterUid))?.sequence ?? 0) + 1;
      const document: MirrorDocument = { schema: 1, ...mirrored };
      const to = { publicKey: key.publicKey, token: mirrorToken(key, clusterUid) };
      await store(document, sequence, sealBox(to, packMirror(document), mirrorContext(clusterUid, sequence)));
    },

    async about(clusterUid) {
      const row = await head(clusterUid);
      return (
        row && {
          digest: row.digest,
          takenAt: row.taken_at,
          pivotId: row.pivot,
          epoch: row.epoch,
          counter: row.counter,
          sequence: row.sequence,
          reader: key.publicKey,
        }
      );
    },

    async latest(clusterUid) {
      const rows = await db.all<MirrorRow>(`SELECT * FROM mirror WHERE cluster = ? ${newest}`, clusterUid);
      for (const { sequence, box } of rows) {
        try {
          const { schema: _, ...mirrored } = opened(clusterUid, sequence, box);
          return mirrored satisfies Mirrored;
        } catch (error) {
          log.error("a stored mirror does not open; the one before it is taken", {
            cluster: clusterUid,
            sequence,
            error,
          });
        }
      }
      return undefined;
    },

    async clusters() {
      const rows = await db.all<{ cluster: string }>("SELECT DISTINCT cluster FROM mirror ORDER BY cluster");
      return rows.map(({ cluster }) => cluster);
    },

    async have() {
      const rows = await db.all<MirrorRow>(
        `SELECT cluster, digest, epoch, sequence FROM mirror ORDER BY cluster, epoch, sequence`,
      );
      return Object.fromEntries(rows.map(({ cluster, digest }) => [cluster, digest]));
    },

    async forget(clusterUid) {
      await db.write(async (tx) => {
        await tx.run(
          "INSERT OR REPLACE INTO mirror_forgotten (cluster, at) VALUES (?, ?)",
          clusterUid,
          clock.now(),
        );
        await tx.run("DELETE FROM mirror_forgotten WHERE at < ?", clock.now() - rememberedMs);
        await tx.run("DELETE FROM mirror WHERE cluster = ?", clusterUid);
        await tx.run("DELETE FROM mirror_part WHERE cluster = ?", clusterUid);
      });
    },

    isForgotten: (clusterUid) => isForgotten(db, clusterUid),
  };
}

async function isForgotten(db: Reader, clusterUid: string): Promise<boolean> {
  return (await db.get("SELECT 1 FROM mirror_forgotten WHERE cluster = ?", clusterUid)) !== undefined;
}
