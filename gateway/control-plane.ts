// Where the objects of clusters in the making live, by controlPlane.mode: a store of our own, a control plane of our own processes, or
// a management cluster that is there already.
import { join } from "node:path";
import { Fault, type OwnedStore } from "#core";
import type { Seal } from "#core/store/seal.ts";
import { kubeStore } from "#core/store/kube-store.ts";
import { sqliteStore } from "#core/store/sqlite-store.ts";
import {
  openBundle,
  preflightExternal,
  startControlPlane,
  type Bundle,
  type ControlPlane,
  type ProgramStatus,
} from "#controlplane";
import type { Gateway } from "#proto";
import type { Ending } from "./closer.ts";
import { establish, managementKinds } from "./crds.ts";
import { pemFile } from "./files.ts";
import type { GatewayOptions } from "./options.ts";
import type { GatewayDeps } from "./deps.ts";

export interface ManagementApi {
  readonly store: OwnedStore;
  /** The supervised programs; mode embedded only. */
  readonly controlPlane?: ControlPlane;
  /** What providers in workload clusters are rendered from, where there is one. */
  readonly bundle?: Bundle;
}

/** Takes from Cluster API's managers what must not act, before they run; `GatewayRecovery.fence`. */
export type Fence = (
  kubeconfig: string,
  withoutWebhooks: () => Promise<void>,
  signal: AbortSignal,
) => Promise<void>;

/**
 * Opens it; what it starts is ended by `ending`. Invalid where the mode lacks an option, a program or a right; the message says which.
 */
export async function openManagementApi(
  options: GatewayOptions,
  deps: GatewayDeps,
  { seal, ending, fence }: { readonly seal: Seal; readonly ending: Ending; readonly fence: Fence },
): Promise<ManagementApi> {
  const { clock, log, random } = deps;
  const { dataDir, controlPlane } = options;
  switch (controlPlane.mode) {
    case "sandbox":
      // The lock makes this process the file's only one: no need to look for the writes of others.
      return {
        store: ending.own(await sqliteStore(join(dataDir, "store.db"), { clock, log, seal, pollMs: 0 })),
      };
    case "embedded": {
      const bundle = await embeddedPrograms(options);
      const running = ending.own(
        await startControlPlane(
          {
            dataDir: controlPlaneDir(dataDir),
            bundle,
            beforeManagers: ({ kubeconfig, withoutWebhooks }, signal) =>
              fence(kubeconfig, withoutWebhooks, signal),
            snapshots: { everyMs: controlPlane.snapshots.every, keep: controlPlane.snapshots.keep },
          },
          { clock, log: log.child({ component: "control-plane" }), random },
          ending.signal,
        ),
      );
      const store = ending.own(await kubeStore(running.kubeconfig, { clock }));
      await establish(store, managementKinds, clock, ending.signal);
      return { store, controlPlane: running, bundle };
    }
    case "external": {
      const kubeconfig = await pemFile(
        needed(controlPlane.kubeconfig, "external", "kubeconfig", "the management cluster's kubeconfig"),
        "controlPlane.kubeconfig",
      );
      const store = ending.own(await kubeStore(kubeconfig, { clock }));
      await preflightExternal(kubeconfig, { clock }, ending.signal);
      await establish(store, managementKinds, clock, ending.signal);
      if (controlPlane.programs === undefined) return { store };
      return { store, bundle: await openBundle(controlPlane.programs) };
    }
  }
}

/** The programs of mode embedded, checked. Invalid with all that is wrong with them. */
export function embeddedPrograms({ dataDir, controlPlane }: GatewayOptions): Promise<Bundle> {
  const folder = needed(controlPlane.programs, "embedded", "programs", "the folder with the programs");
  return openBundle(folder, { memory: join(dataDir, "programs-seen.json") });
}

/** Where the supervised programs have their state. */
export function controlPlaneDir(dataDir: string): string {
  return join(dataDir, "control-plane");
}

function needed(value: string | undefined, mode: string, option: string, what: string): string {
  if (value !== undefined) return value;
  throw new Fault("Invalid", `controlPlane.mode ${mode} needs controlPlane.${option}: ${what}`);
}

/** The programs as the Gateway object tells them. Pure. */
export function programsOf(
  programs: readonly ProgramStatus[],
): NonNullable<NonNullable<Gateway["status"]>["programs"]> {
  return programs.map(({ name, version, state, pid, rssMiB, restarts, message }) => ({
    name,
    version,
    state,
    restarts,
    ...(pid === undefined ? {} : { pid }),
    ...(rssMiB === undefined ? {} : { memoryMiB: Math.round(rssMiB) }),
    ...(message === undefined ? {} : { message }),
  }));
}
