import { expect, test } from "vitest";
import { gapOf, neededPrivileges, type PrivilegeRole } from "./privileges.ts";

const target = (role: PrivilegeRole) => ({ role, ref: { type: "Folder", value: "f" }, path: "/DC0/vm" });

test("one who holds all that is needed lacks nothing, one who holds more lacks nothing either", () => {
  for (const role of Object.keys(neededPrivileges) as PrivilegeRole[]) {
    expect(gapOf(target(role), new Set(neededPrivileges[role]), "u")).toBeUndefined();
    expect(gapOf(target(role), new Set([...neededPrivileges[role], "Other.Thing"]), "u")).toBeUndefined();
  }
});

test("what is missing is named, with the role to give and where", () => {
  expect(gapOf(target("network"), new Set(), "pcg@corp")).toMatchObject({
    missing: ["Network.Assign"],
    remedy: "give 'pcg@corp' a role with Network.Assign on /DC0/vm",
  });
});

test("a folder's rights must reach the machines in it", () => {
  const held = new Set(neededPrivileges.folder.slice(1));
  expect(gapOf(target("folder"), held, "u")?.remedy).toBe(
    "give 'u' a role with VirtualMachine.Inventory.Create on /DC0/vm, with propagation to children",
  );
});
