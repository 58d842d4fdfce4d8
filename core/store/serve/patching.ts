// PATCH: read, decide, write; again from the start when somebody else wrote in between.
import { parse } from "yaml";
import { Fault, isFault } from "../../fault.ts";
import { apiVersionOf, type Kind } from "../../resource/kind.ts";
import type { Key, Resource } from "../../resource/meta.ts";
import { timestamp } from "../../time/clock.ts";
import { applyPatch } from "./apply.ts";
import { isBuiltIn } from "./kinds.ts";
import { readMetadata } from "./metadata.ts";
import { dryRun, flag, invalidOption } from "./options.ts";
import { isMembers, jsonPatch, mergePatch, strategicPatch } from "./patch.ts";
import { badRequest, Refusal } from "./problem.ts";
import {
  checkFields,
  checkIdentity,
  create,
  readObject,
  write,
  type Answer,
  type Ask,
  type Desk,
} from "./verbs.ts";

type Way = "merge" | "json" | "strategic" | "apply";

const ways: Readonly<Record<string, Way>> = {
  "application/merge-patch+json": "merge",
  "application/json-patch+json": "json",
  "application/strategic-merge-patch+json": "strategic",
  "application/apply-patch+yaml": "apply",
};

/** Which way a content type patches. UnsupportedMediaType (415) is what kubectl expects for strategic patches of custom resources. */
function wayOf(contentType: string, kind: Kind): Way {
  const known = Object.keys(ways).filter((type) => ways[type] !== "strategic" || isBuiltIn(kind));
  const way = known.includes(contentType) ? ways[contentType] : undefined;
  if (way) return way;
  throw new Refusal(
    415,
    "UnsupportedMediaType",
    `the body of the request was in an unknown format - accepted media types include: ${known.join(", ")}`,
  );
}

/** How often a patch is tried when others write the same object; as often as a Kubernetes API server does. */
const tries = 5;

/** Patches an object, or its status. An apply creates what is not there. */
export async function patch(
  desk: Desk,
  ask: Ask & { key: Key },
  contentType: string,
  text: string,
): Promise<Answer> {
  const way = wayOf(contentType, ask.kind);
  const body = way === "apply" ? readYaml(text) : readJson(text);
  const revision =
    way !== "json" && isMembers(body) && isMembers(body["metadata"]) && body["metadata"]["resourceVersion"];
  for (let left = tries; ; left--) {
    try {
      return await patchOnce(desk, ask, way, body);
    } catch (error) {
      // Who names a revision wants to hear that it is stale. A conflict between appliers does not go away either.
      const again = isFault(error, "Conflict") && error.problems.length === 0 && !revision;
      const raced = way === "apply" && isFault(error, "AlreadyExists");
      if (left <= 1 || !(again || raced)) throw error;
    }
  }
}

async function patchOnce(desk: Desk, ask: Ask & { key: Key }, way: Way, body: unknown): Promise<Answer> {
  const { kind, key, query } = ask;
  const current = await desk.store.get(kind, key);
  if (!current && (way !== "apply" || ask.status)) {
    throw new Fault("NotFound", `${kind.plural} "${key.name}" not found`);
  }
  const next = way === "apply" ? applied(desk, ask, current, body) : patched(way, current, body);
  const metadata = isMembers(next) ? readMetadata(next["metadata"]) : {};
  if (typeof metadata === "string") throw invalidOption("metadata", metadata);
  const object = readObject(kind, next);
  checkIdentity(object, key);
  if (current && object.metadata.uid !== current.metadata.uid)
    throw invalidOption("metadata.uid", "field is immutable");
  if (!current)
    return create(desk, { ...ask, ...(key.namespace ? { namespace: key.namespace } : {}), body: object });
  const warnings = checkFields(ask, object);
  return { kind: "object", code: 200, object: await write(desk, ask, object, dryRun(query)), warnings };
}

function patched(way: Exclude<Way, "apply">, current: unknown, body: unknown): unknown {
  switch (way) {
    case "merge":
      return mergePatch(current, body);
    case "json":
      return jsonPatch(current, body);
    case "strategic":
      return strategicPatch(current, body);
  }
}

function applied(
  desk: Desk,
  ask: Ask & { key: Key },
  current: Resource | undefined,
  body: unknown,
): Resource {
  const { kind, key, query, status } = ask;
  const manager = query.get("fieldManager") ?? "";
  if (manager === "") throw invalidOption("fieldManager", "is required for apply patch");
  if (!isMembers(body)) throw badRequest("an apply patch is one object");
  if (body["apiVersion"] !== apiVersionOf(kind) || body["kind"] !== kind.kind) {
    throw badRequest(`an apply patch must say apiVersion: ${apiVersionOf(kind)} and kind: ${kind.kind}`);
  }
  const meta = isMembers(body["metadata"]) ? body["metadata"] : {};
  const named = { ...body, metadata: { ...meta, name: meta["name"] ?? key.name } };
  checkIdentity(named as unknown as Resource, key);
  const next = applyPatch(current, named, {
    manager,
    force: flag(query, "force"),
    now: timestamp(desk.clock),
    schema: kind.schema,
    ...(status ? { subresource: "status" } : {}),
  });
  const revision = meta["resourceVersion"] ?? current?.metadata.resourceVersion;
  return {
    ...next,
    apiVersion: apiVersionOf(kind),
    kind: kind.kind,
    metadata: {
      ...next.metadata,
      name: key.name,
      ...(key.namespace ? { namespace: key.namespace } : {}),
      ...(typeof revision === "string" ? { resourceVersion: revision } : {}),
    },
  };
}

export function readJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw badRequest(`the body is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** YAML, and so JSON as well. Few aliases only: a small text must not become a large object. */
export function readYaml(text: string): unknown {
  try {
    return parse(text, { maxAliasCount: 50 }) as unknown;
  } catch (error) {
    throw badRequest(`the body is not YAML: ${error instanceof Error ? error.message : String(error)}`);
  }
}
