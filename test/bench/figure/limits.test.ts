import { expect, test } from "vitest";
import { missed } from "./limits.ts";

test.each([
  [{ ms: 8 }, { most: 8 }, []],
  [{ ms: 9 }, { most: 8 }, ["ms is 9, at most 8"]],
  [{ ms: 7 }, { least: 8 }, ["ms is 7, at least 8"]],
  [{ ms: Number.NaN }, { most: 8 }, ["ms is NaN, not a number"]],
  [{ ms: 0 }, { is: 0 }, []],
  [{ ms: false }, { is: true }, ["ms is false, not true"]],
  [{}, { most: 8 }, ["ms is undefined, not a number"]],
])("a figure of %j that must be %j", (figure, limit, wrong) => {
  expect(missed({ ...figure, must: { ms: limit } })).toEqual(wrong);
});
