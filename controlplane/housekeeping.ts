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

/** What to do about the room in etcd's file. Under the alarm it takes no writes until it is told that there is room again. Pure. */
export function reliefFor(
  { dbSize, dbSizeInUse, quota }: EtcdStatus,
  alarm: boolean,
  compacted: boolean,
): Relief {
  if (!alarm) return dbSize > worthwhile && dbSizeInUse < dbSize / 2 ? "defragment" : "none";
  if (!compacted) return "compact"; // the API server cannot: it would have to write
  return dbSizeInUse < quota * 0.8 ? "defragment" : "full";
}

/** Gives etcd room again where that can be done without deleting anything that is wanted. */
export async function relieve(etcd: Etcd, log: Logger, signal: AbortSignal): Promise<Relief> {
  const alarm = await etcd.hasSpaceAlarm(signal);
  let status = await etcd.status(signal);
  let relief = reliefFor(status, alarm, false);
  if (relief === "compact") {
    await etcd.compact(status.revision, signal);
    status = await etcd.status(signal);
    relief = reliefFor(status, alarm, true);
  }
  if (relief === "defragment") {
    await etcd.defragment(signal);
    if (alarm) await etcd.clearSpaceAlarm(signal);
    const after = await etcd.status(signal);
    log.info("gave etcd room", { alarm, bytesBefore: status.dbSize, bytesAfter: after.dbSize });
  }
  return relief;
}
