// What is done beside the programs while they run: snapshots, certificates, room in etcd's file. Each thing fails alone and is tried again
// at its next turn.
import { Fault, isFault, sleep, type Clock, type Logger } from "#core";
import type { Etcd, EtcdStatus } from "./etcd.ts";

export interface Chore {
  readonly name: string;
  readonly everyMs: number;
  /** Before the first turn; `everyMs` unless told. */
  readonly firstMs?: number;
  readonly work: (signal: AbortSignal) => Promise<unknown>;
}

/** Does the chores, each at its turns, until `signal` aborts; resolves when the last has ended. */
export async function keepHouse(
  chores: readonly Chore[],
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
  signal: AbortSignal,
): Promise<void> {
  await Promise.all(
    chores.map(async ({ name, everyMs, firstMs = everyMs, work }) => {
      for (let wait = firstMs; ; wait = everyMs) {
        try {
          await sleep(clock, wait, signal);
          await work(signal);
        } catch (error) {
          if (signal.aborted || isFault(error, "Cancelled")) return;
          log.warn("a chore of the control plane failed; it is tried again", {
            chore: name,
            againInMs: everyMs,
            error: Fault.from(error),
          });
        }
      }
    }),
  );
}

export type Relief = "none" | "defragment" | "compact" | "full";

/** A file worth the pause of a defragmentation: more than half of it empty, and not small. */
const worthwhile = 256 * 1024 ** 2;

/**
 * What to do about the room in etcd's file. Under the alarm it takes no writes until it is told that there is room again. `forgot`:
 * whether a compaction just now found anything to forget; undefined before it. What it set free etcd counts when it writes next, which
 * under the alarm may be never: a defragmentation counts. Pure.
 */
export function reliefFor(status: EtcdStatus, alarm: boolean, forgot: boolean | undefined): Relief {
  const { dbSize, dbSizeInUse } = status;
  if (!alarm) return dbSize > worthwhile && dbSizeInUse < dbSize / 2 ? "defragment" : "none";
  if (forgot === undefined) return "compact"; // the API server cannot: it would have to write
  return forgot || hasRoom(dbSizeInUse, status) ? "defragment" : "full";
}

function hasRoom(bytes: number, { quota }: EtcdStatus): boolean {
  return bytes < quota * 0.8;
}

/** Gives etcd room again where that can be done without deleting anything that is wanted. */
export async function relieve(etcd: Etcd, log: Logger, signal: AbortSignal): Promise<Relief> {
  const alarm = await etcd.hasSpaceAlarm(signal);
  let status = await etcd.status(signal);
  let relief = reliefFor(status, alarm, undefined);
  if (relief === "compact") {
    const forgot = await etcd.compact(status.revision, signal);
    status = await etcd.status(signal);
    relief = reliefFor(status, alarm, forgot);
  }
  if (relief !== "defragment") return relief;
  await etcd.defragment(signal);
  const after = await etcd.status(signal);
  const isFull = alarm && !hasRoom(after.dbSize, after);
  if (alarm && !isFull) await etcd.clearSpaceAlarm(signal);
  log.info("gave etcd room", { alarm, isFull, bytesBefore: status.dbSize, bytesAfter: after.dbSize });
  return isFull ? "full" : "defragment";
}
