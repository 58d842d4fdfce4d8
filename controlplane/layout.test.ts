import { expect, it } from "vitest";
import { layoutOf } from "./layout.ts";

it("a path that is too long for a socket says by how much", () => {
  expect(layoutOf("/var/lib/pcg/controlplane").etcdSocket).toBe("/var/lib/pcg/controlplane/run/etcd.sock");
  expect(() => layoutOf(`/${"a".repeat(100)}`)).toThrow(/shorten it by \d+ bytes/);
});
