// The gateway's (or an agent's) line to the plane: opened as soon as there is an identity, kept renewed for as long as it runs.
//
//   L1. Without an identity nothing is dialled; a pairing by another process is noticed within a second.
//   L2. A renewed certificate, or one from pairing again as the same gateway, is used from the next connection on. Another identity
//       than the one it began with is for the next start.
//   L3. What was published before a crash is on disk and goes out after it (tunnel/durable).
import { join } from "node:path";
import { Fault, onAbort, sleep, type Clock, type Logger } from "#core";
import type { Seal } from "#core/store/seal.ts";
import { grpcDial, openLink, type Link, type MessageHandler } from "#tunnel";
import { keepRenewed, loadIdentity, type Identity } from "#tunnel/identity/index.ts";

export interface LineDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  readonly seal?: Seal;
}

export interface Line {
  identity(): Identity | undefined;
  link(): Link | undefined;
  /** Resolves when there is an identity and the link is being dialled; rejects with Cancelled at the end. */
  readonly opened: Promise<Link>;
  /** Calls back at each change of the link's state. Returns the way to stop. */
  onState(listener: () => void): () => void;
  /** Reads the identity again now, instead of within a second. */
  refresh(): Promise<void>;
  close(): Promise<void>;
}

const lookMs = 1_000;

/** Opens the line. `handlers` are registered before the first message can arrive. */
export function openLine(
  deps: LineDeps,
  options: {
    readonly dataDir: string;
    readonly handlers: Readonly<Record<string, MessageHandler>>;
    /** Told of the identity when the line is opened, and of each renewed one. */
    readonly onIdentity?: (identity: Identity) => void;
  },
  signal: AbortSignal,
): Line {
  const { clock, log, random, seal } = deps;
  let identity: Identity | undefined;
  let link: Link | undefined;
  let opening: Promise<Link> | undefined;
  let announce: (link: Link) => void = () => {};
  const listeners = new Set<() => void>();
  const opened = new Promise<Link>((resolve, reject) => {
    announce = resolve;
    onAbort(signal, () => reject(new Fault("Cancelled", "the line was closed before it was opened")));
  });
  opened.catch(() => {}); // whoever cares awaits it

  async function refresh(): Promise<void> {
    if (identity) return;
    const found = await loadIdentity(options.dataDir, seal);
    if (!found || signal.aborted) return;
    identity = found;
    opening ??= open(found);
    await opening;
  }

  async function newest(first: Identity): Promise<Identity> {
    const found = (await loadIdentity(options.dataDir, seal)) ?? first;
    if (found.uid === first.uid) return (identity = found);
    log.warn("paired as another gateway meanwhile; restart to take that up", {
      now: first.uid,
      next: found.uid,
    });
    return identity ?? first;
  }

  async function open(first: Identity): Promise<Link> {
    const made = await openLink(
      {
        clock,
        log,
        random,
        database: join(options.dataDir, "link.db"),
        dial: grpcDial({
          address: first.tunnel,
          credentials: async () => {
            const { certificate, privateKey, ca } = await newest(first); // L2
            return { cert: certificate, key: privateKey, ca };
          },
        }),
      },
      { identity: { role: first.role, uid: first.uid, tenantUid: first.tenantUid } },
      signal,
    );
    for (const [topic, handler] of Object.entries(options.handlers)) made.handle(topic, handler);
    link = made;
    made.onState(() => listeners.forEach((listener) => listener()));
    announce(made);
    options.onIdentity?.(first);
    const renewing = { dataDir: options.dataDir, clock, log, random, signal, ...(seal ? { seal } : {}) };
    void keepRenewed(first, renewing, (next) => {
      identity = next;
      options.onIdentity?.(next);
    }).catch((error: unknown) => log.error("certificates are no longer renewed", { error }));
    return made;
  }

  const watching = (async () => {
    while (!signal.aborted && !identity) {
      await refresh().catch((error: unknown) => log.warn("the identity cannot be read", { error })); // L1
      if (!identity) await sleep(clock, lookMs, signal).catch(() => {});
    }
  })();

  return {
    identity: () => identity,
    link: () => link,
    opened,
    onState(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    refresh,
    async close() {
      await watching;
      await (await opening?.catch(() => undefined))?.close();
    },
  };
}
