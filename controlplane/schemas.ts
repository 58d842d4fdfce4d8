// CRDs as the API server must know them, without what is only for readers. Cluster API's descriptions are two thirds of their bytes, and
// the API server keeps them several times over: as objects, as schemas, and in the documents of its OpenAPI. Pure.
import type { Resource } from "#core";

interface CrdSpec {
  readonly versions: readonly { readonly schema?: { readonly openAPIV3Schema?: unknown } }[];
  readonly [field: string]: unknown;
}

/** The CRD without the descriptions in its schemas: it admits, defaults and prunes the same. */
export function withoutDescriptions(crd: Resource): Resource {
  const spec = crd.spec as CrdSpec;
  const versions = spec.versions.map((version) =>
    version.schema
      ? { ...version, schema: { openAPIV3Schema: plain(version.schema.openAPIV3Schema) } }
      : version,
  );
  return { ...crd, spec: { ...spec, versions } };
}

/** Values of objects, not schemas: a field of theirs may be called anything. */
const values = new Set(["default", "example", "enum"]);

/** A schema in which no schema has a description. */
function plain(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(plain);
  if (typeof schema !== "object" || schema === null) return schema;
  return Object.fromEntries(
    Object.entries(schema).flatMap(([key, value]) => {
      if (key === "description" && typeof value === "string") return []; // a property of that name is a schema
      return [[key, values.has(key) ? value : plain(value)]];
    }),
  );
}
