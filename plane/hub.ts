// The plane's end of the link, over gRPC with mutual TLS.
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { Secret, type Clock, type Logger } from "#core";
import { grpcListen, openHub } from "#tunnel";
import type { Hub, PeerIdentity } from "#tunnel/link.ts";
import type { Listen } from "./addresses.ts";

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

export const openGrpcHub: OpenHub = async (
  { dataDir, listen, tls, allow, software },
  { clock, log, random },
) => {
  const listening = grpcListen({ ...listen, cert: tls.cert, key: new Secret(tls.key), ca: tls.ca, log });
  const database = join(dataDir, "link.db");
  const fresh = await stat(database).then(
    () => false,
    () => true,
  );
  const never = new AbortController().signal; // closed by its owner
  const options = { allow, ...(software ? { software } : {}) };
  const hub = await openHub({ clock, log, random, database, listen: listening }, options, never);
  return { hub, address: { host: listen.host, port: hub.port }, fresh };
};
