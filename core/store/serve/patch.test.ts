import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { jsonPatch, mergePatch, strategicPatch } from "./patch.ts";

// RFC 7386, appendix A.
describe("a merge patch", () => {
  it.each<[unknown, unknown, unknown]>([
    [{ a: "b" }, { a: "c" }, { a: "c" }],
    [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
    [{ a: "b" }, { a: null }, {}],
    [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
    [{ a: ["b"] }, { a: "c" }, { a: "c" }],
    [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
    [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
    [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
    [
      ["a", "b"],
      ["c", "d"],
      ["c", "d"],
    ],
    [{ a: "b" }, ["c"], ["c"]],
    [{ a: "foo" }, null, null],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: "b", c: null }, { a: "b" }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])("%j with %j gives %j", (document, patch, expected) => {
    expect(mergePatch(document, patch)).toEqual(expected);
  });

  it("does not reach the prototype", () => {
    mergePatch({}, JSON.parse('{"__proto__":{"polluted":1}}'));
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });

  it("done twice gives what it gave once", () => {
    const value = fc.jsonValue({ maxDepth: 3 });
    fc.assert(
      fc.property(value, value, (document, patch) => {
        const once = mergePatch(document, patch);
        expect(mergePatch(once, patch)).toEqual(once);
      }),
    );
  });
});

describe("a JSON patch", () => {
  const document = { a: { b: [1, 2, 3] }, "x/y": { "~": 1 } };

  it.each<[string, unknown[], unknown]>([
    ["adds a member", [{ op: "add", path: "/c", value: 1 }], { ...document, c: 1 }],
    [
      "inserts into a list",
      [{ op: "add", path: "/a/b/1", value: 9 }],
      { ...document, a: { b: [1, 9, 2, 3] } },
    ],
    ["appends to a list", [{ op: "add", path: "/a/b/-", value: 9 }], { ...document, a: { b: [1, 2, 3, 9] } }],
    ["removes an item", [{ op: "remove", path: "/a/b/0" }], { ...document, a: { b: [2, 3] } }],
    [
      "replaces behind escapes",
      [{ op: "replace", path: "/x~1y/~0", value: 2 }],
      { ...document, "x/y": { "~": 2 } },
    ],
    ["replaces an item", [{ op: "replace", path: "/a/b/2", value: 0 }], { ...document, a: { b: [1, 2, 0] } }],
    ["moves", [{ op: "move", from: "/a/b", path: "/b" }], { a: {}, b: [1, 2, 3], "x/y": { "~": 1 } }],
    ["copies", [{ op: "copy", from: "/a/b/0", path: "/n" }], { ...document, n: 1 }],
    ["tests", [{ op: "test", path: "/a", value: { b: [1, 2, 3] } }], document],
  ])("%s", (_name, patch, expected) => expect(jsonPatch(document, patch)).toEqual(expected));

  it.each<[string, unknown]>([
    ["a test that fails", [{ op: "test", path: "/a/b/0", value: 2 }]],
    ["removing what is not there", [{ op: "remove", path: "/none" }]],
    ["replacing what is not there", [{ op: "replace", path: "/a/none", value: 1 }]],
    ["adding below what is not there", [{ op: "add", path: "/none/deep", value: 1 }]],
    ["adding beyond the end of a list", [{ op: "add", path: "/a/b/7", value: 1 }]],
    ["an operation nobody knows", [{ op: "eat", path: "/a" }]],
    ["removing everything", [{ op: "remove", path: "" }]],
  ])("refuses %s", (_name, patch) => {
    expect(() => jsonPatch(document, patch)).toThrow(expect.objectContaining({ code: "Invalid" }));
  });
});

describe("a JSON patch that is none", () => {
  it.each<[string, unknown]>([
    ["a path that is no pointer", [{ op: "add", path: "a", value: 1 }]],
    ["something that is not a list", { op: "add" }],
  ])("is a bad request: %s", (_name, patch) => {
    expect(() => jsonPatch({}, patch)).toThrow(expect.objectContaining({ status: 400 }));
  });
});

describe("a strategic patch", () => {
  it("merges conditions by type and keeps the others", () => {
    const status = {
      conditions: [
        { type: "A", status: "True", reason: "x" },
        { type: "B", status: "True" },
      ],
    };
    const patch = {
      conditions: [
        { type: "A", status: "False" },
        { type: "C", status: "True" },
      ],
    };
    expect(strategicPatch(status, patch)).toEqual({
      conditions: [
        { type: "A", status: "False", reason: "x" },
        { type: "B", status: "True" },
        { type: "C", status: "True" },
      ],
    });
  });

  it("deletes items by directive, and items of a set", () => {
    const document = { containers: [{ name: "a" }, { name: "b" }], finalizers: ["x", "y"] };
    const patch = {
      containers: [{ name: "a", $patch: "delete" }],
      "$deleteFromPrimitiveList/finalizers": ["x"],
      "$setElementOrder/containers": [{ name: "b" }],
    };
    expect(strategicPatch(document, patch)).toEqual({ containers: [{ name: "b" }], finalizers: ["y"] });
  });

  it("replaces other lists, and whole objects by directive", () => {
    expect(
      strategicPatch({ rules: [1], data: { a: 1 } }, { rules: [2], data: { $patch: "replace", b: 2 } }),
    ).toEqual({
      rules: [2],
      data: { b: 2 },
    });
  });
});
