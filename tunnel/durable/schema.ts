// The tables of both logs. One database serves one link, or all peers of a hub; `peer` tells them apart.
import { openDatabase, type Database } from "#core";

/** Statements that may be run again and again. */
const schema: readonly string[] = [
  // One row per peer: where both logs stand.
  `CREATE TABLE IF NOT EXISTS tunnel_peer (
     peer TEXT PRIMARY KEY,
     epoch TEXT NOT NULL,      -- of our log towards it
     acked INTEGER NOT NULL,   -- the peer has everything of our log up to here
     in_epoch TEXT NOT NULL,   -- of its log; '' before the first message
     in_cursor INTEGER NOT NULL,
     identity TEXT             -- JSON, as last seen; hubs only
   ) WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS tunnel_outbox (
     peer TEXT NOT NULL,
     seq INTEGER NOT NULL,
     class TEXT NOT NULL,      -- event, state, gap
     topic TEXT NOT NULL,
     key TEXT NOT NULL,
     body TEXT NOT NULL,
     at INTEGER NOT NULL,
     bytes INTEGER NOT NULL,
     PRIMARY KEY (peer, seq)
   )`,
  `CREATE UNIQUE INDEX IF NOT EXISTS tunnel_outbox_state ON tunnel_outbox (peer, topic, key) WHERE class = 'state'`,
  // Messages we answer for but have not handled yet (done = 0), and receipts of those handled ahead of the cursor (done = 1).
  `CREATE TABLE IF NOT EXISTS tunnel_inbox (
     id INTEGER PRIMARY KEY AUTOINCREMENT,
     peer TEXT NOT NULL,
     epoch TEXT NOT NULL,
     seq INTEGER NOT NULL,
     class TEXT NOT NULL,
     topic TEXT NOT NULL,
     key TEXT NOT NULL,
     body TEXT NOT NULL,
     at INTEGER NOT NULL,
     done INTEGER NOT NULL,
     UNIQUE (peer, epoch, seq)
   )`,
  `CREATE INDEX IF NOT EXISTS tunnel_inbox_lane ON tunnel_inbox (peer, topic, key, done, id)`,
];

/** Opens the tunnel's own database at a path, or puts its tables into one that is shared. */
export async function openTunnelDatabase(
  where: string | Database,
): Promise<{ database: Database; close: () => Promise<void> }> {
  const database = typeof where === "string" ? await openDatabase(where, { migrations: [] }) : where;
  await database.write(async (tx) => {
    for (const statement of schema) await tx.run(statement);
  });
  return { database, close: () => (typeof where === "string" ? database.close() : Promise.resolve()) };
}
