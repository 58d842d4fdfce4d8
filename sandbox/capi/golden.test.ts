// The played controllers, held to the suite and to the recorded objects.
import { afterEach, describe, expect, it } from "vitest";
import { getCondition } from "#core";
import { ipAddressClaim, vsphereVM } from "#proto";
import { golden } from "#test/golden/read.ts";
import { differences, normalise, tell } from "./compare.ts";
import { capiContract, comparable, settled } from "./contract.ts";
import { applyGolden, eventually, stage, type Stage } from "./testing.ts";
import { unplayed } from "./unplayed.ts";

capiContract(
  "played",
  async () => {
    const s = stage({ knobs: { bareNodes: true } });
    return { store: s.store, vmCount: async () => s.vcenter.vms.size, end: () => s.end() };
  },
  { exceptions: unplayed.running },
);

let current: Stage | undefined;
afterEach(async () => {
  await current?.end();
  current = undefined;
});

describe("against the golden objects", { timeout: 60_000 }, () => {
  it("a cluster whose first machine has no address yet is the recorded one", async () => {
    const s = (current = stage({ knobs: { neverBoots: () => true } }));
    await applyGolden(s.store);
    await eventually("the VM waits for its guest", async () => {
      const [vm] = (await s.store.list(vsphereVM)).items;
      const provisioned = getCondition(vm?.status?.conditions, "VirtualMachineProvisioned");
      return provisioned?.reason === "WaitingForIPAllocation";
    });
    // Claims on other pools were in the same namespace; Secrets and templates were not recorded at that moment.
    const recorded = (await golden("capi-provisioning")).filter(
      (o) => o.kind !== "IPAddressClaim" || o.metadata.labels,
    );
    const look = async () => [
      ...(await comparable(s.store)).filter(
        (o) => o.kind !== "Secret" && o.kind !== "VSphereMachineTemplate",
      ),
      ...(await s.store.list(ipAddressClaim)).items,
    ];
    const found = await settled(look, normalise(recorded), unplayed.provisioning, 15_000);
    expect(tell(found)).toBe("");
  });

  it("the comparison sees a field that differs, one that is missing, and one too many", async () => {
    const want = await golden("capi-running");
    const got = structuredClone(want);
    const machine = got.find((o) => o.kind === "Machine")!;
    (machine.status as { phase: string }).phase = "Failed";
    delete machine.metadata.finalizers;
    machine.metadata.labels!.extra = "1";
    (machine.spec as { providerID: string }).providerID = "vsphere://00000000-0000-0000-0000-000000000000";
    const paths = differences(normalise(got), normalise(want)).map((d) => d.path);
    expect(paths).toEqual(
      expect.arrayContaining([
        "status.phase",
        "metadata.finalizers",
        "metadata.labels.extra",
        "spec.providerID",
      ]),
    );
    expect(differences(normalise(want), normalise(want))).toEqual([]);
  });
});
