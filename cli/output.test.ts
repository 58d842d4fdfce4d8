import { describe, expect, it } from "vitest";
import { Fault } from "#core";
import { errorText, exitCodeOf, parseFormat, show, table, type Output } from "./output.ts";

function recorder(): Output & { readonly lines: string[] } {
  const lines: string[] = [];
  return {
    lines,
    interactive: false,
    line: (text = "") => void lines.push(text),
    note: () => {},
    style: (_, text) => text,
  };
}

describe("output", () => {
  it("draws tables without lines, without blanks at the ends", () => {
    expect(
      table(
        ["NAME", "STATE"],
        [
          ["a", "Running"],
          ["longer", ""],
        ],
      ),
    ).toBe("NAME     STATE\na        Running\nlonger");
  });

  it("prints values for programs as they are", () => {
    const out = recorder();
    show(out, "json", { a: [1] }, () => "unused");
    show(out, "yaml", { a: [1] }, () => "unused");
    show(out, "table", {}, () => "for people");
    expect(out.lines).toEqual(['{\n  "a": [\n    1\n  ]\n}', "a:\n  - 1", "for people"]);
  });

  it("refuses an unknown format by naming those there are", () => {
    expect(() => parseFormat("xml")).toThrow(/-o xml.*table, wide, json, yaml, name/);
  });

  it.each([
    ["Invalid", 2],
    ["Unavailable", 3],
    ["TimedOut", 3],
    ["NotFound", 1],
    ["Bug", 1],
  ] as const)("ends with the exit status of %s", (code, status) => expect(exitCodeOf(code)).toBe(status));

  it("lists every mistake once, and shows a stack only with --debug", () => {
    const fault = new Fault("Invalid", "2 mistakes", {
      problems: [
        { field: "--listen", message: "expected host:port" },
        { field: "plane.url", message: "is missing" },
      ],
    });
    expect(errorText(fault, false)).toBe(
      "pcg: 2 mistakes\n  --listen: expected host:port\n  plane.url: is missing",
    );
    expect(errorText(fault, true)).toMatch(/at .*output\.test\.ts/);
    const saidAlready = new Fault("Invalid", "--x: no such option", {
      problems: [{ field: "--x", message: "no such option" }],
    });
    expect(errorText(saidAlready, false)).toBe("pcg: --x: no such option");
  });
});
