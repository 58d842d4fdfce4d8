import { logStore, type LogStoreDeps } from "./log-store.ts";
import type { Seal } from "./seal.ts";
import { sqliteRows } from "./sqlite-rows.ts";
import type { OwnedStore } from "./store.ts";

/** What is sealed where a seal is given and nothing else is said: core Secrets, and SPAs, which may carry enrolment tokens. */
export const sealedByDefault: readonly string[] = ["secrets", "spectroprovisioningagents.jet.pcg.dev"];

export interface SqliteStoreDeps extends LogStoreDeps {
  /** How many events are remembered for watches and paged lists; 10,000 unless told. Older revisions are Gone. */
  readonly history?: number;
  /** And about how many bytes of them, where that is less; 64 MiB unless told. */
  readonly historyBytes?: number;
  /** How many writes may share a commit; 64 unless told, 1 gives every write its own. */
  readonly groupSize?: number;
  /** Seals the objects of some kinds at rest (seal.ts). Absent: nothing is sealed. */
  readonly seal?: Seal;
  /** Group resources to seal ("secrets"); `sealedByDefault` unless told. */
  readonly sealed?: readonly string[];
}

/**
 * A store in a SQLite file, made (readable by its owner alone) where there is none. Survives kill -9 (R12). Several processes may
 * use one file: each finds the others' writes within pollMs, 250 unless told.
 */
export async function sqliteStore(path: string, deps: SqliteStoreDeps): Promise<OwnedStore> {
  const { history, historyBytes, groupSize, seal, sealed = sealedByDefault, pollMs = 250 } = deps;
  const rows = await sqliteRows(path, {
    sealed,
    ...(history ? { history } : {}),
    ...(historyBytes ? { historyBytes } : {}),
    ...(groupSize ? { groupSize } : {}),
    ...(seal ? { seal } : {}),
  });
  return logStore(rows, { ...deps, pollMs });
}
