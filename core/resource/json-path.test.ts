import { describe, expect, it } from "vitest";
import { followJsonPath, parseJsonPath } from "./json-path.ts";

const object = {
  metadata: {
    name: "a",
    labels: { "cluster.x-k8s.io/cluster-name": "c1" },
    annotations: { "a.b": "dotted" },
  },
  spec: { list: [{ n: 1 }, { n: 2 }, { n: 3 }] },
  status: {
    conditions: [
      { type: "Ready", status: "True" },
      { type: "Other", status: "False" },
    ],
    empty: null,
  },
};

describe("a JSON path", () => {
  it.each<[string, unknown[]]>([
    [".metadata.name", ["a"]],
    ["metadata.name", ["a"]],
    ["{.metadata.name}", ["a"]],
    [".metadata.labels['cluster.x-k8s.io/cluster-name']", ["c1"]],
    [".metadata.labels.cluster\\.x-k8s\\.io/cluster-name", ["c1"]],
    [".metadata.annotations['a.b']", ["dotted"]],
    [".metadata.labels['cluster\\.x-k8s\\.io/cluster-name']", ["c1"]],
    [".spec.list[0].n", [1]],
    [".spec.list[-1].n", [3]],
    [".spec.list[*].n", [1, 2, 3]],
    [".spec.list[7].n", []],
    [".spec.list[?(@.n>=2)].n", [2, 3]],
    [".status.conditions[?(@.type=='Ready')].status", ["True"]],
    ['.status.conditions[?(@.type == "Other")].status', ["False"]],
    [".status.conditions[?(@.type!='Ready')].status", ["False"]],
    [".status.conditions[?(@.reason)].status", []],
    [".status.empty", [null]],
    [".status.empty.deeper", []],
    [".spec.none.at.all", []],
    ["", [object]],
  ])("%s", (path, expected) => expect(followJsonPath(parseJsonPath(path), object)).toEqual(expected));

  it.each([".a[", ".a[b]", ".a[?(x)]", "..a"])("%s is refused", (path) => {
    expect(() => parseJsonPath(path)).toThrow(/cannot be read/);
  });

  it("does not walk into what an object inherits", () => {
    expect(followJsonPath(parseJsonPath(".constructor.name"), {})).toEqual([]);
  });
});
