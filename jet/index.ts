// The door of jet: from a wish to a running cluster, and back to nothing.
import type { Controller } from "#core";
import { eventRing, type StoredEvent } from "./events.ts";
import type { JetDeps, JetOptions } from "./ports.ts";
import { spaController } from "./spa/controller.ts";

export type * from "./ports.ts";
export { acceptDesired, desiredToSpa, type Accepted } from "./desired.ts";
export { memoryEventShelf, type EventShelf, type StoredEvent } from "./events.ts";
export { eventMigration, sqliteEventShelf } from "./sqlite-events.ts";
export { fenceAfterRestore, recoverCluster, recoverClusters, type RecoveryDeps } from "./mirror/recover.ts";
export { isBehind, tick, type LineageShelf } from "./mirror/lineage.ts";
export { commandAnnotation, commandOf, pivotCommands, type PivotCommand } from "./pivot/command.ts";
export { isBeforeDecision, isSettled, stepText } from "./pivot/journal.ts";
export { memorySnapshotShelf, type SnapshotShelf } from "./pivot/snapshot.ts";
export { snapshotMigration, sqliteSnapshotShelf } from "./sqlite-snapshots.ts";
export { defaultImages, providerNamespace } from "./providers.ts";
export { milestoneTitles, deletionTitles } from "#proto/render/titles.ts";

export interface Jet {
  readonly controllers: readonly Controller[];
  /** The last events of a cluster, oldest first; also of one that is gone, until the ring forgets it. */
  readEvents(clusterUid: string): Promise<readonly StoredEvent[]>;
  /** Tells the plane what an earlier process stored and could not tell. Call it once, when the outlet works. */
  catchUp(): Promise<void>;
}

/** Jet over a gateway's store. Nothing runs until a runner is given the controllers. */
export function makeJet(deps: JetDeps, options: JetOptions = {}): Jet {
  const events = eventRing({
    shelf: deps.events,
    tell: (event) => deps.outlet.event(event),
    clock: deps.clock,
    random: deps.random,
  });
  return {
    controllers: [spaController(deps, options, events)],
    readEvents: (clusterUid) => events.read(clusterUid),
    catchUp: () => events.catchUp(),
  };
}

/** The controllers alone, for a runner. */
export function jetControllers(deps: JetDeps, options: JetOptions = {}): readonly Controller[] {
  return makeJet(deps, options).controllers;
}
