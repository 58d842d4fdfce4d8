// Whom we talk to: a certificate authority, or one certificate pinned by its SHA-256 thumbprint.
//   C1. Trust is a property of one connection pool. Nothing here changes what the rest of the process trusts.
//   C2. No byte of ours is sent before the certificate was found good.
import { Agent } from "node:https";
import type { Duplex } from "node:stream";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import { Fault } from "#core";

/** How a server proves who it is. A thumbprint alone decides when given; else the authority; else the system's roots. */
export interface Trust {
  /** SHA-256 of the server's certificate: "AA:BB:…", 32 bytes; case and colons do not matter. */
  readonly thumbprint?: string | undefined;
  /** PEM of one or more certificate authorities. */
  readonly ca?: string | undefined;
}

/** The canonical form, "AA:BB:…" of 32 bytes. Throws Invalid on anything else; SHA-1 (20 bytes) is refused by name. */
export function normaliseThumbprint(text: string): string {
  const hex = text.replace(/[:\s-]/g, "").toUpperCase();
  if (/^[0-9A-F]{40}$/.test(hex))
    throw new Fault(
      "Invalid",
      `thumbprint '${text}' is SHA-1; give the SHA-256 of the certificate (32 bytes, colon hex)`,
    );
  if (!/^[0-9A-F]{64}$/.test(hex))
    throw new Fault("Invalid", `thumbprint '${text}' is not a SHA-256 in hex (32 bytes, like AA:BB:…)`);
  return hex.match(/../g)!.join(":");
}

export interface PoolOptions {
  /** Sockets at once; further requests wait. */
  readonly maxSockets: number;
}

/** A keep-alive connection pool that trusts `trust` and nothing else. Call destroy() when done. */
export function trustingAgent(trust: Trust, options: PoolOptions): Agent {
  const common = { keepAlive: true, maxSockets: options.maxSockets, scheduling: "lifo" as const };
  if (trust.thumbprint !== undefined) return new PinnedAgent(normaliseThumbprint(trust.thumbprint), common);
  return new Agent({ ...common, ...(trust.ca === undefined ? {} : { ca: trust.ca }) });
}

class PinnedAgent extends Agent {
  readonly #thumbprint: string;

  constructor(thumbprint: string, options: ConstructorParameters<typeof Agent>[0]) {
    super({ ...options, maxCachedSessions: 0 }); // a resumed session would not show its certificate again
    this.#thumbprint = thumbprint;
  }

  // Called by Node for every new connection; the socket is handed over only after the pin was compared (C2).
  override createConnection(
    options: ConnectionOptions,
    done?: (error: Error | null, socket: Duplex) => void,
  ): Duplex | null | undefined {
    const socket = connect({ ...options, rejectUnauthorized: false });
    let settled = false;
    const settle = (error: Error | null) => {
      if (settled) return;
      settled = true;
      if (error) socket.destroy();
      done?.(error, socket);
    };
    socket.once("secureConnect", () => {
      const seen = socket.getPeerCertificate().fingerprint256;
      settle(seen === this.#thumbprint ? null : pinFault(options, seen));
    });
    socket.once("error", settle);
    socket.once("close", () =>
      settle(new Fault("Unavailable", "the connection closed before it was secured")),
    );
    return undefined;
  }
}

function pinFault(options: ConnectionOptions, seen: string | undefined): Fault {
  return new Fault(
    "Unavailable",
    `the certificate of ${options.host ?? "the server"}:${options.port ?? 443} is not the one expected: its SHA-256 thumbprint is ` +
      `${seen ?? "unknown"}; if the certificate was renewed, set this thumbprint`,
  );
}

/** Host and port of "vcenter.example.com", "10.0.0.5:8443", "[2001:db8::1]:443"; port 443 when absent. Throws Invalid. */
export function parseServer(server: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:/\s]+))(?::(\d{1,5}))?$/.exec(server.trim());
  const port = Number(match?.[3] ?? 443);
  if (!match || port < 1 || port > 65_535)
    throw new Fault(
      "Invalid",
      `vCenter address '${server}' is not a host or host:port (without https:// and without a path)`,
    );
  return { host: match[1] ?? match[2]!, port };
}

/** The SHA-256 thumbprint of the certificate a server shows, without trusting it. For a person to compare and set. */
export function fetchThumbprint(server: string, signal?: AbortSignal): Promise<string> {
  const { host, port } = parseServer(server);
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(new Fault("Cancelled", "asking for a certificate was cancelled"));
    const socket: TLSSocket = connect({
      host,
      port,
      servername: serverName(host),
      rejectUnauthorized: false,
      timeout: 10_000,
    });
    const fail = (error: unknown) => {
      socket.destroy();
      reject(Fault.from(error, `asking ${server} for its certificate`));
    };
    const onAbort = () => fail(new Fault("Cancelled", "asking for a certificate was cancelled"));
    signal?.addEventListener("abort", onAbort, { once: true });
    socket.once("close", () => signal?.removeEventListener("abort", onAbort));
    socket.once("error", fail);
    socket.once("timeout", () => fail(new Fault("TimedOut", `${server} did not answer in 10 s`)));
    socket.once("secureConnect", () => {
      const seen = socket.getPeerCertificate().fingerprint256;
      socket.destroy();
      if (seen) resolve(seen);
      else reject(new Fault("Unavailable", `${server} showed no certificate`));
    });
  });
}

/** Server Name Indication must not be an IP address. */
export function serverName(host: string): string {
  return /^[\d.]+$|:/.test(host) ? "" : host;
}
