// All that the gateway does about addresses besides serving pools: Metal3's kinds, static addresses, history, conflicts.
import { join } from "node:path";
import {
  isFault,
  openDatabase,
  type Clock,
  type Controller,
  type Kind,
  type Logger,
  type OwnedStore,
} from "#core";
import {
  arpProber,
  growthController,
  growthKinds,
  historyControllers,
  historyFile,
  historyMigration,
  metal3Controllers,
  sqliteHistory,
  staticControllers,
  systemWire,
  watchConflicts,
  type Prober,
} from "#ipam";
import { inClusterPoolKinds, ipAddress, metal3IPAddress, metal3IPPool, vsphereMachine } from "#proto";
import type { VsphereClient } from "#vsphere";
import { guestAddresses, vcenterWitness } from "./vm-witness.ts";

export interface AddressDeps {
  readonly store: OwnedStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  readonly vcenter: VsphereClient;
}

export interface AddressWork {
  readonly controllers: readonly Controller[];
  /** Asks this host's networks. */
  readonly prober: Prober;
  /** Looks for conflicts until the signal aborts. */
  watch(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** Controllers of kinds that the store does not serve would never begin: they are left out. */
export async function addressWork(deps: AddressDeps, dataDir: string): Promise<AddressWork> {
  const { store, log, vcenter } = deps;
  const database = await openDatabase(join(dataDir, historyFile), { migrations: [historyMigration] });
  const shelf = sqliteHistory(database);
  const [metal3, machines] = await Promise.all([serves(store, metal3IPPool), serves(store, vsphereMachine)]);
  const growth = await Promise.all(growthKinds.map((kind) => serves(store, kind)));
  const witness = vcenterWitness(vcenter, log);
  const kinds = [ipAddress as Kind, ...(metal3 ? [metal3IPAddress as Kind] : [])];
  const prober = arpProber({ clock: deps.clock, wire: systemWire });
  return {
    prober,
    controllers: [
      ...historyControllers({ ...deps, shelf }, kinds),
      ...(metal3 ? metal3Controllers({ ...deps, prober }) : []),
      ...(machines
        ? staticControllers({
            ...deps,
            witness,
            serves: ({ group }) => metal3 || group !== metal3IPPool.group,
          })
        : []),
      ...(growth.every(Boolean)
        ? [
            growthController({
              ...deps,
              kinds: [...inClusterPoolKinds, ...(metal3 ? [metal3IPPool as Kind] : [])],
            }),
          ]
        : []),
    ],
    watch: (signal) =>
      watchConflicts(
        { ...deps, guests: (until) => guestAddresses(vcenter, until) },
        { everyMs: conflictsEveryMs },
        signal,
      ),
    close: () => database.close(),
  };
}

const conflictsEveryMs = 300_000;

async function serves(store: OwnedStore, kind: Kind): Promise<boolean> {
  try {
    await store.list(kind, { limit: 1 });
    return true;
  } catch (error) {
    if (isFault(error, "NotFound")) return false;
    throw error;
  }
}
