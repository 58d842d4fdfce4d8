import { expect, test } from "vitest";
import { formatAddress, parseAddress } from "../address.ts";
import { addressName, namedAddress } from "./words.ts";

test.each(["10.2.0.11", "255.255.255.255", "fd00::1", "fd00::", "fd00:1:2:3:4:5:6:7", "::1", "::"])(
  "the name of %s tells the address",
  (text) => {
    const address = parseAddress(text);
    if (!address) throw new Error("no address");
    for (const prefix of ["node", "a-b-1"]) {
      const named = namedAddress(prefix, addressName(prefix, address));
      expect(named && formatAddress(named)).toBe(text);
    }
  },
);

test.each(["other-10-2-0-11", "node-10-2-0", "node-claim", ""])("%j tells none", (name) =>
  expect(namedAddress("node", name)).toBeUndefined(),
);
