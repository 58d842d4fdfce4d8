// A Kubernetes-style REST face over any ResourceStore: enough for an unmodified kubectl, for client-go's informers and for our own
// Kubernetes backend.
//
//   V1. What the store says is what the client sees: this face keeps no state but the list of kinds.
//   V2. Nobody is let in from elsewhere without saying who he is: without a token or client certificates it serves loopback only.
//   V3. Bodies, headers and slow readers are bounded; a closing server ends its watches and answers what it has begun.
//
// Not here: admission webhooks, RBAC (who is let in may do everything), subresources but status, protobuf, OpenAPI v2, conversion
// between versions of a kind (the store's affair). Server-side apply knows appliers only (see serve/apply.ts).
import { randomUUID } from "node:crypto";
import { setMaxListeners } from "node:events";
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { Fault } from "../fault.ts";
import type { Logger } from "../log.ts";
import type { Kind } from "../resource/kind.ts";
import type { Secret } from "../secret.ts";
import { sleep, type Clock } from "../time/clock.ts";
import { isLoopback, type Authenticate } from "./serve/access.ts";
import { handler } from "./serve/handler.ts";
import { ServedKinds } from "./serve/kinds.ts";
import type { ResourceStore } from "./store.ts";

export type { Authenticate, Caller } from "./serve/access.ts";

export interface ServeOptions {
  readonly kinds: readonly Kind[];
  /** Port 0 takes a free one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** PEM. `clientCa`: clients that show a certificate of this authority are let in under its subject's name. */
  readonly tls?: { readonly cert: string; readonly key: string | Secret; readonly clientCa?: string };
  /** The bearer token that is let in, or a function that knows them. */
  readonly token?: Secret | Authenticate;
  readonly log: Logger;
  readonly clock: Clock;
  /** What GET /version says; "v1.35.4" unless told, since kubectl compares it with its own. */
  readonly version?: string;
  /** Largest body, bytes; 3 MiB unless told, as a Kubernetes API server has it. */
  readonly bodyLimit?: number;
  /** How long a watcher may not read before its line is cut, milliseconds; 30 s unless told. */
  readonly slowWatcherMs?: number;
}

export interface ServedStore {
  /** "http://127.0.0.1:34567": what goes into a kubeconfig. */
  readonly url: string;
  readonly port: number;
  /** Serves more kinds from now on. One that is served already is replaced. */
  addKinds(kinds: readonly Kind[]): void;
  /** Ends watches, lets requests under way finish for up to two seconds, then closes every line. Twice is once. */
  close(): Promise<void>;
}

const graceMs = 2000;

/** Starts to serve. Fails with Invalid (V2), or Unavailable when the address is taken. */
export async function serveStore(store: ResourceStore, options: ServeOptions): Promise<ServedStore> {
  const { listen, tls, token, log, clock, version = "v1.35.4" } = options;
  const open = token === undefined && tls?.clientCa === undefined;
  if (open && !isLoopback(listen.host)) {
    throw new Fault(
      "Invalid",
      `serving the API on ${listen.host} needs a token or client certificates; without them only loopback addresses are served`,
    );
  }
  const kinds = new ServedKinds();
  kinds.add(options.kinds);
  const closing = new AbortController();
  setMaxListeners(0, closing.signal); // every watch listens
  const handle = handler(
    {
      desk: { store, clock, uid: randomUUID },
      kinds,
      doors: { ...(token === undefined ? {} : { token }), certificates: tls?.clientCa !== undefined },
      log,
      version,
      bodyLimit: options.bodyLimit ?? 3 * 1024 * 1024,
      watches: { longestMs: 30 * 60_000, slowMs: options.slowWatcherMs ?? 30_000, bookmarkMs: 60_000 },
    },
    closing.signal,
  );
  const server = makeServer(tls, handle);
  server.headersTimeout = 20_000;
  server.requestTimeout = 60_000;
  server.keepAliveTimeout = 65_000;
  await listening(server, listen);
  server.on("error", (error) => log.error("serving the API", { error }));
  const { port } = server.address() as AddressInfo;
  const host = listen.host.includes(":") ? `[${listen.host}]` : listen.host;
  let closed: Promise<void> | undefined;
  return {
    url: `${tls ? "https" : "http"}://${host}:${port}`,
    port,
    addKinds: (more) => kinds.add(more),
    close: () => (closed ??= shut(server, closing, clock)),
  };
}

type Handle = (request: IncomingMessage, response: ServerResponse) => void;

function makeServer(tls: ServeOptions["tls"], handle: Handle): Server {
  if (!tls) return createHttpServer(handle);
  const { cert, key, clientCa } = tls;
  const asking = clientCa === undefined ? {} : { ca: clientCa, requestCert: true, rejectUnauthorized: false };
  return createHttpsServer(
    { cert, key: typeof key === "string" ? key : key.reveal(), minVersion: "TLSv1.2", ...asking },
    handle,
  );
}

function listening(server: Server, { host, port }: { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const taken = error.code === "EADDRINUSE" ? "the port is taken" : error.message;
      reject(new Fault("Unavailable", `serving the API on ${host}:${port}: ${taken}`, { cause: error }));
    });
    server.listen({ host, port }, () => resolve());
  });
}

/** V3 */
async function shut(server: Server, closing: AbortController, clock: Clock): Promise<void> {
  closing.abort();
  const gone = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const patience = new AbortController();
  const impatient = sleep(clock, graceMs, patience.signal).then(
    () => server.closeAllConnections(),
    () => {},
  );
  await gone;
  patience.abort();
  await impatient;
}
