// Events in SQLite. The table is part of whoever's database: put `eventMigration` among its migrations.
import type { Database } from "#core";
import type { EventShelf, StoredEvent } from "./events.ts";

export const eventMigration = `
  CREATE TABLE jet_event (
    cluster TEXT NOT NULL, sequence INTEGER NOT NULL, id TEXT NOT NULL, told INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (cluster, sequence)
  ) WITHOUT ROWID;
  CREATE INDEX jet_event_untold ON jet_event (told) WHERE told = 0;
`;

interface EventRow {
  readonly [column: string]: string | number;
  readonly body: string;
  readonly told: number;
}

export function sqliteEventShelf(db: Database): EventShelf {
  const events = (rows: readonly EventRow[]): StoredEvent[] =>
    rows.map((row) => ({ ...(JSON.parse(row.body) as StoredEvent), told: row.told === 1 }));
  return {
    load: async (clusterUid) =>
      events(
        await db.all<EventRow>(
          "SELECT body, told FROM jet_event WHERE cluster = ? ORDER BY sequence",
          clusterUid,
        ),
      ),
    put: (list) =>
      db.write(async (tx) => {
        for (const event of list) {
          await tx.run(
            "INSERT INTO jet_event (cluster, sequence, id, told, body) VALUES (?, ?, ?, ?, ?)" +
              " ON CONFLICT (cluster, sequence) DO UPDATE SET told = excluded.told, body = excluded.body",
            event.clusterUid,
            event.sequence,
            event.id,
            event.told ? 1 : 0,
            JSON.stringify(event),
          );
        }
      }),
    trim: (clusterUid, upTo) =>
      db.write(async (tx) => {
        await tx.run("DELETE FROM jet_event WHERE cluster = ? AND sequence <= ?", clusterUid, upTo);
      }),
    untold: async () =>
      events(
        await db.all<EventRow>("SELECT body, told FROM jet_event WHERE told = 0 ORDER BY cluster, sequence"),
      ),
  };
}
