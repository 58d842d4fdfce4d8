// The OpenAPI document as people and generators read it: what the libraries leave behind is tidied away. Pure.
//
//   O1. Only schemas that something refers to are in it.
//   O2. A schema that reads the same coming and going has one name; "...Input" is for those that differ.
//   O3. Answers may grow: no object forbids fields it does not name.
//   O4. 204 has no body.

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type JsonObject = { [key: string]: Json };

export function tidy(document: unknown): JsonObject {
  const open = opened(structuredClone(document) as Json) as JsonObject;
  const components = (open["components"] ?? {}) as JsonObject;
  const schemas = (components["schemas"] ?? {}) as JsonObject;
  const paths = open["paths"] ?? {};
  const wanted = reachable(paths, schemas);
  const names = new Map([...wanted].map((name) => [name, nameFor(name, wanted, schemas)]));
  const kept = Object.fromEntries(
    [...wanted].map((name) => [names.get(name) ?? name, renamed(schemas[name] ?? {}, names)]),
  );
  return { ...open, paths: renamed(paths, names), components: { ...components, schemas: sorted(kept) } };
}

/** O3, O4 */
function opened(value: Json): Json {
  if (Array.isArray(value)) return value.map(opened);
  if (value === null || typeof value !== "object") return value;
  const entries = Object.entries(value).filter(
    ([key, inner]) => !(key === "additionalProperties" && inner === false),
  );
  return Object.fromEntries(
    entries.map(([key, inner]) => [key, key === "204" ? { description: "No content" } : opened(inner)]),
  );
}

const prefix = "#/components/schemas/";

function refsIn(value: Json): string[] {
  if (Array.isArray(value)) return value.flatMap(refsIn);
  if (value === null || typeof value !== "object") return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    key === "$ref" && typeof inner === "string" ? [inner.slice(prefix.length)] : refsIn(inner),
  );
}

/** O1 */
function reachable(from: Json, schemas: JsonObject): Set<string> {
  const found = new Set<string>();
  const waiting = refsIn(from);
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (found.has(name)) continue;
    found.add(name);
    waiting.push(...refsIn(schemas[name] ?? {}));
  }
  return found;
}

/** O2 */
function nameFor(name: string, wanted: ReadonlySet<string>, schemas: JsonObject): string {
  const plain = name.replace(/Input$/, "");
  if (plain === name || !(plain in schemas)) return name;
  const text = (schema: Json | undefined) => JSON.stringify(schema ?? {}).replaceAll(/Input"/g, '"');
  return wanted.has(plain) && text(schemas[plain]) !== text(schemas[name]) ? name : plain;
}

function renamed(value: Json, names: ReadonlyMap<string, string>): Json {
  if (Array.isArray(value)) return value.map((inner) => renamed(inner, names));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      if (key !== "$ref" || typeof inner !== "string") return [key, renamed(inner, names)];
      const name = inner.slice(prefix.length);
      return [key, prefix + (names.get(name) ?? name)];
    }),
  );
}

function sorted(value: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
