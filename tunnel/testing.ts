// For tests of those who use the tunnel: a link and a hub joined in memory, databases included.
import { silentLogger, type Clock, type Database, type Logger } from "#core";
import { systemClock } from "#core";
import { openLink, type LinkOptions } from "./client/link.ts";
import { openHub, type HubOptions } from "./server/hub.ts";
import type { Hub, Link, PeerIdentity } from "./link.ts";
import { memoryNetwork, type MemoryNetwork } from "./transport/memory.ts";

export interface MemoryLinkOptions {
  /** The real one unless told. */
  readonly clock?: Clock;
  readonly log?: Logger;
  readonly random?: () => number;
  readonly identity?: Partial<PeerIdentity>;
  readonly linkDatabase?: string | Database;
  readonly hubDatabase?: string | Database;
  readonly link?: Partial<LinkOptions>;
  readonly hub?: Partial<HubOptions>;
}

export interface MemoryLink {
  readonly link: Link;
  readonly hub: Hub;
  readonly identity: PeerIdentity;
  /** Cut, freeze, take down. */
  readonly network: MemoryNetwork;
  /** Ends both. Twice is once. */
  close(): Promise<void>;
}

/** A link and a hub, dialling one another in memory; wait for `link.state.kind` "connected" by `onState`. */
export async function memoryLinkPair(options: MemoryLinkOptions = {}): Promise<MemoryLink> {
  const { clock = systemClock, log = silentLogger, random = Math.random } = options;
  const identity: PeerIdentity = {
    ...{ role: "gateway", uid: "gateway-1", tenantUid: "tenant-1", serial: "01" },
    ...options.identity,
  };
  const network = memoryNetwork({ clock });
  const stop = new AbortController();
  const base = { clock, log, random };
  const hub = await openHub(
    { ...base, database: options.hubDatabase ?? ":memory:", listen: network.listen },
    { allow: () => true, ...options.hub },
    stop.signal,
  );
  const link = await openLink(
    { ...base, database: options.linkDatabase ?? ":memory:", dial: network.dialAs(identity) },
    { identity, ...options.link },
    stop.signal,
  );
  const close = async () => {
    await link.close();
    await hub.close();
  };
  return { link, hub, identity, network, close };
}
