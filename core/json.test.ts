import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { maxInt64, toJson } from "./json.ts";

describe("toJson", () => {
  it.each([
    ["a saturated counter", { free: maxInt64 }, '{"free":9223372036854775807}'],
    ["the other edge", [-(2 ** 63)], "[-9223372036854775808]"],
    ["a bigint", { n: 2n ** 62n + 1n }, '{"n":4611686018427387905}'],
    ["digits inside a string", { s: "9223372036854776000", n: 1 }, '{"s":"9223372036854776000","n":1}'],
    ["fractions and exponents", [0.5, 1e300], "[0.5,1e+300]"],
    ["members that are undefined", { a: undefined, b: 1 }, '{"b":1}'],
  ])("writes %s", (_name, value, text) => expect(toJson(value)).toBe(text));

  it("writes back what it read, for the number that Go writes", () => {
    const text = '{"status":{"free":9223372036854775807,"total":9223372036854775807,"used":3}}';
    expect(toJson(JSON.parse(text))).toBe(text);
  });

  it("is JSON.stringify for everything that fits", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 3 }), (value) => {
        const text = toJson(value);
        if (text.includes("922337203685477")) return;
        expect(text).toBe(JSON.stringify(value));
      }),
    );
  });
});
