// Whatever is sent, the answer is an answer: never a 500, never silence, and refusals are Status objects.
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { bench, widget, widgetsPath as path, type Bench } from "./testing.ts";

let the: Bench;
beforeAll(async () => {
  the = await bench();
  await the.ask(`POST ${path}`, widget("a", { size: 3 }, { labels: { a: "b" }, finalizers: ["x.dev/hold"] }));
});
afterAll(() => the.close());

const json = fc.jsonValue({ maxDepth: 3 });
const word = fc.oneof(
  fc.constantFrom(
    "a",
    "default",
    "All",
    "true",
    "1",
    "-1",
    "metadata.name=a",
    "a in (b)",
    "merge",
    "\\",
    "(",
    ",",
    "%",
  ),
  fc.string({ maxLength: 12 }),
);
const metadata = fc.record(
  {
    name: fc.oneof(fc.constantFrom("a", "b", "Bad"), json),
    labels: fc.oneof(fc.dictionary(fc.string({ maxLength: 5 }), json, { maxKeys: 3 }), json),
    annotations: json,
    finalizers: fc.oneof(fc.array(json, { maxLength: 3 }), json),
    ownerReferences: fc.oneof(fc.array(json, { maxLength: 2 }), json),
    managedFields: fc.oneof(fc.array(json, { maxLength: 2 }), json),
    resourceVersion: json,
    uid: json,
    deletionTimestamp: json,
  },
  { requiredKeys: [] },
);
const object = fc.record(
  {
    apiVersion: fc.oneof({ weight: 5, arbitrary: fc.constant("test.pcg.dev/v1") }, json),
    kind: fc.oneof({ weight: 5, arbitrary: fc.constant("Widget") }, json),
    metadata: fc.oneof({ weight: 5, arbitrary: metadata }, json),
    spec: fc.oneof(fc.record({ size: json, color: json }, { requiredKeys: [] }), json),
    status: json,
    propagationPolicy: json,
    preconditions: json,
    dryRun: json,
  },
  { requiredKeys: [] },
);
const operation = fc.record(
  {
    op: fc.oneof(fc.constantFrom("add", "remove", "replace", "move", "copy", "test"), json),
    path: fc.oneof(
      fc.constantFrom("/spec/size", "/metadata/labels", "/metadata/name", "/metadata", "/a/-", ""),
      json,
    ),
    from: fc.oneof(fc.constantFrom("/spec", "/spec/size", "/metadata/labels"), json),
    value: json,
  },
  { requiredKeys: [] },
);
const body = fc.oneof(
  fc.oneof(object, fc.array(operation, { maxLength: 3 }), json).map((value) => JSON.stringify(value)),
  fc.string({ maxLength: 30 }),
);
const place = fc.oneof(
  fc.constantFrom(
    path,
    `${path}/a`,
    `${path}/a/status`,
    `${path}/b`,
    "/api/v1/namespaces/n/configmaps",
    "/apis",
    "/openapi/v3",
  ),
  fc
    .array(fc.oneof(word, fc.constantFrom("api", "apis", "v1", "namespaces", "widgets")), { maxLength: 7 })
    .map((parts) => `/${parts.map(encodeURIComponent).join("/")}`),
);
const parameter = fc.tuple(
  fc.constantFrom(
    "labelSelector",
    "fieldSelector",
    "limit",
    "continue",
    "dryRun",
    "fieldValidation",
    "fieldManager",
    "force",
    "includeObject",
    "propagationPolicy",
    "resourceVersion",
  ),
  word,
);
const type = fc.constantFrom(
  "application/json",
  "application/yaml",
  "application/merge-patch+json",
  "application/json-patch+json",
  "application/strategic-merge-patch+json",
  "application/apply-patch+yaml",
  "application/vnd.kubernetes.protobuf",
  "text/plain",
);
const accept = fc.constantFrom(
  "application/json",
  "application/yaml",
  "application/json;as=Table;v=v1;g=meta.k8s.io",
  "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
  "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
  "application/vnd.kubernetes.protobuf",
  ";=,;",
);

it("whatever is sent, the answer is an answer", async () => {
  const method = fc.constantFrom("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS");
  await fc.assert(
    fc.asyncProperty(
      method,
      place,
      fc.array(parameter, { maxLength: 3 }),
      body,
      type,
      accept,
      async (how, where, query, sent, as, want) => {
        const search = new URLSearchParams(query).toString();
        const answer = await the.ask(
          `${how} ${where}${search ? `?${search}` : ""}`,
          how === "GET" ? undefined : sent,
          { "content-type": as, accept: want },
        );
        expect(answer.status, JSON.stringify(answer.body)).not.toBe(500);
        if (answer.status >= 400)
          expect(answer.body).toMatchObject({ kind: "Status", status: "Failure", code: answer.status });
      },
    ),
    { numRuns: 300 },
  );
  expect((await the.ask(`GET ${path}`)).status).toBe(200);
}, 60_000);
