import { Fault } from "../fault.ts";
import type { Logger } from "../log.ts";
import { openDatabase } from "../sqlite.ts";
import { sleep, type Clock } from "../time/clock.ts";
import { orAborted } from "./informer.ts";
import type { Leadership } from "./leadership.ts";

export interface FileLeadershipOptions {
  /** The lock's file, on a local disk; made when absent. */
  readonly path: string;
  /** Who we are, for the others' log: "pid 4711". */
  readonly identity: string;
  /** How often a waiting process tries again; 500 ms unless told. */
  readonly retryMs?: number;
}

/**
 * Leadership among the processes of one machine. The lock is SQLite's write lock on a small database of its own: the kernel
 * lets go of it when the holder dies, by whatever signal, so there is no stale lock to judge.
 */
export function fileLeadership(
  deps: { readonly clock: Clock; readonly log: Logger },
  options: FileLeadershipOptions,
): Leadership {
  const { path, identity, retryMs = 500 } = options;
  const migrations = [
    "CREATE TABLE holder (one INTEGER PRIMARY KEY CHECK (one = 1), identity TEXT NOT NULL)",
  ];

  return {
    async lead(work, signal) {
      let waiting = false;
      while (!signal.aborted) {
        // Opened anew for each try: waiting inside SQLite would outlast an abort.
        const db = await openDatabase(path, { migrations, busyTimeoutMs: 1 }).catch((error: unknown) => {
          if (Fault.from(error).code !== "Busy") throw error;
          return undefined; // somebody is just making the file
        });
        try {
          if (db) {
            let led = false;
            await db.write((tx) =>
              tx.run(
                "INSERT INTO holder VALUES (1, ?) ON CONFLICT DO UPDATE SET identity = excluded.identity",
                identity,
              ),
            );
            await db.write(async () => {
              led = true;
              deps.log.info("leading", { lock: path });
              if (!signal.aborted) await work(signal);
            });
            if (led) return;
          }
        } catch (error) {
          if (Fault.from(error).code !== "Busy") throw error;
          const row = await db
            ?.get<{ identity: string }>("SELECT identity FROM holder")
            .catch(() => undefined);
          if (!waiting)
            deps.log.warn("waiting for another process to give up the lead", {
              lock: path,
              holder: row?.identity,
            });
          waiting = true;
        } finally {
          await db?.close();
        }
        await orAborted(sleep(deps.clock, retryMs, signal), signal).catch(() => {});
      }
    },
  };
}
