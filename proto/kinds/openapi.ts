// zod's JSON schema made structural, as CustomResourceDefinitions want it: every node has one type, no additionalProperties beside
// properties, no const, no propertyNames; what may hold anything says x-kubernetes-preserve-unknown-fields.
// Rules: Kubernetes documentation, "Specifying a structural schema".
import { z } from "zod";

type Json = Record<string, unknown>;

/** The OpenAPI v3 schema of a whole object whose fields (besides the envelope) `fields` describes. */
export function structuralSchema(fields: z.ZodObject): Json {
  const schema = z.toJSONSchema(fields, {
    target: "openapi-3.0",
    io: "input",
    unrepresentable: "any",
  }) as Json;
  const body = structural(schema);
  return {
    ...body,
    properties: {
      apiVersion: { type: "string" },
      kind: { type: "string" },
      metadata: { type: "object" },
      ...(body.properties as Json | undefined),
    },
  };
}

const kept = [
  "type",
  "description",
  "enum",
  "default",
  "format",
  "pattern",
  "minLength",
  "maxLength",
  "minItems",
  "maxItems",
  "minimum",
  "maximum",
  "multipleOf",
  "required",
  "nullable",
];

function structural(node: Json): Json {
  const options = (node.anyOf ?? node.oneOf) as Json[] | undefined;
  if (options) return { ...pick(node, ["description", "default"]), ...union(options.map(structural)) };
  const out = pick(node, kept);
  if ("const" in node) {
    out.enum = [node.const];
    out.type ??= typeof node.const;
  }
  if (out.maximum === Number.MAX_SAFE_INTEGER) delete out.maximum;
  if (out.minimum === Number.MIN_SAFE_INTEGER) delete out.minimum;
  if (out.type === "integer") out.format = "int64";
  if (node.items) out.items = structural(node.items as Json);
  if (node.properties) out.properties = mapValues(node.properties as Record<string, Json>, structural);
  const additional = node.additionalProperties;
  if (isEmpty(additional) || additional === true) out["x-kubernetes-preserve-unknown-fields"] = true;
  else if (additional && !node.properties) out.additionalProperties = structural(additional as Json);
  if (out.type === undefined) return { ...out, "x-kubernetes-preserve-unknown-fields": true };
  return out;
}

/** Literals become an enum; anything else that cannot be said with one type may hold anything. */
function union(options: readonly Json[]): Json {
  const types = new Set(options.map((option) => option.type));
  if (types.size !== 1) {
    const intOrString =
      types.size === 2 && types.has("string") && (types.has("integer") || types.has("number"));
    return intOrString
      ? { "x-kubernetes-int-or-string": true }
      : { "x-kubernetes-preserve-unknown-fields": true };
  }
  const [type] = types;
  const values = options.every((option) => Array.isArray(option.enum))
    ? options.flatMap((option) => option.enum as unknown[])
    : undefined;
  if (!values) return { type, "x-kubernetes-preserve-unknown-fields": true };
  // Whole numbers are integers: an API server would take 1.5 for the 1 of an enum of numbers.
  return { type: values.every(Number.isInteger) ? "integer" : type, enum: values };
}

function isEmpty(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

function pick(node: Json, keys: readonly string[]): Json {
  return Object.fromEntries(keys.filter((key) => key in node).map((key) => [key, node[key]]));
}

function mapValues(record: Record<string, Json>, to: (value: Json) => Json): Json {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, to(value)]));
}
