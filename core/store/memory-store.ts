import { logStore, type LogStoreDeps } from "./log-store.ts";
import { memoryRows } from "./memory-rows.ts";
import type { OwnedStore } from "./store.ts";

export interface MemoryStoreDeps extends Omit<LogStoreDeps, "pollMs"> {
  /** How many events are remembered for watches and paged lists; 10,000 unless told. */
  readonly history?: number;
}

/** A store that is gone with the process. */
export function memoryStore(deps: MemoryStoreDeps): OwnedStore {
  return logStore(memoryRows(deps.history), deps);
}
