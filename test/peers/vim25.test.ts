// The vim25 client's suite on vcsim, govmomi's simulated vCenter; and what it left there, seen by govc.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { makeVcsimTemplate, vcsimFacts, vim25Contract } from "#vsphere/contract.ts";
import { startVcsim, type Vcsim } from "./harness/vsphere.ts";

const dir = mkdtempSync(join(tmpdir(), "pcg-peers-"));
let vcsim: Vcsim | undefined;

afterAll(async () => {
  await vcsim?.stop();
  rmSync(dir, { recursive: true, force: true });
});

vim25Contract("vcsim", async () => {
  vcsim = await startVcsim({ dir });
  const { user, password, thumbprint } = vcsim;
  const under = { server: new URL(vcsim.url).host, username: user, password, thumbprint };
  await makeVcsimTemplate(under);
  return { ...under, facts: vcsimFacts, close: async () => {} };
});

describe("afterwards, seen by govc", () => {
  it("the template is a template, and of the suite's machines nothing is left", async () => {
    const machines = (await vcsim!.govc(["find", "/DC0/vm", "-type", "m"])).trim().split("\n");
    expect(machines).toContain(`/DC0/vm/${vcsimFacts.template}`);
    expect(machines.filter((name) => name.includes("contract-"))).toEqual([]);
    const info = JSON.parse(await vcsim!.govc(["vm.info", "-json", vcsimFacts.template])) as {
      virtualMachines: { config: { template: boolean } }[];
    };
    expect(info.virtualMachines[0]?.config.template).toBe(true);
  });

  it("govc with a wrong password is refused, so the password means something", async () => {
    const wrong = vcsim!.govc(["ls"], { GOVC_PASSWORD: "wrong" });
    await expect(wrong).rejects.toThrow(/Login failure/);
  });
});
