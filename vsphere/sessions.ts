// One session for all who use the same account of the same server.
//   P1. Same server, user, password and trust: same session. Another password is another session, so a refused one does not
//       stand in the way of its correction.
//   P2. A session nobody uses is logged out after `lingerMs`: controllers come and go each round.
import { createHash } from "node:crypto";
import { Fault, type CancelTimer, type Clock, type Logger, type Secret } from "#core";
import { vsphereClient, type VsphereClient } from "./client.ts";
import { restOf, type Rest } from "./rest.ts";
import { vimSession, type Session } from "./session.ts";
import { normaliseThumbprint, parseServer } from "./soap/certificate.ts";
import { httpsTransport } from "./soap/transport.ts";

export interface ConnectOptions {
  /** Host, or host:port. */
  readonly server: string;
  readonly username: string;
  readonly password: Secret;
  /** SHA-256 of the server's certificate, colon hex. Decides alone when given. */
  readonly thumbprint?: string | undefined;
  /** PEM of certificate authorities; the system's when neither this nor a thumbprint is given. */
  readonly ca?: string | undefined;
}

export interface SessionsOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** How long an unused session stays logged in; 10 min unless told. */
  readonly lingerMs?: number;
}

export interface VsphereSessions {
  /** A client over the shared session. Connects at its first call. Throws Invalid on a malformed server or thumbprint. */
  connect(options: ConnectOptions): VsphereClient;
  /** Sessions held now. */
  readonly size: number;
  /** Logs all out. Clients still held fail from then on. */
  close(): Promise<void>;
}

interface Shared {
  readonly session: Session;
  readonly rest: Rest;
  users: number;
  cancelLinger: CancelTimer | undefined;
}

export function vsphereSessions({ clock, log, lingerMs = 10 * 60_000 }: SessionsOptions): VsphereSessions {
  const held = new Map<string, Shared>();
  const leaving = new Set<Promise<void>>();
  let closed = false;

  function open(options: ConnectOptions): Shared {
    const transport = httpsTransport({ ...options, clock });
    const { username, password } = options;
    const session = vimSession({ transport, username, password, clock, log });
    const admitted = (signal?: AbortSignal) => session.account(signal);
    return {
      session,
      rest: restOf({ transport, username, password, admitted }),
      users: 0,
      cancelLinger: undefined,
    };
  }

  function release(key: string, shared: Shared): void {
    if (--shared.users > 0 || closed || held.get(key) !== shared) return;
    shared.cancelLinger = clock.after(lingerMs, () => {
      if (shared.users > 0) return;
      held.delete(key);
      end(shared);
    });
  }

  function end(shared: Shared): void {
    shared.cancelLinger?.();
    const work = shared.rest
      .logout()
      .catch(() => {}) // its session ends by itself
      .then(() => shared.session.close())
      .catch((error: unknown) =>
        log.debug("could not end a vCenter session", { server: shared.session.server, error }),
      )
      .finally(() => leaving.delete(work));
    leaving.add(work);
  }

  return {
    connect(options) {
      if (closed) throw new Fault("Unavailable", "the vCenter sessions are closed");
      const key = keyOf(options);
      const shared = held.get(key) ?? open(options);
      held.set(key, shared);
      shared.users++;
      shared.cancelLinger?.();
      let released = false;
      const close = () => {
        if (!released) release(key, shared);
        released = true;
        return Promise.resolve();
      };
      return vsphereClient({
        session: shared.session,
        rest: shared.rest,
        close,
      });
    },
    get size() {
      return held.size;
    },
    async close() {
      closed = true;
      for (const shared of held.values()) end(shared);
      held.clear();
      await Promise.all(leaving);
    },
  };
}

/** The password goes in as a digest, so the key may be held in memory and compared. */
function keyOf({ server, username, password, thumbprint, ca = "" }: ConnectOptions): string {
  const { host, port } = parseServer(server);
  const pin = thumbprint === undefined ? "" : normaliseThumbprint(thumbprint);
  const parts = [host.toLowerCase(), port, username, password.reveal(), pin, ca];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}

/** A client with a session of its own, ended by its close(). */
export function connectVsphere(
  options: ConnectOptions & { readonly clock: Clock; readonly log: Logger },
): VsphereClient {
  const sessions = vsphereSessions(options);
  return { ...sessions.connect(options), close: () => sessions.close() };
}
