// One SOAP call: write the request, send it, read the answer as it streams in, turn a fault into a VimFault. Knows no session.
import { Fault } from "#core";
import { messageReader, type Message } from "./reader.ts";
import { methodRow, parseDescriptor, type Fields } from "./table.ts";
import type { HttpResponse, Transport } from "./transport.ts";
import type { MethodName, Params, Ref, Returns, Tagged } from "./types.ts";
import { vimFault, type FaultData } from "./vim-fault.ts";
import { writeRequest } from "./writer.ts";

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** The session cookie's value. */
  readonly cookie?: string | undefined;
  /** Until the whole answer is there, milliseconds; 2 min unless told. */
  readonly timeoutMs?: number;
  /** True for a call that waits at the server. */
  readonly poll?: boolean;
  /** What is being done, for the error's message; the method's name unless told. */
  readonly doing?: string | undefined;
}

export interface Caller {
  readonly server: string;
  /** Calls `method` on `target`. `onCookie` hears of a session cookie in the answer. */
  call<M extends MethodName>(
    target: Ref,
    method: M,
    args: Params<M>,
    options?: CallOptions & { onCookie?: (value: string) => void },
  ): Promise<Returns<M>>;
}

export const sessionCookie = "vmware_soap_session";

/** `version` is asked at every call: "8.0.1.0", or undefined for none in SOAPAction. */
export function soapCaller(transport: Transport, version: () => string | undefined): Caller {
  return {
    server: transport.server,
    async call(target, method, args, options = {}) {
      const doing = options.doing ?? method;
      const name = version();
      const reading = responseSink(method);
      const response = await transport
        .send(
          {
            method: "POST",
            path: "/sdk",
            headers: {
              "content-type": 'text/xml; charset="utf-8"',
              soapaction: name === undefined ? "urn:vim25" : `urn:vim25/${name}`,
              "user-agent": "private-cloud-gateway",
              ...(options.cookie === undefined ? {} : { cookie: `${sessionCookie}=${options.cookie}` }),
            },
            body: writeRequest(method, target, args),
            repeatable: methodRow(method)?.read === true,
            pool: options.poll ? "poll" : "call",
            timeoutMs: options.timeoutMs ?? 120_000,
            signal: options.signal,
          },
          reading.sink,
        )
        .catch((error: unknown) => {
          const fault = Fault.from(error);
          throw new Fault(fault.code, `${doing}: ${fault.message}`, { cause: error });
        });
      const cookie = cookieOf(response);
      if (cookie !== undefined) options.onCookie?.(cookie);
      return result(doing, transport.server, response, reading.message()) as Returns<typeof method>;
    },
  };
}

/** Reads XML where the status promises it; remembers a little of anything else for the error's message. */
function responseSink(method: MethodName) {
  const returns = methodRow(method)?.returns;
  const fields: Fields = new Map(returns ? [["returnval", parseDescriptor(returns)]] : []);
  const reader = messageReader({ fields: (name) => (name === `${method}Response` ? fields : undefined) });
  let soap = false;
  return {
    sink: (response: HttpResponse) => {
      soap =
        (response.status === 200 || response.status === 500) &&
        /xml/.test(response.headers["content-type"] ?? "");
      return { write: (text: string) => (soap ? reader.write(text) : undefined) };
    },
    message: () => (soap ? reader.end() : undefined),
  };
}

function result(
  doing: string,
  server: string,
  response: HttpResponse,
  message: Message | undefined,
): unknown {
  if (!message) throw statusFault(doing, server, response);
  if (message.name !== "Fault") return message.value.returnval ?? emptyResult(message);
  const { faultstring, detail } = message.value as { faultstring?: string; detail?: Tagged | string };
  throw vimFault(doing, faultstring ?? "", faultData(detail, faultstring ?? ""));
}

function emptyResult(message: Message): unknown {
  const row = methodRow(message.name.replace(/Response$/, ""));
  return row?.returns?.endsWith("[]") ? [] : undefined;
}

/** The typed fault inside <detail>; a server that sends none (a malformed request) gets the name it gave in text. */
function faultData(detail: Tagged | string | undefined, text: string): FaultData {
  const inner = typeof detail === "object" ? Object.entries(detail.$fields)[0] : undefined;
  const value = inner?.[1][0];
  if (typeof value === "object" && value !== null) {
    const type = (value as { $type?: string }).$type || inner![0].replace(/Fault$/, "");
    return { ...value, $type: type };
  }
  return {
    $type: inner
      ? inner[0].replace(/Fault$/, "")
      : /session is not authenticated/i.test(text)
        ? "NotAuthenticated"
        : "SystemError",
  };
}

function statusFault(doing: string, server: string, response: HttpResponse): Fault {
  const { status, headers } = response;
  const retry = Number(headers["retry-after"]);
  const hint = status === 404 ? "; is that a vCenter?" : "";
  return new Fault("Unavailable", `${doing}: ${server} answered HTTP ${status}${hint}`, {
    ...(retry > 0 ? { retryAfterMs: retry * 1000 } : {}),
  });
}

/** As it stands, quotes included: some vCenters send and expect them. */
function cookieOf(response: HttpResponse): string | undefined {
  for (const header of response.headers["set-cookie"] ?? []) {
    const match = /^vmware_soap_session=([^;]*)/.exec(header);
    if (match) return match[1];
  }
  return undefined;
}
