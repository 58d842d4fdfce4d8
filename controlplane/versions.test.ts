import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { isWithin, minorOf, pairingOf, pinned } from "./versions.ts";

describe("the pinned versions", () => {
  it("are a pairing", () => {
    const pairing = pairingOf(pinned.capi)!;
    expect(pairing.capv).toContain(minorOf(pinned.capv));
    expect(isWithin(pinned.kubernetes, pairing.management)).toBe(true);
    expect(isWithin(pinned.kubernetes, pairing.workload)).toBe(true);
  });

  it("are those that the suites on the real programs run with", () => {
    const modules = ["kube", "capi"].map((name) =>
      readFileSync(join(import.meta.dirname, `../test/peers/${name}/go.mod`), "utf8"),
    );
    const required = (module: string) =>
      new RegExp(`^\\s+${module} v(\\S+)`, "m").exec(modules.join("\n"))?.[1];
    expect(required("go.etcd.io/etcd/server/v3")).toBe(pinned.etcd);
    expect(required("k8s.io/kubernetes")).toBe(pinned.kubernetes);
    expect(required("sigs.k8s.io/cluster-api")).toBe(pinned.capi);
    expect(required("sigs.k8s.io/cluster-api-provider-vsphere")).toBe(pinned.capv);
  });
});

describe("ranges", () => {
  it.each([
    ["1.31.9", false],
    ["v1.32.0", true],
    ["1.36.2", true],
    ["1.37.0", false],
    ["2.33.0", false],
    ["nonsense", false],
  ])("%s within 1.32 to 1.36: %s", (version, expected) => {
    expect(isWithin(version, { from: "1.32", to: "1.36" })).toBe(expected);
  });

  it("a Cluster API that nobody knows has no pairing", () => {
    expect(pairingOf("v0.3.1")).toBeUndefined();
  });
});
