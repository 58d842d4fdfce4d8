// HTTPS to one vCenter.
//   H1. Calls and long polls have their own connection pools: a hundred waits never starve a call.
//   H2. A request is repeated once, at once, only if it is a read and its kept-alive connection turned out to be dead.
//   H3. Redirects are refused: credentials go to the server that was named.
//   H4. What arrives is handed on piece by piece; an answer beyond the size limit is cut off.
import { request as httpsRequest, type Agent } from "node:https";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { StringDecoder } from "node:string_decoder";
import { Fault, type Clock } from "#core";
import { parseServer, serverName, trustingAgent, type Trust } from "./certificate.ts";

export interface HttpRequest {
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** True when sending it twice is the same as once. */
  readonly repeatable: boolean;
  /** "poll" for requests that wait at the server. */
  readonly pool?: "call" | "poll";
  /** Until the whole answer is there, milliseconds. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
}

/** Takes the body of one answer. A throw ends the request with that error. */
export type BodySink = (response: HttpResponse) => { write(text: string): void };

export interface Transport {
  /** Host and port, for messages. */
  readonly server: string;
  /** Resolves when the answer has been handed to the sink. Rejects with Fault: Unavailable, TimedOut, Cancelled. */
  send(request: HttpRequest, sink: BodySink): Promise<HttpResponse>;
  /** Ends all connections; requests under way fail with Unavailable. */
  close(): void;
}

export interface TransportOptions extends Trust {
  readonly server: string;
  readonly clock: Clock;
  /** Longest answer taken, bytes; 256 MiB unless told. */
  readonly maxBytes?: number;
  /** 8 and 64 unless told. */
  readonly maxCalls?: number;
  readonly maxPolls?: number;
}

export function httpsTransport(options: TransportOptions): Transport {
  const { host, port } = parseServer(options.server);
  const agents = {
    call: trustingAgent(options, { maxSockets: options.maxCalls ?? 8 }), // H1
    poll: trustingAgent(options, { maxSockets: options.maxPolls ?? 64 }),
  };
  const target = { host, port, servername: serverName(host) };
  const maxBytes = options.maxBytes ?? 256 * 1024 * 1024;
  let closed = false;

  async function send(request: HttpRequest, sink: BodySink): Promise<HttpResponse> {
    if (closed) throw new Fault("Unavailable", `the connection to ${options.server} is closed`);
    const agent = agents[request.pool ?? "call"];
    const attempt = () => sendOnce(target, agent, request, sink, { clock: options.clock, maxBytes });
    try {
      return await attempt();
    } catch (error) {
      if (error instanceof StaleConnection && request.repeatable && !request.signal?.aborted)
        return attempt().catch((again: unknown) => Promise.reject(outward(again, options.server))); // H2
      throw outward(error, options.server);
    }
  }

  return {
    server: options.server,
    send,
    close() {
      closed = true;
      agents.call.destroy();
      agents.poll.destroy();
    },
  };
}

/** A kept-alive connection had died before any of the answer came. */
class StaleConnection extends Error {}

interface Limits {
  readonly clock: Clock;
  readonly maxBytes: number;
}

function sendOnce(
  target: { host: string; port: number; servername: string },
  agent: Agent,
  request: HttpRequest,
  sink: BodySink,
  limits: Limits,
): Promise<HttpResponse> {
  return new Promise((resolve, reject) => {
    const { signal } = request;
    if (signal?.aborted) return reject(new Fault("Cancelled", "the request was cancelled"));
    const outgoing = httpsRequest({
      ...target,
      agent,
      method: request.method,
      path: request.path,
      headers: {
        ...request.headers,
        ...(request.body === undefined ? {} : { "content-length": Buffer.byteLength(request.body) }),
      },
    });
    let answered = false;
    let reason: Error | undefined;
    const stop = (error: Error) => {
      reason ??= error;
      outgoing.destroy();
      settle(() => reject(reason as Error));
    };
    const onAbort = () => stop(new Fault("Cancelled", "the request was cancelled"));
    const cancelTimer = limits.clock.after(request.timeoutMs, () =>
      stop(new Fault("TimedOut", `no answer within ${Math.round(request.timeoutMs / 1000)} s`)),
    );
    const settle = (end: () => void) => {
      cancelTimer();
      signal?.removeEventListener("abort", onAbort);
      end();
    };
    signal?.addEventListener("abort", onAbort, { once: true });

    outgoing.on("error", (error: NodeJS.ErrnoException) => {
      const stale =
        !answered && outgoing.reusedSocket && (error.code === "ECONNRESET" || error.code === "EPIPE");
      settle(() => reject(reason ?? (stale ? new StaleConnection(error.message, { cause: error }) : error)));
    });
    outgoing.on("response", (response) => {
      answered = true;
      receive(response, sink, limits.maxBytes).then(
        (answer) => settle(() => resolve(answer)),
        (error: Error) => stop(reason ?? error),
      );
    });
    outgoing.end(request.body);
  });
}

async function receive(response: IncomingMessage, sink: BodySink, maxBytes: number): Promise<HttpResponse> {
  const answer = { status: response.statusCode ?? 0, headers: response.headers };
  if (answer.status >= 300 && answer.status < 400) {
    response.resume();
    throw new Fault(
      "Unavailable",
      `it redirects to ${response.headers.location ?? "elsewhere"}, which is refused; name that server itself`,
    ); // H3
  }
  const body = sink(answer);
  const decoder = new StringDecoder("utf8");
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new Fault("Unavailable", `its answer is longer than ${maxBytes} bytes`); // H4
    body.write(decoder.write(chunk));
  }
  const rest = decoder.end();
  if (rest) body.write(rest);
  return answer;
}

const untrusted = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "CERT_HAS_EXPIRED",
  "CERT_NOT_YET_VALID",
  "ERR_TLS_CERT_ALTNAME_INVALID",
]);

function outward(error: unknown, server: string): Fault {
  if (error instanceof Fault) return new Fault(error.code, `${server}: ${error.message}`, { cause: error });
  if (error instanceof StaleConnection)
    return new Fault("Unavailable", `${server}: the connection broke`, { cause: error });
  const code = String((error as { code?: unknown }).code ?? "");
  if (untrusted.has(code))
    return new Fault(
      "Unavailable",
      `${server}: its certificate is not trusted (${code}); set its thumbprint or its CA certificate`,
      {
        cause: error,
      },
    );
  if (code === "ECONNRESET")
    return new Fault("Unavailable", `${server}: the connection broke`, { cause: error });
  const fault = Fault.from(error, server);
  // Whatever a socket or TLS throws is the network's doing, not ours.
  return fault.code === "Bug" ? new Fault("Unavailable", fault.message, { cause: error }) : fault;
}
