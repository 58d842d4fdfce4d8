// Requests to a Kubernetes API: JSON in and out, or a stream of lines. Every request ends: with an answer, a Fault, or its time.
import { Agent, ProxyAgent, request, type Dispatcher } from "undici";
import { linkAbort } from "../../abort.ts";
import { Fault } from "../../fault.ts";
import { toJson } from "../../json.ts";
import type { Clock } from "../../time/clock.ts";
import type { KubeConnection } from "./connection.ts";
import { faultOf } from "./status.ts";

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

export interface KubeRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Below the server's address: "/api/v1/pods". */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: unknown;
  /** "application/json" unless told; a patch says which kind it is. */
  readonly contentType?: string;
  /** "creating Widget a/b": begins the message of whatever goes wrong. */
  readonly doing: string;
  readonly signal?: AbortSignal | undefined;
}

export interface Stream {
  readonly chunks: AsyncIterator<Uint8Array>;
  /** Ends the stream. Always call it; twice is once. */
  hangUp(): void;
}

export class KubeClient {
  readonly #connection: KubeConnection;
  readonly #dispatcher: Dispatcher;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #base: string;
  readonly #closing = new AbortController();

  /** `timeoutMs`: for a whole answer, or for the head of a stream. */
  constructor(connection: KubeConnection, clock: Clock, timeoutMs: number) {
    const url = serverUrl(connection.server);
    this.#connection = connection;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#base = url.origin + url.pathname.replace(/\/$/, "");
    this.#dispatcher = dispatcherFor(connection);
  }

  /** The answer, whatever its status. Unavailable, TimedOut, Cancelled. */
  async ask(wanted: KubeRequest): Promise<Answer & { readonly retryAfter?: string | undefined }> {
    return this.#within(wanted, async (signal) => {
      const { statusCode, headers, body } = await this.#send(wanted, signal);
      const text = await body.text();
      const retryAfter = headers["retry-after"];
      return {
        status: statusCode,
        body: readBody(text, headers["content-type"]),
        retryAfter: typeof retryAfter === "string" ? retryAfter : undefined,
      };
    });
  }

  /** The body of a successful answer; anything else is a Fault. */
  async fetch(wanted: KubeRequest): Promise<unknown> {
    const answer = await this.ask(wanted);
    if (answer.status >= 300) throw faultOf(wanted.doing, answer);
    return answer.body;
  }

  /** The chunks of a successful answer, as they come, until the request's signal aborts or `hangUp` is called. */
  async stream(wanted: KubeRequest): Promise<Stream> {
    const line = linkAbort(wanted.signal, this.#closing.signal);
    try {
      const { statusCode, headers, body } = await this.#within(
        wanted,
        (signal) => this.#send(wanted, signal),
        line.signal,
      );
      if (statusCode >= 300) {
        const text = await this.#within(wanted, (signal) => {
          signal.addEventListener("abort", line.abort, { once: true });
          return body.text();
        });
        throw faultOf(wanted.doing, { status: statusCode, body: readBody(text, headers["content-type"]) });
      }
      const chunks = (body as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
      return { chunks, hangUp: line.abort };
    } catch (error) {
      line.abort();
      throw error;
    }
  }

  get closed(): boolean {
    return this.#closing.signal.aborted;
  }

  /** Aborts what is under way. Twice is once. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#dispatcher.destroy();
  }

  async #send(wanted: KubeRequest, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    const query = new URLSearchParams();
    for (const [key, value] of Object.entries(wanted.query ?? {})) {
      if (value !== undefined) query.set(key, value);
    }
    const search = query.size > 0 ? `?${query}` : "";
    const token = await this.#token();
    return request(`${this.#base}${wanted.path}${search}`, {
      method: wanted.method,
      dispatcher: this.#dispatcher,
      signal,
      headers: {
        accept: "application/json",
        "user-agent": "private-cloud-gateway",
        ...(wanted.body === undefined ? {} : { "content-type": wanted.contentType ?? "application/json" }),
        ...(token ? { authorization: `Bearer ${token}` } : {}),
      },
      ...(wanted.body === undefined ? {} : { body: toJson(wanted.body) }),
      reset: false, // undici else hangs up after a DELETE with a body, which an API server reads
      headersTimeout: 0, // the clock's affair, below
      bodyTimeout: 0,
    });
  }

  async #token(): Promise<string | undefined> {
    const { token } = this.#connection;
    return typeof token === "function" ? token() : token;
  }

  /** Within the time-out. `line` is the signal of a stream, which goes on to govern it when its head has come. */
  async #within<T>(
    wanted: KubeRequest,
    work: (signal: AbortSignal) => Promise<T>,
    line?: AbortSignal,
  ): Promise<T> {
    let late = false;
    const linked = linkAbort(line ?? wanted.signal, this.#closing.signal);
    const cancel = this.#clock.after(this.#timeoutMs, () => {
      late = true;
      linked.abort();
    });
    try {
      return await work(linked.signal);
    } catch (error) {
      if (wanted.signal?.aborted) throw new Fault("Cancelled", `${wanted.doing} was cancelled`);
      if (this.closed) throw new Fault("Unavailable", `${wanted.doing}: the store is closed`);
      if (late) {
        throw new Fault("TimedOut", `${wanted.doing}: no answer from ${this.#base} in ${this.#timeoutMs} ms`);
      }
      throw lineFault(error, `${wanted.doing} at ${this.#base}`);
    } finally {
      cancel();
      if (!line) linked.unlink();
    }
  }
}

/** A broken line is Unavailable, whatever the library calls it; what is wrong with a certificate is, too, since it gets repaired. */
export function lineFault(error: unknown, doing: string): Fault {
  const fault = Fault.from(error, doing);
  return fault.code === "Bug" ? new Fault("Unavailable", fault.message, { cause: error }) : fault;
}

function readBody(text: string, type: string | string[] | undefined): unknown {
  if (!String(type ?? "").includes("json")) return text;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

function serverUrl(server: string): URL {
  const url = URL.canParse(server) ? new URL(server) : undefined;
  if (url?.protocol !== "https:" && url?.protocol !== "http:") {
    throw new Fault("Invalid", `"${server}" is not the address of a Kubernetes API: it begins with https://`);
  }
  return url;
}

function dispatcherFor(connection: KubeConnection): Dispatcher {
  const { ca, clientCert, clientKey, serverName, insecure, proxyUrl } = connection;
  const tls = {
    ...(ca ? { ca } : {}),
    ...(clientCert ? { cert: clientCert } : {}),
    ...(clientKey ? { key: clientKey } : {}),
    ...(serverName ? { servername: serverName } : {}),
    ...(insecure ? { rejectUnauthorized: false } : {}),
  };
  const keepAlive = { keepAlive: true, keepAliveInitialDelay: 15_000 };
  return proxyUrl
    ? new ProxyAgent({ uri: proxyUrl, requestTls: tls })
    : new Agent({ connect: { ...tls, ...keepAlive, timeout: 10_000 }, pipelining: 1 });
}
