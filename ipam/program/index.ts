// `pcg ipam run`: the controllers and webhooks of ipam alone, on any API server.
import { randomBytes } from "node:crypto";
import { mkdir, readFile, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import {
  Fault,
  kubeStore,
  leaseLeadership,
  linkAbort,
  openDatabase,
  runControllers,
  sleep,
  soleLeadership,
  type Clock,
  type Kind,
  type Leadership,
  type Logger,
  type OwnedStore,
  type ResourceStore,
  type RunningControllers,
} from "#core";
import { ipamGroup, ipAddress, metal3IPAddress } from "#proto";
import { IpamGauges } from "../gauges.ts";
import { addressMetrics, growthMs, pointerText, readInventory, type Inventory } from "../inventory/index.ts";
import { judgeMetal3 } from "../webhooks/metal3.ts";
import { serveWebhooks, type ServingPair, type WebhookServer } from "../webhooks/server.ts";
import { renewalOf, servingCertificate } from "./certificates.ts";
import { arpProber, systemWire, watchConflicts, type Conflict } from "../conflicts/index.ts";
import {
  historyControllers,
  historyFile,
  historyMigration,
  memoryHistory,
  sqliteHistory,
  type HistoryShelf,
} from "../history/index.ts";
import { programMetrics, servePages } from "./diagnostics.ts";
import { guestsOf, witnessOf, type VcenterSight } from "./eyes.ts";
import { podConnection } from "./in-cluster.ts";
import type { IpamSettings } from "./options.ts";
import { chosenParts, parts, servedKinds } from "./parts.ts";
import { admittedKinds, register, type Reach } from "./registration.ts";
import { speaking, within } from "./versions.ts";

export { ipamOptions, type IpamSettings } from "./options.ts";
export { ipamManifests, type ManifestWishes } from "./manifests.ts";

export interface ProgramDeps {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  /** The vCenter of the machines, where the settings name one or may do so later. */
  readonly vcenter?: VcenterSight;
}

/** The lease's name: upstream's, so that its manager and ours never act at the same time where both elect a leader. */
const leaseName = "7bb7acb4.ipam.cluster.x-k8s.io";
const watchFilterLabel = "cluster.x-k8s.io/watch-filter";
const inventoryEveryMs = 60_000;
/** How often a certificate is looked after. */
const certificateRoundMs = 60_000;

/** Runs until the signal aborts. Rejects where something is missing that waiting would not bring. */
export async function runIpam(deps: ProgramDeps, settings: IpamSettings, signal: AbortSignal): Promise<void> {
  const { clock, log, random, vcenter } = deps;
  const closers: (() => Promise<unknown>)[] = [];
  const end = linkAbort(signal);
  try {
    const pod = settings.kubeconfig === undefined ? await podConnection(deps.env, clock) : undefined;
    const access = pod?.connection ?? { kubeconfigFile: settings.kubeconfig ?? "" };
    const own = await kubeStore(access, { clock });
    closers.push(() => own.close());
    const home = settings.leaderElectionNamespace ?? pod?.namespace ?? "kube-system";

    const served = await servedKinds(own);
    const chosen = chosenParts(settings.kinds, served);
    const store = within(speaking(own, served.older), settings.namespace);
    log.info("serving", { parts: chosen, olderVersions: [...served.older].map((each) => each.join(" ")) });

    if (served.unread?.length)
      log.warn(
        "no room is set aside for autoscalers: some kinds may not be read; apply `pcg ipam manifests`",
        {
          kinds: served.unread,
        },
      );

    const gauges = new IpamGauges();
    const history = await openHistory(settings.dataDir, closers);
    let conflicts: readonly Conflict[] = [];
    const pools = poolMetrics({ store, clock, gauges, history, conflicts: () => conflicts });
    let running: RunningControllers | undefined;
    let isReady = false;
    const health = await servePages("--health-addr", settings.healthAddr, {
      "/healthz": () => ({ status: 200, text: "ok\n" }),
      // A replica that waits for the lead is ready: its webhooks serve.
      "/readyz": () => (isReady ? { status: 200, text: "ok\n" } : { status: 503, text: "not listed yet\n" }),
    });
    closers.push(health.close);
    const metrics = await servePages("--diagnostics-address", settings.diagnosticsAddress, {
      "/metrics": async () => ({
        status: 200,
        text: (await pools()) + programMetrics(gauges, running?.health() ?? [], running !== undefined),
      }),
    });
    closers.push(metrics.close);

    if (settings.webhookPort !== 0)
      closers.push(
        await startWebhooks({ ...deps, own, store, home, served: served.kinds }, settings, end.signal),
      );

    const leadership = settings.leaderElect ? electing(own, deps, home) : soleLeadership;
    if (settings.leaderElect) isReady = true;
    await leadership.lead(async (lead) => {
      const all = {
        store,
        clock,
        log,
        random,
        gauges,
        exclusive: settings.leaderElect,
        prober: arpProber({ clock, wire: systemWire }),
        ...(vcenter ? { witness: witnessOf(vcenter, { store, log }) } : {}),
        ...(settings.namespace === undefined ? {} : { namespace: settings.namespace }),
        ...(settings.watchFilter === undefined ? {} : { serves: bearing(settings.watchFilter) }),
      };
      const bearers = [ipAddress as Kind, metal3IPAddress as Kind].filter((kind) =>
        served.kinds.some((each) => each.group === kind.group && each.kind === kind.kind),
      );
      const controllers = [
        ...chosen.flatMap((name) => [...(parts[name]?.controllers(all, served.kinds) ?? [])]),
        ...historyControllers({ store, clock, log, shelf: history }, bearers),
      ];
      const watching = watchConflicts(
        {
          store,
          clock,
          log,
          ...(vcenter ? { guests: (until: AbortSignal) => guestsOf(vcenter, until) } : {}),
        },
        {
          everyMs: conflictsEveryMs,
          onFound: (found) => void (conflicts = found),
        },
        lead,
      );
      running = runControllers({ store, clock, log, random }, controllers, lead);
      await running.ready.catch(() => {});
      if (!lead.aborted) {
        isReady = true;
        log.info("ready", { controllers: controllers.length });
      }
      await new Promise<void>((resolve) => {
        if (lead.aborted) resolve();
        lead.addEventListener("abort", () => resolve(), { once: true });
      });
      await Promise.all([running.stopped, watching]);
      running = undefined;
    }, end.signal);
  } finally {
    end.abort();
    for (const close of closers.reverse()) await close().catch(() => {});
  }
}

const conflictsEveryMs = 300_000;

async function openHistory(
  dataDir: string | undefined,
  closers: (() => Promise<unknown>)[],
): Promise<HistoryShelf> {
  if (dataDir === undefined) return memoryHistory();
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new Fault("Invalid", `--data-dir ${dataDir} cannot be made: ${(cause as Error).message}`, {
      cause,
    });
  }
  const database = await openDatabase(join(dataDir, historyFile), { migrations: [historyMigration] });
  closers.push(() => database.close());
  return sqliteHistory(database);
}

interface PoolFacts {
  readonly store: ResourceStore;
  readonly clock: Clock;
  readonly gauges: IpamGauges;
  readonly history: HistoryShelf;
  /** Those of the last look. */
  readonly conflicts: () => readonly Conflict[];
}

/** The pools as the server has them, read at most once a minute however often it is asked: with many addresses that is a long list. */
function poolMetrics({ store, clock, gauges, history, conflicts }: PoolFacts): () => Promise<string> {
  let last: { readonly at: number; readonly inventory: Promise<Inventory> } | undefined;
  return async () => {
    const now = clock.now();
    if (!last || now - last.at >= inventoryEveryMs) {
      last = { at: now, inventory: readInventory(store) };
      last.inventory.catch(() => (last = undefined));
    }
    const quarantined = new Map(
      gauges.read().map(({ kind, namespace, name, resting }) => {
        return [pointerText({ kind, group: ipamGroup, name, ...(namespace ? { namespace } : {}) }), resting];
      }),
    );
    const facts = {
      inventory: await last.inventory,
      history: await history.since(now - growthMs),
      quarantined,
      conflicts: conflicts(),
    };
    return addressMetrics(facts, now);
  };
}

function electing(store: ResourceStore, deps: ProgramDeps, namespace: string): Leadership {
  const identity = `${hostname()}_${randomBytes(6).toString("hex")}`;
  return leaseLeadership({ store, ...deps }, { namespace, name: leaseName, identity });
}

function bearing(value: string) {
  return ({ metadata }: { readonly metadata: { readonly labels?: Record<string, string> } }) =>
    metadata.labels?.[watchFilterLabel] === value;
}

interface WebhookWorld extends ProgramDeps {
  readonly own: OwnedStore;
  readonly store: ResourceStore;
  readonly home: string;
  readonly served: readonly Kind[];
}

/** Serves webhooks, and looks after their certificate until the signal aborts. Returns the way to stop. */
async function startWebhooks(
  world: WebhookWorld,
  settings: IpamSettings,
  signal: AbortSignal,
): Promise<() => Promise<void>> {
  const { clock, log, store, own, served } = world;
  const reach = reachOf(settings);
  const kinds = admittedKinds.filter((kind) =>
    served.some((each) => each.kind === kind.kind && each.group === kind.group),
  );
  const folder = settings.webhookCertDir;
  const next = async (): Promise<ServingPair & { ca?: string }> =>
    folder === undefined
      ? servingCertificate(
          { store: own, clock },
          { namespace: world.home, name: "pcg-ipam-webhook-cert" },
          hostsOf(reach),
        )
      : pairIn(folder);

  let pair = await next();
  const enlist = async () => {
    if (pair.ca !== undefined) await register(own, kinds, reach, pair.ca);
  };
  const server: WebhookServer = await serveWebhooks(
    { store, log: log.child({ component: "webhooks" }), judge: (review) => judgeMetal3(store, review) },
    { port: settings.webhookPort },
    pair,
  );
  log.info("webhooks are served", {
    port: server.port,
    renewAt: new Date(renewalOf(pair.cert)).toISOString(),
  });
  await enlist();
  const tending = (async () => {
    while (!signal.aborted) {
      await sleep(clock, certificateRoundMs, signal).catch(() => {});
      if (signal.aborted) return;
      try {
        const now = await next();
        if (now.cert !== pair.cert) {
          pair = now;
          server.renew(now);
          log.info("the webhooks have a new certificate", {
            renewAt: new Date(renewalOf(now.cert)).toISOString(),
          });
        }
        await enlist(); // also where somebody applied the manifests again, which know no authority
      } catch (error) {
        log.warn("could not look after the webhooks' certificate", { error: Fault.from(error) });
      }
    }
  })();
  return async () => {
    await server.close();
    await tending;
  };
}

function reachOf({ webhookUrl, webhookService }: IpamSettings): Reach {
  if (webhookUrl !== undefined) {
    if (!URL.canParse(webhookUrl) || new URL(webhookUrl).protocol !== "https:")
      throw new Fault("Invalid", `--webhook-url ${webhookUrl}: expected https://host:port`);
    return { kind: "url", url: webhookUrl };
  }
  const [namespace = "", name = ""] = webhookService.split("/");
  if (!namespace || !name)
    throw new Fault("Invalid", `--webhook-service ${webhookService}: expected namespace/name`);
  return { kind: "service", namespace, name };
}

function hostsOf(reach: Reach): readonly string[] {
  if (reach.kind === "url") return [new URL(reach.url).hostname.replace(/^\[|\]$/g, "")];
  const { namespace, name } = reach;
  return [`${name}.${namespace}.svc`, `${name}.${namespace}.svc.cluster.local`];
}

async function pairIn(folder: string): Promise<ServingPair> {
  const at = (name: string) => join(folder, name);
  try {
    await stat(folder);
    return { cert: await readFile(at("tls.crt"), "utf8"), key: await readFile(at("tls.key"), "utf8") };
  } catch (cause) {
    const { message } = cause as Error;
    throw new Fault("Invalid", `--webhook-cert-dir ${folder}: ${message}; it holds tls.crt and tls.key`, {
      cause,
    });
  }
}
