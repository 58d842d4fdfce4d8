import { describe, expect, it } from "vitest";
import { byPriority } from "./kinds.ts";
import { routeOf, type Route } from "./route.ts";

const core = { kind: "resource" as const, group: "", version: "v1" };
const widgets = { kind: "resource" as const, group: "example.dev", version: "v1", plural: "widgets" };

describe("routeOf", () => {
  it.each<[string, Route | undefined]>([
    ["/", { kind: "paths" }],
    ["/healthz", { kind: "health" }],
    ["/readyz/ping", { kind: "health" }],
    ["/version", { kind: "version" }],
    ["/api", { kind: "coreVersions" }],
    ["/api/v1", { kind: "resources", group: "", version: "v1" }],
    ["/apis", { kind: "groups" }],
    ["/apis/", { kind: "groups" }],
    ["/apis/example.dev", { kind: "group", group: "example.dev" }],
    ["/apis/example.dev/v1", { kind: "resources", group: "example.dev", version: "v1" }],
    ["/openapi/v3", { kind: "openapiIndex" }],
    ["/openapi/v3/api/v1", { kind: "openapi", group: "", version: "v1" }],
    ["/openapi/v3/apis/example.dev/v1", { kind: "openapi", group: "example.dev", version: "v1" }],
    ["/openapi/v2", { kind: "openapiV2" }],
    ["/openapi/v1", undefined],
    ["/api/v1/secrets", { ...core, plural: "secrets" }],
    ["/api/v1/namespaces", { ...core, plural: "namespaces" }],
    ["/api/v1/namespaces/a", { ...core, plural: "namespaces", name: "a" }],
    ["/api/v1/namespaces/a/status", { ...core, plural: "namespaces", name: "a", subresource: "status" }],
    ["/api/v1/namespaces/a/secrets", { ...core, plural: "secrets", namespace: "a" }],
    ["/api/v1/namespaces/a/secrets/b", { ...core, plural: "secrets", namespace: "a", name: "b" }],
    ["/apis/example.dev/v1/widgets", widgets],
    ["/apis/example.dev/v1/widgets/w", { ...widgets, name: "w" }],
    [
      "/apis/example.dev/v1/namespaces/n/widgets/w/status",
      { ...widgets, namespace: "n", name: "w", subresource: "status" },
    ],
    ["/apis/example.dev/v1/namespaces/n/widgets/w/status/x", undefined],
    ["/apis/example.dev/v1/namespaces/n/widgets/a%2Fb", undefined],
    ["/apis/example.dev/v1/widgets/%zz", undefined],
    ["/metrics", undefined],
  ])("%s", (path, expected) => expect(routeOf(path)).toEqual(expected));
});

it("versions rank as Kubernetes ranks them", () => {
  const versions = ["v1alpha1", "foo", "v1beta1", "v2", "v10", "v1", "v11alpha2", "v1beta2", "bar"];
  expect(versions.sort(byPriority)).toEqual([
    "v10",
    "v2",
    "v1",
    "v1beta2",
    "v1beta1",
    "v11alpha2",
    "v1alpha1",
    "bar",
    "foo",
  ]);
});
