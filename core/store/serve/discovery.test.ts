import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { gadgets, widgets, widgetsV2 } from "../contract/kinds.ts";
import { bench, type Bench } from "./testing.ts";

let the: Bench;
beforeEach(async () => {
  the = await bench();
});
afterEach(() => the.close());

describe("discovery", () => {
  it("lists groups with their versions, the preferred first", async () => {
    const { body } = await the.ask("GET /apis");
    expect(body["groups"]).toContainEqual({
      name: "test.pcg.dev",
      versions: [
        { groupVersion: "test.pcg.dev/v2", version: "v2" },
        { groupVersion: "test.pcg.dev/v1", version: "v1" },
      ],
      preferredVersion: { groupVersion: "test.pcg.dev/v2", version: "v2" },
    });
    expect((await the.ask("GET /apis/test.pcg.dev")).body["kind"]).toBe("APIGroup");
    expect((await the.ask("GET /apis/none.dev")).status).toBe(404);
    expect((await the.ask("GET /api")).body).toMatchObject({ kind: "APIVersions", versions: ["v1"] });
  });

  it("lists the resources of a version, status apart", async () => {
    const { body } = await the.ask("GET /apis/test.pcg.dev/v1");
    expect(body["resources"]).toMatchObject([
      { name: "gadgets", singularName: "gadget", namespaced: false, kind: "Gadget" },
      { name: "gadgets/status", verbs: ["get", "patch", "update"] },
      {
        name: "widgets",
        namespaced: true,
        verbs: ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"],
      },
      { name: "widgets/status" },
    ]);
    expect((await the.ask("GET /apis/test.pcg.dev/v7")).status).toBe(404);
  });

  it("comes in one document for clients that ask so", async () => {
    const accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    const groups = await the.ask("GET /apis", undefined, { accept });
    expect(groups.headers.get("content-type")).toContain("as=APIGroupDiscoveryList");
    expect(groups.body).toMatchObject({
      kind: "APIGroupDiscoveryList",
      apiVersion: "apidiscovery.k8s.io/v2",
    });
    const core = await the.ask("GET /api", undefined, { accept });
    expect(core.body["items"]![0]!["versions"]![0]!["resources"]).toMatchObject([
      { resource: "configmaps", scope: "Namespaced" },
      { resource: "events", shortNames: ["ev"] },
      { resource: "namespaces", scope: "Cluster", subresources: [{ subresource: "status" }] },
    ]);
  });

  it("knows of kinds that were added later", async () => {
    const other = await bench({ kinds: [widgets] });
    const path = "GET /apis/test.pcg.dev/v1/gadgets";
    expect((await other.ask(path)).status).toBe(404);
    const before = (await other.ask("GET /openapi/v3")).body["paths"]!["apis/test.pcg.dev/v1"]![
      "serverRelativeURL"
    ];
    other.served.addKinds([gadgets, widgetsV2]);
    expect((await other.ask(path)).status).toBe(200);
    const after = (await other.ask("GET /openapi/v3")).body["paths"]!;
    expect(after["apis/test.pcg.dev/v1"]!["serverRelativeURL"]).not.toBe(before);
    expect(after["apis/test.pcg.dev/v2"]).toBeDefined();
    await other.close();
  });
});

describe("OpenAPI", () => {
  it("describes a kind by its schema, and its patches as kubectl looks for them", async () => {
    const { body } = await the.ask("GET /openapi/v3/apis/test.pcg.dev/v1");
    const gvk = { group: "test.pcg.dev", version: "v1", kind: "Widget" };
    const schema = body["components"]!["schemas"]!["dev.pcg.test.v1.Widget"]!;
    expect(schema["x-kubernetes-group-version-kind"]).toEqual([gvk]);
    expect(schema["properties"]!["spec"]!["properties"]!["size"]).toMatchObject({
      type: "integer",
      minimum: 1,
    });
    const patch = body["paths"]!["/apis/test.pcg.dev/v1/namespaces/{namespace}/widgets/{name}"]!["patch"]!;
    expect(patch["x-kubernetes-group-version-kind"]).toEqual(gvk);
    expect(patch["parameters"]).toContainEqual(
      expect.objectContaining({ name: "fieldValidation", in: "query" }),
    );
    const refs = JSON.stringify(body).match(/#\/components\/schemas\/[^"]+/g) ?? [];
    for (const ref of refs)
      expect(Object.keys(body["components"]!["schemas"]!)).toContain(
        ref.slice("#/components/schemas/".length),
      );
    expect(refs.length).toBeGreaterThan(5);
  });

  it("has no document for what is not served", async () => {
    expect((await the.ask("GET /openapi/v3/apis/none.dev/v1")).status).toBe(404);
  });

  it("in version 2, which kubectl asks for what it cannot find, is empty, and in protobuf", async () => {
    const answer = await the.ask("GET /openapi/v2");
    expect(answer.headers.get("content-type")).toBe(
      "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
    );
    expect(answer.body).toContain("Kubernetes");
  });
});

it("everyone who is let in may do everything, and is told so", async () => {
  const review = {
    apiVersion: "authorization.k8s.io/v1",
    kind: "SelfSubjectAccessReview",
    spec: { resourceAttributes: { verb: "create" } },
  };
  const answer = await the.ask("POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review);
  expect(answer.status).toBe(201);
  expect(answer.body).toMatchObject({ spec: review.spec, status: { allowed: true } });
  expect((await the.ask("GET /apis/authorization.k8s.io/v1/selfsubjectaccessreviews")).status).toBe(405);
});
