import { describe, expect, test } from "vitest";
import { Fault, faultCodes, isFault, isTransient, type FaultCode } from "./fault.ts";

function networkError(code: string, message = code): Error {
  return Object.assign(new Error(message), { code });
}

const made: [string, unknown, FaultCode][] = [
  ["an abort", new DOMException("stop", "AbortError"), "Cancelled"],
  ["a time-out", new DOMException("late", "TimeoutError"), "TimedOut"],
  ["a socket's time-out", networkError("ETIMEDOUT"), "TimedOut"],
  ["a refused connection", networkError("ECONNREFUSED"), "Unavailable"],
  ["a name that is not known", networkError("ENOTFOUND"), "Unavailable"],
  ["a failed fetch", new TypeError("fetch failed", { cause: networkError("ECONNRESET") }), "Unavailable"],
  ["a mistake of ours", new TypeError("x is undefined"), "Bug"],
  ["an error with another code", networkError("ENOENT"), "Bug"],
  ["text", "just words", "Bug"],
  ["nothing", undefined, "Bug"],
];

describe("making a fault of what was thrown", () => {
  test.each(made)("%s", (_, thrown, code) => {
    const fault = Fault.from(thrown, "reading the pool");
    expect(fault.code).toBe(code);
    expect(fault.message).toMatch(/^reading the pool: /);
    expect(fault.cause).toBe(thrown);
  });

  test("a fault comes back as it is", () => {
    const fault = new Fault("Conflict", "x");
    expect(Fault.from(fault, "doing something")).toBe(fault);
  });
});

test("a fault carries what was given to it", () => {
  const cause = new Error("below");
  const problems = [{ field: "a", message: "b" }];
  const fault = new Fault("Invalid", "no", { cause, problems, retryAfterMs: 5 });
  expect(fault).toMatchObject({
    name: "Fault",
    code: "Invalid",
    status: 422,
    cause,
    problems,
    retryAfterMs: 5,
  });
  expect(new Fault("Bug", "no").problems).toEqual([]);
});

test("every code has an HTTP status, and all but two are worth another try", () => {
  const codes = Object.keys(faultCodes) as FaultCode[];
  for (const code of codes) expect(new Fault(code, "").status).toBe(faultCodes[code]);
  expect(codes.filter((code) => !isTransient(code))).toEqual(["Invalid", "Cancelled"]);
});

test("a fault is told from a stranger, and from one of another code", () => {
  const stranger = Object.assign(new Error("NotFound"), { code: "NotFound", name: "Fault" });
  expect(isFault(stranger)).toBe(false);
  expect(isFault(undefined)).toBe(false);
  expect(isFault(new Fault("NotFound", ""))).toBe(true);
  expect(isFault(new Fault("NotFound", ""), "Gone", "NotFound")).toBe(true);
  expect(isFault(new Fault("NotFound", ""), "Gone")).toBe(false);
});
