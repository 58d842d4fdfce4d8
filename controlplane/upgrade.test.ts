import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Resource } from "#core";
import { leftBehind } from "./install.ts";
import { settleFolders, type Layout } from "./layout.ts";
import { expectUpgrade, judgeChange, parseVersions, writeVersions, type Versions } from "./upgrade.ts";

const now: Versions = { etcd: "3.6.14", kubernetes: "1.35.4", capi: "1.13.5", capv: "1.16.1" };

const table: [string, Partial<Versions>, string][] = [
  ["the same", {}, "none"],
  ["a patch later", { kubernetes: "1.35.1" }, "upgrade: Kubernetes 1.35.1 to 1.35.4"],
  ["a patch taken back", { capi: "1.13.9" }, "upgrade: Cluster API 1.13.9 to 1.13.5"],
  ["a minor version of Kubernetes", { kubernetes: "1.34.9" }, "upgrade: Kubernetes 1.34.9 to 1.35.4"],
  [
    "two of them",
    { kubernetes: "1.33.2" },
    "too far: Kubernetes 1.33.2 to 1.35.4 (at most one minor version at once)",
  ],
  ["two of etcd", { etcd: "3.4.1" }, "too far: etcd 3.4.1 to 3.6.14 (at most one minor version at once)"],
  [
    "three of Cluster API",
    { capi: "1.10.6", capv: "1.14.0" },
    "upgrade: Cluster API 1.10.6 to 1.13.5, CAPV 1.14.0 to 1.16.1",
  ],
  [
    "four of them",
    { capi: "1.9.1" },
    "too far: Cluster API 1.9.1 to 1.13.5 (at most 3 minor versions at once)",
  ],
  ["back", { capi: "1.14.0" }, "back: Cluster API 1.14.0 to 1.13.5"],
  ["back with one and on with another", { etcd: "3.5.1", capv: "1.17.0" }, "back: CAPV 1.17.0 to 1.16.1"],
  [
    "another major version",
    { etcd: "2.3.8" },
    "too far: etcd 2.3.8 to 3.6.14 (at most one minor version at once)",
  ],
];

it.each(table)("%s", (_what, was, expected) => {
  const change = judgeChange({ ...now, ...was }, now);
  const said =
    change.kind === "none"
      ? "none"
      : change.kind === "upgrade"
        ? `upgrade: ${change.changes.join(", ")}`
        : `${change.back ? "back" : "too far"}: ${change.problems.join(", ")}`;
  expect(said).toBe(expected);
});

it.each([undefined, "", "{", "[]", '{"etcd":"3.6.1"}'])("versions in %s are not known", (text) => {
  expect(parseVersions(text)).toBeUndefined();
});

describe("a data directory", () => {
  let dir: string;
  let layout: Layout;
  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), "pcg-up-"));
    layout = await settleFolders(dir);
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  const turn = async () => (await expectUpgrade(layout, now)).turn;

  it("that is new, of a gateway that wrote nothing down, of this one, of an older one", async () => {
    expect(await turn()).toBe("fresh");
    writeFileSync(layout.begun, "");
    expect(await turn()).toBe("upgrade");
    await writeVersions(layout, now);
    expect(await turn()).toBe("same");
    await writeVersions(layout, { ...now, kubernetes: "1.34.1" });
    expect(await turn()).toBe("upgrade");
  });

  it("of a newer one is refused, with what to do, and with the snapshot to go back to", async () => {
    await writeVersions(layout, { ...now, capi: "1.14.0" });
    await expect(turn()).rejects.toThrow(
      /newer bundle, which does not go back: Cluster API 1\.14\.0 to 1\.13\.5.*newer gateway again, or restore a snapshot/,
    );
    const saved = join(layout.upgrades, "2026-11-27T22-30-00Z-r1234-o250.db");
    writeFileSync(saved, "");
    await expect(turn()).rejects.toThrow(`pcg controlplane restore ${saved}`);
  });

  it("of one that is too old is refused, with the way over a version in between", async () => {
    await writeVersions(layout, { ...now, kubernetes: "1.30.1" });
    await expect(turn()).rejects.toThrow(
      /too old.*Kubernetes 1\.30\.1 to 1\.35\.4.*version in between first/,
    );
  });
});

it("a CRD that has lost a version in which objects are stored is named", () => {
  const crd = (versions: string[], storedVersions?: string[]) =>
    ({
      apiVersion: "apiextensions.k8s.io/v1",
      kind: "CustomResourceDefinition",
      metadata: { name: "clusters.cluster.x-k8s.io" },
      spec: {
        group: "g",
        names: { plural: "p" },
        versions: versions.map((name) => ({ name, served: true })),
      },
      ...(storedVersions ? { status: { storedVersions } } : {}),
    }) as unknown as Resource;
  const wanted = [crd(["v1beta2"])];
  expect(leftBehind(wanted, [])).toEqual([]);
  expect(leftBehind(wanted, [crd(["v1beta1", "v1beta2"], ["v1beta2"])])).toEqual([]);
  expect(leftBehind(wanted, [crd(["v1beta1", "v1beta2"], ["v1beta1", "v1beta2"])])).toEqual([
    "objects of clusters.cluster.x-k8s.io may be stored as v1beta1, which this bundle does not know any more",
  ]);
});
