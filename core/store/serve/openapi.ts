// OpenAPI v3 documents of the kinds served: what `kubectl explain` shows, and how `kubectl apply` learns that this server checks fields
// itself. Pure. Shape: KEP-2896; extensions x-kubernetes-group-version-kind and x-kubernetes-action.
import { apiVersionOf, type Kind } from "../../resource/kind.ts";
import type { ServedKinds } from "./kinds.ts";

type Json = Readonly<Record<string, unknown>>;

const metaName = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const listMetaName = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";

/** GET /openapi/v3: where the document of each group and version lies. The stamp makes clients fetch again after a change. */
export function openapiIndex(served: ServedKinds): unknown {
  const paths: Record<string, unknown> = {};
  for (const { name, versions } of served.groups) {
    for (const version of versions) {
      const path = basePath(name, version).slice(1);
      paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${served.stamp}` };
    }
  }
  return { paths };
}

/** GET /openapi/v3/apis/GROUP/VERSION, or undefined when nothing of it is served. */
export function openapi(served: ServedKinds, group: string, version: string, serverVersion: string): unknown {
  const kinds = served.of(group, version);
  if (kinds.length === 0) return undefined;
  return {
    openapi: "3.0.0",
    info: { title: "Kubernetes", version: serverVersion },
    paths: Object.fromEntries(kinds.flatMap(pathsOf)),
    components: { schemas: { ...metaSchemas, ...Object.fromEntries(kinds.flatMap(schemasOf)) } },
  };
}

/**
 * GET /openapi/v2, in the protobuf that kubectl asks for (gnostic's openapi.v2.Document): a document without definitions. kubectl looks
 * here for kinds that version 3 does not know, and then says that there is no such kind; without an answer it says something obscure.
 */
export function openapiV2(serverVersion: string): Buffer {
  const field = (number: number, value: Buffer | string) => {
    const bytes = Buffer.from(value);
    return Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes]); // lengths below 128 are one byte
  };
  const info = Buffer.concat([field(1, "Kubernetes"), field(2, serverVersion.slice(0, 100))]);
  return Buffer.concat([field(1, "2.0"), field(2, info), field(8, "")]);
}

export const openapiV2Type = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

function basePath(group: string, version: string): string {
  return group === "" ? `/api/${version}` : `/apis/${group}/${version}`;
}

function schemaName(kind: Kind): string {
  const reversed = kind.group === "" ? "io.k8s.api.core" : kind.group.split(".").reverse().join(".");
  return `${reversed}.${kind.version}.${kind.kind}`;
}

function gvk(kind: Kind): Json {
  return { group: kind.group, version: kind.version, kind: kind.kind };
}

function schemasOf(kind: Kind): [string, Json][] {
  const list: Json = {
    description: `${kind.kind}List is a list of ${kind.kind}`,
    type: "object",
    required: ["items"],
    properties: {
      apiVersion: apiVersionField,
      kind: kindField,
      metadata: { allOf: [{ $ref: `#/components/schemas/${listMetaName}` }], default: {} },
      items: {
        description: `List of ${kind.plural}.`,
        type: "array",
        items: { allOf: [{ $ref: `#/components/schemas/${schemaName(kind)}` }], default: {} },
      },
    },
    "x-kubernetes-group-version-kind": [{ ...gvk(kind), kind: `${kind.kind}List` }],
  };
  return [
    [schemaName(kind), objectSchema(kind)],
    [`${schemaName(kind)}List`, list],
  ];
}

/** The kind's own schema with the three fields that every object has. */
function objectSchema(kind: Kind): Json {
  const schema: Json = kind.schema ?? { "x-kubernetes-preserve-unknown-fields": true };
  const properties = (schema["properties"] ?? {}) as Json;
  return {
    ...schema,
    type: "object",
    properties: {
      ...properties,
      apiVersion: apiVersionField,
      kind: kindField,
      metadata: {
        description: "Name, namespace, labels and what the server keeps about the object.",
        allOf: [{ $ref: `#/components/schemas/${metaName}` }],
        default: {},
      },
    },
    "x-kubernetes-group-version-kind": [gvk(kind)],
  };
}

function pathsOf(kind: Kind): [string, Json][] {
  const base = basePath(kind.group, kind.version);
  const collection = kind.namespaced
    ? `${base}/namespaces/{namespace}/${kind.plural}`
    : `${base}/${kind.plural}`;
  const one = operation(kind, schemaName(kind));
  const many = operation(kind, `${schemaName(kind)}List`);
  const object = {
    get: one("get"),
    put: one("put", true),
    patch: one("patch", true),
    delete: one("delete"),
  };
  return [
    [collection, { get: many("list"), post: one("post", true), delete: many("deletecollection") }],
    [`${collection}/{name}`, object],
    ...(kind.hasStatus
      ? [
          [
            `${collection}/{name}/status`,
            { get: one("get"), put: one("put", true), patch: one("patch", true) },
          ] as [string, Json],
        ]
      : []),
    ...(kind.namespaced ? [[`${base}/${kind.plural}`, { get: many("list") }] as [string, Json]] : []),
  ];
}

function operation(kind: Kind, answer: string) {
  return (action: string, writes = false): Json => ({
    operationId: `${action}${apiVersionOf(kind).replace(/[^A-Za-z0-9]/g, "")}${kind.kind}`,
    "x-kubernetes-action": action,
    "x-kubernetes-group-version-kind": gvk(kind),
    ...(writes ? { parameters: ["dryRun", "fieldManager", "fieldValidation"].map(queryText) } : {}),
    ...(action === "patch" ? { requestBody: { content: patchTypes } } : {}),
    responses: {
      "200": {
        description: "OK",
        content: { "application/json": { schema: { $ref: `#/components/schemas/${answer}` } } },
      },
    },
  });
}

function queryText(name: string): Json {
  return { name, in: "query", schema: { type: "string", uniqueItems: true } };
}

/**
 * kubectl reads from here which patches to make from this document. Strategic patches of built-in kinds are not named: it makes those
 * from its own knowledge of the kinds, which says more than a schema does.
 */
const patchTypes: Json = Object.fromEntries(
  ["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"].map(
    (type) => [type, { schema: { type: "object" } }],
  ),
);

const text = (description: string): Json => ({ description, type: "string" });
const texts = (description: string): Json => ({
  description,
  type: "object",
  additionalProperties: { type: "string", default: "" },
});

const apiVersionField = text("The version of the schema that this object is written in.");
const kindField = text("What the object is; CamelCase.");

const metaSchemas: Record<string, Json> = {
  [metaName]: {
    description: "What every object has.",
    type: "object",
    properties: {
      name: text("Unique within the kind and, where it has namespaces, within the namespace. Never changes."),
      generateName: text("The head of a name that the server completes when name is absent."),
      namespace: text("Where the object lives; absent for kinds without namespaces. Never changes."),
      uid: text("Unique over all objects that ever were."),
      resourceVersion: text("Changes with every write; opaque."),
      generation: { description: "Counts changes of what is asked for.", type: "integer", format: "int64" },
      creationTimestamp: { ...text("When the server made the object."), format: "date-time" },
      deletionTimestamp: { ...text("When deletion was asked for."), format: "date-time" },
      labels: texts("Words to select by."),
      annotations: texts("Notes of programs; not for selecting."),
      finalizers: {
        description: "Who must let go before a deleted object disappears.",
        type: "array",
        items: { type: "string", default: "" },
      },
      ownerReferences: {
        description: "The objects this one goes away with.",
        type: "array",
        items: { type: "object" },
      },
      managedFields: {
        description: "Who applied which fields.",
        type: "array",
        items: { type: "object" },
      },
    },
  },
  [listMetaName]: {
    description: "What every list has.",
    type: "object",
    properties: {
      resourceVersion: text("Where a watch may begin."),
      continue: text("Where the next page begins."),
      remainingItemCount: { description: "How many items are left.", type: "integer", format: "int64" },
    },
  },
};
