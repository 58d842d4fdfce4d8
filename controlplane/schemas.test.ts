import { expect, it } from "vitest";
import type { Resource } from "#core";
import { withoutDescriptions } from "./schemas.ts";

const crd = (openAPIV3Schema: unknown) =>
  ({
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: "toys.test" },
    spec: { group: "test", versions: [{ name: "v1", schema: { openAPIV3Schema } }, { name: "v0" }] },
  }) as unknown as Resource;

it("a schema loses its descriptions, and nothing else: not a property or a value of that name", () => {
  const schema = (text: object) => ({
    ...text,
    type: "object",
    required: ["description"],
    properties: {
      description: { ...text, type: "string", default: "description" },
      list: { type: "array", items: { ...text, type: "object", default: { description: "kept" } } },
      map: { type: "object", additionalProperties: { ...text, enum: [{ description: "kept" }] } },
      either: { anyOf: [{ ...text, type: "integer" }, { type: "string" }] },
    },
    "x-kubernetes-validations": [{ rule: "self.description != ''", message: "say something" }],
  });
  expect(withoutDescriptions(crd(schema({ description: "for readers" })))).toEqual(crd(schema({})));
});
