// Who gets what: the whole gateway on one page. Modules know their ports; only here do they meet.
//
//   G1. One gateway a data directory: a lock is held for as long as it runs.
//   G2. State is in the store and in link.db, nothing of worth in memory: kill -9 loses no more than the round under way.
//   G3. What was started is ended, in reverse order, within five seconds of the signal.
import { mkdir, readFile } from "node:fs/promises";
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
  type Clock,
  type Logger,
  type OwnedStore,
} from "#core";
import { fileLeadership } from "#core/controller/file-leadership.ts";
import { keyFileSeal, type Seal } from "#core/store/seal.ts";
import { kubeStore } from "#core/store/kube-store.ts";
import { sqliteStore } from "#core/store/sqlite-store.ts";
import { ipamControllers, poolRoom } from "#ipam";
import { eventMigration, makeJet, sqliteEventShelf, type Pools, type StoredEvent } from "#jet";
import { desiredClusterTopic } from "#proto";
import type { Link } from "#tunnel";
import { pair, validity, type Identity } from "#tunnel/identity/index.ts";
import { vsphereSessions, type VsphereClient } from "#vsphere";
import { addressWork } from "./addresses.ts";
import { cloudOf, keepAccount, passwordOf, type VcenterAccount } from "./account.ts";
import { vsphereClouds } from "./cloud.ts";
import { crdObjects } from "./crds.ts";
import { keepPulse, type PulseFacts } from "./heartbeat.ts";
import { openLine } from "./link.ts";
import { startLocalApi } from "./local-api.ts";
import type { GatewayOptions } from "./options.ts";
import { orderHandler } from "./orders.ts";
import { linkOutlet } from "./outlet.ts";
import { closer } from "./closer.ts";

export interface GatewayDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  readonly version: string;
  /** Resident memory of this process, bytes. */
  readonly memory: () => number;
}

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
  const account = await accountOf(options);
  const ending = closer(outer, log);
  const { signal } = ending;
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    await ending.hold(
      fileLeadership({ clock, log }, { path: join(dataDir, "lock.db"), identity: `gateway ${options.name}` }),
    ); // G1
    const seal = await keyFileSeal(join(dataDir, "key"));
    const store = ending.own(await openStore(options, deps, seal));
    const database = ending.own(
      await openDatabase(join(dataDir, "gateway.db"), { migrations: [eventMigration] }),
    );
    await keepAccount(store, account);

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
          }),
        },
      },
      signal,
    );
    ending.own(line);

    const jet = makeJet(
      {
        store,
        cloudFor: vsphereClouds(sessions),
        pools: parentPools(store),
        workloads: { connect: (kubeconfig) => kubeStore(kubeconfig, { clock }) },
        outlet,
        events: sqliteEventShelf(database),
        crds: crdObjects,
        clock,
        log,
        random,
      },
      {
        quietMs: options.jet.quiet,
        watchMs: options.jet.watch,
        agentTrust: () => trustOf(line.identity()),
      },
    );
    await line.refresh(); // before the controllers: what they say from their first round on has a way to the plane
    const client = sessions.connect(account);
    const addresses = ending.own(await addressWork({ store, clock, log, random, vcenter: client }, dataDir));
    const controllers = [
      ...ipamControllers({ store, clock, log, random, prober: addresses.prober }),
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
    ending.wait(keepPulse({ ...pulse, onChange: line.onState }, options.plane.heartbeat, signal));
    log.info("gateway ready", { name: options.name, api: api?.url, paired: line.identity() !== undefined });
    return {
      store,
      kubeconfigPath: api?.kubeconfigPath,
      apiUrl: api?.url,
      identity: line.identity,
      pair: pairWith,
      facts,
      readEvents: (clusterUid) => jet.readEvents(clusterUid),
      close: ending.close,
    };
  } catch (error) {
    await ending.close();
    throw error;
  }
}

async function accountOf(options: GatewayOptions): Promise<VcenterAccount> {
  const { server, username, thumbprint, ca, ...passwords } = options.vcenter;
  return {
    server: server.text,
    username,
    password: passwordOf(passwords),
    ...(thumbprint === undefined ? {} : { thumbprint }),
    ...(ca === undefined ? {} : { ca: await pemFile(ca, "vcenter.ca") }),
  };
}

async function openStore(
  options: GatewayOptions,
  { clock, log }: GatewayDeps,
  seal: Seal,
): Promise<OwnedStore> {
  const { mode, kubeconfig } = options.controlPlane;
  if (mode === "sandbox") {
    // The lock makes this process the file's only one: no need to look for the writes of others.
    return sqliteStore(join(options.dataDir, "store.db"), { clock, log, seal, pollMs: 0 });
  }
  if (kubeconfig === undefined) {
    throw new Fault(
      "Invalid",
      "controlPlane.mode external needs controlPlane.kubeconfig: the management cluster's kubeconfig",
    );
  }
  return kubeStore(await pemFile(kubeconfig, "controlPlane.kubeconfig"), { clock });
}

export async function pemFile(path: string, option: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new Fault("Invalid", `${option}: ${path} cannot be read (${(error as Error).message})`, {
      cause: error,
    });
  }
}

export async function planeCa(options: GatewayOptions): Promise<{ ca?: string }> {
  return options.plane.ca === undefined ? {} : { ca: await pemFile(options.plane.ca, "plane.ca") };
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

/** A pool whose ranges cannot be read has no room; its own condition says why. */
function parentPools(store: OwnedStore): Pools {
  return {
    async room(ref) {
      const room = await poolRoom(store, ref);
      switch (room.kind) {
        case "room":
          return { total: room.total, free: room.free };
        case "wrong":
          return { total: 0, free: 0 };
        case "missing":
          return undefined;
      }
    },
  };
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
