// Answers an API server's webhooks over TLS. Paths as upstream's managers have them, so that their configurations go on working:
// /validate-…, /mutate-… (nothing is mutated), /convert.
import { createServer, type Server } from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Fault, toJson, type Kind, type Logger, type ResourceStore } from "#core";
import { ipamGroup } from "#proto";
import { addressesOf } from "../in-use.ts";
import { placeOf, poolKinds, type Pool } from "../words.ts";
import { judgePool, reviewOf, type AdmissionRequest, type Verdict } from "./admission.ts";
import { withOverlaps } from "./overlaps.ts";
import { convert } from "./conversion.ts";

export interface WebhookDeps {
  /** Answers from what was written. */
  readonly store: ResourceStore;
  readonly log: Logger;
  /** Other judges, by group: asked for kinds that are not ours. Undefined: allowed. */
  readonly judge?: (request: AdmissionRequest) => Promise<Verdict | undefined>;
}

export interface ServingPair {
  readonly cert: string;
  readonly key: string;
}

export interface WebhookServer {
  readonly port: number;
  /** Serves with this from the next connection on. */
  renew(pair: ServingPair): void;
  close(): Promise<void>;
}

/** A review carries two objects of at most what an API server takes. */
const maxBytes = 8 * 2 ** 20;

/** Listens. Unavailable where the port is taken. */
export async function serveWebhooks(
  deps: WebhookDeps,
  listen: { readonly host?: string; readonly port: number },
  pair: ServingPair,
): Promise<WebhookServer> {
  const server = createServer({ ...pair, minVersion: "TLSv1.2" }, (request, response) => {
    void answer(deps, request, response);
  });
  server.headersTimeout = 10_000;
  server.requestTimeout = 30_000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) =>
      reject(new Fault("Unavailable", `--webhook-port ${listen.port}: ${cause.message}`, { cause })),
    );
    server.listen(listen.port, listen.host, resolve);
  });
  const { port } = server.address() as { port: number };
  return {
    port,
    renew: (next) => server.setSecureContext(next),
    close: () => closed(server),
  };
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

async function answer(deps: WebhookDeps, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const say = (status: number, body: unknown) => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(toJson(body));
  };
  try {
    const path = new URL(request.url ?? "/", "https://webhook").pathname;
    if (request.method !== "POST") return say(405, { message: "reviews are sent by POST" });
    const body = JSON.parse(await bodyOf(request)) as { request?: AdmissionRequest };
    if (typeof body !== "object" || body === null || typeof body.request !== "object")
      return say(400, { message: "this is no review: it has no request" });
    if (path === "/convert") return say(200, convert(body));
    const review = body.request as AdmissionRequest;
    if (path.startsWith("/mutate")) return say(200, reviewOf(review, { kind: "allowed", warnings: [] }));
    if (!path.startsWith("/validate")) return say(404, { message: `nothing is served at ${path}` });
    say(200, reviewOf(review, await judge(deps, review)));
  } catch (error) {
    const fault =
      error instanceof SyntaxError ? new Fault("Invalid", "the review is no JSON") : Fault.from(error);
    deps.log[fault.code === "Invalid" ? "info" : "warn"]("a review could not be answered", { error: fault });
    say(fault.code === "Invalid" ? 400 : 500, { message: fault.message });
  }
}

async function judge({ store, judge: others }: WebhookDeps, review: AdmissionRequest): Promise<Verdict> {
  const allowed: Verdict = { kind: "allowed", warnings: [] };
  if (review.subResource) return allowed;
  const kind = poolKinds.find((each) => each.kind === review.kind.kind);
  if (review.kind.group !== ipamGroup || !kind) return (await others?.(review)) ?? allowed;
  const pool = (review.object ?? review.oldObject) as Pool | null | undefined;
  if (!pool) return allowed;
  const place = placeOf(kind, {
    ...pool,
    metadata: { ...pool.metadata, name: pool.metadata.name ?? review.name },
  });
  const isNew = review.operation === "CREATE";
  const inUse = isNew ? [] : (await addressesOf(store, place)).map(({ spec }) => spec.address);
  const verdict = judgePool(
    review.operation,
    pool,
    (review.oldObject ?? undefined) as Pool | undefined,
    inUse,
  );
  return withOverlaps(store, kind as Kind, review, verdict);
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += (chunk as Buffer).length;
    if (size > maxBytes) throw new Fault("Invalid", `the review is larger than ${maxBytes} bytes`);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString("utf8");
}
