// Where the plane listens, and what others call it. Pure.
import { isIP } from "node:net";

export interface Listen {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

/** What of the plane's options is an address. */
export interface Addresses {
  readonly listen: Listen;
  readonly tunnelListen: Listen;
  readonly publicUrl?: string | undefined;
  readonly publicTunnel?: string | undefined;
  readonly names?: readonly string[] | undefined;
}

/** The names a certificate must carry for those who dial in; the first is the public one. */
export function certificateNames(options: Addresses): string[] {
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

export function publicHost(options: Pick<Addresses, "publicUrl">, listening: string): string {
  if (options.publicUrl) return new URL(options.publicUrl).hostname.replace(/^\[|\]$/g, "");
  return isWildcard(listening) ? "localhost" : listening;
}

function isWildcard(host: string): boolean {
  return host === "0.0.0.0" || host === "::";
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

/** "host:port", with brackets around an IPv6 address. */
export function joined(host: string, port: number): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}
