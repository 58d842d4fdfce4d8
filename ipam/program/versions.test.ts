// The controllers on a server that knows claims, addresses and clusters in v1beta1 only: a store that keeps them under that version.
import { expect, test } from "vitest";
import {
  Fault,
  runControllers,
  silentLogger,
  type Kind,
  type OwnedStore,
  type Resource,
  type ResourceStore,
} from "#core";
import { memoryStore } from "#core/store/memory-store.ts";
import { fakeClock } from "#core/time/fake-clock.ts";
import { inClusterIPPool, ipAddress, ipAddressClaim } from "#proto";
import { ipamControllers } from "../index.ts";
import { claimDraft, poolDraft } from "../testing.ts";
import { servedKinds } from "./parts.ts";
import { speaking } from "./versions.ts";

/** A server that has no v1beta2 of anything. */
function old(inner: OwnedStore): ResourceStore {
  const check = (kind: Kind) => {
    if (kind.version === "v1beta2" || kind.group.endsWith("metal3.io"))
      throw new Fault("NotFound", `the server does not know ${kind.plural} in ${kind.version}`);
  };
  const checked = <K>(kind: K): K => (check(kind as Kind), kind);
  return {
    get: async (kind, key) => inner.get(checked(kind), key),
    list: async (kind, options) => inner.list(checked(kind), options),
    create: async (kind, draft) => inner.create(checked(kind), draft),
    update: async (kind, object) => inner.update(checked(kind), object),
    updateStatus: async (kind, object) => inner.updateStatus(checked(kind), object),
    delete: async (kind, key, options) => inner.delete(checked(kind), key, options),
    watch: (kind, options, signal) => inner.watch(checked(kind), options, signal),
  };
}

test("claims in v1beta1 are served; owners and conditions are what such a server knows", async () => {
  const clock = fakeClock();
  const inner = memoryStore({ clock });
  const server = old(inner);
  const served = await servedKinds(server);
  expect(served.older.get("ipam.cluster.x-k8s.io/IPAddressClaim")).toBe("v1beta1");
  expect(served.kinds.some(({ kind }) => kind === "IPPool")).toBe(false);

  const store = speaking(server, served.older);
  const stop = new AbortController();
  const deps = { store, clock, log: silentLogger, random: () => 0 };
  const running = runControllers(deps, ipamControllers(deps), stop.signal);
  await running.ready;
  await inner.create(inClusterIPPool, poolDraft());
  const claims = { ...ipAddressClaim, version: "v1beta1" };
  await inner.create(claims, claimDraft("a"));
  for (let turn = 0; turn < 200; turn++) await clock.advance(1);

  const claim = (await inner.get(claims, { namespace: "c", name: "a" })) as Resource & { status?: unknown };
  expect(claim.status).toMatchObject({
    addressRef: { name: "a" },
    v1beta2: { conditions: [{ type: "Ready", status: "True" }] },
  });
  const address = await inner.get({ ...ipAddress, version: "v1beta1" }, { namespace: "c", name: "a" });
  expect(address?.metadata.ownerReferences?.map(({ apiVersion }) => apiVersion)).toEqual([
    "ipam.cluster.x-k8s.io/v1beta1",
    "ipam.cluster.x-k8s.io/v1alpha2",
  ]);
  stop.abort();
  await clock.advance(2_000);
  await running.stopped;
  await inner.close();
});
