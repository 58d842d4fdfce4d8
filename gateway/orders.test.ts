import { generateKeyPairSync, sign } from "node:crypto";
import { beforeEach, describe, expect, it } from "vitest";
import { Fault, silentLogger, type OwnedStore } from "#core";
import { memoryStore } from "#core/store/memory-store.ts";
import { fakeClock } from "#core/time/fake-clock.ts";
import { spa, spaSpecSchema, type ClusterEvent, type ClusterStatus, type DesiredCluster } from "#proto";
import type { Message } from "#tunnel";
import { orderHandler } from "./orders.ts";

const keys = generateKeyPairSync("ed25519");
const stranger = generateKeyPairSync("ed25519");
const signingKey = keys.publicKey.export({ type: "spki", format: "pem" }).toString();
const account = {
  type: "vsphere" as const,
  server: "vc.site:443",
  thumbprint: "AA:BB",
  credentialRef: { name: "vcenter" },
};

function desired(changes: Partial<DesiredCluster> = {}, spec: Record<string, unknown> = {}): DesiredCluster {
  return {
    clusterUid: "u1",
    gatewayUid: "gw-1",
    counter: 1,
    spec: spaSpecSchema.parse({
      clusterUid: "u1",
      clusterName: "c1",
      cloud: { type: "vsphere", server: "what-the-plane-thinks", credentialRef: { name: "other" } },
      placement: {
        datacenter: "DC0",
        computeCluster: "C0",
        networkName: "VM Network",
        ipPoolRef: { name: "nodes" },
      },
      kubernetesVersion: "v1.35.4",
      ...spec,
    }),
    ...changes,
  };
}

function message(document: unknown, by = keys): Message {
  const text = JSON.stringify(document);
  const signature = sign(null, Buffer.from(text), by.privateKey).toString("base64");
  return {
    topic: "desired.cluster",
    class: "state",
    key: "u1",
    epoch: "e",
    seq: 7,
    at: 0,
    body: { document: text, signature },
  };
}

describe("orders of the plane", () => {
  let store: OwnedStore;
  let events: ClusterEvent[];
  let statuses: ClusterStatus[];
  let handle: (message: Message) => Promise<void>;

  beforeEach(() => {
    const clock = fakeClock();
    store = memoryStore({ clock });
    events = [];
    statuses = [];
    handle = orderHandler({
      store,
      clock,
      log: silentLogger,
      identity: () => ({ uid: "gw-1", signingKey }),
      account: () => account,
      isForgotten: async () => false,
      publish: { status: async (s) => void statuses.push(s), event: async (e) => void events.push(e) },
    });
  });
  const theSpa = () => store.get(spa, { namespace: "cluster-u1", name: "c1" });

  it("become an SPA, with the site's own vCenter account in place of the plane's idea of it (O5)", async () => {
    await handle(message(desired()));
    expect((await theSpa())?.spec).toMatchObject({ counter: 1, cloud: account });
  });

  it("are refused with another signature, told as an event, and count as received (O1, O3)", async () => {
    await handle(message(desired(), stranger));
    expect(await theSpa()).toBeUndefined();
    expect(events).toMatchObject([
      { reason: "OrderRefused", severity: "Error", clusterUid: "u1", id: "order-e-7" },
    ]);
  });

  it("for another gateway are refused (O1)", async () => {
    await handle(message(desired({ gatewayUid: "gw-2" })));
    expect(await theSpa()).toBeUndefined();
    expect(events[0]?.message).toMatch(/another gateway/);
  });

  it("that are older change nothing (O2)", async () => {
    await handle(message(desired({ counter: 5 }, { kubernetesVersion: "v1.35.5" })));
    await handle(message(desired({ counter: 4 })));
    expect((await theSpa())?.spec).toMatchObject({ counter: 5, kubernetesVersion: "v1.35.5" });
    expect(events).toEqual([]);
  });

  it("to delete what is not here are answered with Deleted (O4)", async () => {
    await handle(message(desired({ counter: 2 }, { action: "Delete" })));
    expect(statuses).toMatchObject([{ clusterUid: "u1", state: "Deleted", observedCounter: 2 }]);
    expect(await theSpa()).toBeUndefined();
  });

  it("come again where the store is away", async () => {
    const broken = {
      ...store,
      get: async () => Promise.reject(new Fault("Unavailable", "the store is away")),
    } as unknown as OwnedStore;
    const clock = fakeClock();
    const again = orderHandler({
      store: broken,
      clock,
      log: silentLogger,
      identity: () => ({ uid: "gw-1", signingKey }),
      account: () => account,
      isForgotten: async () => false,
      publish: { status: async () => {}, event: async (e) => void events.push(e) },
    });
    await expect(again(message(desired()))).rejects.toMatchObject({ code: "Unavailable" });
    expect(events).toEqual([]);
  });
});
