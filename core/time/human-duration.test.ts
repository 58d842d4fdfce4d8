import { expect, it } from "vitest";
import { humanDuration } from "./human-duration.ts";

const s = 1000;
const m = 60 * s;
const h = 60 * m;
const d = 24 * h;

it.each([
  [-3 * s, "<invalid>"],
  [-1 * s, "0s"],
  [0, "0s"],
  [119 * s, "119s"],
  [120 * s, "2m"],
  [9 * m + 59 * s, "9m59s"],
  [10 * m + 5 * s, "10m"],
  [179 * m, "179m"],
  [3 * h, "3h"],
  [7 * h + 59 * m, "7h59m"],
  [8 * h + 30 * m, "8h"],
  [47 * h, "47h"],
  [48 * h, "2d"],
  [7 * d + 23 * h, "7d23h"],
  [8 * d + 3 * h, "8d"],
  [729 * d, "729d"],
  [730 * d, "2y"],
  [3 * 365 * d + 4 * d, "3y4d"],
  [9 * 365 * d + 4 * d, "9y"],
])("%d ms reads %s", (ms, text) => expect(humanDuration(ms)).toBe(text));
