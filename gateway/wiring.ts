// Who gets what: the whole gateway on one page. Modules know their ports; only here do they meet.
//
//   G1. One gateway a data directory: a lock is held for as long as it runs.
//   G2. State is in the store and in link.db, nothing of worth in memory: kill -9 loses no more than the round under way.
//   G3. What was started is ended, in reverse order, within five seconds of the signal.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import {
  backoffDelay,
  Fault,
  formatTime,
  isFault,
  linkAbort,
  openDatabase,
  runControllers,
  sleep,
  type OwnedStore,
} from "#core";
import { fileLeadership } from "#core/controller/file-leadership.ts";
import { keyFileSeal } from "#core/store/seal.ts";
import { kubeStore } from "#core/store/kube-store.ts";
import { bundledProviders } from "#controlplane";
import { IpamGauges, ipamControllers } from "#ipam";
import {
  eventMigration,
  makeJet,
  snapshotMigration,
  sqliteEventShelf,
  sqliteSnapshotShelf,
  type Mirrors,
  type StoredEvent,
} from "#jet";
import { desiredClusterTopic, mirrorTopic } from "#proto";
import type { Link } from "#tunnel";
import { pair, validity, type Identity } from "#tunnel/identity/index.ts";
import { vsphereSessions, type VsphereClient } from "#vsphere";
import { addressWork } from "./addresses.ts";
import { accountOf, cloudOf, keepAccount } from "./account.ts";
import { vsphereClouds } from "./cloud.ts";
import { followAccount, followServer } from "./follow-vcenter.ts";
import { openManagementApi, programsOf } from "./control-plane.ts";
import { crdObjects } from "./crds.ts";
import type { GatewayDeps } from "./deps.ts";
import { planeCa } from "./files.ts";
import { takesConnections } from "./endpoint.ts";
import { keepPulse, type PulseFacts } from "./heartbeat.ts";
import { openLine } from "./link.ts";
import { startLocalApi } from "./local-api.ts";
import type { GatewayOptions } from "./options.ts";
import { gatewayRecovery, lineageMigration } from "./recovery.ts";
import { orderHandler } from "./orders.ts";
import { mirrorDesk } from "./mirror-desk.ts";
import { mirrorMigration } from "./mirror-shelf.ts";
import { linkOutlet } from "./outlet.ts";
import { parentPools } from "./parent-pools.ts";
import { imageSource } from "./images.ts";
import { closer } from "./closer.ts";

export interface RunningGateway {
  readonly store: OwnedStore;
  /** For kubectl; absent in mode external, where the management cluster has its own. */
  readonly kubeconfigPath: string | undefined;
  readonly apiUrl: string | undefined;
  identity(): Identity | undefined;
  /** Pairs with the plane by a code and opens the link. As `pcg gateway pair` in another process does. */
  pair(code: string): Promise<Identity>;
  /** What it sees of itself, as in the Gateway object. */
  facts(): Promise<PulseFacts>;
  /** The last events of a cluster, oldest first; also of one that is gone. */
  readEvents(clusterUid: string): Promise<readonly StoredEvent[]>;
  /** The copies of clusters that outlive the store. */
  readonly mirrors: Mirrors;
  /** Stops everything. Twice is once. */
  close(): Promise<void>;
}

/** Starts a gateway. Rejects with Invalid for a configuration that cannot work; waits while another runs on the data directory (G1). */
export async function startGateway(
  options: GatewayOptions,
  deps: GatewayDeps,
  outer: AbortSignal,
): Promise<RunningGateway> {
  const { clock, log, random } = deps;
  const { dataDir } = options;
  const account = await accountOf(options.vcenter);
  const ending = closer(outer, log);
  const { signal } = ending;
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    await ending.hold(
      fileLeadership({ clock, log }, { path: join(dataDir, "lock.db"), identity: `gateway ${options.name}` }),
    ); // G1
    const seal = await keyFileSeal(join(dataDir, "key"));
    const database = ending.own(
      await openDatabase(join(dataDir, "gateway.db"), {
        migrations: [eventMigration, mirrorMigration, lineageMigration, snapshotMigration],
      }),
    );
    const mirrors = await mirrorDesk({
      dataDir,
      seal,
      db: database,
      clock,
      log: log.child({ component: "mirrors" }),
      onWhole: (clusterUid) => recovery.cameLate(store, clusterUid, signal),
    });
    const recovery = gatewayRecovery({
      db: database,
      mirrors: mirrors.shelf,
      cloud: () => cloudOf(account),
      clock,
      log: log.child({ component: "recovery" }),
    });
    const management = await openManagementApi(options, deps, { seal, ending, fence: recovery.fence });
    const { store, controlPlane } = management;
    await keepAccount(store, account);
    const wasBehind = await recovery.recover(store, signal); // before any order, and before any controller
    ending.wait(recovery.keepNoting(store, signal));
    await followAccount(store, account);

    const sessions = ending.own(vsphereSessions({ clock, log }));
    const outlet = linkOutlet(() => line.link());
    const line = openLine(
      { clock, log: log.child({ component: "link" }), random, seal },
      {
        dataDir,
        handlers: {
          [desiredClusterTopic]: orderHandler({
            store,
            clock,
            log: log.child({ component: "orders" }),
            identity: () => line.identity()!,
            account: () => cloudOf(account),
            publish: outlet,
            isForgotten: mirrors.shelf.isForgotten,
          }),
          [mirrorTopic]: mirrors.handler,
        },
      },
      signal,
    );
    ending.own(line);

    const gauges = new IpamGauges();
    const jet = makeJet(
      {
        store,
        cloudFor: vsphereClouds(sessions),
        pools: parentPools(store, clock, gauges),
        answers: takesConnections(clock),
        workloads: { connect: (kubeconfig) => kubeStore(kubeconfig, { clock }) },
        outlet,
        events: sqliteEventShelf(database),
        snapshots: sqliteSnapshotShelf(database, seal),
        crds: crdObjects,
        ...(management.bundle ? { providers: bundledProviders(management.bundle.providers, clock) } : {}),
        mirrors: mirrors.shelf,
        clock,
        log,
        random,
      },
      {
        quietMs: options.jet.quiet,
        watchMs: options.jet.watch,
        deadAfterMs: options.jet.deadAfter,
        images: { agent: options.jet.images.agent },
        imageSource: await imageSource(options),
        agentTrust: (clusterUid) => ({ ...trustOf(line.identity()), mirror: mirrors.trust(clusterUid) }),
      },
    );
    await line.refresh(); // before the controllers: what they say from their first round on has a way to the plane
    const client = sessions.connect(account);
    const instance = async (limit: AbortSignal) => (await client.about(limit)).instanceUuid;
    ending.wait(followServer({ store, clock, log, random, instance }, account, signal));
    const addresses = ending.own(await addressWork({ store, clock, log, random, vcenter: client }, dataDir));
    const controllers = [
      ...ipamControllers({ store, clock, log, random, gauges, prober: addresses.prober }),
      ...addresses.controllers,
      ...jet.controllers,
    ];
    const running = runControllers({ store, clock, log, random }, controllers, signal);
    ending.wait(running.stopped);

    ending.wait(addresses.watch(signal));

    const startedAt = formatTime(clock.now());
    const facts = async (): Promise<PulseFacts> => ({
      version: deps.version,
      startedAt,
      controlPlaneMode: options.controlPlane.mode,
      ...(controlPlane ? { programs: programsOf(await controlPlane.status()) } : {}),
      ...identityFacts(line.identity()),
      ...(await linkFacts(line.link())),
      vcenter: await vcenterFacts(client, account.server, deps, signal),
      controllers: running.health(),
      memoryMiB: Math.round(deps.memory() / 2 ** 20),
    });
    const send = (beat: Parameters<typeof outlet.heartbeat>[1]) => outlet.heartbeat("gateway", beat);
    const pulse = { store, clock, log, facts, send };

    const api =
      options.controlPlane.mode === "sandbox"
        ? ending.own(await startLocalApi({ store, clock, log }, { dataDir, listen: options.api.listen }))
        : undefined;

    async function pairWith(code: string): Promise<Identity> {
      const identity = await pair({
        planeUrl: options.plane.url.href,
        ...(await planeCa(options)),
        code,
        name: options.name,
        dataDir,
        clock,
        log,
        signal,
        seal,
      });
      await line.refresh();
      return identity;
    }
    if (options.plane.pairingCode && !line.identity()) {
      ending.wait(pairUntilDone(() => pairWith(options.plane.pairingCode!.reveal()), deps, signal));
    }
    await running.ready;
    // A beat goes out as soon as there is a link: the plane learns of the vCenter account and the pools from it.
    ending.wait(line.opened.then(() => jet.catchUp()));
    ending.wait(
      line.opened.then(async () =>
        outlet.mirrorWanted({ have: await mirrors.shelf.have(), lost: wasBehind }),
      ),
    );
    ending.wait(keepPulse({ ...pulse, onChange: line.onState }, options.plane.heartbeat, signal));
    log.info("gateway ready", { name: options.name, api: api?.url, paired: line.identity() !== undefined });
    return {
      store,
      kubeconfigPath: controlPlane?.kubeconfigPath ?? api?.kubeconfigPath,
      apiUrl: controlPlane?.server ?? api?.url,
      identity: line.identity,
      pair: pairWith,
      facts,
      readEvents: (clusterUid) => jet.readEvents(clusterUid),
      mirrors: mirrors.shelf,
      close: ending.close,
    };
  } catch (error) {
    await ending.close();
    throw error;
  }
}

/** Pairs with the code of the configuration. A refusal ends it: only another code can help. */
async function pairUntilDone(
  pairOnce: () => Promise<unknown>,
  { clock, log, random }: GatewayDeps,
  signal: AbortSignal,
) {
  for (let attempt = 1; !signal.aborted; attempt++) {
    try {
      await pairOnce();
      return;
    } catch (error) {
      const fault = Fault.from(error);
      if (!isFault(fault, "Unavailable", "TimedOut", "Busy")) {
        log.error("pairing was refused; make a new code and run: pcg gateway pair CODE", { error: fault });
        return;
      }
      const retryMs = backoffDelay(attempt, { baseMs: 1_000, capMs: 60_000 }, random);
      log.warn("the plane cannot be reached for pairing; trying again", { attempt, retryMs, error: fault });
      await sleep(clock, retryMs, signal).catch(() => {});
    }
  }
}

function trustOf(identity: Identity | undefined) {
  return identity ? { signingKey: identity.signingKey } : {};
}

function identityFacts(identity: Identity | undefined): Pick<PulseFacts, "identity"> {
  if (!identity) return {};
  const { uid, tenantUid, certificate } = identity;
  return { identity: { uid, tenantUid, certificateExpires: formatTime(validity(certificate).untilMs) } };
}

const vcenterPatienceMs = 10_000;

async function vcenterFacts(
  client: VsphereClient,
  server: string,
  { clock }: GatewayDeps,
  signal: AbortSignal,
) {
  const patience = linkAbort(signal);
  const cancel = clock.after(vcenterPatienceMs, patience.abort);
  try {
    await client.checkLogin(patience.signal);
    return { server, reachable: true };
  } catch (error) {
    return { server, reachable: false, message: Fault.from(error).message };
  } finally {
    cancel();
    patience.unlink();
  }
}

async function linkFacts(link: Link | undefined): Promise<Pick<PulseFacts, "link">> {
  return link ? { link: { state: link.state, backlog: await link.backlog() } } : {};
}
