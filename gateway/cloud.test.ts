import { describe, expect, it } from "vitest";
import type { Entry, InventorySnapshot } from "#vsphere";
import { templatePath } from "./cloud.ts";

function inventory(...paths: string[]): InventorySnapshot {
  const entries = paths.map(
    (path) =>
      ({
        kind: "template",
        name: path.slice(path.lastIndexOf("/") + 1),
        path,
        datacenter: "DC0",
      }) as unknown as Entry,
  );
  return {
    list: () => entries,
    pick(_kind, name) {
      const entry = entries.find((e) => e.name === name || e.path === name);
      return entry ? { kind: "found", entry } : { kind: "missing", message: `template '${name}' not found` };
    },
  };
}

const placement = { datacenter: "DC0", computeCluster: "C0", networkName: "VM Network", staticIp: true };
const folder = "/DC0/vm/spectro-templates";

describe("the template of a placement", () => {
  const cases: [string, string[], { template?: string }, string | undefined][] = [
    ["is found by version in Palette's folder", [`${folder}/ubuntu-v1.35.4`], {}, `${folder}/ubuntu-v1.35.4`],
    ["is not looked for elsewhere", ["/DC0/vm/other/ubuntu-v1.35.4"], {}, undefined],
    [
      "does not take 1.35.40 for 1.35.4",
      [`${folder}/ubuntu-v1.35.40`, `${folder}/ubuntu-v11.35.4`],
      {},
      undefined,
    ],
    [
      "is the newest build of several",
      [`${folder}/u-1.35.4-b9`, `${folder}/u-1.35.4-b10`],
      {},
      `${folder}/u-1.35.4-b10`,
    ],
    [
      "is the named one, wherever it lies",
      ["/DC0/vm/other/golden"],
      { template: "golden" },
      "/DC0/vm/other/golden",
    ],
    ["is none when the named one is missing", [`${folder}/u-1.35.4`], { template: "golden" }, undefined],
  ];
  it.each(cases)("%s", (_, paths, image, expected) => {
    expect(templatePath(inventory(...paths), placement, { kubernetesVersion: "v1.35.4", ...image })).toBe(
      expected,
    );
  });

  it("may lie in a folder of the site's own", () => {
    const own = { ...placement, imageTemplateFolder: "images" };
    expect(templatePath(inventory("/DC0/vm/images/k8s-1.35.4"), own, { kubernetesVersion: "v1.35.4" })).toBe(
      "/DC0/vm/images/k8s-1.35.4",
    );
  });
});
