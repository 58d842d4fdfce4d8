import { describe, expect, test } from "vitest";
import { Fault } from "#core";
import { codeFor, isVimFault, vimFault } from "./vim-fault.ts";

describe("a fault of vCenter", () => {
  test.each([
    ["InvalidLogin", "Unauthorized"],
    ["NotAuthenticated", "Unauthorized"],
    ["NoPermission", "Forbidden"],
    ["ManagedObjectNotFound", "NotFound"],
    ["DuplicateName", "AlreadyExists"],
    ["InvalidPowerState", "Conflict"],
    ["TaskInProgress", "Busy"],
    ["InvalidDatastorePath", "Unavailable"],
    ["InvalidArgument", "Invalid"],
    ["HostNotConnected", "Unavailable"],
    ["SomethingOfTomorrow", "Unavailable"],
  ])("%s has the fate of %s", (type, code) => {
    expect(codeFor(type)).toBe(code);
  });

  test.each([
    [
      {
        $type: "NoPermission",
        object: { type: "Folder", value: "group-v3" },
        privilegeId: "VirtualMachine.Inventory.Create",
      },
      "lacks the privilege VirtualMachine.Inventory.Create on Folder group-v3",
    ],
    [
      {
        $type: "NoPermission",
        missingPrivileges: [{ entity: { type: "Datastore", value: "d-1" }, privilegeIds: ["A", "B"] }],
      },
      "lacks the privilege A, B on Datastore d-1",
    ],
    [
      { $type: "DuplicateName", name: "n", object: { type: "VirtualMachine", value: "vm-1" } },
      "'n' is taken by VirtualMachine vm-1",
    ],
    [
      { $type: "InvalidPowerState", existingState: "poweredOn", requestedState: "poweredOff" },
      "it is poweredOn, not poweredOff",
    ],
    [{ $type: "InvalidArgument", invalidProperty: "spec.pool" }, "(spec.pool)"],
    [{ $type: "Odd" }, "the server's words (Odd)"],
  ])("says what was being done and why it failed: %o", (data, words) => {
    const { message } = vimFault("cloning 'n'", "the server's words.", data);
    expect(message).toMatch(/^cloning 'n': /);
    expect(message).toContain(words);
  });

  test("is recognised by its type or a base of it, and a stranger is not", () => {
    const fault = vimFault("x", "", { $type: "InvalidPowerState", existingState: "poweredOn" });
    expect(isVimFault(fault, "InvalidPowerState")).toBe(true);
    expect(isVimFault(fault, "InvalidState")).toBe(true);
    expect(isVimFault(fault, "InvalidLogin")).toBe(false);
    expect(isVimFault(new Fault("Conflict", "x"), "InvalidState")).toBe(false);
    expect(isVimFault("InvalidState", "InvalidState")).toBe(false);
  });
});
