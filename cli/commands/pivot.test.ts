import { beforeEach, expect, it } from "vitest";
import { Fault, type OwnedStore } from "#core";
import { memoryStore } from "#core/store/memory-store.ts";
import { fakeClock } from "#core/time/fake-clock.ts";
import { spa, spaSpecSchema, type SpaStatus } from "#proto";
import type { PivotCommand } from "#jet";
import { clusterNamed, pivotText, sayToPivot, whereJournalLies } from "./pivot.ts";

const spec = spaSpecSchema.parse({
  clusterUid: "u1",
  clusterName: "shop-1",
  cloud: { type: "vsphere", server: "vc", credentialRef: { name: "lab" } },
  placement: { datacenter: "DC0", computeCluster: "C0", networkName: "n", staticIp: false },
  kubernetesVersion: "v1.35.4",
});
const journal = {
  direction: "ToWorkload" as const,
  id: "ab12",
  epoch: 1,
  step: "Create",
  stepStartedAt: "2026-01-01T00:00:00Z",
  attempts: 1,
};

let store: OwnedStore;
beforeEach(async () => {
  store = memoryStore({ clock: fakeClock() });
  await store.create(spa, { metadata: { name: "shop-1", namespace: "cluster-u1" }, spec });
});

async function standing(status: SpaStatus) {
  const object = await clusterNamed(store, "shop-1");
  await store.updateStatus(spa, { ...object, status });
  return clusterNamed(store, "u1");
}

it("shows where a hand-over stands, what it waits for, and whether it can be taken back", async () => {
  const tally = { count: 1, digest: "d" };
  const object = await standing({
    pivot: {
      ...journal,
      round: 1,
      snapshotDigest: "0123456789abcdef0123",
      objects: { done: 3, total: 12 },
      census: { machines: tally, vms: tally, addresses: tally },
    },
    conditions: [
      {
        type: "PivotCompleted",
        status: "False",
        reason: "TargetUnreachable",
        message: "the new side's API does not answer",
        lastTransitionTime: "2026-01-01T00:00:00Z",
      },
    ],
  });
  expect(pivotText(object)).toMatchInlineSnapshot(`
    "cluster             shop-1 (u1)
    stands at           to the cluster: copying objects (step 7 of 14)
    since               2026-01-01T00:00:00Z
    waits for           TargetUnreachable: the new side's API does not answer
    can be taken back   yes
    pivot               ab12, epoch 1
    objects             3 of 12
    snapshot            0123456789abcdef… (the 1. taken)
    census              1 machines, 1 VMs, 1 addresses"
  `);
});

it("says a word where it can come to something, and why not where it cannot", async () => {
  const say = async (status: SpaStatus, word: PivotCommand) =>
    sayToPivot(store, await standing(status), word);
  await expect(say({ pivot: { ...journal, step: "Resume" } }, "rollback")).rejects.toThrow(
    "can only go forward",
  );
  await expect(say({ pivot: { ...journal, step: "Done" } }, "rollback")).rejects.toThrow("handed over");
  await expect(say({ pivot: { ...journal, step: "Done" } }, "resume")).rejects.toThrow(
    "no hand-over of shop-1",
  );
  await expect(say({ pivot: journal }, "resume-without-source")).rejects.toThrow(
    "pcg cluster pivot rollback shop-1",
  );
  expect(await say({ pivot: journal }, "rollback")).toContain("is taken back");
  expect((await clusterNamed(store, "u1")).metadata.annotations).toEqual({ "jet.pcg.dev/pivot": "rollback" });
  expect(await say({ pivot: { ...journal, step: "RolledBack" } }, "resume")).toContain("goes on");
  await expect(say({ pivot: journal }, "revive")).rejects.toThrow("does not manage itself");
  expect(await say({ pivot: { ...journal, step: "Done" } }, "revive")).toContain("from its mirror");
  expect((await clusterNamed(store, "u1")).metadata.annotations).toEqual({ "jet.pcg.dev/pivot": "revive" });
  await expect(clusterNamed(store, "shop-2")).rejects.toThrow("there are: shop-1 (u1)");
});

it("says what a gateway's API that does not answer means for a hand-over, and what to do", () => {
  const away = whereJournalLies(new Fault("Unavailable", "listing spas: connect ECONNREFUSED")) as Fault;
  expect(away.code).toBe("Unavailable");
  expect(away.message).toContain("goes on by itself when that API is back");
  expect(away.message).toContain("connect ECONNREFUSED");
  const other = new Fault("NotFound", "the gateway has no cluster x");
  expect(whereJournalLies(other)).toBe(other);
});
