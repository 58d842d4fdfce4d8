import { afterEach, beforeEach, expect, test } from "vitest";
import { Secret, type Fault } from "#core";
import type { ClusterEvent, ClusterStatus } from "#proto/messages.ts";
import { enrolAgent, pair, verifyDesired } from "#tunnel/identity/index.ts";
import type { PeerIdentity } from "#tunnel/link.ts";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger, systemClock } from "#core";
import { planeClient } from "./client.ts";
import { sampleEntity } from "./samples.ts";
import { testPlane, type TestPlane } from "./testing.ts";

let t: TestPlane;
let folder: string;
let gateway: PeerIdentity;
let signingKey: string;

beforeEach(async () => {
  t = await testPlane();
  folder = await mkdtemp(join(tmpdir(), "pcg-gw-"));
  ({ gateway, signingKey } = await pairedGateway("edge-1"));
  await heartbeat();
});
afterEach(async () => {
  await t.end();
  await rm(folder, { recursive: true, force: true });
});

async function pairedGateway(name: string) {
  const { pairingCode: code } = await t.client.pairingCode();
  const dataDir = join(folder, name);
  const identity = await pair({
    planeUrl: t.plane.url,
    code,
    name,
    dataDir,
    clock: systemClock,
    log: silentLogger,
  });
  const { uid, tenantUid } = identity;
  return {
    gateway: { role: "gateway", uid, tenantUid, serial: "1" } as const,
    signingKey: identity.signingKey,
  };
}
const heartbeat = (from = gateway, more: object = {}) =>
  t.hub.say(from, "heartbeat", {
    at: "2026-01-01T00:00:00Z",
    version: "1.2.3",
    vcenter: { server: "vcenter.example", reachable: true },
    pools: [{ name: "nodes", namespace: "default", free: 40, used: 2 }],
    ...more,
  });
const status = (
  clusterUid: string,
  state: ClusterStatus["state"],
  more: Partial<ClusterStatus> = {},
): ClusterStatus => ({
  clusterUid,
  state,
  pivoted: false,
  conditions: [],
  milestones: [],
  machines: [],
  ...more,
});
const event = (id: string, clusterUid: string, message = id): ClusterEvent => ({
  id,
  at: "2026-01-01T00:00:00Z",
  clusterUid,
  severity: "Info",
  reason: "Test",
  message,
  component: "jet",
});
const agentOf = (uid: string): PeerIdentity => ({
  role: "agent",
  uid,
  tenantUid: gateway.tenantUid,
  serial: "2",
});
const sentTo = (role: string) =>
  t.hub.sent.filter(({ to }) => to.role === role).map(({ draft }) => verifyDesired(draft.body, signingKey));
/** Looks after another round of the plane's watch, which waits on the disk as well as on the clock. */
const watched = async <T>(look: () => Promise<T>) => {
  await t.clock.advance(15_000);
  return look();
};
const failure = async (work: Promise<unknown>) => {
  try {
    await work;
  } catch (error) {
    return error as Fault;
  }
  throw new Error("it did not fail");
};

test("a cluster that is asked for goes to its gateway as one signed document, of class state, keyed by its uid", async () => {
  const uid = await t.client.createCluster(sampleEntity());
  expect(t.hub.sent).toHaveLength(1);
  const [{ to, draft }] = t.hub.sent as [(typeof t.hub.sent)[0]];
  expect({ to, topic: draft.topic, class: draft.class, key: draft.key }).toEqual({
    to: { role: "gateway", uid: gateway.uid },
    topic: "desired.cluster",
    class: "state",
    key: uid,
  });
  const desired = verifyDesired(draft.body, signingKey);
  expect(desired).toMatchObject({ clusterUid: uid, gatewayUid: gateway.uid, counter: 1 });
  expect(desired.spec).toMatchObject({
    action: "Create",
    counter: 1,
    cloud: { server: "vcenter.example" },
    agent: { planeUrl: t.plane.url },
  });
  expect(desired.spec.agent?.enrolmentToken).toMatch(/^[\w-]{43}$/);
  expect(await t.client.cluster(uid)).toMatchObject({
    kind: "SpectroCluster",
    metadata: {
      name: "shop-1",
      uid,
      annotations: { overlordUid: gateway.uid, tenantUid: t.plane.tenantUid, projectUid: t.plane.projectUid },
    },
    status: { state: "Pending" },
  });
});

test("what the link would not take is sent later, and after a restart", async () => {
  t.hub.broken = new Error("disk full");
  const uid = await t.client.createCluster(sampleEntity());
  expect(t.hub.sent).toHaveLength(0);
  t.hub.broken = undefined;
  await expect.poll(() => watched(async () => t.hub.sent.length)).toBe(1);
  t.hub.broken = new Error("again");
  await t.client.setMachinePool(uid, "workers", { poolConfig: { size: 5 } });
  t = await t.restart();
  await expect.poll(() => t.hub.sent.length).toBe(1);
  expect(sentTo("gateway")[0]).toMatchObject({ counter: 2, spec: { workerPools: [{ size: 5 }] } });
});

test("the counter rises with every change, and a change that changes nothing sends nothing", async () => {
  const uid = await t.client.createCluster(sampleEntity());
  await t.client.setMachinePool(uid, "workers", { poolConfig: { size: 4 } });
  await t.client.setMachinePool(uid, "workers", { poolConfig: { size: 4 } });
  await t.client.addMachinePool(uid, { poolConfig: { name: "gpu", size: 1 } });
  await t.client.removeMachinePool(uid, "gpu");
  expect(
    sentTo("gateway").map((d) => [d.counter, d.spec.workerPools.map((p) => `${p.name}:${p.size}`)]),
  ).toEqual([
    [1, ["workers:2"]],
    [2, ["workers:4"]],
    [3, ["workers:4", "gpu:1"]],
    [4, ["workers:4"]],
  ]);
});

test("pool changes are checked like the cluster itself", async () => {
  const uid = await t.client.createCluster(sampleEntity());
  expect(
    (await failure(t.client.setMachinePool(uid, "control-plane", { poolConfig: { size: 2 } }))).message,
  ).toMatch(/1, 3 or 5 machines, not 2/);
  expect(await failure(t.client.setMachinePool(uid, "nope", { poolConfig: { size: 2 } }))).toMatchObject({
    code: "NotFound",
  });
  expect(
    await failure(t.client.addMachinePool(uid, { poolConfig: { name: "workers", size: 2 } })),
  ).toMatchObject({ code: "Conflict" });
  expect((await failure(t.client.removeMachinePool(uid, "control-plane"))).message).toMatch(
    /exactly one pool/,
  );
});

test("status from the gateway, then from the agent after the pivot, shows in the cluster's status", async () => {
  const uid = await t.client.createCluster(sampleEntity());
  const machines = [{ name: "cp-1", role: "control-plane" as const, phase: "Running", ip: "10.0.0.7" }];
  await t.hub.say(gateway, "status.cluster", status(uid, "Provisioning", { machines, observedCounter: 1 }));
  expect(await t.client.clusterStatus(uid)).toMatchObject({
    state: "Provisioning",
    pivoted: false,
    machines,
    counter: 1,
    observedCounter: 1,
  });
  expect(sentTo("agent")).toHaveLength(0);
  await t.hub.say(gateway, "status.cluster", status(uid, "Provisioning", { machines, pivoted: true }));
  expect(sentTo("agent")).toMatchObject([{ clusterUid: uid, counter: 1 }]);
  expect(sentTo("agent")[0]?.spec.agent?.enrolmentToken).toBeUndefined();
  await t.hub.say(
    agentOf(uid),
    "status.cluster",
    status(uid, "Running", { pivoted: true, machines: [...machines, { ...machines[0]!, name: "cp-2" }] }),
  );
  await t.hub.say(agentOf(uid), "heartbeat", { at: "", version: "0.1.0" });
  const now = await t.client.clusterStatus(uid);
  expect(now).toMatchObject({
    state: "Running",
    pivoted: true,
    health: { state: "healthy", agentVersion: "0.1.0" },
  });
  expect(now.machines).toHaveLength(2);
  await t.client.setMachinePool(uid, "workers", { poolConfig: { size: 3 } });
  expect(sentTo("agent").map((d) => d.counter)).toEqual([1, 2]);
  expect(sentTo("gateway").map((d) => d.counter)).toEqual([1, 2]);
});

test("nobody speaks of another's cluster, and what cannot be read is dropped", async () => {
  const uid = await t.client.createCluster(sampleEntity());
  const other = (await pairedGateway("edge-2")).gateway;
  await t.hub.say(other, "status.cluster", status(uid, "Running"));
  await t.hub.say(agentOf("c-other"), "status.cluster", status(uid, "Running"));
  await t.hub.say(other, "event", event("e1", uid));
  await t.hub.say(gateway, "status.cluster", { clusterUid: uid, state: "Exploded" });
  await t.hub.say(gateway, "event", "nonsense");
  expect((await t.client.clusterStatus(uid)).state).toBe("Pending");
  expect((await t.client.clusterEvents(uid)).items.map((e) => e.reason)).toEqual(["ClusterRequested"]);
});

test("an event is stored once however often it comes, in order, newest first, page by page", async () => {
  const uid = await t.client.createCluster(sampleEntity());
  for (const id of ["e1", "e2", "e2", "e3", "e1"]) await t.hub.say(gateway, "event", event(id, uid));
  const all = (await t.client.clusterEvents(uid)).items;
  expect(all.map((e) => e.message).slice(0, 3)).toEqual(["e3", "e2", "e1"]);
  const first = await t.client.clusterEvents(uid, { limit: 2 });
  expect(first.listmeta).toMatchObject({ count: 4, limit: 2 });
  const second = await t.client.clusterEvents(uid, { limit: 2, continue: first.listmeta.continue });
  expect([...first.items, ...second.items]).toEqual(all);
  expect(second.listmeta.continue).toBeUndefined();
  const newer = await t.client.clusterEvents(uid, { after: all[1]!.sequence });
  expect(newer.items.map((e) => e.message)).toEqual(["e3"]);
});

test("the last thousand events of a cluster are kept", async () => {
  const uid = await t.client.createCluster(sampleEntity());
  await Promise.all(Array.from({ length: 1010 }, (_, i) => t.hub.say(gateway, "event", event(`e${i}`, uid))));
  const { listmeta, items } = await t.client.clusterEvents(uid, { limit: 1000 });
  expect(listmeta.count).toBe(1000);
  expect(items.at(-1)?.message).toBe("e10");
});

test("a mirror goes from a cluster's agent to its gateway as it came, and from nobody else to nobody", async () => {
  const uid = await t.client.createCluster(sampleEntity());
  const part = { clusterUid: uid, sequence: 7, part: 0, parts: 1, data: "c2VhbGVk" };
  t.hub.sent.length = 0;
  await t.hub.say(agentOf(uid), "mirror.part", part);
  expect(t.hub.sent).toEqual([
    {
      to: { role: "gateway", uid: gateway.uid },
      draft: { topic: "mirror.part", class: "state", key: `${uid}/0`, body: part },
    },
  ]);
  t.hub.sent.length = 0;
  await t.hub.say(agentOf("c-other"), "mirror.part", part);
  await t.hub.say(gateway, "mirror.part", part);
  await t.hub.say(agentOf(uid), "mirror.part", { ...part, data: 5 });
  expect(t.hub.sent).toEqual([]);
});

test("a gateway that lost its store gets all orders again, and its clusters' agents hear what it has", async () => {
  const uid = await t.client.createCluster(sampleEntity());
  await t.hub.say(gateway, "status.cluster", status(uid, "Running", { pivoted: true }));
  t.hub.sent.length = 0;
  await t.hub.say(gateway, "mirror.wanted", { have: { [uid]: "d1", other: "d2" } });
  expect(t.hub.sent).toEqual([
    {
      to: { role: "agent", uid },
      draft: { topic: "mirror.wanted", class: "state", key: uid, body: { have: { [uid]: "d1" } } },
    },
  ]);
  t.hub.sent.length = 0;
  await t.hub.say(gateway, "mirror.wanted", { have: {}, lost: true });
  const orders = t.hub.sent
    .filter(({ to }) => to.role === "gateway")
    .map(({ draft }) => verifyDesired(draft.body, signingKey));
  expect(orders).toMatchObject([{ clusterUid: uid, pivoted: true }]);
  expect(t.hub.sent.at(-1)?.draft).toMatchObject({ topic: "mirror.wanted", body: { have: {} } });
});

test("deletion is asked of gateway and agent; when the gateway says Deleted the cluster is listed as Deleted for 72 hours", async () => {
  const uid = await t.client.createCluster(sampleEntity());
  await t.hub.say(gateway, "status.cluster", status(uid, "Running", { pivoted: true }));
  await t.client.deleteCluster(uid);
  await t.client.deleteCluster(uid);
  expect(sentTo("gateway").at(-1)).toMatchObject({ counter: 2, spec: { action: "Delete" } });
  expect(sentTo("agent").at(-1)).toMatchObject({ counter: 2, spec: { action: "Delete" } });
  expect((await t.client.clusterStatus(uid)).state).toBe("Deleting");
  expect((await t.client.cluster(uid)).metadata.deletionTimestamp).toBeDefined();
  expect(await failure(t.client.setMachinePool(uid, "workers", { poolConfig: { size: 9 } }))).toMatchObject({
    code: "Conflict",
  });

  await t.hub.say(gateway, "status.cluster", status(uid, "Deleted"));
  expect(await t.client.clusterStatus(uid)).toMatchObject({ state: "Deleted", machines: [] });
  expect(t.hub.cut).toContainEqual({ role: "agent", uid });
  expect(await t.client.createCluster(sampleEntity())).not.toBe(uid); // the name is free again
  await t.clock.advance(71 * 3_600_000);
  expect(await t.client.clusters("shop-1")).toHaveLength(2);
  await t.clock.advance(2 * 3_600_000);
  await expect.poll(() => watched(async () => (await t.client.clusters("shop-1")).length)).toBe(1);
  expect(await failure(t.client.cluster(uid))).toMatchObject({ code: "NotFound" });
});

test("a deletion may be forced, at once or later; the cluster is not forgotten before its gateway is done", async () => {
  const uid = await t.client.createCluster(sampleEntity());
  await t.client.deleteCluster(uid);
  expect(sentTo("gateway").at(-1)).toMatchObject({ counter: 2, spec: { deletePolicy: "Graceful" } });
  await t.client.deleteCluster(uid, { force: true });
  await t.client.deleteCluster(uid, { force: true });
  await t.client.deleteCluster(uid);
  expect(sentTo("gateway").at(-1)).toMatchObject({
    counter: 3,
    spec: { action: "Delete", deletePolicy: "Force" },
  });
  expect((await t.client.clusterStatus(uid)).state).toBe("Deleting");
  await t.hub.say(gateway, "status.cluster", status(uid, "Deleted"));
  expect((await t.client.clusterStatus(uid)).state).toBe("Deleted");
});

test("a gateway that says Deleted of a cluster nobody deleted does not make it vanish", async () => {
  const uid = await t.client.createCluster(sampleEntity());
  await t.hub.say(gateway, "status.cluster", status(uid, "Deleted"));
  await t.client.setMachinePool(uid, "workers", { poolConfig: { size: 3 } });
  expect(sentTo("gateway").at(-1)).toMatchObject({ counter: 2, spec: { action: "Create" } });
});

test("the agent's token enrols exactly one key, again after a lost answer, and never after the cluster is gone", async () => {
  const uid = await t.client.createCluster(sampleEntity());
  const enrolmentToken = new Secret(sentTo("gateway")[0]?.spec.agent?.enrolmentToken ?? "");
  const enrol = (name: string) =>
    enrolAgent({
      planeUrl: t.plane.url,
      enrolmentToken,
      dataDir: join(folder, name),
      clock: systemClock,
      log: silentLogger,
    });
  const identity = await enrol("agent");
  expect(identity).toMatchObject({ role: "agent", uid, tenantUid: gateway.tenantUid });
  expect((await failure(enrol("thief"))).message).toMatch(/^the enrolment token was used at/);
  const good = { role: "agent", uid, tenantUid: gateway.tenantUid } as const;
  const { serialOf } = await import("#tunnel/identity/index.ts");
  expect(await t.hub.options?.allow({ ...good, serial: serialOf(identity.certificate) })).toBe(true);
  await t.client.deleteCluster(uid);
  await t.hub.say(gateway, "status.cluster", status(uid, "Deleted"));
  expect(await t.hub.options?.allow({ ...good, serial: serialOf(identity.certificate) })).toBe(false);
  expect((await failure(enrol("late"))).message).toMatch(/^the enrolment token is unknown/);
});

test("all mistakes in a request come back at once, each with its field", async () => {
  const fault = await failure(
    t.client.createCluster(
      sampleEntity((e) => {
        e.metadata.name = "Not A Name";
        delete e.spec.cloudConfig!.placement!.datacenter;
        e.spec.machinepoolconfig![0]!.poolConfig!.size = 2;
      }),
    ),
  );
  expect(fault.code).toBe("Invalid");
  expect(fault.problems.map((p) => p.field)).toEqual([
    "spec.machinepoolconfig[0].poolConfig.size",
    "spec.cloudConfig.placement.datacenter",
    "metadata.name",
  ]);
  expect(await t.client.clusters()).toEqual([]);
});

test("a gateway that has not reported its vCenter is not given clusters yet", async () => {
  const { gateway: other } = await pairedGateway("edge-2");
  const fault = await failure(t.client.createCluster(sampleEntity(), other.uid));
  expect(fault).toMatchObject({ code: "Unavailable", retryAfterMs: 5000 });
  expect(fault.message).toMatch(/^gateway 'edge-2' has not reported its vCenter account yet/);
  await heartbeat(other);
  await expect(t.client.createCluster(sampleEntity(), other.uid)).resolves.toBeDefined();
});

test("the gateway is chosen by query, annotation or account; with several and no choice the caller is asked", async () => {
  const { gateway: other } = await pairedGateway("edge-2");
  await heartbeat(other, {
    vcenter: { server: "other.example", reachable: false, message: "wrong password" },
  });
  expect((await failure(t.client.createCluster(sampleEntity()))).message).toMatch(
    /say which gateway makes the cluster/,
  );
  const account = (await t.client.accounts()).find(
    (a) => a.metadata.annotations?.["overlordUid"] === other.uid,
  );
  expect(account).toMatchObject({
    spec: { vcenterServer: "other.example" },
    status: { state: "Error", message: "wrong password" },
  });
  const uid = await t.client.createCluster(
    sampleEntity((e) => (e.spec.cloudAccountUid = account?.metadata.uid)),
  );
  expect((await t.client.cluster(uid)).metadata.annotations?.["overlordUid"]).toBe(other.uid);
  const named = sampleEntity(
    (e) => ((e.metadata.name = "b"), (e.metadata.annotations!["overlordUid"] = gateway.uid)),
  );
  expect(
    (await t.client.cluster(await t.client.createCluster(named))).metadata.annotations?.["overlordUid"],
  ).toBe(gateway.uid);
  expect((await failure(t.client.createCluster(sampleEntity(), "nope"))).message).toMatch(
    /there is no private cloud gateway 'nope'/,
  );
});

test("a name is taken once in a project", async () => {
  await t.client.createCluster(sampleEntity());
  expect((await failure(t.client.createCluster(sampleEntity()))).message).toBe(
    "a cluster called 'shop-1' exists already in this project",
  );
});

test("tenants do not see one another's gateways and clusters", async () => {
  const uid = await t.client.createCluster(sampleEntity());
  const { apiKey } = await t.plane.addTenant("other");
  const stranger = planeClient({ url: t.plane.url, apiKey });
  expect(await stranger.overlords()).toEqual([]);
  expect(await stranger.clusters()).toEqual([]);
  for (const call of [
    () => stranger.cluster(uid),
    () => stranger.clusterEvents(uid),
    () => stranger.deleteCluster(uid),
    () => stranger.overlord(gateway.uid),
    () => stranger.revokeOverlord(gateway.uid),
  ]) {
    expect(await failure(call())).toMatchObject({ code: "NotFound" });
  }
  expect((await failure(stranger.createCluster(sampleEntity(), gateway.uid))).message).toMatch(
    /there is no private cloud gateway/,
  );
  await stranger.close();
});

test("a gateway falls silent, is missed after a minute, reported after ten, and welcomed back", async () => {
  const state = async () => (await t.client.overlord(gateway.uid)).status;
  t.hub.connect(gateway);
  expect(await state()).toMatchObject({
    state: "Running",
    isReady: true,
    isActive: true,
    health: { state: "healthy", agentVersion: "1.2.3" },
  });
  await t.clock.advance(59_000);
  expect((await state()).state).toBe("Running");
  await t.clock.advance(1_000);
  expect(await state()).toMatchObject({
    state: "Unreachable",
    isReady: false,
    health: { state: "unhealthy" },
  });
  const reasons = async () => (await t.client.overlordEvents(gateway.uid)).items.map((e) => e.reason);
  await expect.poll(() => watched(reasons)).toContain("HeartbeatMissed");
  await t.clock.advance(10 * 60_000);
  await expect.poll(() => watched(reasons)).toContain("HeartbeatLost");
  await heartbeat();
  expect((await state()).state).toBe("Running");
  expect(await reasons()).toEqual([
    "HeartbeatBack",
    "HeartbeatLost",
    "HeartbeatMissed",
    "HeartbeatSeen",
    "Paired",
  ]);
});

test("a gateway with clusters is not deleted unless forced; then it is cut off, and its clusters can be forgotten", async () => {
  const uid = await t.client.createCluster(sampleEntity());
  expect((await failure(t.client.deleteOverlord(gateway.uid))).message).toMatch(
    /^gateway 'edge-1' still has clusters \(shop-1\)/,
  );
  await t.client.deleteOverlord(gateway.uid, { force: true });
  expect(t.hub.cut).toContainEqual({ role: "gateway", uid: gateway.uid });
  expect(await t.client.overlords()).toEqual([]);
  await t.client.deleteCluster(uid);
  expect((await t.client.clusterStatus(uid)).state).toBe("Deleted");
  expect((await t.client.clusterEvents(uid)).items[0]).toMatchObject({
    severity: "Warn",
    reason: "Forgotten",
  });
});

test("everything is still there after a restart", async () => {
  const uid = await t.client.createCluster(sampleEntity());
  await t.hub.say(
    gateway,
    "status.cluster",
    status(uid, "Running", { machines: [{ name: "m", role: "worker", phase: "Running" }] }),
  );
  await t.hub.say(gateway, "event", event("e1", uid));
  const look = async () => ({
    clusters: await t.client.clusters(),
    status: await t.client.clusterStatus(uid),
    events: await t.client.clusterEvents(uid),
    overlords: await t.client.overlords(),
    pools: await t.client.pools(gateway.uid),
    ca: t.plane.caPem,
    tenant: t.plane.tenantUid,
  });
  const before = await look();
  t = await t.restart();
  expect(await look()).toEqual(before);
  expect(t.plane.apiKey).toBeUndefined();
  await t.hub.say(gateway, "event", event("e1", uid));
  expect(await t.client.clusterEvents(uid)).toEqual(before.events);
  expect(t.hub.sent).toEqual([]);
});

test("a reinstalled gateway that takes its old place is told again what is wanted", async () => {
  const uid = await t.client.createCluster(sampleEntity());
  t.hub.sent.splice(0);
  const { pairingCode: code } = await t.client.pairingCode();
  await t.client.bindPairingCode(gateway.uid, code);
  const again = await pair({
    planeUrl: t.plane.url,
    code,
    dataDir: join(folder, "reinstalled"),
    clock: systemClock,
    log: silentLogger,
  });
  expect(again.uid).toBe(gateway.uid);
  expect(sentTo("gateway")).toMatchObject([{ clusterUid: uid, counter: 1 }]);
});

test("a gateway that lost what it knew is told everything once more on demand", async () => {
  const uid = await t.client.createCluster(sampleEntity());
  await t.hub.say(gateway, "status.cluster", status(uid, "Running", { pivoted: true }));
  t.hub.sent.splice(0);
  await t.client.resyncOverlord(gateway.uid);
  expect(t.hub.sent.map(({ to }) => to)).toEqual([
    { role: "gateway", uid: gateway.uid },
    { role: "agent", uid },
  ]);
  expect(sentTo("gateway")[0]?.counter).toBe(1);
});

test("an agent that falls silent is told of in its cluster's events", async () => {
  const uid = await t.client.createCluster(sampleEntity());
  await t.hub.say(agentOf(uid), "heartbeat", { at: "", version: "0.1.0" });
  await t.clock.advance(60_000);
  const newest = async () => (await t.client.clusterEvents(uid, { limit: 1 })).items[0]?.message;
  await expect
    .poll(() => watched(newest))
    .toMatch(/^the agent of cluster 'shop-1' has sent no heartbeat since/);
  expect((await t.client.clusterStatus(uid)).health.state).toBe("unhealthy");
});

test("who lost the first API key gets another from the plane itself", async () => {
  const other = planeClient({ url: t.plane.url, apiKey: await t.plane.newApiKey("lost") });
  expect(await other.overlords()).toHaveLength(1);
  await other.close();
});

test("a revoked gateway shows as Revoked and its link is cut", async () => {
  await t.client.revokeOverlord(gateway.uid, "lost laptop");
  expect((await t.client.overlord(gateway.uid)).status.state).toBe("Revoked");
  expect(t.hub.cut).toEqual([{ role: "gateway", uid: gateway.uid }]);
});
