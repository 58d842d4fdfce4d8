import { expect, test } from "vitest";
import { certificateNames, isLoopback, joined, publicHost, type Addresses } from "./addresses.ts";

const base: Addresses = {
  listen: { host: "127.0.0.1", port: 1 },
  tunnelListen: { host: "127.0.0.1", port: 2 },
};
const everywhere: Addresses = { listen: { host: "0.0.0.0", port: 1 }, tunnelListen: { host: "::", port: 2 } };

test.each<[string, Addresses, string[]]>([
  ["on loopback", base, ["127.0.0.1", "localhost", "::1"]],
  ["everywhere, a wildcard is no name", everywhere, ["localhost", "127.0.0.1", "::1"]],
  [
    "with public names, the public one first",
    {
      ...everywhere,
      publicUrl: "https://plane.example:8443",
      publicTunnel: "tunnel.example:8444",
      names: ["10.0.0.9"],
    },
    ["plane.example", "tunnel.example", "10.0.0.9", "localhost", "127.0.0.1", "::1"],
  ],
  [
    "with IPv6 in brackets",
    { ...everywhere, publicUrl: "https://[fd00::1]:8443", publicTunnel: "[fd00::2]:8444" },
    ["fd00::1", "fd00::2", "localhost", "127.0.0.1", "::1"],
  ],
])("the names in the plane's certificate %s", (_name, addresses, names) => {
  expect(certificateNames(addresses)).toEqual(names);
});

test.each([
  ["127.0.0.1", true],
  ["127.9.8.7", true],
  ["::1", true],
  ["localhost", true],
  ["10.0.0.1", false],
  ["0.0.0.0", false],
  ["127.example", false],
])("%s is loopback: %s", (host, expected) => {
  expect(isLoopback(host)).toBe(expected);
});

test("an address is written as a URL wants it", () => {
  expect([joined("::1", 8443), joined("plane", 8443)]).toEqual(["[::1]:8443", "plane:8443"]);
  expect(publicHost({}, "0.0.0.0")).toBe("localhost");
});
