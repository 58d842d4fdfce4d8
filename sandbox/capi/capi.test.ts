import { afterEach, describe, expect, it } from "vitest";
import { cluster, isControlPlaneInitialized, machine } from "#proto";
import { applyGolden, eventually, stage, type Stage } from "./testing.ts";

let current: Stage | undefined;
afterEach(async () => {
  await current?.end();
  current = undefined;
});

const key = { namespace: "cluster-1", name: "c1" };

describe("CAPI and CAPV, played", () => {
  it("the golden cluster comes to Running with one control plane and two workers", async () => {
    const s = (current = stage());
    await applyGolden(s.store);
    await eventually("all machines Running", async () => {
      const { items } = await s.store.list(machine, { namespace: "cluster-1" });
      return items.length === 3 && items.every((m) => m.status?.phase === "Running");
    });
    const c = await s.store.get(cluster, key);
    expect(isControlPlaneInitialized(c!)).toBe(true);
  });
});
