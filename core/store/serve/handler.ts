// One request: who asks, for what, and what he gets.
import type { IncomingMessage, ServerResponse } from "node:http";
import { stringify } from "yaml";
import { Fault } from "../../fault.ts";
import { toJson } from "../../json.ts";
import type { Logger } from "../../log.ts";
import { groupResource } from "../../resource/kind.ts";
import type { Key } from "../../resource/meta.ts";
import { formOf, mediaType, type Form } from "./accept.ts";
import { callerOf, isLocalHost, review, type Caller, type Doors } from "./access.ts";
import { bodyOf } from "./answer.ts";
import * as discovery from "./discovery.ts";
import type { ServedKinds } from "./kinds.ts";
import { openapi, openapiIndex, openapiV2, openapiV2Type } from "./openapi.ts";
import { flag, include } from "./options.ts";
import { patch, readJson, readYaml } from "./patching.ts";
import { Refusal, statusOf, type About } from "./problem.ts";
import { readProtobuf } from "./protobuf.ts";
import { keyOfRoute, routeOf, type ResourceRoute, type Route } from "./route.ts";
import {
  create,
  get,
  list,
  notHere,
  remove,
  removeAll,
  update,
  type Answer,
  type Ask,
  type Desk,
} from "./verbs.ts";
import { watch, type WatchLimits } from "./watch.ts";

export interface Face {
  readonly desk: Desk;
  readonly kinds: ServedKinds;
  readonly doors: Doors;
  readonly log: Logger;
  readonly version: string;
  readonly bodyLimit: number;
  readonly watches: WatchLimits;
}

/** A listener for HTTP requests. `closing` ends watches. */
export function handler(
  face: Face,
  closing: AbortSignal,
): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    const about: { -readonly [P in keyof About]: About[P] } = {};
    const began = face.desk.clock.now();
    response.once("close", () => {
      const { method, url } = request;
      const durationMs = face.desk.clock.now() - began;
      face.log.debug("request", { method, path: url, status: response.statusCode, durationMs });
    });
    response.once("finish", () => closing.aborted && request.socket.end()); // a line kept alive would keep the server open
    answer(face, request, response, about, closing).catch((error: unknown) => {
      const status = statusOf(error, about);
      const { method, url } = request;
      if (status.code === 500) face.log.error("request failed", { method, path: url, error });
      if (response.headersSent || response.destroyed) return void response.destroy();
      send(response, { kind: "json" }, status.code ?? 500, status);
    });
  };
}

async function answer(
  face: Face,
  request: IncomingMessage,
  response: ServerResponse,
  about: { -readonly [P in keyof About]: About[P] },
  closing: AbortSignal,
): Promise<void> {
  const [path = "", ...search] = (request.url ?? "/").split("?");
  const query = new URLSearchParams(search.join("?"));
  const route = routeOf(path);
  if (!route) throw nowhere();
  if (!face.doors.token && !face.doors.certificates && !isLocalHost(request.headers.host)) {
    throw new Fault("Forbidden", "this API is served to programs on this machine only, under its own name");
  }
  const known = route.kind === "health" || route.kind === "version";
  const caller = known ? undefined : await callerOf(request, face.doors);
  if (route.kind !== "resource") return sendDocument(face, route, request, response);

  const asked = discovery.reviews.find(
    (each) => each.group === route.group && each.version === route.version && each.plural === route.plural,
  );
  if (asked && caller) return answerReview(face, asked.kind, caller, request, response);
  const ask = askOf(face, route, query);
  about.kind = ask.kind;
  if (ask.key) about.name = ask.key.name;
  const form = formOf(request.headers.accept);
  if (request.method === "GET" && flag(ask.query, "watch") && !ask.key) {
    return watch(face.desk, ask, response, { form, include: include(ask.query) }, face.watches, closing);
  }
  const result = await act(face, ask, request, about);
  const code = result.kind === "object" ? result.code : 200;
  const warnings = result.kind === "object" ? (result.warnings ?? []) : [];
  if (warnings.length > 0) response.setHeader("warning", warnings.map(warning));
  const now = face.desk.clock.now();
  send(response, form, code, bodyOf(ask.kind, result, { form, include: include(ask.query), now }));
}

/** RFC 7234, as kubectl reads it. */
function warning(text: string): string {
  const plain = text.replace(/[^\x20-\x7e]/g, "?").replace(/(["\\])/g, "\\$1");
  return `299 - "${plain}"`;
}

function askOf({ kinds }: Face, route: ResourceRoute, query: URLSearchParams): Ask {
  const kind = kinds.find(route.group, route.version, route.plural);
  const key = keyOfRoute(route);
  const status = route.subresource === "status";
  if (!kind || (route.namespace !== undefined && !kind.namespaced)) throw nowhere();
  if (route.subresource !== undefined && !(status && kind.hasStatus)) {
    throw new Refusal(404, "NotFound", `${groupResource(kind)} "${route.name ?? ""}" not found`);
  }
  if (key && kind.namespaced && route.namespace === undefined) throw nowhere();
  return {
    kind,
    ...(key ? { key } : {}),
    ...(route.namespace === undefined ? {} : { namespace: route.namespace }),
    status,
    query,
  };
}

async function act(
  face: Face,
  ask: Ask,
  request: IncomingMessage,
  about: { name?: string },
): Promise<Answer> {
  const { desk, bodyLimit } = face;
  const { method = "" } = request;
  if (!ask.key) {
    switch (method) {
      case "GET":
        return list(desk, ask);
      case "POST": {
        const body = await readBody(request, bodyLimit);
        const name = (body as { metadata?: { name?: unknown } } | null)?.metadata?.name;
        if (typeof name === "string") about.name = name;
        return create(desk, { ...ask, body });
      }
      case "DELETE":
        return removeAll(desk, { ...ask, body: await readBody(request, bodyLimit, true) });
      default:
        throw notHere(method);
    }
  }
  const one: Ask & { key: Key } = { ...ask, key: ask.key };
  switch (method) {
    case "GET":
      return get(desk, one);
    case "PUT":
      return update(desk, { ...one, body: await readBody(request, bodyLimit) });
    case "PATCH":
      return patch(
        desk,
        one,
        mediaType(request.headers["content-type"] ?? "").type,
        (await readBytes(request, bodyLimit)).toString("utf8"),
      );
    case "DELETE":
      if (ask.status) throw notHere(method);
      return remove(desk, { ...one, body: await readBody(request, bodyLimit, true) });
    default:
      throw notHere(method);
  }
}

async function answerReview(
  face: Face,
  kind: string,
  caller: Caller,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method !== "POST") throw notHere(request.method ?? "");
  const body = review(kind, await readBody(request, face.bodyLimit), caller);
  send(response, formOf(request.headers.accept), 201, body);
}

function sendDocument(
  face: Face,
  route: Exclude<Route, ResourceRoute>,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  if (request.method !== "GET") throw notHere(request.method ?? "");
  if (route.kind === "health")
    return void response.writeHead(200, { "content-type": "text/plain" }).end("ok");
  if (route.kind === "openapiV2") {
    response.writeHead(200, { "content-type": openapiV2Type }).end(openapiV2(face.version));
    return;
  }
  const form = formOf(request.headers.accept);
  const found = documentOf(face, route, form, request.headers.host ?? "");
  if (found === undefined) throw nowhere();
  const aggregated = form.kind === "discovery" && (route.kind === "groups" || route.kind === "coreVersions");
  if (aggregated) {
    response.setHeader(
      "content-type",
      "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
    );
    response.setHeader("vary", "Accept");
  }
  send(response, form, 200, found);
}

function documentOf(
  { kinds, version }: Face,
  route: Exclude<Route, ResourceRoute>,
  form: Form,
  host: string,
): unknown {
  switch (route.kind) {
    case "health":
    case "openapiV2":
      return {}; // not JSON: answered above
    case "version":
      return versionBody(version);
    case "paths":
      return {
        paths: ["/api", "/api/v1", "/apis", "/healthz", "/livez", "/openapi/v3", "/readyz", "/version"],
      };
    case "coreVersions":
      return form.kind === "discovery" ? discovery.aggregated(kinds, true) : discovery.coreVersions(host);
    case "groups":
      return form.kind === "discovery" ? discovery.aggregated(kinds, false) : discovery.groupList(kinds);
    case "group":
      return discovery.group(kinds, route.group);
    case "resources":
      return discovery.resourceList(kinds, route.group, route.version);
    case "openapiIndex":
      return openapiIndex(kinds);
    case "openapi":
      return openapi(kinds, route.group, route.version, version);
  }
}

function versionBody(version: string): unknown {
  const [major = "", minor = ""] = version.replace(/^v/, "").split(".");
  return { major, minor, gitVersion: version, platform: "linux/amd64" };
}

function nowhere(): Refusal {
  return new Refusal(404, "NotFound", "the server could not find the requested resource");
}

/** The body as its content type says. `optional`: one without content is undefined. */
async function readBody(request: IncomingMessage, limit: number, optional = false): Promise<unknown> {
  const { type } = mediaType(request.headers["content-type"] ?? "");
  const bytes = await readBytes(request, limit);
  if (optional && bytes.length === 0) return undefined;
  if (type === "application/json") return readJson(bytes.toString("utf8"));
  if (type === "application/yaml") return readYaml(bytes.toString("utf8"));
  if (type === "application/vnd.kubernetes.protobuf") return readProtobuf(bytes);
  throw new Refusal(
    415,
    "UnsupportedMediaType",
    `the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf`,
  );
}

/** The whole body. What comes after the limit is read and dropped, so that the refusal arrives. */
function readBytes(request: IncomingMessage, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let chunks: Buffer[] = [];
    let size = 0;
    request.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size <= limit) return void chunks.push(chunk);
      chunks = [];
      reject(new Refusal(413, "RequestEntityTooLarge", `the body is larger than ${limit} bytes`));
    });
    request.once("end", () => resolve(Buffer.concat(chunks)));
    request.once("error", (error) => reject(Fault.from(error, "reading the body")));
    request.once("close", () => request.complete || reject(new Fault("Cancelled", "the client went away")));
  });
}

function send(response: ServerResponse, form: Form, code: number, body: unknown): void {
  const yaml = form.kind === "yaml";
  const text = yaml ? stringify(body) : `${toJson(body)}\n`;
  if (!response.hasHeader("content-type")) {
    response.setHeader("content-type", yaml ? "application/yaml" : "application/json");
  }
  response.setHeader("cache-control", "no-cache, private");
  response.writeHead(code, { "content-length": Buffer.byteLength(text) }).end(text);
}
