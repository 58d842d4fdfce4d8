import { expect, it } from "vitest";
import { unknownFields } from "./fields.ts";

const schema = {
  properties: {
    spec: {
      properties: {
        size: { type: "integer" },
        nics: { items: { properties: { name: {} } } },
        labels: { additionalProperties: { properties: { a: {} } } },
        free: { "x-kubernetes-preserve-unknown-fields": true, properties: { a: {} } },
        anything: { type: "object" },
      },
    },
  },
};

it.each<[string, unknown, string[]]>([
  ["nothing strange", { spec: { size: 1, nics: [{ name: "a" }] } }, []],
  ["a member at the top", { spek: {} }, ["spek"]],
  ["a member below", { spec: { sise: 1 } }, ["spec.sise"]],
  ["a member in a list", { spec: { nics: [{ name: "a" }, { nmae: "b" }] } }, ["spec.nics[1].nmae"]],
  ["a member in a map", { spec: { labels: { x: { a: 1, b: 1 } } } }, ["spec.labels.x.b"]],
  ["members of what lets anything in", { spec: { free: { b: 1 }, anything: { c: 1 } } }, []],
  [
    "metadata that nobody knows",
    { metadata: { name: "a", nmae: "b", labels: { any: "thing" } } },
    ["metadata.nmae"],
  ],
])("finds %s", (_name, object, expected) => expect(unknownFields(schema, object)).toEqual(expected));

it("knows nothing unknown where there is no schema", () => {
  expect(unknownFields(undefined, { anything: 1 })).toEqual([]);
  expect(unknownFields({ type: "object" }, { anything: 1 })).toEqual([]);
  const open = { properties: { a: {} }, "x-kubernetes-preserve-unknown-fields": true };
  expect(unknownFields(open, { b: 1, metadata: { nmae: "x" } })).toEqual(["metadata.nmae"]);
});
