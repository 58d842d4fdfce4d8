import { beforeEach, describe, expect, it } from "vitest";
import { makeBoxKey, openBox, silentLogger, tokenFor, type OwnedStore } from "#core";
import { memoryStore } from "#core/store/memory-store.ts";
import { fakeClock } from "#core/time/fake-clock.ts";
import {
  cluster,
  configMap,
  desiredStateSchema,
  encode64,
  machine,
  mirrorContext,
  secret,
  spectroCluster,
  unpackMirror,
  type MirrorDocument,
  type MirrorPart,
} from "#proto";
import { keepMirroring, mirrorOnce } from "./mirror.ts";

const ns = "cluster-u1";
const options = { clusterUid: "u1", namespace: ns, version: "1" };
const clock = fakeClock();
const key = makeBoxKey();
const token = tokenFor(key, "u1");
let store: OwnedStore;
let sent: MirrorPart[];

beforeEach(async () => {
  store = memoryStore({ clock });
  sent = [];
  await store.create(cluster, { metadata: { name: "c1", namespace: ns }, spec: {} });
  await store.create(secret, {
    metadata: { name: "c1-ca", namespace: ns, labels: { "cluster.x-k8s.io/cluster-name": "c1" } },
    data: { "tls.key": encode64("very secret") },
  });
  await store.create(secret, {
    metadata: { name: "pcg-agent", namespace: ns, labels: { "jet.pcg.dev/stays": "true" } },
    data: { mirrorKey: encode64(key.publicKey), mirrorToken: encode64(token.reveal()) },
  });
  const desired = desiredStateSchema.parse({
    clusterUid: "u1",
    clusterName: "c1",
    cloud: { type: "vsphere", server: "vc.test" },
    placement: { datacenter: "DC0", computeCluster: "C0", networkName: "n", ipPoolRef: { name: "edge" } },
    kubernetesVersion: "v1.35.4",
  });
  await store.create(spectroCluster, {
    metadata: { name: "c1", namespace: ns },
    spec: { desired, counter: 3 },
  });
});

const decide = async (state: string) => {
  const record = await store.get(configMap, { namespace: ns, name: "pcg-pivot" });
  const draft = { metadata: { name: "pcg-pivot", namespace: ns }, data: { id: "p", epoch: "1", state } };
  await (record ? store.update(configMap, { ...record, data: draft.data }) : store.create(configMap, draft));
};
const deps = () => ({
  store,
  clock,
  log: silentLogger,
  random: () => 0.5,
  outlet: {
    status: async () => {},
    event: async () => {},
    heartbeat: async () => {},
    mirror: async (part: MirrorPart) => void sent.push(part),
  },
});
const once = (told?: { have: string | undefined }) => mirrorOnce(deps(), options, told);

function read(part: MirrorPart): MirrorDocument {
  const box = Buffer.from(part.data, "base64");
  return unpackMirror(openBox(key, token, box, mirrorContext("u1", part.sequence)));
}

describe("the mirror", () => {
  it("is sent by who owns the cluster, sealed, with the wish and all that moves", async () => {
    expect((await once()).kind).not.toBe("sent");
    await decide("Committed");
    expect((await once()).kind).not.toBe("sent");
    await decide("Active");
    expect(await once()).toMatchObject({ objects: 2, parts: 1 });
    expect(JSON.stringify(sent)).not.toContain(encode64("very secret"));
    const document = read(sent[0]!);
    expect(document).toMatchObject({ clusterUid: "u1", counter: 3, decision: { id: "p", epoch: 1 } });
    expect(document.objects.map((o) => `${o.kind}/${o.metadata.name}`).sort()).toEqual([
      "Cluster/c1",
      "Secret/c1-ca",
    ]);
    await decide("Leaving");
    await store.create(machine, { metadata: { name: "m", namespace: ns }, spec: machineSpec });
    expect((await once()).kind).not.toBe("sent");
  });

  it("is sent again when content changed, not when the world moved on, nor after a restart", async () => {
    await decide("Active");
    await once();
    const made = await store.create(machine, { metadata: { name: "m", namespace: ns }, spec: machineSpec });
    expect((await once()).kind).toBe("sent");
    await store.updateStatus(machine, { ...made, status: { phase: "Provisioned" } });
    expect((await once()).kind).not.toBe("sent");
    const now = (await store.get(machine, { namespace: ns, name: "m" }))!;
    await store.updateStatus(machine, { ...now, status: { phase: "Running", nodeRef: { name: "n" } } });
    expect((await once()).kind).toBe("sent");
    expect(sent.map((part) => part.sequence)).toEqual(
      [...sent.map((part) => part.sequence)].sort((a, b) => a - b),
    );
    expect(new Set(sent.map((part) => part.sequence)).size).toBe(3);
  });

  it("is sent again when the gateway lacks it, or has another key", async () => {
    await decide("Active");
    await once();
    const { digest } = read(sent[0]!);
    expect((await once({ have: digest })).kind).toBe("unchanged");
    expect((await once({ have: undefined })).kind).toBe("sent");
    const object = (await store.get(secret, { namespace: ns, name: "pcg-agent" }))!;
    const data = { ...object.data, mirrorKey: encode64(makeBoxKey().publicKey) };
    await store.update(secret, { ...object, data });
    expect((await once()).kind).toBe("sent");
  });

  it("does not count as sent what could not be put on disk, and goes on by itself", async () => {
    await decide("Active");
    let broken = true;
    const flaky = {
      ...deps().outlet,
      mirror: async (part: MirrorPart) => void (broken ? fail() : sent.push(part)),
    };
    const stop = new AbortController();
    const mirroring = keepMirroring({ ...deps(), outlet: flaky }, options, stop.signal);
    await clock.advance(31_000);
    expect((await store.get(spectroCluster, { namespace: ns, name: "c1" }))?.status?.mirror).toBeUndefined();
    broken = false;
    await clock.advance(31_000);
    expect(sent).toHaveLength(1);
    await clock.advance(120_000);
    expect(sent).toHaveLength(1);
    mirroring.wanted(undefined);
    await clock.advance(31_000);
    expect(sent).toHaveLength(2);
    stop.abort();
    await mirroring.stopped;
  });
});

function fail(): never {
  throw new Error("disk full");
}

const machineSpec = {
  clusterName: "c1",
  bootstrap: { dataSecretName: "s" },
  infrastructureRef: { apiGroup: "i", kind: "VSphereMachine", name: "m" },
};
