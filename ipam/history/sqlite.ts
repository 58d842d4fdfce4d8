// History in SQLite. The table is part of whoever's database: put `historyMigration` among its migrations.
import type { Database } from "#core";
import type { HistoryEntry, HistoryShelf } from "./history.ts";

/** What its file is called in the data folder of whoever keeps it; `pcg ip history` looks there. */
export const historyFile = "addresses.db";

export const historyMigration = `
  CREATE TABLE ipam_history (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    event TEXT NOT NULL, at INTEGER NOT NULL, address TEXT NOT NULL, uid TEXT NOT NULL,
    claim TEXT NOT NULL, body TEXT NOT NULL,
    UNIQUE (uid, event)
  );
  CREATE INDEX ipam_history_address ON ipam_history (address);
  CREATE INDEX ipam_history_claim ON ipam_history (claim);
  CREATE INDEX ipam_history_at ON ipam_history (at);
`;

interface Row {
  readonly [column: string]: string;
  readonly body: string;
}

export function sqliteHistory(db: Database): HistoryShelf {
  const read = async (where: string, ...values: (string | number)[]): Promise<readonly HistoryEntry[]> => {
    const rows = await db.all<Row>(
      `SELECT body FROM ipam_history WHERE ${where} ORDER BY sequence`,
      ...values,
    );
    return rows.map(({ body }) => JSON.parse(body) as HistoryEntry);
  };
  const isOpen =
    "event = 'given' AND NOT EXISTS (SELECT 1 FROM ipam_history AS later WHERE later.uid = ipam_history.uid AND later.event = 'released')";
  return {
    append: (entries) =>
      db.write(async (tx) => {
        for (const entry of entries)
          await tx.run(
            "INSERT INTO ipam_history (event, at, address, uid, claim, body) VALUES (?, ?, ?, ?, ?, ?)" +
              " ON CONFLICT DO NOTHING",
            entry.event,
            entry.at,
            entry.address,
            entry.uid,
            entry.claim,
            JSON.stringify(entry),
          );
      }),
    ofAddress: (address) => read("address = ?", address),
    ofClaim: (claim) => read("claim = ?", claim),
    since: (at) => read("at >= ?", at),
    open: () => read(isOpen),
  };
}
