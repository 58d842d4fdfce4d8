import { readdir, readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { crdOf, generateCrds } from "./generate-crds.ts";
import { allKinds, inClusterIPPool, spa } from "./index.ts";

const folder = new URL("./generated/crds/", import.meta.url);

type Json = Record<string, unknown>;

/** Every place where a schema breaks the rules of "Specifying a structural schema". */
function breaches(node: Json, path: string): string[] {
  const out: string[] = [];
  const open = node["x-kubernetes-preserve-unknown-fields"] === true;
  const either = node["x-kubernetes-int-or-string"] === true;
  if (node.type === undefined && !open && !either) out.push(`${path}: no type`);
  for (const word of [
    "anyOf",
    "oneOf",
    "allOf",
    "not",
    "const",
    "$ref",
    "propertyNames",
    "patternProperties",
  ])
    if (word in node) out.push(`${path}: ${word}`);
  if (node.additionalProperties !== undefined && node.properties !== undefined)
    out.push(`${path}: properties and additionalProperties`);
  if (node.additionalProperties === false) out.push(`${path}: additionalProperties false`);
  if (node.type === "array" && !node.items) out.push(`${path}: array without items`);
  for (const [name, child] of Object.entries((node.properties ?? {}) as Record<string, Json>))
    out.push(...breaches(child, `${path}.${name}`));
  if (node.items) out.push(...breaches(node.items as Json, `${path}[]`));
  if (typeof node.additionalProperties === "object")
    out.push(...breaches(node.additionalProperties as Json, `${path}{}`));
  for (const name of (node.required ?? []) as string[])
    if (!(name in ((node.properties ?? {}) as Json))) out.push(`${path}: requires unknown ${name}`);
  return out;
}

describe("CustomResourceDefinitions", () => {
  it("the committed files are what the kinds give (else: npm run generate)", async () => {
    const made = generateCrds();
    expect((await readdir(folder)).sort()).toEqual([...made.keys()].sort());
    for (const [name, text] of made) expect(await readFile(new URL(name, folder), "utf8"), name).toBe(text);
  });

  it.each(allKinds.map((kind) => [kind.kind, kind] as const))("the schema of %s is structural", (_, kind) => {
    expect(kind.schema).toBeDefined();
    expect(breaches(kind.schema as Json, kind.kind)).toEqual([]);
  });

  it("the check of structure sees a breach", () => {
    expect(breaches({ type: "object", properties: { a: { anyOf: [] } } }, "x")).toEqual([
      "x.a: no type",
      "x.a: anyOf",
    ]);
  });

  it("defaults, enums and required fields reach the schema", () => {
    const spec = (spa.schema as { properties: { spec: { required: string[]; properties: Json } } }).properties
      .spec;
    expect(spec.required).toEqual(
      expect.arrayContaining(["clusterUid", "clusterName", "cloud", "placement"]),
    );
    expect(spec.required).not.toContain("controlPlane");
    expect(spec.properties.action).toMatchObject({
      type: "string",
      enum: ["Create", "Delete"],
      default: "Create",
    });
    expect(spec.properties.controlPlane).toMatchObject({
      default: {},
      properties: { replicas: { enum: [1, 3, 5], default: 1 } },
    });
  });

  it("pools bear upstream's labels, and the SPA its short name", () => {
    expect(crdOf(inClusterIPPool)).toMatchObject({
      metadata: { labels: { "clusterctl.cluster.x-k8s.io/move-hierarchy": "" } },
    });
    const text = generateCrds().get("jet.pcg.dev_spectroprovisioningagents.yaml")!;
    expect(parse(text)).toMatchObject({
      metadata: { name: "spectroprovisioningagents.jet.pcg.dev" },
      spec: { names: { shortNames: ["spa"] }, scope: "Namespaced" },
    });
  });
});
