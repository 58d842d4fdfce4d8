import { describe, expect, test } from "vitest";
import { normaliseThumbprint, parseServer } from "./certificate.ts";

const bytes = Array.from({ length: 32 }, (_, index) => index.toString(16).padStart(2, "0"));

describe("a thumbprint", () => {
  test.each([
    ["colon hex", bytes.join(":")],
    ["plain hex", bytes.join("")],
    ["upper case with spaces", bytes.join(" ").toUpperCase()],
  ])("is taken as %s", (_, text) => {
    expect(normaliseThumbprint(text)).toBe(bytes.join(":").toUpperCase());
  });

  test("of SHA-1 is refused by name", () => {
    expect(() => normaliseThumbprint(bytes.slice(0, 20).join(":"))).toThrow("is SHA-1; give the SHA-256");
  });

  test("that is something else is refused", () => {
    expect(() => normaliseThumbprint("hello")).toThrow("not a SHA-256 in hex");
  });
});

describe("a server's address", () => {
  test.each([
    ["vcenter.example.com", "vcenter.example.com", 443],
    ["10.0.0.5:8443", "10.0.0.5", 8443],
    ["[2001:db8::1]:443", "2001:db8::1", 443],
    ["[2001:db8::1]", "2001:db8::1", 443],
  ])("%s is understood", (text, host, port) => {
    expect(parseServer(text)).toEqual({ host, port });
  });

  test.each(["https://vcenter", "vcenter/sdk", "vcenter:0", "vcenter:70000", "", "a b"])(
    "'%s' is refused",
    (text) => {
      expect(() => parseServer(text)).toThrow("is not a host or host:port");
    },
  );
});
