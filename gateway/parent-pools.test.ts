import { expect, onTestFinished, test } from "vitest";
import { stage } from "#core/controller/testing.ts";
import { IpamGauges, ipamControllers } from "#ipam";
import { inClusterIPPool, ipAddressClaim } from "#proto";
import { parentPools } from "./parent-pools.ts";

const key = (name: string) => ({ namespace: "default", name });

test("Jet hears of a pool without what rests in this process, and when that ends", async () => {
  const gauges = new IpamGauges();
  const { store, clock, quiet, stop } = await stage((deps) => ipamControllers({ ...deps, gauges }));
  onTestFinished(stop);
  const pools = parentPools(store, clock, gauges);
  const room = (name: string) => pools.room({ kind: "InClusterIPPool", ...key(name) });
  const pool = (name: string, addresses: string[]) =>
    store.create(inClusterIPPool, {
      metadata: { ...key(name), annotations: { "ipam.pcg.dev/quarantine": "10m" } },
      spec: { addresses, prefix: 24 },
    });
  await pool("nodes", ["10.0.0.10-10.0.0.13"]);
  await pool("unread", ["nonsense"]);
  const { group: apiGroup, kind } = inClusterIPPool;
  await store.create(ipAddressClaim, {
    metadata: key("a"),
    spec: { poolRef: { apiGroup, kind, name: "nodes" } },
  });
  await quiet();
  expect(await room("nodes")).toEqual({ total: 4, free: 3, kept: 0, resting: 0, later: [] });
  await store.delete(ipAddressClaim, key("a"));
  await quiet();
  const later = [clock.now() + 600_000];
  expect(await room("nodes")).toEqual({ total: 4, free: 3, kept: 0, resting: 1, later });
  expect(await room("unread")).toEqual({ total: 0, free: 0 });
  expect(await room("absent")).toBeUndefined();
});
