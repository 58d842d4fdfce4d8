// Heartbeats of gateways and agents as they are stored, and the watch over those that stay silent.
import type { Clock, Database, Row } from "#core";
import type { Heartbeat } from "#proto/messages.ts";
import type { Events, Subject } from "./events.ts";
import { healthEvent, healthOf, type Health, type HealthLimits } from "./health.ts";

export interface HealthDesk {
  /** Takes a heartbeat in; one of an unknown or deleted sender does nothing. */
  beat(from: Subject, beat: Heartbeat): Promise<void>;
  /** Looks at everybody's silence and tells of changes as events. */
  check(limits: HealthLimits): Promise<void>;
}

interface BeatRow extends Row {
  uid: string;
  name: string;
  heartbeat_at: number | null;
  health: Health;
}

const tables = [
  {
    kind: "overlord",
    table: "overlords",
    word: "gateway",
    watched: "deleted_at IS NULL AND revoked_at IS NULL",
  },
  {
    kind: "spectrocluster",
    table: "clusters",
    word: "the agent of cluster",
    watched: "deleted_at IS NULL AND delete_requested_at IS NULL",
  },
] as const;

export function healthDesk(db: Database, clock: Clock, events: Events): HealthDesk {
  return {
    async beat(from, beat) {
      const { table, word } = tables.find((t) => t.kind === from.kind) ?? tables[0];
      await db.write(async (tx) => {
        const row = await tx.get<BeatRow>(
          `SELECT uid, name, heartbeat_at, health FROM ${table} WHERE uid = ? AND deleted_at IS NULL`,
          from.uid,
        );
        if (!row) return;
        await tx.run(
          `UPDATE ${table} SET heartbeat_at = ?, heartbeat = ?, health = 'healthy' WHERE uid = ?`,
          ...[clock.now(), JSON.stringify(beat), from.uid],
        );
        const told = healthEvent(row.health, "healthy", `${word} '${row.name}'`, clock.now());
        if (told) await events.say(tx, from, told);
      });
    },

    async check(limits) {
      const now = clock.now();
      for (const { kind, table, word, watched } of tables) {
        const rows = await db.all<BeatRow>(
          `SELECT uid, name, heartbeat_at, health FROM ${table} WHERE ${watched} AND heartbeat_at IS NOT NULL`,
        );
        for (const row of rows) {
          const last = row.heartbeat_at ?? undefined;
          const health = healthOf(last, now, limits);
          if (health === row.health) continue;
          await db.write(async (tx) => {
            const { changes } = await tx.run(
              `UPDATE ${table} SET health = ? WHERE uid = ? AND heartbeat_at IS ?`, // a heartbeat that came meanwhile wins
              ...[health, row.uid, row.heartbeat_at],
            );
            const told = healthEvent(row.health, health, `${word} '${row.name}'`, last);
            if (told && changes > 0) await events.say(tx, { kind, uid: row.uid }, told);
          });
        }
      }
    },
  };
}
