// What each verb does to the store: get, list, create, update, delete. (patch.ts decides patches, patching.ts does them, watch.ts
// follows.) A verb gives an answer as a value; how it is written down is answer.ts's affair.
import { apiVersionOf, groupResource, type Kind } from "../../resource/kind.ts";
import type { Key, Resource } from "../../resource/meta.ts";
import { Fault, isFault } from "../../fault.ts";
import { formatTime, type Clock } from "../../time/clock.ts";
import { copyJson, sameJson } from "../../resource/json.ts";
import type { ResourceStore } from "../store.ts";
import { unknownFields } from "./fields.ts";
import { isBuiltIn } from "./kinds.ts";
import {
  deleteOptions,
  dryRun,
  fieldsMatch,
  fieldValidation,
  invalidOption,
  onlyName,
  selecting,
  whole,
} from "./options.ts";
import { readMetadata } from "./metadata.ts";
import { isMembers } from "./patch.ts";
import { badRequest, deleted, Refusal, type StatusBody } from "./problem.ts";

/** What a verb works with. */
export interface Desk {
  readonly store: ResourceStore;
  readonly clock: Clock;
  /** Makes the uid of an object that is only pretended (dryRun). */
  readonly uid: () => string;
}

/** A request for a kind's objects, read and checked as far as its path and query go. */
export interface Ask {
  readonly kind: Kind;
  /** Absent for the collection. */
  readonly key?: Key;
  /** Of the collection; absent: all of them. */
  readonly namespace?: string;
  readonly status: boolean;
  readonly query: URLSearchParams;
  readonly body?: unknown;
}

export type Answer =
  | {
      readonly kind: "object";
      readonly code: number;
      readonly object: Resource;
      readonly warnings?: readonly string[];
    }
  | { readonly kind: "list"; readonly meta: ListMeta; readonly items: readonly Resource[] }
  | { readonly kind: "status"; readonly body: StatusBody };

export interface ListMeta {
  readonly resourceVersion: string;
  readonly continue?: string;
  readonly remainingItemCount?: number;
}

export async function get(desk: Desk, ask: Ask & { key: Key }): Promise<Answer> {
  return { kind: "object", code: 200, object: await existing(desk, ask) };
}

/** The object asked for, or NotFound. */
export async function existing(desk: Desk, { kind, key }: Ask & { key: Key }): Promise<Resource> {
  const object = await desk.store.get(kind, key);
  if (!object) throw new Fault("NotFound", `${groupResource(kind)} "${key.name}" not found`);
  return object;
}

export async function list(desk: Desk, ask: Ask): Promise<Answer> {
  const { kind, query, namespace } = ask;
  const wanted = selecting(query, kind);
  const limit = whole(query, "limit");
  const next = query.get("continue") ?? "";
  const name = onlyName(wanted);
  const page = await desk.store.list(kind, {
    ...(namespace === undefined ? {} : { namespace }),
    ...(wanted.labels.length > 0 ? { labels: wanted.labels } : {}),
    ...(name === undefined ? {} : { name }),
    ...(limit ? { limit } : {}),
    ...(next === "" ? {} : { next }),
  });
  return {
    kind: "list",
    meta: {
      resourceVersion: page.revision,
      ...(page.next === undefined ? {} : { continue: page.next }),
      ...(page.remaining === undefined || page.next === undefined
        ? {}
        : { remainingItemCount: page.remaining }),
    },
    items: page.items.filter((item) => fieldsMatch(wanted.fields, item)),
  };
}

export async function create(desk: Desk, ask: Ask): Promise<Answer> {
  const { kind, namespace, query } = ask;
  if (kind.namespaced && namespace === undefined) throw notHere("POST");
  const draft = readObject(kind, ask.body);
  if (draft.metadata.resourceVersion)
    throw badRequest("resourceVersion should not be set on objects to be created");
  if (namespace !== undefined) {
    if (draft.metadata.namespace && draft.metadata.namespace !== namespace) throw otherNamespace();
    draft.metadata.namespace = namespace;
  }
  const warnings = checkFields(ask, draft);
  const object = dryRun(query) ? await pretendCreate(desk, kind, draft) : await born(desk, kind, draft);
  return { kind: "object", code: 201, object, warnings };
}

/** Creates. What can be missing is only the namespace; the answer names it as Kubernetes does. */
async function born(desk: Desk, kind: Kind, draft: Resource): Promise<Resource> {
  try {
    return await desk.store.create(kind, draft);
  } catch (error) {
    if (!isFault(error, "NotFound")) throw error;
    throw new Refusal(404, "NotFound", `namespaces "${draft.metadata.namespace ?? ""}" not found`);
  }
}

export async function update(desk: Desk, ask: Ask & { key: Key }): Promise<Answer> {
  const { kind, key, query } = ask;
  const object = readObject(kind, ask.body);
  checkIdentity(object, key);
  if (kind.namespaced) object.metadata.namespace = key.namespace!;
  if (!object.metadata.resourceVersion && !isBuiltIn(kind)) {
    await existing(desk, ask); // an object that is not there is the bigger mistake
    throw new Fault("Invalid", "an update must say which revision it is of", {
      problems: [
        { field: "metadata.resourceVersion", message: "Invalid value: 0: must be specified for an update" },
      ],
    });
  }
  const warnings = checkFields(ask, object);
  return { kind: "object", code: 200, object: await write(desk, ask, object, dryRun(query)), warnings };
}

/** Writes an object, or its status, or pretends to. */
export async function write(
  desk: Desk,
  { kind, key, status }: Ask & { key: Key },
  object: Resource,
  pretend: boolean,
): Promise<Resource> {
  if (!pretend) return status ? desk.store.updateStatus(kind, object) : desk.store.update(kind, object);
  const current = await existing(desk, { kind, key, status, query: new URLSearchParams() });
  const { resourceVersion } = object.metadata;
  if (resourceVersion && resourceVersion !== current.metadata.resourceVersion) {
    throw new Fault("Conflict", "the object has been modified");
  }
  return pretendUpdate(kind, current, object, status);
}

export async function remove(desk: Desk, ask: Ask & { key: Key }): Promise<Answer> {
  const { kind, key, query, body } = ask;
  const options = deleteOptions(query, body);
  const current = await existing(desk, ask);
  const left = dryRun(query, body)
    ? pretendDelete(desk, current)
    : await desk.store.delete(kind, key, options);
  return left
    ? { kind: "object", code: 200, object: left }
    : { kind: "status", body: deleted(kind, key.name, current.metadata.uid) };
}

/** Deletes everything that is selected; gives what was there. */
export async function removeAll(desk: Desk, ask: Ask): Promise<Answer> {
  const found = await list(desk, ask);
  if (found.kind !== "list" || dryRun(ask.query, ask.body)) return found;
  const options = deleteOptions(ask.query, ask.body);
  for (const { metadata } of found.items) {
    const { name, namespace, uid } = metadata;
    try {
      await desk.store.delete(ask.kind, namespace ? { namespace, name } : { name }, { ...options, uid });
    } catch (error) {
      if (!isFault(error, "NotFound", "Conflict")) throw error; // gone, or another one by now: both are what was asked for
    }
  }
  return found;
}

/** The body as an object of this kind, whose metadata has the right types. BadRequest. */
export function readObject(kind: Kind, body: unknown): Resource {
  if (!isMembers(body)) throw badRequest("the body must be one object");
  // An address of Kubernetes' own kinds says what is meant; custom resources must say it themselves.
  const known = isBuiltIn(kind)
    ? { apiVersion: apiVersionOf(kind), kind: kind.kind }
    : { apiVersion: "", kind: "" };
  const [apiVersion, name] = [body["apiVersion"] ?? known.apiVersion, body["kind"] ?? known.kind];
  if (apiVersion === "" || name === "") throw badRequest("the object must say its apiVersion and kind");
  if (apiVersion !== apiVersionOf(kind)) {
    throw badRequest(`this address holds objects of ${apiVersionOf(kind)}, not of ${text(apiVersion)}`);
  }
  if (name !== kind.kind) throw invalidOption("kind", `must be ${kind.kind}, not ${text(name)}`);
  const metadata = readMetadata(body["metadata"]);
  if (typeof metadata === "string") {
    throw badRequest(
      `${kind.kind} in version "${kind.version}" cannot be handled as a ${kind.kind}: ${metadata}`,
    );
  }
  return { ...body, apiVersion, kind: name, metadata } as unknown as Resource;
}

function text(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** The object in the body must be the one in the path. */
export function checkIdentity({ metadata }: Resource, key: Key): void {
  if (metadata.name !== key.name) {
    throw badRequest(
      `the name of the object (${metadata.name}) does not match the name on the URL (${key.name})`,
    );
  }
  if (metadata.namespace && metadata.namespace !== key.namespace) throw otherNamespace();
}

function otherNamespace(): Refusal {
  return badRequest("the namespace of the provided object does not match the namespace sent on the request");
}

/** What to say about members that the schema does not know. BadRequest when the client asked for strictness. */
export function checkFields({ kind, query }: Ask, object: unknown): string[] {
  const wish = fieldValidation(query);
  if (wish === "Ignore") return [];
  const unknown = unknownFields(kind.schema, object).map((path) => `unknown field "${path}"`);
  if (unknown.length === 0 || wish === "Warn") return unknown;
  throw badRequest(
    `${kind.kind} in version "${kind.version}" cannot be handled as a ${kind.kind}: strict decoding error: ${unknown.join(", ")}`,
  );
}

export function notHere(method: string): Refusal {
  return new Refusal(
    405,
    "MethodNotAllowed",
    `the server does not allow this method on the requested resource (${method})`,
  );
}

async function pretendCreate(desk: Desk, kind: Kind, draft: Resource): Promise<Resource> {
  const { name, namespace } = draft.metadata;
  if (name && (await desk.store.get(kind, namespace ? { namespace, name } : { name }))) {
    throw new Fault("AlreadyExists", `${groupResource(kind)} "${name}" already exists`);
  }
  const object = admitted(kind, draft);
  if (kind.hasStatus) delete object.status;
  const { resourceVersion: _, ...meta } = object.metadata;
  const born = { uid: desk.uid(), generation: 1, creationTimestamp: formatTime(desk.clock.now()) };
  const called = name ? name : `${meta.generateName ?? ""}${desk.uid().slice(0, 5)}`;
  return { ...object, metadata: { ...meta, ...born, name: called } as Resource["metadata"] };
}

function pretendDelete(desk: Desk, current: Resource): Resource | undefined {
  const { metadata } = current;
  if ((metadata.finalizers?.length ?? 0) === 0) return undefined;
  const deletionTimestamp = metadata.deletionTimestamp ?? formatTime(desk.clock.now());
  return { ...current, metadata: { ...metadata, deletionTimestamp } };
}

function pretendUpdate(kind: Kind, current: Resource, object: Resource, status: boolean): Resource {
  if (status) return { ...current, status: object.status };
  const next = admitted(kind, object);
  const { uid, creationTimestamp, generation, resourceVersion } = current.metadata;
  return {
    ...next,
    ...(kind.hasStatus && current.status !== undefined ? { status: current.status } : {}),
    metadata: {
      ...next.metadata,
      uid,
      creationTimestamp,
      generation: generation + (sameJson(wishOf(next), wishOf(current)) ? 0 : 1),
      resourceVersion,
    },
  };
}

/** What counts for an object's generation. */
function wishOf({ apiVersion: _a, kind: _k, metadata: _m, status: _s, ...wish }: Resource): unknown {
  return wish;
}

function admitted(kind: Kind, object: Resource): Resource {
  const verdict = kind.admit?.(copyJson(object)) ?? { object: copyJson(object) };
  if ("object" in verdict) return { ...verdict.object, metadata: object.metadata };
  throw new Fault("Invalid", `${kind.kind} ${object.metadata.name} is invalid`, {
    problems: verdict.problems,
  });
}
