// What a request asks for beside its path: the query, read once and checked. Pure.
import { parseFieldSelector, parseSelector, type FieldRequirement } from "../../resource/parse-selector.ts";
import { followJsonPath, parseJsonPath } from "../../resource/json-path.ts";
import type { Kind } from "../../resource/kind.ts";
import type { Resource } from "../../resource/meta.ts";
import type { LabelSelector } from "../../resource/selector.ts";
import { Fault, isFault } from "../../fault.ts";
import type { DeleteOptions } from "../store.ts";
import { isBuiltIn } from "./kinds.ts";
import { isMembers } from "./patch.ts";
import { badRequest } from "./problem.ts";
import type { Include } from "./table.ts";

export interface Selecting {
  readonly labels: LabelSelector;
  readonly fields: readonly FieldRequirement[];
}

/** labelSelector and fieldSelector. BadRequest where they cannot be read, or name a field that is not selectable. */
export function selecting(query: URLSearchParams, kind: Kind): Selecting {
  const fields = readable(() => parseFieldSelector(query.get("fieldSelector") ?? ""));
  for (const { path } of fields) {
    if (path !== "metadata.name" && path !== "metadata.namespace" && !isBuiltIn(kind)) {
      throw badRequest(`field label not supported: ${path}`);
    }
  }
  return { labels: readable(() => parseSelector(query.get("labelSelector") ?? "")), fields };
}

function readable<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (isFault(error, "Invalid")) throw badRequest(`unable to parse requirement: ${error.message}`);
    throw error;
  }
}

/** Whether an object's fields are as wanted. A field that is not there counts as "". */
export function fieldsMatch(fields: readonly FieldRequirement[], object: Resource): boolean {
  return fields.every(({ path, op, value }) => {
    const found = followJsonPath(parseJsonPath(path), object)[0];
    const text = found === undefined || found === null ? "" : String(found);
    return (text === value) === (op === "=");
  });
}

/** The one name that the selector allows, if it says so. */
export function onlyName({ fields }: Selecting): string | undefined {
  return fields.find(({ path, op }) => path === "metadata.name" && op === "=")?.value;
}

/** True for "true", "1" and a bare parameter. */
export function flag(query: URLSearchParams, name: string): boolean {
  const text = query.get(name);
  return text !== null && text !== "false" && text !== "0";
}

/** A whole number of at least 0, or undefined when absent. */
export function whole(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === "") return undefined;
  if (!/^\d{1,15}$/.test(text)) throw badRequest(`${name}: "${text}" is not a whole number`);
  return Number(text);
}

export function dryRun(query: URLSearchParams, body?: unknown): boolean {
  const asked = [...query.getAll("dryRun"), ...bodyDryRun(body)].filter((each) => each !== "");
  const strange = asked.find((each) => each !== "All");
  if (strange !== undefined)
    throw invalidOption("dryRun", `"${strange}" is not known; the only value is "All"`);
  return asked.length > 0;
}

/** What Kubernetes calls Invalid, with the option as the field. */
export function invalidOption(field: string, message: string): Fault {
  return new Fault("Invalid", `${field}: ${message}`, { problems: [{ field, message }] });
}

function bodyDryRun(body: unknown): string[] {
  const asked = isMembers(body) ? body["dryRun"] : undefined;
  return Array.isArray(asked) ? asked.map(String) : [];
}

export type FieldValidation = "Ignore" | "Warn" | "Strict";

export function fieldValidation(query: URLSearchParams): FieldValidation {
  const text = query.get("fieldValidation") ?? "";
  if (text === "") return "Warn";
  if (text === "Ignore" || text === "Warn" || text === "Strict") return text;
  throw badRequest(`fieldValidation: "${text}" is none of Ignore, Warn, Strict`);
}

export function include(query: URLSearchParams): Include {
  const text = query.get("includeObject") ?? "";
  return text === "None" || text === "Object" ? text : "Metadata";
}

/** How to delete: from the query and from a DeleteOptions body, the body first. */
export function deleteOptions(query: URLSearchParams, body: unknown): DeleteOptions {
  const given = isMembers(body) ? body : {};
  const conditions = isMembers(given["preconditions"]) ? given["preconditions"] : {};
  const policy = textOf(given["propagationPolicy"]) ?? query.get("propagationPolicy") ?? "";
  if (policy !== "" && policy !== "Background" && policy !== "Foreground" && policy !== "Orphan") {
    throw badRequest(`propagationPolicy: "${policy}" is none of Background, Foreground, Orphan`);
  }
  const orphan = given["orphanDependents"] === true || flag(query, "orphanDependents");
  const uid = textOf(conditions["uid"]);
  const resourceVersion = textOf(conditions["resourceVersion"]);
  return {
    ...(policy !== "" ? { propagation: policy } : orphan ? { propagation: "Orphan" } : {}),
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  };
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
