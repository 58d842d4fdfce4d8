import { describe, expect, it } from "vitest";
import { memoryStore } from "#core/store/memory-store.ts";
import { fakeClock } from "#core/time/fake-clock.ts";
import { secret, secretText, spa, spaSpecSchema, type DesiredCluster } from "#proto";
import { acceptDesired } from "./desired.ts";

const namespace = "cluster-u1";

function desired(counter: number, enrolmentToken?: string): DesiredCluster {
  return {
    clusterUid: "u1",
    gatewayUid: "gw-1",
    counter,
    spec: spaSpecSchema.parse({
      clusterUid: "u1",
      clusterName: "c1",
      cloud: { type: "vsphere", server: "vc", credentialRef: { name: "vcenter" } },
      placement: {
        datacenter: "DC0",
        computeCluster: "C0",
        networkName: "VM Network",
        ipPoolRef: { name: "nodes" },
      },
      kubernetesVersion: "v1.35.4",
      agent: { planeUrl: "https://plane", ...(enrolmentToken ? { enrolmentToken } : {}) },
    }),
  };
}

describe("a desired state of the plane", () => {
  it("leaves the agent's token in a Secret that stays, and never in the SPA", async () => {
    const store = memoryStore({ clock: fakeClock() });
    const token = async () =>
      secretText(await store.get(secret, { namespace, name: "pcg-enrolment" }), "token");
    expect(await acceptDesired(store, desired(1, "once-and-never-again"))).toBe("created");
    expect(await token()).toBe("once-and-never-again");
    expect(await acceptDesired(store, desired(2))).toBe("updated"); // the plane leaves a used token out
    expect(await token()).toBe("once-and-never-again");
    const object = await store.get(spa, { namespace, name: "c1" });
    expect(object?.spec.agent).toEqual({ planeUrl: "https://plane" });
    expect(JSON.stringify(object)).not.toContain("once-and");
    expect((await store.get(secret, { namespace, name: "pcg-enrolment" }))?.metadata.labels).toMatchObject({
      "jet.pcg.dev/stays": "true",
    });
    await store.close();
  });

  it("counts by its counter: the same or an older one changes nothing, deletion of what is gone is gone", async () => {
    const store = memoryStore({ clock: fakeClock() });
    await acceptDesired(store, desired(3));
    expect(await acceptDesired(store, desired(3))).toBe("old");
    expect(await acceptDesired(store, desired(2))).toBe("old");
    const gone = desired(9);
    expect(
      await acceptDesired(store, { ...gone, clusterUid: "u2", spec: { ...gone.spec, action: "Delete" } }),
    ).toBe("gone");
    await store.close();
  });

  it("a cluster that the plane knows to run is not made here, nor called gone, before it is known what became of it", async () => {
    const store = memoryStore({ clock: fakeClock() });
    const order = { ...desired(4), pivoted: true };
    const held = async () =>
      (await store.get(spa, { namespace, name: "c1" }))?.metadata.annotations?.["jet.pcg.dev/held"];
    const toDelete = { ...order, spec: { ...order.spec, action: "Delete" as const } };
    expect(await acceptDesired(store, toDelete, async () => true)).toBe("gone");
    expect(await held()).toBeUndefined();
    expect(await acceptDesired(store, toDelete)).toBe("created");
    expect(await held()).toMatch(/^KnownToPlane: /);
    expect(await acceptDesired(store, toDelete)).toBe("old");
    await store.close();
  });
});
