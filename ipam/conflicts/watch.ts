// Looks for conflicts now and then, and says by events what it finds. Never on a claim's path, and it changes nothing.
import { Fault, sleep, type Clock, type Logger, type ResourceStore } from "#core";
import { sayEvent } from "../events.ts";
import { readInventory, type Inventory } from "../inventory/index.ts";
import { findConflicts, type Conflict, type GuestAddress } from "./find.ts";

export interface ConflictDeps {
  readonly store: ResourceStore;
  readonly clock: Clock;
  readonly log: Logger;
  /** What vCenter's guests report; absent: vCenter is not asked. */
  readonly guests?: (signal: AbortSignal) => Promise<readonly GuestAddress[]>;
}

export interface ConflictOptions {
  readonly everyMs: number;
  /** Hears of every round, for figures. */
  readonly onFound?: (conflicts: readonly Conflict[], inventory: Inventory) => void | Promise<void>;
}

/** Once. A vCenter that does not answer is no conflict: the others are found all the same. */
export async function checkConflicts(
  deps: ConflictDeps,
  signal: AbortSignal,
  onFound?: ConflictOptions["onFound"],
): Promise<readonly Conflict[]> {
  const guests = await (deps.guests?.(signal) ?? Promise.resolve([])).catch((error: unknown) => {
    deps.log.warn("vCenter cannot say which addresses are in use", { error: Fault.from(error) });
    return [];
  });
  const inventory = await readInventory(deps.store, signal);
  const conflicts = findConflicts(inventory, guests);
  for (const { about, reason, message } of conflicts)
    await sayEvent(deps, { about, type: "Warning", reason, message });
  await onFound?.(conflicts, inventory);
  return conflicts;
}

/** Again and again until the signal aborts. */
export async function watchConflicts(
  deps: ConflictDeps,
  options: ConflictOptions,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await checkConflicts(deps, signal, options.onFound);
    } catch (error) {
      if (!signal.aborted) deps.log.warn("conflicts cannot be looked for now", { error: Fault.from(error) });
    }
    await sleep(deps.clock, options.everyMs, signal).catch(() => {});
  }
}
