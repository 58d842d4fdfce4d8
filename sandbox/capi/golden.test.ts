// What the played controllers write, held against what the real ones wrote, field by field.
import { afterEach, describe, expect, it } from "vitest";
import { getCondition, type Resource } from "#core";
import { ipAddressClaim, vsphereVM } from "#proto";
import { golden } from "#test/golden/read.ts";
import { differences, except, normalise, tell, type Exception } from "./compare.ts";
import { unplayed } from "./unplayed.ts";
import { applyGolden, eventually, everything, machinesIn, stage, type Stage } from "./testing.ts";

let current: Stage | undefined;
afterEach(async () => {
  await current?.end();
  current = undefined;
});

async function recorded(
  ...files: ("capi-running" | "capi-provisioning" | "capi-secrets")[]
): Promise<Resource[]> {
  const objects = (await Promise.all(files.map((file) => golden(file)))).flat();
  // Claims on other pools and the like were in the same namespace; KubeadmConfigTemplates were not recorded.
  return objects.filter((o) => !(o.kind === "IPAddressClaim" && !o.metadata.labels));
}

async function played(store: Stage["store"]): Promise<Resource[]> {
  return (await everything(store)).filter((o) => o.kind !== "KubeadmConfigTemplate");
}

async function settledDifferences(
  look: () => Promise<Resource[]>,
  want: readonly Resource[],
  exceptions: readonly Exception[],
) {
  const wanted = normalise(want);
  let all = differences(normalise(await look()), wanted);
  const open = () => except(all, exceptions);
  await eventually(
    "nothing differs",
    async () => {
      all = differences(normalise(await look()), wanted);
      return open().length === 0;
    },
    4_000,
  ).catch(() => {});
  // An exception that hides nothing is a mistake too.
  const idle = exceptions.filter((e) => except(all, [e]).length === all.length);
  expect(idle).toEqual([]);
  return open();
}

describe("against the golden objects", { timeout: 60_000 }, () => {
  it("a running cluster is the recorded one in every field", async () => {
    const s = (current = stage({ knobs: { bareNodes: true } }));
    await applyGolden(s.store);
    await machinesIn(s.store, "Running", 3);
    const want = await recorded("capi-running", "capi-secrets");
    const found = await settledDifferences(() => played(s.store), want, unplayed.running);
    expect(tell(found)).toBe("");
  });

  it("a cluster whose first machine has no address yet is the recorded one", async () => {
    const s = (current = stage({ knobs: { neverBoots: () => true } }));
    await applyGolden(s.store);
    await eventually("the VM waits for its guest", async () => {
      const [vm] = (await s.store.list(vsphereVM)).items;
      return (
        getCondition(vm?.status?.conditions, "VirtualMachineProvisioned")?.reason === "WaitingForIPAllocation"
      );
    });
    const want = await recorded("capi-provisioning");
    const look = async () => {
      const claims = (await s.store.list(ipAddressClaim)).items;
      return [
        ...(await played(s.store)).filter((o) => o.kind !== "Secret" && o.kind !== "VSphereMachineTemplate"),
        ...claims,
      ];
    };
    const found = await settledDifferences(look, want, unplayed.provisioning);
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
