import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { silentLogger } from "#core";
import { stage } from "#core/controller/testing.ts";
import { memoryStore } from "#core/store/memory-store.ts";
import { fakeClock } from "#core/time/fake-clock.ts";
import { ipamControllers } from "#ipam";
import {
  cardOn,
  claimOf,
  clusterDraft,
  deploymentDraft,
  sizes,
  templateDraft,
} from "#ipam/growth/testing.ts";
import { cluster, inClusterIPPool, ipAddressClaim, machineDeployment, vsphereMachineTemplate } from "#proto";
import type { VsphereClient } from "#vsphere";
import { addressWork } from "./addresses.ts";

test("the gateway keeps room for what an autoscaler may grow to, and gives it back", async () => {
  const dir = mkdtempSync(join(tmpdir(), "pcg-addresses-"));
  const clock = fakeClock();
  const store = memoryStore({ clock });
  const vcenter = {} as VsphereClient; // nobody asks for a machine that went
  const work = await addressWork({ store, clock, log: silentLogger, random: () => 0.5, vcenter }, dir);
  const { run, stop } = await stage((deps) => [...ipamControllers(deps), ...work.controllers], {
    store,
    clock,
  });
  onTestFinished(async () => {
    await stop();
    await work.close();
    rmSync(dir, { recursive: true, force: true });
  });
  const key = (name: string) => ({ namespace: "c", name });
  const has = async (name: string) =>
    (await store.get(ipAddressClaim, key(name)))?.status?.addressRef !== undefined;

  await store.create(inClusterIPPool, {
    metadata: key("nodes"),
    spec: { addresses: ["10.0.0.10-10.0.0.12"], prefix: 24 },
  });
  for (const name of ["c1", "c2"]) await store.create(cluster, clusterDraft(name));
  await store.create(vsphereMachineTemplate, templateDraft([cardOn("nodes")]));
  await store.create(machineDeployment, deploymentDraft(sizes(0, 1))); // one machine, one more in a roll-out
  await run(5_000);
  for (const name of ["first", "second"]) await store.create(ipAddressClaim, claimOf("c2", name));
  await run(5_000);
  expect([await has("first"), await has("second")]).toEqual([true, false]);

  await store.delete(machineDeployment, key("w"));
  await run(5_000);
  expect(await has("second")).toBe(true);
});
