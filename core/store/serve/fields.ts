// What a schema says about an object's members: which are not known, and which lists have keys. Pure.
import { isMembers } from "./patch.ts";

type Schema = Readonly<Record<string, unknown>>;

/**
 * The members that the schema does not know, as dotted paths ("spec.sise", "spec.nics[1].nmae"). None where there is no schema or
 * it lets anything in (x-kubernetes-preserve-unknown-fields, additionalProperties, no properties at all).
 */
export function unknownFields(schema: Schema | undefined, object: unknown): string[] {
  if (!schema || !isMembers(object)) return [];
  const known = schema["properties"] as Readonly<Record<string, Schema>> | undefined;
  const more = schema["additionalProperties"];
  if (
    !known ||
    schema["x-kubernetes-preserve-unknown-fields"] === true ||
    (more !== undefined && more !== false)
  ) {
    return isMembers(object["metadata"]) ? unknownIn(metaSchema, object["metadata"], "metadata") : [];
  }
  return Object.entries(object).flatMap(([key, value]) => {
    if (key === "apiVersion" || key === "kind") return [];
    if (key === "metadata") return unknownIn(metaSchema, value, key);
    return Object.hasOwn(known, key) ? unknownIn(known[key]!, value, key) : [key];
  });
}

function unknownIn(schema: Schema, value: unknown, path: string): string[] {
  if (Array.isArray(value)) {
    const items = schema["items"] as Schema | undefined;
    return items ? value.flatMap((item, index) => unknownIn(items, item, `${path}[${index}]`)) : [];
  }
  if (!isMembers(value)) return [];
  const more = schema["additionalProperties"];
  const known = schema["properties"] as Readonly<Record<string, Schema>> | undefined;
  if (schema["x-kubernetes-preserve-unknown-fields"] === true || (!known && more === undefined)) return [];
  return Object.entries(value).flatMap(([key, member]) => {
    const at = `${path}.${key}`;
    if (known && Object.hasOwn(known, key)) return unknownIn(known[key]!, member, at);
    if (isMembers(more)) return unknownIn(more, member, at);
    return more === undefined || more === false ? [at] : [];
  });
}

const anything: Schema = {};

const metaSchema: Schema = {
  properties: Object.fromEntries(
    [
      "name",
      "generateName",
      "namespace",
      "uid",
      "resourceVersion",
      "generation",
      "creationTimestamp",
      "deletionTimestamp",
      "deletionGracePeriodSeconds",
      "labels",
      "annotations",
      "finalizers",
      "ownerReferences",
      "managedFields",
      "selfLink",
    ].map((key) => [key, anything]),
  ),
};

/** How a list is merged: as a whole, as a set of values, or as a map by these keys. */
export type ListShape =
  | { readonly kind: "atomic" }
  | { readonly kind: "set" }
  | { readonly kind: "map"; readonly keys: readonly string[] };

/** What the schema says about the members of a thing; lets one walk down a schema beside a value. */
export interface Shape {
  member(key: string): Shape;
  readonly item: Shape;
  readonly list: ListShape;
  /** True where a member is taken or left as a whole. */
  readonly atomic: boolean;
}

/** The shape of an object of this schema, its metadata included. */
export function shapeOf(schema: Schema | undefined): Shape {
  const inner = shape(schema ?? anything);
  return { ...inner, member: (key) => (key === "metadata" ? metaShape : inner.member(key)) };
}

function shape(schema: Schema): Shape {
  const type = schema["x-kubernetes-list-type"];
  const keys = schema["x-kubernetes-list-map-keys"] as readonly string[] | undefined;
  const list: ListShape =
    type === "map" && keys ? { kind: "map", keys } : type === "set" ? { kind: "set" } : { kind: "atomic" };
  return {
    list,
    atomic: schema["x-kubernetes-map-type"] === "atomic",
    member: (key) => {
      const known = schema["properties"] as Readonly<Record<string, Schema>> | undefined;
      const more = schema["additionalProperties"];
      if (known && Object.hasOwn(known, key)) return shape(known[key]!);
      return shape(isMembers(more) ? more : anything);
    },
    get item() {
      const items = schema["items"];
      return shape(isMembers(items) ? items : anything);
    },
  };
}

const metaShape = shape({
  properties: {
    finalizers: { "x-kubernetes-list-type": "set" },
    ownerReferences: {
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["uid"],
      items: { "x-kubernetes-map-type": "atomic" },
    },
  },
});
