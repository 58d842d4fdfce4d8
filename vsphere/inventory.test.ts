import { describe, expect, test } from "vitest";
import { snapshotOf } from "./inventory.ts";
import { nodeOf } from "./inventory-nodes.ts";
import type { Ref } from "./soap/types.ts";

const root: Ref = { type: "Folder", value: "root" };
const object = (type: string, value: string, name: string, parent: Ref, more: object = {}) =>
  nodeOf({ ref: { type, value }, values: { name, parent, ...more } });
const folder = (value: string, name: string, parent: Ref, childType = ["Folder", "VirtualMachine"]) =>
  object("Folder", value, name, parent, { childType });
const at = (type: string, value: string): Ref => ({ type, value });

/** Two datacenters, each with a cluster and a machine folder; pools and templates with twins. */
const snapshot = snapshotOf(root, [
  ...["DC0", "DC1"].flatMap((dc) => {
    const here = at("Datacenter", dc);
    return [
      object("Datacenter", dc, dc, root),
      folder(`${dc}-vm`, "vm", here),
      folder(`${dc}-host`, "host", here, ["Folder", "ComputeResource"]),
      object("ClusterComputeResource", `${dc}-c`, "C0", at("Folder", `${dc}-host`)),
      object("ResourcePool", `${dc}-p`, "Resources", at("ClusterComputeResource", `${dc}-c`)),
      folder(`${dc}-t`, "templates", at("Folder", `${dc}-vm`)),
      object("VirtualMachine", `${dc}-u`, "ubuntu", at("Folder", `${dc}-t`), { "config.template": true }),
    ];
  }),
  folder("DC0-old", "old", at("Folder", "DC0-vm")),
  object("VirtualMachine", "DC0-u2", "ubuntu", at("Folder", "DC0-old"), { "config.template": true }),
  object("VirtualMachine", "slash", "a%2fb", at("Folder", "DC0-vm"), { "config.template": true }),
]);

describe("a name", () => {
  test.each([
    ["cluster", "C0", "DC1", "/DC1/host/C0"],
    ["cluster", "/DC0/host/C0", undefined, "/DC0/host/C0"],
    ["pool", "C0/Resources", "DC0", "/DC0/host/C0/Resources"],
    ["template", "old/ubuntu", "DC0", "/DC0/vm/old/ubuntu"],
    ["template", "ubuntu", "/DC1", "/DC1/vm/templates/ubuntu"],
    ["folder", "vm", "DC0", "/DC0/vm"],
    ["folder", "vm/templates/", "DC1", "/DC1/vm/templates"],
    ["template", "a/b", "DC0", "/DC0/vm/a/b"],
    ["datacenter", "DC1", "DC0", "/DC1"],
  ] as const)("%s '%s' in %s means %s", (kind, name, datacenter, path) => {
    expect(snapshot.pick(kind, name, { datacenter })).toMatchObject({ kind: "found", entry: { path } });
  });

  test("that two things have is answered with the full path of each", () => {
    expect(snapshot.pick("template", "ubuntu", { datacenter: "DC0" })).toEqual({
      kind: "ambiguous",
      message:
        "template 'ubuntu' is ambiguous in datacenter 'DC0'; write one of the full paths: /DC0/vm/old/ubuntu, /DC0/vm/templates/ubuntu",
    });
  });

  test("that nothing has is answered with what there is, by path where names are twins", () => {
    expect(snapshot.pick("datacenter", "dc9")).toEqual({
      kind: "missing",
      message: "datacenter 'dc9' not found; there are: DC0, DC1",
    });
    expect(snapshot.pick("template", "debian", { datacenter: "DC0" })).toEqual({
      kind: "missing",
      message:
        "template 'debian' not found in datacenter 'DC0'; there are: a/b, /DC0/vm/old/ubuntu, /DC0/vm/templates/ubuntu",
    });
    expect(snapshot.pick("host", "h")).toMatchObject({
      message: "host 'h' not found; there is none that this account can see",
    });
  });

  test("is the whole of the last part: the end of a name is no name", () => {
    expect(snapshot.pick("template", "buntu", { datacenter: "DC1" })).toMatchObject({ kind: "missing" });
  });
});

test("folders for other things than machines carry paths, and are not listed", () => {
  expect(snapshot.list("folder").map(({ path }) => path)).toEqual([
    "/DC0/vm",
    "/DC0/vm/old",
    "/DC0/vm/templates",
    "/DC1/vm",
    "/DC1/vm/templates",
  ]);
});

test("a parent that the account cannot see leaves a short path, not an error", () => {
  const alone = snapshotOf(root, [
    object("VirtualMachine", "v", "lonely", at("Folder", "hidden"), { "config.template": true }),
  ]);
  expect(alone.list("template")).toMatchObject([{ path: "/lonely", datacenter: undefined }]);
});
