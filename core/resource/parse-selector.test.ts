import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isFault } from "../fault.ts";
import { parseFieldSelector, parseSelector } from "./parse-selector.ts";
import { formatSelector, type Requirement } from "./selector.ts";

describe("parseSelector", () => {
  it.each<[string, Requirement[]]>([
    ["", []],
    ["a=b", [{ key: "a", op: "=", value: "b" }]],
    ["a==b", [{ key: "a", op: "=", value: "b" }]],
    ["a != b", [{ key: "a", op: "!=", value: "b" }]],
    ["a=", [{ key: "a", op: "=", value: "" }]],
    ["a", [{ key: "a", op: "exists" }]],
    ["!x.io/a", [{ key: "x.io/a", op: "!exists" }]],
    [
      "a in (b, c),d",
      [
        { key: "a", op: "in", values: ["b", "c"] },
        { key: "d", op: "exists" },
      ],
    ],
    ["a notin (b)", [{ key: "a", op: "notin", values: ["b"] }]],
    ["in in (in)", [{ key: "in", op: "in", values: ["in"] }]],
  ])("reads %j", (text, expected) => expect(parseSelector(text)).toEqual(expected));

  it.each(["a=b,", ",a", "a in (b", "a b", "-a=b", "a=b c", "a=(b)", "a in b", "=b", "a=-b"])(
    "refuses %j",
    (text) => {
      expect(() => parseSelector(text)).toThrow(expect.objectContaining({ code: "Invalid" }));
    },
  );

  it("reads back every selector that formatSelector writes", () => {
    const word = fc.stringMatching(/^[a-z0-9]([-a-z0-9_.]{0,8}[a-z0-9])?$/);
    const requirement: fc.Arbitrary<Requirement> = fc.oneof(
      fc.record({ key: word, op: fc.constantFrom("=" as const, "!=" as const), value: word }),
      fc.record({
        key: word,
        op: fc.constantFrom("in" as const, "notin" as const),
        values: fc.array(word, { minLength: 1, maxLength: 3 }),
      }),
      fc.record({ key: word, op: fc.constantFrom("exists" as const, "!exists" as const) }),
    );
    fc.assert(
      fc.property(fc.array(requirement, { maxLength: 4 }), (selector) => {
        expect(parseSelector(formatSelector(selector))).toEqual(selector);
      }),
    );
  });
});

describe("parseFieldSelector", () => {
  it("reads equalities, inequalities and escapes", () => {
    expect(parseFieldSelector("metadata.name=a\\,b,status.phase!=Running")).toEqual([
      { path: "metadata.name", op: "=", value: "a,b" },
      { path: "status.phase", op: "!=", value: "Running" },
    ]);
    expect(parseFieldSelector("")).toEqual([]);
  });

  it("refuses what is not path=value", () => {
    expect(() => parseFieldSelector("metadata.name")).toThrow(/not path=value/);
    try {
      parseFieldSelector("x");
    } catch (error) {
      expect(isFault(error, "Invalid")).toBe(true);
    }
  });
});
