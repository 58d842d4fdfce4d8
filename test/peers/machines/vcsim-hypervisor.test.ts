import { describe, expect, it } from "vitest";
import { powerChanges, type SeenVm } from "./vcsim-hypervisor.ts";

const vm = (id: string, on: boolean): SeenVm => ({
  id,
  on,
  vm: { name: id, biosUuid: id, extraConfig: {}, macs: [] },
});

describe("what happened between two looks", () => {
  it.each<[string, SeenVm[], SeenVm[], string[]]>([
    ["nothing", [vm("a", true)], [vm("a", true)], []],
    ["one was there and on at the first look", [], [vm("a", true), vm("b", false)], ["a on"]],
    ["turned on", [vm("a", false)], [vm("a", true)], ["a on"]],
    ["turned off", [vm("a", true)], [vm("a", false)], ["a off"]],
    ["destroyed while on", [vm("a", true)], [], ["a gone"]],
    ["destroyed, and another made", [vm("a", false)], [vm("b", true)], ["a gone", "b on"]],
  ])("%s", (_, before, now, want) => {
    expect(powerChanges(before, now).map(({ vm, state }) => `${vm.name} ${state}`)).toEqual(want);
  });
});
