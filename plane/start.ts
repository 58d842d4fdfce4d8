// A plane from its parts: state on disk, authority, link, REST face, and the timer that keeps watch.
//
//   S1. Nothing listens on more than loopback without TLS.
//   S2. The link opens before the REST face: who can ask for a cluster can also be served.
//   S3. Closing is prompt and in the other order; all state is on disk at any moment, so that a kill is only a hard close.
//   S4. The first tenant is made last, when nothing can go wrong any more: its key is told once, and must be heard.
import type { FastifyInstance } from "fastify";
import { mkdir } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { Fault, type Clock, type Logger, type Secret } from "#core";
import { keyFileSeal } from "#core/store/seal.ts";
import { normalisePlaneUrl } from "#tunnel/identity/http.ts";
import { present } from "./absent.ts";
import { certificateNames, isLoopback, joined, publicHost, type Listen } from "./addresses.ts";
import { openAuthority } from "./authority.ts";
import { clusterDesk } from "./clusters.ts";
import { openPlaneDatabase } from "./database.ts";
import { enrolmentDesk } from "./enrolment.ts";
import { eventDesk } from "./events.ts";
import { openGrpcHub, type OpenHub } from "./hub.ts";
import { healthDesk } from "./health-desk.ts";
import { defaultLimits, type HealthLimits } from "./health.ts";
import { speak } from "./messages.ts";
import { overlordDesk } from "./overlords.ts";
import { defaultRenewGraceMs } from "./renewal.ts";
import { buildApp } from "./rest/app.ts";
import type { Desks } from "./rest/desks.ts";
import { tenantDesk } from "./tenants.ts";
import { keepWatch } from "./watch.ts";

export interface PlaneOptions {
  readonly dataDir: string;
  readonly listen: Listen;
  readonly tunnelListen: Listen;
  /** How gateways and agents reach the REST face, "https://plane.example.com:8443"; made from `listen` when absent. */
  readonly publicUrl?: string | undefined;
  /** How they reach the link, "plane.example.com:8444"; made from the above and `tunnelListen` when absent. */
  readonly publicTunnel?: string | undefined;
  /** Absent: a certificate of the plane's own authority. "off": plain http, on loopback only (S1). */
  readonly tls?: "off" | { readonly key: string; readonly cert: string } | undefined;
  /** More names and addresses for the plane's own certificates. */
  readonly names?: readonly string[] | undefined;
  /** What the tenant of the first start is called; "default" unless told. */
  readonly tenantName?: string | undefined;
  readonly pairingTtlMs?: number | undefined;
  /** Addresses or CIDRs of reverse proxies whose X-Forwarded-For is believed; none unless told. */
  readonly trustedProxies?: readonly string[] | undefined;
  /** How long gateways' and agents' certificates last; 7 days unless told. */
  readonly certificateLifeMs?: number | undefined;
  readonly health?: HealthLimits | undefined;
  /** Calls and registrations an address may make a minute; 6000 and 60 unless told. */
  readonly rates?: { readonly calls: number; readonly registrations: number } | undefined;
  readonly version?: string | undefined;
}

export interface PlaneDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** In [0, 1), for jitter; secrets come from the system's own source. */
  readonly random: () => number;
  /** The link's listening side; gRPC with mutual TLS unless told. */
  readonly openHub?: OpenHub | undefined;
}

export interface Plane {
  readonly url: string;
  /** PEM: what to trust when calling `url` and the link. */
  readonly caPem: string;
  /** host:port */
  readonly tunnelAddress: string;
  readonly tenantUid: string;
  readonly projectUid: string;
  /** The first tenant's key; at the first start only, it is not kept. */
  readonly apiKey?: Secret;
  /** Another tenant, with a project and a key that is shown this once. */
  addTenant(name: string): Promise<{ tenantUid: string; projectUid: string; apiKey: Secret }>;
  /** Another key of the first tenant, for who lost the first. Earlier keys stay good. */
  newApiKey(name: string): Promise<Secret>;
  /** Stops listening and closes the state. Twice is once. */
  close(): Promise<void>;
}

/** Starts a plane; resolves when both addresses listen. Aborting `signal` closes it. */
export async function startPlane(
  options: PlaneOptions,
  deps: PlaneDeps,
  signal: AbortSignal,
): Promise<Plane> {
  if (options.tls === "off" && !isLoopback(options.listen.host)) {
    throw new Fault(
      "Invalid",
      `the plane does not listen on ${options.listen.host} without TLS: use 127.0.0.1, or leave TLS on`, // S1
    );
  }
  const closers: (() => Promise<unknown>)[] = [];
  let closing: Promise<void> | undefined;
  const close = () => (closing ??= closeAll(closers));
  try {
    const plane = await open(options, deps, closers);
    const onAbort = () =>
      void close().catch((error: unknown) => deps.log.warn("closing the plane failed", { error }));
    signal.addEventListener("abort", onAbort, { once: true });
    closers.push(async () => signal.removeEventListener("abort", onAbort));
    if (signal.aborted) throw new Fault("Cancelled", "starting the plane was cancelled");
    return { ...plane, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Opens everything in order; what must be ended is put on `closers` as soon as it is there. */
async function open(
  options: PlaneOptions,
  deps: PlaneDeps,
  closers: (() => Promise<unknown>)[],
): Promise<Omit<Plane, "close">> {
  const { clock, log, openHub = openGrpcHub } = deps;
  const {
    dataDir,
    health: limits = defaultLimits,
    version = "0.1.0",
    rates = { calls: 6000, registrations: 60 },
  } = options;

  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const seal = await keyFileSeal(join(dataDir, "seal.key"));
  const db = await openPlaneDatabase(dataDir);
  closers.push(() => db.close());
  const authority = await openAuthority(
    { dataDir, db, seal, clock },
    present({ clientLifeMs: options.certificateLifeMs }),
  );
  const certificate = await authority.issueServer(certificateNames(options));

  let url = options.publicUrl === undefined ? "" : normalisePlaneUrl(options.publicUrl);
  const plane = () => ({ url, ca: authority.caPem });
  const tenants = tenantDesk(db, clock);
  const events = eventDesk(db, clock);
  const health = healthDesk(db, clock, events);
  const overlords = overlordDesk({ db, clock, authority, events });
  const enrolment = enrolmentDesk({ db, seal, clock }, present({ pairingTtlMs: options.pairingTtlMs }));
  const clusters = clusterDesk({
    db,
    clock,
    log,
    seal,
    authority,
    tenants,
    enrolment,
    overlords,
    events,
    plane,
  });

  const { hub, address, fresh } = await openHub(
    {
      dataDir,
      listen: options.tunnelListen,
      tls: { key: certificate.key, cert: certificate.certificate, ca: authority.caPem },
      allow: (identity) => authority.isGood(identity, identity.serial),
      software: `plane ${version}`,
    },
    deps,
  );
  closers.push(() => hub.close()); // S2
  const tunnelAddress =
    options.publicTunnel ?? joined(publicHost(options, options.tunnelListen.host), address.port);
  if (fresh) await clusters.resend();
  const messages = speak({ hub, db, clock, log, authority, clusters, events, health });

  const records = { authority, tenants, enrolment, overlords, clusters, events, messages };
  const desks: Desks = {
    ...records,
    clock,
    log,
    hub,
    limits,
    rates,
    renewGraceMs: defaultRenewGraceMs,
    tunnelAddress,
  };
  const own = { key: certificate.key, cert: certificate.certificate };
  const tls = options.tls === "off" ? undefined : (options.tls ?? own);
  const app = await buildApp({ desks, version, tls, trustedProxies: options.trustedProxies });
  closers.push(() => app.close());
  const port = await listenOn(app, options.listen);
  url ||= `${tls ? "https" : "http"}://${joined(publicHost(options, options.listen.host), port)}`;

  const watching = new AbortController();
  const watch = keepWatch({ clock, log, messages, health, limits, enrolment, clusters }, watching.signal);
  closers.push(() => (watching.abort(), watch));
  const first = await tenants.bootstrap(options.tenantName ?? "default"); // S4
  log.info("the plane is up", { url, tunnel: tunnelAddress, dataDir });
  return {
    url,
    caPem: authority.caPem,
    tunnelAddress,
    ...first,
    addTenant: (name) => tenants.add(name),
    newApiKey: async (name) => (await tenants.addApiKey(first.tenantUid, name)).apiKey,
  };
}

async function listenOn(app: FastifyInstance, { host, port }: Listen): Promise<number> {
  try {
    await app.listen({ host, port });
  } catch (cause) {
    const why = (cause as Error).message;
    throw new Fault("Unavailable", `the plane cannot listen on ${joined(host, port)}: ${why}`, { cause });
  }
  return (app.server.address() as AddressInfo).port;
}

async function closeAll(closers: (() => Promise<unknown>)[]): Promise<void> {
  for (const closer of closers.toReversed()) await closer(); // S3
}
