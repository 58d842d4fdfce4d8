// A site where everything is real but what happens inside machines: the embedded control plane, vcsim, an etcd for clusters, our IPAM, and
// machines that are played.
import { join } from "node:path";
import { openBundle, startControlPlane, type ControlPlane } from "#controlplane";
import {
  isFault,
  runControllers,
  silentLogger,
  systemClock,
  type Kind,
  type Logger,
  type OwnedStore,
  type ResourceStore,
} from "#core";
import { ipamControllers } from "#ipam";
import { kubeStore } from "#core/store/kube-store.ts";
import { customResourceDefinition, inClusterIPPool, globalInClusterIPPool } from "#proto";
import { crdOf } from "#proto/generate-crds.ts";
import { eventually } from "#sandbox/capi/testing.ts";
import type { Knobs } from "#sandbox/knobs.ts";
import { peerBundle } from "../harness/bundle.ts";
import { startExternalEtcd, type ExternalEtcd } from "./etcd.ts";
import { startMachines, type Machines } from "./machines.ts";
import { preparedVcenter, type PreparedVcenter } from "./vcenter.ts";

export interface Site {
  readonly controlPlane: ControlPlane;
  /** The control plane's API, as administrator. */
  readonly store: ResourceStore;
  readonly vcenter: PreparedVcenter;
  readonly etcd: ExternalEtcd;
  readonly machines: Machines;
  /** Ends all of it. Twice is once. */
  end(): Promise<void>;
}

export interface SiteOptions {
  readonly dir: string;
  readonly knobs?: Partial<Knobs>;
  /** Without TLS; with it unless told. */
  readonly plainEtcd?: boolean;
  /** Of the control plane and of IPAM; silent unless told. */
  readonly log?: Logger;
}

export async function startSite({
  dir,
  knobs = {},
  plainEtcd = false,
  log = silentLogger,
}: SiteOptions): Promise<Site> {
  const ends: (() => Promise<unknown>)[] = [];
  let ending: Promise<void> | undefined;
  const end = () =>
    (ending ??= (async () => {
      for (const each of ends.reverse()) await each();
    })());
  const own = <T extends object>(thing: T, close: (thing: T) => Promise<unknown>): T => {
    ends.push(() => close(thing));
    return thing;
  };
  try {
    const bundle = await openBundle(await peerBundle());
    const [vcenter, etcd] = await Promise.all([
      preparedVcenter({ dir: join(dir, "vcenter") }).then((it) => own(it, () => it.stop())),
      startExternalEtcd({ dir: join(dir, "etcd"), plain: plainEtcd }).then((it) => own(it, () => it.stop())),
    ]);
    const machines = own(startMachines({ dir, vcenter, knobs }), (it) => it.stop());
    const deps = { clock: systemClock, log, random: Math.random };
    const options = { dataDir: join(dir, "control-plane"), bundle, fsync: false };
    const controlPlane = own(await startControlPlane(options, deps, new AbortController().signal), (it) =>
      it.close(),
    );
    const store = own(await kubeStore(controlPlane.kubeconfig, { clock: systemClock }), (it) => it.close());
    for (const kind of [inClusterIPPool, globalInClusterIPPool]) await serve(store, kind);
    const stop = new AbortController();
    const running = runControllers({ store, ...deps }, ipamControllers({ store, ...deps }), stop.signal);
    ends.push(() => {
      stop.abort();
      return running.stopped;
    });
    return { controlPlane, store, vcenter, etcd, machines, end };
  } catch (error) {
    await end();
    throw error;
  }
}

/** Makes an API server know one of our kinds. */
async function serve(store: OwnedStore, kind: Kind): Promise<void> {
  await store.create(customResourceDefinition, crdOf(kind) as never);
  await eventually(`${kind.plural} are served`, () =>
    store.list(kind, { limit: 1 }).catch((error: unknown) => {
      if (isFault(error, "NotFound", "Unavailable")) return undefined;
      throw error;
    }),
  );
}
