// Patches. Pure: a document and a patch give another document; neither is changed.
//   merge       RFC 7386
//   json        RFC 6902
//   strategic   Kubernetes' own: as merge, but lists of things with a name merge by it (only for kinds that kubectl has compiled in)
import { Fault } from "../../fault.ts";
import { sameJson } from "../../resource/json.ts";
import { badRequest } from "./problem.ts";

type Json = unknown;
type Members = Readonly<Record<string, Json>>;

export function isMembers(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** RFC 7386: members of the patch replace or, being null, remove those of the document. */
export function mergePatch(document: Json, patch: Json): Json {
  if (!isMembers(patch)) return patch;
  const result = new Map(Object.entries(isMembers(document) ? document : {}));
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) result.delete(key);
    else result.set(key, mergePatch(result.get(key), value));
  }
  return Object.fromEntries(result);
}

/** RFC 6902. Invalid names the operation that could not be done, BadRequest the one that is none; then nothing is done. */
export function jsonPatch(document: Json, patch: Json): Json {
  if (!Array.isArray(patch)) throw badRequest("a JSON patch is a list of operations");
  return patch.reduce<Json>((at, operation: unknown, index) => {
    if (!isMembers(operation)) throw badRequest(`operation ${index} is not an object`);
    return applyOperation(at, operation, index);
  }, document);
}

function applyOperation(document: Json, operation: Members, index: number): Json {
  const path = pointer(operation["path"], `operation ${index}`);
  const from = () => pointer(operation["from"], `operation ${index}: from`);
  switch (operation["op"]) {
    case "add":
      return put(document, path, operation["value"], true);
    case "remove":
      return remove(document, path);
    case "replace":
      read(document, path);
      return put(document, path, operation["value"], false);
    case "move":
      return put(remove(document, from()), path, read(document, from()), true);
    case "copy":
      return put(document, path, read(document, from()), true);
    case "test":
      if (!sameJson(read(document, path), operation["value"])) {
        throw wrong(`testing value ${String(operation["path"])} failed`);
      }
      return document;
    default:
      throw wrong(`operation ${index} asks for "${String(operation["op"])}"`);
  }
}

function pointer(text: unknown, where: string): string[] {
  if (typeof text !== "string" || (text !== "" && !text.startsWith("/"))) {
    throw badRequest(`${where}: "${String(text)}" is not a JSON pointer`);
  }
  return text
    .split("/")
    .slice(1)
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function read(document: Json, path: readonly string[]): Json {
  return path.reduce<Json>((at, part) => {
    if (Array.isArray(at) && /^\d+$/.test(part) && Number(part) < at.length) return at[Number(part)] as Json;
    if (isMembers(at) && Object.hasOwn(at, part)) return at[part];
    throw wrong(`there is nothing at /${path.join("/")}`);
  }, document);
}

function put(document: Json, path: readonly string[], value: Json, insert: boolean): Json {
  const [head, ...rest] = path;
  if (head === undefined) return value;
  if (Array.isArray(document)) {
    const at = head === "-" ? document.length : Number(head);
    const last = insert && rest.length === 0;
    if (!/^(\d+|-)$/.test(head) || at > document.length - (last ? 0 : 1)) {
      throw wrong(`there is no place /${path.join("/")}`);
    }
    const items = [...(document as Json[])];
    items.splice(at, last ? 0 : 1, rest.length === 0 ? value : put(items[at], rest, value, insert));
    return items;
  }
  if (!isMembers(document)) throw wrong(`there is no place /${path.join("/")}`);
  if (rest.length > 0 && !Object.hasOwn(document, head)) {
    throw wrong(`there is no place /${path.join("/")}`);
  }
  return { ...document, [head]: rest.length === 0 ? value : put(document[head], rest, value, insert) };
}

function remove(document: Json, path: readonly string[]): Json {
  read(document, path);
  const [head, ...rest] = path as [string, ...string[]];
  if (head === undefined) throw wrong("the whole object cannot be removed");
  if (Array.isArray(document)) {
    const at = Number(head);
    if (rest.length === 0) return document.filter((_, index) => index !== at) as Json[];
    return document.map((item, index) => (index === at ? remove(item, rest) : (item as Json)));
  }
  const members = document as Members;
  if (rest.length > 0) return { ...members, [head]: remove(members[head], rest) };
  return Object.fromEntries(Object.entries(members).filter(([key]) => key !== head));
}

/** Kubernetes' strategic merge, with the merge keys of the lists that built-in kinds have. Directives: $patch, $deleteFromPrimitiveList. */
export function strategicPatch(document: Json, patch: Json): Json {
  if (!isMembers(patch)) return patch;
  if (patch["$patch"] === "replace") return without(patch, "$patch");
  if (patch["$patch"] === "delete") return {};
  const result = new Map(Object.entries(isMembers(document) ? document : {}));
  for (const [key, value] of Object.entries(patch)) {
    const primitive = /^\$deleteFromPrimitiveList\/(.+)$/.exec(key);
    if (primitive) result.set(primitive[1]!, minus(result.get(primitive[1]!), value));
    else if (key.startsWith("$"))
      continue; // $setElementOrder and $retainKeys keep an order and unions we do not have
    else if (value === null) result.delete(key);
    else result.set(key, strategicMember(key, result.get(key), value));
  }
  return Object.fromEntries(result);
}

/** Lists that merge, by the name of the member that holds them: by which key, or as a set ("."). */
const mergeKeys: Readonly<Record<string, string>> = {
  conditions: "type",
  containers: "name",
  env: "name",
  finalizers: ".",
  imagePullSecrets: "name",
  initContainers: "name",
  ownerReferences: "uid",
  secrets: "name",
  volumeMounts: "mountPath",
  volumes: "name",
};

function strategicMember(key: string, old: Json, value: Json): Json {
  const by = mergeKeys[key];
  if (!Array.isArray(value) || by === undefined || !Array.isArray(old)) {
    return Array.isArray(value) ? withoutDirectives(value) : strategicPatch(old, value);
  }
  if (by === ".") return [...new Set([...(old as Json[]), ...(value as Json[])])];
  const replace = value.some((item) => isMembers(item) && item["$patch"] === "replace");
  return replace ? withoutDirectives(value) : mergeByKey(old, value, by);
}

function mergeByKey(old: readonly Json[], patch: readonly Json[], by: string): Json[] {
  const items = new Map(old.map((item, index) => [isMembers(item) ? item[by] : index, item]));
  for (const item of patch) {
    if (!isMembers(item) || item[by] === undefined) throw wrong(`an item of a list lacks its key "${by}"`);
    if (item["$patch"] === "delete") items.delete(item[by]);
    else items.set(item[by], strategicPatch(items.get(item[by]), item));
  }
  return [...items.values()];
}

function withoutDirectives(items: readonly Json[]): Json[] {
  return items
    .filter((item) => !(isMembers(item) && item["$patch"] !== undefined && Object.keys(item).length <= 2))
    .map((item) => (isMembers(item) ? without(item, "$patch") : item));
}

function without(members: Members, key: string): Members {
  return Object.fromEntries(Object.entries(members).filter(([each]) => each !== key));
}

function minus(list: Json, gone: Json): Json {
  return Array.isArray(list) && Array.isArray(gone) ? list.filter((item) => !gone.includes(item)) : list;
}

function wrong(message: string): Fault {
  return new Fault("Invalid", message, { problems: [{ field: "patch", message }] });
}
