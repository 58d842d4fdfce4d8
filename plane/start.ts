// A plane from its parts: state on disk, authority, link, REST face, and the timer that keeps watch.
//
//   S1. Nothing listens on more than loopback without TLS.
//   S2. The link opens before the REST face: who can ask for a cluster can also be served.
//   S3. Closing is prompt and in the other order; all state is on disk at any moment, so that a kill is only a hard close.
import { mkdir } from "node:fs/promises";
import { isIP, type AddressInfo } from "node:net";
import { join } from "node:path";
import { Fault, sleep, type Clock, type Logger, type Secret } from "#core";
import { keyFileSeal } from "#core/store/seal.ts";
import { normalisePlaneUrl } from "#tunnel/identity/http.ts";
import type { Hub, PeerIdentity } from "#tunnel/link.ts";
import { openAuthority } from "./authority.ts";
import { clusterDesk } from "./clusters.ts";
import { openPlaneDatabase } from "./database.ts";
import { enrolmentDesk } from "./enrolment.ts";
import { eventDesk } from "./events.ts";
import { openGrpcHub } from "./hub.ts";
import { healthDesk, type HealthDesk } from "./health-desk.ts";
import { defaultLimits, type HealthLimits } from "./health.ts";
import { speak } from "./messages.ts";
import { overlordDesk } from "./overlords.ts";
import { defaultRenewGraceMs } from "./renewal.ts";
import { buildApp } from "./rest/app.ts";
import type { Desks } from "./rest/desks.ts";
import { tenantDesk } from "./tenants.ts";

export interface Listen {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

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

export interface HubOptions {
  readonly dataDir: string;
  readonly listen: Listen;
  readonly tls: { readonly key: string; readonly cert: string; readonly ca: string };
  /** Asked at each connection, after the certificate was verified against `tls.ca`. */
  allow(identity: PeerIdentity): Promise<boolean>;
  /** Program and version, for the other side's logs. */
  readonly software?: string;
}

/** Opens the listening side of the link. */
export type OpenHub = (
  options: HubOptions,
  deps: { readonly clock: Clock; readonly log: Logger; readonly random: () => number },
) => Promise<{
  readonly hub: Hub;
  readonly address: Listen;
  /** True when its outbox begins empty: whatever was handed to an earlier one and not delivered is lost. */
  readonly fresh?: boolean;
}>;

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

const watchEveryMs = 15_000;

/** Starts a plane; resolves when both addresses listen. Aborting `signal` closes it. */
export async function startPlane(
  options: PlaneOptions,
  deps: PlaneDeps,
  signal: AbortSignal,
): Promise<Plane> {
  const { clock, log } = deps;
  const plain = options.tls === "off";
  if (plain && !isLoopback(options.listen.host)) {
    throw new Fault(
      "Invalid",
      `the plane does not listen on ${options.listen.host} without TLS: use 127.0.0.1, or leave TLS on`,
    ); // S1
  }
  const closers: (() => Promise<void>)[] = [];
  let closing: Promise<void> | undefined;
  const close = () => (closing ??= closeAll(closers));
  try {
    await mkdir(options.dataDir, { recursive: true, mode: 0o700 });
    const seal = await keyFileSeal(join(options.dataDir, "seal.key"));
    const db = await openPlaneDatabase(options.dataDir);
    closers.push(() => db.close());
    const { certificateLifeMs: clientLifeMs } = options;
    const authority = await openAuthority(
      { dataDir: options.dataDir, db, seal, clock },
      clientLifeMs === undefined ? {} : { clientLifeMs },
    );
    const tenants = tenantDesk(db, clock);
    const first = await tenants.bootstrap(options.tenantName ?? "default");
    const events = eventDesk(db, clock);
    const health = healthDesk(db, clock, events);
    const overlords = overlordDesk({ db, clock, authority, events });
    const { pairingTtlMs } = options;
    const enrolment = enrolmentDesk({ db, seal, clock }, pairingTtlMs === undefined ? {} : { pairingTtlMs });
    let url = options.publicUrl === undefined ? "" : normalisePlaneUrl(options.publicUrl);
    const plane = () => ({ url, ca: authority.caPem });
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

    const version = options.version ?? "0.1.0";
    const serverNames = certificateNames(options);
    const certificate = await authority.issueServer(serverNames);
    const { hub, address, fresh } = await (deps.openHub ?? openGrpcHub)(
      {
        dataDir: options.dataDir,
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
    const limits = options.health ?? defaultLimits;
    const rates = options.rates ?? { calls: 6000, registrations: 60 };
    const renewGraceMs = defaultRenewGraceMs;
    const desks: Desks = {
      clock,
      log,
      authority,
      tenants,
      enrolment,
      overlords,
      clusters,
      events,
      messages,
      hub,
      limits,
      rates,
      renewGraceMs,
      tunnelAddress,
    };
    const tls =
      options.tls === "off"
        ? undefined
        : (options.tls ?? { key: certificate.key, cert: certificate.certificate });
    const app = await buildApp({ desks, version, tls, trustedProxies: options.trustedProxies });
    closers.push(() => app.close());
    await app.listen({ host: options.listen.host, port: options.listen.port }).catch((error: unknown) => {
      throw new Fault(
        "Unavailable",
        `the plane cannot listen on ${joined(options.listen.host, options.listen.port)}: ${(error as Error).message}`,
        { cause: error },
      );
    });
    const { port: bound } = app.server.address() as AddressInfo;
    if (!url)
      url = `${plain ? "http" : "https"}://${joined(publicHost(options, options.listen.host), bound)}`;

    const watching = new AbortController();
    const watch = keepWatch({ clock, log, signal: watching.signal, desks, health });
    closers.push(async () => {
      watching.abort();
      await watch;
    });
    const onAbort = () =>
      void close().catch((error: unknown) => log.warn("closing the plane failed", { error }));
    signal.addEventListener("abort", onAbort, { once: true });
    closers.push(async () => signal.removeEventListener("abort", onAbort));
    if (signal.aborted) throw new Fault("Cancelled", "starting the plane was cancelled");
    log.info("the plane is up", { url, tunnel: tunnelAddress, dataDir: options.dataDir });
    return {
      url,
      caPem: authority.caPem,
      tunnelAddress,
      ...first,
      addTenant: (name) => tenants.add(name),
      newApiKey: async (name) => (await tenants.addApiKey(first.tenantUid, name)).apiKey,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Looks at health, hands over what could not be sent, throws away what is over; until aborted. */
async function keepWatch(watch: {
  clock: Clock;
  log: Logger;
  signal: AbortSignal;
  desks: Desks;
  health: HealthDesk;
}): Promise<void> {
  const { clock, log, signal, desks, health } = watch;
  let sweepAt = clock.now();
  while (!signal.aborted) {
    try {
      await desks.messages.flush();
      await health.check(desks.limits);
      if (clock.now() >= sweepAt) {
        sweepAt = clock.now() + 3_600_000;
        await desks.enrolment.sweep();
        await desks.clusters.sweep();
      }
    } catch (error) {
      log.warn("a round of the plane's watch failed", { error: Fault.from(error) });
    }
    await sleep(clock, watchEveryMs, signal).catch(() => {});
  }
}

async function closeAll(closers: (() => Promise<void>)[]): Promise<void> {
  for (const closer of closers.toReversed()) await closer(); // S3
}

/** The names a certificate must carry for those who dial in; the first is the public one. */
export function certificateNames(
  options: Pick<PlaneOptions, "listen" | "tunnelListen" | "publicUrl" | "publicTunnel" | "names">,
): string[] {
  const tunnelHost = options.publicTunnel?.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
  const hosts = [
    publicHost(options, options.listen.host),
    tunnelHost,
    options.listen.host,
    options.tunnelListen.host,
  ];
  const named = [...hosts, ...(options.names ?? []), "localhost", "127.0.0.1", "::1"];
  return [...new Set(named.filter((name): name is string => Boolean(name) && !isWildcard(name ?? "")))];
}

function publicHost(options: Pick<PlaneOptions, "publicUrl">, listening: string): string {
  if (options.publicUrl) return new URL(options.publicUrl).hostname.replace(/^\[|\]$/g, "");
  return isWildcard(listening) ? "localhost" : listening;
}

function isWildcard(host: string): boolean {
  return host === "0.0.0.0" || host === "::";
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

function joined(host: string, port: number): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}
