// Looks for conflicts now and then, and says by events what it finds. Never on a claim's path, and it changes nothing.
import { Fault, sleep, type Clock, type Logger, type ResourceStore } from "#core";
import { sayEvent } from "../events.ts";
import { readInventory } from "../inventory/index.ts";
import { findConflicts, type Conflict, type GuestAddress } from "./find.ts";

export interface ConflictDeps {
  readonly store: ResourceStore;
  readonly clock: Clock;
  readonly log: Logger;
  /** What vCenter's guests report; absent: vCenter is not asked. */
  readonly guests?: (signal: AbortSignal) => Promise<readonly GuestAddress[]>;
}

/** Once. A vCenter that does not answer is no conflict: the others are found all the same. */
export async function checkConflicts(deps: ConflictDeps, signal: AbortSignal): Promise<readonly Conflict[]> {
  const guests = await (deps.guests?.(signal) ?? Promise.resolve([])).catch((error: unknown) => {
    deps.log.warn("vCenter cannot say which addresses are in use", { error: Fault.from(error) });
    return [];
  });
  const conflicts = findConflicts(await readInventory(deps.store, signal), guests);
  for (const { about, reason, message } of conflicts)
    await sayEvent(deps, { about, type: "Warning", reason, message });
  return conflicts;
}

/** Again and again until the signal aborts. `onFound` hears every round's, for metrics. */
export async function watchConflicts(
  deps: ConflictDeps,
  options: { readonly everyMs: number; readonly onFound?: (conflicts: readonly Conflict[]) => void },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      options.onFound?.(await checkConflicts(deps, signal));
    } catch (error) {
      if (!signal.aborted) deps.log.warn("conflicts cannot be looked for now", { error: Fault.from(error) });
    }
    await sleep(deps.clock, options.everyMs, signal).catch(() => {});
  }
}
