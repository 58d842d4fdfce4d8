// The HTTPS face: SOAP at /sdk, the version list, REST sessions. Reads requests, runs them, writes answers; decides nothing.
import { createServer, type Server } from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { StringDecoder } from "node:string_decoder";
import { Fault, isFault, sleep, type Logger } from "#core";
import type { Ref } from "#vsphere";
import { sessionCookie } from "#vsphere/soap/caller.ts";
import { messageReader, type Message } from "#vsphere/soap/reader.ts";
import { methodParams, parseDescriptor, type Fields } from "#vsphere/soap/table.ts";
import { writeFault, writeResponse } from "#vsphere/soap/writer.ts";
import { SimFault } from "./fault.ts";
import type { Call, Deps } from "./call.ts";
import { dispatch } from "./handlers.ts";
import type { Identity } from "./identity.ts";
import { versionsXml } from "./service.ts";
import { restAnswer } from "./sim-rest.ts";

const maxRequestBytes = 8 * 1024 * 1024;

export interface Listening {
  readonly port: number;
  close(): Promise<void>;
}

export async function listen(
  at: { readonly host: string; readonly port: number },
  identity: Identity,
  deps: Deps,
  log: Logger,
): Promise<Listening> {
  const server = createServer(
    { cert: identity.certificate, key: identity.key.reveal() },
    (request, response) => {
      answer(request, response, deps).catch((error: unknown) => {
        log.error("simulated vCenter failed to answer", { path: request.url, error });
        if (!response.headersSent) response.writeHead(500);
        response.end();
      });
    },
  );
  server.keepAliveTimeout = 120_000;
  server.requestTimeout = 0;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) =>
      reject(Fault.from(error, `simulated vCenter: listening on ${at.host}:${at.port}`)),
    );
    server.listen(at.port, at.host, resolve);
  });
  return { port: (server.address() as AddressInfo).port, close: () => closeServer(server) };
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

async function answer(request: IncomingMessage, response: ServerResponse, deps: Deps): Promise<void> {
  const path = (request.url ?? "/").split("?")[0];
  if (request.method === "GET" && path === "/sdk/vimServiceVersions.xml")
    return send(response, 200, "text/xml", versionsXml());
  if (request.method === "POST" && (path === "/sdk" || path === "/sdk/"))
    return soap(request, response, deps);
  request.resume();
  const client = clientOf(request);
  const { authorization, "vmware-api-session-id": id } = request.headers;
  const sessionId = typeof id === "string" ? id : undefined;
  const rest = restAnswer(
    { method: request.method ?? "GET", path: request.url ?? "/", authorization, sessionId, client },
    deps,
  );
  if (!rest) return send(response, 404, "text/plain", "no such page\n");
  const body = rest.body === undefined ? "" : JSON.stringify(rest.body);
  return send(response, rest.status, "application/json", body);
}

async function soap(request: IncomingMessage, response: ServerResponse, deps: Deps): Promise<void> {
  const message = await readMessage(request).catch((error: unknown) => Fault.from(error));
  if (isFault(message)) return send(response, 400, "text/plain", `${message.message}\n`);
  const { name: method } = message;
  const { _this: target = { type: "", value: "" }, ...args } = message.value as { _this?: Ref };
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  const { knobs, clock } = deps;

  knobs.counts.set(method, (knobs.counts.get(method) ?? 0) + 1);
  const latency = knobs.latency.get(method) ?? knobs.latency.get("*") ?? 0;
  if (latency > 0) await sleep(clock, latency, gone.signal).catch(() => {});
  if (spend(knobs.cuts, method) || spend(knobs.cuts, "*")) return void request.socket.destroy();

  const call: Call = {
    ...deps,
    target,
    session: deps.sessions.use(cookieOf(request)),
    client: clientOf(request),
    signal: gone.signal,
    setCookie: (key) =>
      response.setHeader("set-cookie", `${sessionCookie}="${key}"; Path=/; HttpOnly; Secure`),
  };
  try {
    failByKnob(deps, method);
    const value = await dispatch(call, method, args);
    send(response, 200, soapType, writeResponse(method, value));
  } catch (error) {
    if (!(error instanceof SimFault)) throw error;
    send(response, 500, soapType, writeFault(error.message, error.body));
  }
}

const soapType = "text/xml; charset=utf-8";
const unknownMethod: Fields = new Map([["_this", parseDescriptor("ref")]]);

async function readMessage(request: IncomingMessage): Promise<Message> {
  const reader = messageReader({ fields: (name) => methodParams(name) ?? unknownMethod });
  const decoder = new StringDecoder("utf8");
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxRequestBytes)
      throw new Fault("Invalid", `the request is longer than ${maxRequestBytes} bytes`);
    reader.write(decoder.write(chunk));
  }
  return reader.end();
}

function failByKnob({ knobs }: Deps, method: string): void {
  const planned = knobs.faults.get(method);
  if (!planned || planned.times < 1) return;
  knobs.faults.set(method, { ...planned, times: planned.times - 1 });
  throw new SimFault(`${planned.fault} by a knob of the sandbox`, plannedBody(planned.fault));
}

/** A fault of any type, with the fields that type must have. */
function plannedBody(type: string): { readonly $type: "SystemError"; readonly reason: string } {
  const root: Ref = { type: "Folder", value: "group-d1" };
  const fields: Readonly<Record<string, object>> = {
    NoPermission: { object: root, privilegeId: "System.View" },
    NotAuthenticated: { object: root, privilegeId: "System.View" },
    ManagedObjectNotFound: { obj: root },
    SystemError: { reason: "by a knob of the sandbox" },
  };
  return { $type: type, ...fields[type] } as unknown as { $type: "SystemError"; reason: string };
}

function spend(counts: Map<string, number>, method: string): boolean {
  const left = counts.get(method) ?? 0;
  if (left > 0) counts.set(method, left - 1);
  return left > 0;
}

function clientOf(request: IncomingMessage): { userAgent: string; address: string } {
  return { userAgent: request.headers["user-agent"] ?? "", address: request.socket.remoteAddress ?? "" };
}

function cookieOf(request: IncomingMessage): string | undefined {
  return new RegExp(`${sessionCookie}=([^;]*)`).exec(request.headers.cookie ?? "")?.[1];
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  if (response.destroyed) return;
  response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(body) });
  response.end(body);
}
