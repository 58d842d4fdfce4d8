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
import { customResourceDefinition, inClusterIPPool, inClusterPoolKinds, namespace } from "#proto";
import { crdOf } from "#proto/generate-crds.ts";
import { ensure } from "#sandbox/capi/edit.ts";
import { eventually, type GoldenWish } from "#sandbox/capi/testing.ts";
import type { Knobs } from "#sandbox/knobs.ts";
import type { Endpoint } from "#sandbox/workload/boot.ts";
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
  /** False: whoever asks gives out addresses; true unless told. */
  readonly ipam?: boolean;
  /** Of the control plane and of IPAM; silent unless told. */
  readonly log?: Logger;
}

export async function startSite({
  dir,
  knobs = {},
  plainEtcd = false,
  ipam = true,
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
    const machines = own(startMachines({ dir, vcenter: { ...vcenter, ...vcenter.hands }, knobs }), (it) =>
      it.stop(),
    );
    const deps = { clock: systemClock, log, random: Math.random };
    const options = { dataDir: join(dir, "control-plane"), bundle, fsync: false };
    const controlPlane = own(await startControlPlane(options, deps, new AbortController().signal), (it) =>
      it.close(),
    );
    const store = own(await kubeStore(controlPlane.kubeconfig, { clock: systemClock }), (it) => it.close());
    for (const kind of inClusterPoolKinds) await serve(store, kind);
    if (ipam) {
      const stop = new AbortController();
      const running = runControllers({ store, ...deps }, ipamControllers({ store, ...deps }), stop.signal);
      ends.push(() => {
        stop.abort();
        return running.stopped;
      });
    }
    return { controlPlane, store, vcenter, etcd, machines, end };
  } catch (error) {
    await end();
    throw error;
  }
}

export interface SiteWish {
  /** In 127.0.0.0/8: where the cluster's API will listen. */
  readonly endpoint: Endpoint;
  /** Gives KCP the key of etcd's authority, as in the recorded run; not unless told. */
  readonly giveEtcdKey?: boolean;
}

/** What the golden objects must say to fit this site; makes their namespace and the pool that they name. */
export async function settleGolden(site: Site, { endpoint, giveEtcdKey }: SiteWish): Promise<GoldenWish> {
  const { store, vcenter, etcd } = site;
  const { endpoints, ca, caKey, certificate, key } = etcd;
  await ensure(store, namespace, { metadata: { name: "cluster-1" } });
  await ensure(store, inClusterIPPool, {
    metadata: { namespace: "cluster-1", name: "nodes" },
    spec: { addresses: ["10.1.0.10-10.1.0.40"], prefix: 24, gateway: "10.1.0.1" },
  });
  const access = { endpoints, ca, certificate, key: key.reveal() };
  return {
    endpoint,
    etcd: giveEtcdKey ? { ...access, caKey: caKey.reveal() } : access,
    credential: { username: vcenter.user, password: vcenter.password.reveal() },
    machine: { server: vcenter.server, thumbprint: vcenter.thumbprint },
  };
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
