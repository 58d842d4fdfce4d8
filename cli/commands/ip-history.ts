// pcg ip history: who had an address, or what addresses a claim had. Kept by the gateway in its data folder; read there.
import { access } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Fault, formatTime, openDatabase } from "#core";
import {
  formatAddress,
  historyFile,
  historyMigration,
  holderAt,
  parseAddress,
  sqliteHistory,
  type HistoryEntry,
} from "#ipam";
import { gatewayOf, readContext } from "../context.ts";
import { show, table, type Format } from "../output.ts";
import type { World } from "../world.ts";

export interface HistoryOptions {
  readonly context: string;
  readonly output: Format;
  readonly namespace?: string;
  /** RFC 3339: only who had it then. */
  readonly at?: string;
  /** The gateway's data folder. */
  readonly data?: string;
}

export async function ipHistory(world: World, what: string, options: HistoryOptions): Promise<void> {
  const at = options.at === undefined ? undefined : Date.parse(options.at);
  if (Number.isNaN(at))
    throw new Fault("Invalid", `--at ${options.at}: a time such as 2026-11-27T22:00:00Z was expected`);
  const address = parseAddress(what);
  const entries = await read(options, (shelf) =>
    address
      ? shelf.ofAddress(formatAddress(address))
      : shelf.ofClaim(what.includes("/") ? what : `${options.namespace ?? "default"}/${what}`),
  );
  if (at !== undefined) {
    const holder = holderAt(entries, at);
    show(world.output, options.output, { holder }, () =>
      holder
        ? `${holder.claim} had ${holder.address}, given ${formatTime(holder.at)} from ${holder.pool}`
        : `nobody had ${what} at ${formatTime(at)}`,
    );
    return;
  }
  const items = entries.map((entry) => ({ ...entry, at: formatTime(entry.at) }));
  show(world.output, options.output, { items }, () => historyTable(what, entries));
}

export function historyTable(what: string, entries: readonly HistoryEntry[]): string {
  if (entries.length === 0) return `nothing is written of ${what}`;
  return table(
    ["TIME", "EVENT", "ADDRESS", "CLAIM", "POOL", "CLUSTER"],
    entries.map(({ at, event, address, claim, pool, cluster }) => [
      formatTime(at),
      event,
      address,
      claim,
      pool,
      cluster ?? "",
    ]),
  );
}

async function read(
  options: HistoryOptions,
  ask: (shelf: ReturnType<typeof sqliteHistory>) => Promise<readonly HistoryEntry[]>,
): Promise<readonly HistoryEntry[]> {
  const folder = options.data ?? dirname(gatewayOf(await readContext(options.context)).kubeconfig);
  const path = join(folder, historyFile);
  await access(path).catch((error: unknown) => {
    throw new Fault(
      "Unavailable",
      `${path} is not there: history is in the gateway's data folder; run this on the gateway, or name it with --data`,
      { cause: error },
    );
  });
  const database = await openDatabase(path, { migrations: [historyMigration] });
  try {
    return await ask(sqliteHistory(database));
  } finally {
    await database.close();
  }
}
