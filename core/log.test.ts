import { describe, expect, test } from "vitest";
import { Fault } from "./fault.ts";
import { jsonLogger, silentLogger, type LogLevel } from "./log.ts";
import { Secret } from "./secret.ts";

function logger(level: LogLevel = "debug") {
  const lines: string[] = [];
  const log = jsonLogger(level, (line) => lines.push(line));
  return { log, lines, last: () => JSON.parse(lines.at(-1) ?? "") as Record<string, unknown> };
}

test("a line has words, level, time and fields", () => {
  const { log, last } = logger();
  log.info("reserved address", { claim: "n/a", tookMs: 5 });
  expect(last()).toMatchObject({ msg: "reserved address", level: 30, claim: "n/a", tookMs: 5 });
  expect(last()["time"]).toMatch(/^\d{4}-\d\d-\d\dT/);
});

test("a child's fields are in its lines, beside those of the line", () => {
  const { log, last } = logger();
  log.child({ controller: "claims" }).child({ key: "n/a" }).warn("again", { attempt: 2 });
  expect(last()).toMatchObject({ controller: "claims", key: "n/a", attempt: 2, level: 40 });
});

test("what is below the level is not written", () => {
  const { log, lines } = logger("warn");
  log.debug("a");
  log.info("b");
  log.warn("c");
  log.error("d");
  expect(lines).toHaveLength(2);
});

test("an error shows its words, code and causes, and a stack only where it is a bug of ours", () => {
  const { log, last } = logger();
  const fault = new Fault("Unavailable", "reading", { cause: new Error("line broken") });
  log.warn("trouble", { error: fault });
  expect(last()["error"]).toEqual({
    message: "reading",
    code: "Unavailable",
    cause: { message: "line broken" },
  });
  log.error("trouble", { error: new Fault("Bug", "oh") });
  expect(last()["error"]).toMatchObject({ message: "oh", code: "Bug", stack: expect.any(String) as string });
});

describe("secrets", () => {
  const value = "hunter2-very-secret";
  const fields: [string, Record<string, unknown>][] = [
    ["a Secret", { anything: new Secret(value) }],
    ["a Secret, deep inside", { a: { b: [{ c: new Secret(value) }] } }],
    ["a password", { password: value }],
    ["a token in an object", { request: { token: value } }],
    ["an authorization two levels down", { request: { headers: { authorization: value } } }],
    ["a kubeconfig", { kubeconfig: value }],
    ["an API key", { tenant: { apiKey: value } }],
  ];
  test.each(fields)("%s is not written", (_, shown) => {
    const { log, lines } = logger();
    log.info("line", shown);
    log.child(shown).info("child");
    expect(lines).toHaveLength(2);
    for (const line of lines) {
      expect(line).not.toContain(value);
      expect(line).toContain("***");
    }
  });
});

test("the silent logger takes everything and says nothing", () => {
  silentLogger.child({ a: 1 }).error("x", { error: new Error("y") });
});
