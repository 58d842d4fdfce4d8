// Which question a path asks. Pure.
import type { Key } from "../../resource/meta.ts";

export type Route =
  | { readonly kind: "health" }
  | { readonly kind: "version" }
  | { readonly kind: "paths" }
  | { readonly kind: "coreVersions" }
  | { readonly kind: "groups" }
  | { readonly kind: "group"; readonly group: string }
  | { readonly kind: "resources"; readonly group: string; readonly version: string }
  | { readonly kind: "openapiV2" }
  | { readonly kind: "openapiIndex" }
  | { readonly kind: "openapi"; readonly group: string; readonly version: string }
  | ResourceRoute;

export interface ResourceRoute {
  readonly kind: "resource";
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly namespace?: string;
  /** Absent: the collection. */
  readonly name?: string;
  readonly subresource?: string;
}

/** The object or collection that a route names. */
export function keyOfRoute(route: ResourceRoute): Key | undefined {
  if (route.name === undefined) return undefined;
  return route.namespace === undefined
    ? { name: route.name }
    : { namespace: route.namespace, name: route.name };
}

/** What a path asks for, or undefined when it is none of ours. `%2F` and broken escapes make a path none of ours. */
export function routeOf(path: string): Route | undefined {
  const parts = decode(path);
  if (!parts) return undefined;
  const [head, second, third, fourth] = parts;
  switch (head) {
    case undefined:
      return { kind: "paths" };
    case "healthz":
    case "readyz":
    case "livez":
      return { kind: "health" };
    case "version":
      return parts.length === 1 ? { kind: "version" } : undefined;
    case "openapi":
      return openapi(parts.slice(1));
    case "api":
      if (second === undefined) return { kind: "coreVersions" };
      return inVersion("", second, parts.slice(2));
    case "apis":
      if (second === undefined) return { kind: "groups" };
      if (third === undefined) return { kind: "group", group: second };
      if (fourth === undefined) return { kind: "resources", group: second, version: third };
      return inVersion(second, third, parts.slice(3));
    default:
      return undefined;
  }
}

function decode(path: string): string[] | undefined {
  try {
    const parts = path.replace(/^\/|\/$/g, "").split("/");
    const plain = parts.length === 1 && parts[0] === "" ? [] : parts.map((part) => decodeURIComponent(part));
    return plain.some((part) => part === "" || part.includes("/")) ? undefined : plain;
  } catch {
    return undefined;
  }
}

function openapi(parts: readonly string[]): Route | undefined {
  const [v3, api, group, version] = parts;
  if (v3 === "v2" && api === undefined) return { kind: "openapiV2" };
  if (v3 !== "v3") return undefined;
  if (api === undefined) return { kind: "openapiIndex" };
  if (api === "api" && group !== undefined && parts.length === 3)
    return { kind: "openapi", group: "", version: group };
  if (api === "apis" && group !== undefined && version !== undefined && parts.length === 4)
    return { kind: "openapi", group, version };
  return undefined;
}

function inVersion(group: string, version: string, rest: readonly string[]): Route | undefined {
  if (rest.length === 0) return { kind: "resources", group, version };
  const at = { kind: "resource" as const, group, version };
  const [plural, name, third, ...deeper] = rest as [string, ...string[]];
  // /namespaces/x/secrets/... lies in a namespace; /namespaces/x and its own subresources are about the namespace itself.
  if (plural === "namespaces" && name !== undefined && third !== undefined && !namespaceParts.has(third)) {
    return below({ ...at, plural: third, namespace: name }, deeper);
  }
  return below({ ...at, plural }, rest.slice(1));
}

const namespaceParts = new Set(["status", "finalize"]);

function below(route: ResourceRoute, rest: readonly string[]): ResourceRoute | undefined {
  const [name, subresource, ...more] = rest;
  if (more.length > 0) return undefined;
  return {
    ...route,
    ...(name === undefined ? {} : { name }),
    ...(subresource === undefined ? {} : { subresource }),
  };
}
