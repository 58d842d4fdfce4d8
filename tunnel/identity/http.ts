// JSON over HTTP(S) to a plane: its error bodies become Faults, its certificate is checked against the CA given, never process-wide.
import { rootCertificates } from "node:tls";
import { Agent, request } from "undici";
import { Fault, type FaultCode, type Problem } from "#core";

export interface PlaneEndpoint {
  /** "https://plane.example.com:8443"; a trailing slash and missing scheme (https) are forgiven. */
  readonly url: string;
  /** PEM bundle that signs the plane's server certificate; the system's store when absent. */
  readonly ca?: string;
  /** With `ca`: trust the usual public authorities as well (a plane behind a proxy with a bought certificate). For bound calls. */
  readonly publicRoots?: boolean;
  /** Accept any server certificate. Only for bound calls: those whose answer carries a proof. */
  readonly unverified?: boolean;
}

export interface PlaneCall {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** Path and query, beginning with "/". */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
}

export interface PlaneHttp {
  /** The parsed body; undefined for 204. Throws the plane's error as a Fault, Unavailable when it cannot be reached. */
  call(call: PlaneCall): Promise<unknown>;
  close(): Promise<void>;
}

/** "plane:8443/" → "https://plane:8443". Throws Invalid for what is no http(s) URL. */
export function normalisePlaneUrl(url: string): string {
  const text = /^[a-z]+:\/\//i.test(url) ? url : `https://${url}`;
  const parsed = URL.canParse(text) ? new URL(text) : undefined;
  if (!parsed || !["http:", "https:"].includes(parsed.protocol)) {
    throw new Fault(
      "Invalid",
      `'${url}' is no address of a plane; it looks like https://plane.example.com:8443`,
    );
  }
  return parsed.origin + parsed.pathname.replace(/\/+$/, "");
}

export function planeHttp(endpoint: PlaneEndpoint): PlaneHttp {
  const base = normalisePlaneUrl(endpoint.url);
  const agent = new Agent({
    connect: {
      ...(endpoint.ca === undefined
        ? {}
        : { ca: endpoint.publicRoots ? [endpoint.ca, ...rootCertificates] : endpoint.ca }),
      ...(endpoint.unverified ? { rejectUnauthorized: false } : {}),
    },
    connectTimeout: 10_000,
    headersTimeout: 30_000,
    bodyTimeout: 30_000,
  });
  return {
    async call({ method, path, headers, body, signal }) {
      const doing = `calling the plane at ${base}`;
      const answer = await request(base + path, {
        method,
        dispatcher: agent,
        headers: {
          accept: "application/json",
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(signal ? { signal } : {}),
      }).catch((error: unknown) => {
        throw unreachable(error, base, signal);
      });
      const text = await answer.body.text().catch((error: unknown) => {
        throw unreachable(error, base, signal);
      });
      const json = parse(text);
      if (answer.statusCode >= 400)
        throw planeFault(answer.statusCode, json, doing, answer.headers["retry-after"]);
      if (text !== "" && json === undefined)
        throw new Fault("Unavailable", `${doing}: the answer is not JSON; is it really a plane?`);
      return json;
    },
    close: () => agent.close(),
  };
}

function unreachable(error: unknown, base: string, signal: AbortSignal | undefined): Fault {
  if (signal?.aborted)
    return new Fault("Cancelled", `calling the plane at ${base} was cancelled`, { cause: error });
  const text = error instanceof Error ? error.message || error.name : String(error);
  const code = (error as { code?: unknown } | undefined)?.code;
  const untrusted = typeof code === "string" && /CERT|SELF_SIGNED|UNABLE_TO|ALTNAME/.test(code);
  const hint = untrusted
    ? "its certificate is not trusted; give the plane's CA file"
    : "check the address, the name in DNS and the way out (firewall, proxy)";
  return new Fault(
    "Unavailable",
    `the plane at ${base} cannot be reached: ${text || String(code)}; ${hint}`,
    { cause: error },
  );
}

const byStatus: Readonly<Record<number, FaultCode>> = {
  400: "Invalid",
  401: "Unauthorized",
  403: "Forbidden",
  404: "NotFound",
  409: "Conflict",
  410: "Gone",
  413: "Invalid",
  422: "Invalid",
  429: "Busy",
  504: "TimedOut",
};

function planeFault(
  status: number,
  body: unknown,
  doing: string,
  retryAfter: string | string[] | undefined,
): Fault {
  const error = (body ?? {}) as { message?: unknown; details?: { problems?: unknown } };
  const message = typeof error.message === "string" ? error.message : `${doing}: status ${status}`;
  const problems = Array.isArray(error.details?.problems) ? (error.details.problems as Problem[]) : [];
  const seconds = Number(retryAfter);
  return new Fault(byStatus[status] ?? "Unavailable", message, {
    problems,
    ...(Number.isFinite(seconds) ? { retryAfterMs: seconds * 1000 } : {}),
  });
}

function parse(text: string): unknown {
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
