// The whole conversation over the real link: gRPC with mutual TLS on loopback, certificates from pairing, databases on disk.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Secret, silentLogger, systemClock } from "#core";
import { desiredClusterTopic, type DesiredCluster } from "#proto/messages.ts";
import { grpcDial, openLink, type Link } from "#tunnel";
import { enrolAgent, pair, verifyDesired, type Identity } from "#tunnel/identity/index.ts";
import { planeClient, type PlaneClient } from "./client.ts";
import { sampleEntity } from "./samples.ts";
import { startPlane, type Plane } from "./start.ts";

let folder: string;
let plane: Plane;
let client: PlaneClient;
let apiKey: Secret;
const links: Link[] = [];
const deps = { clock: systemClock, log: silentLogger, random: Math.random };
const stop = new AbortController();

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "pcg-link-"));
  await start();
});
afterEach(async () => {
  await Promise.all(links.splice(0).map((link) => link.close()));
  await client.close();
  await plane.close();
  await rm(folder, { recursive: true, force: true });
});

async function start(port = 0, tunnelPort = 0) {
  const at = (p: number) => ({ host: "127.0.0.1", port: p });
  plane = await startPlane(
    { dataDir: join(folder, "plane"), listen: at(port), tunnelListen: at(tunnelPort) },
    deps,
    stop.signal,
  );
  apiKey = plane.apiKey ?? apiKey;
  client = planeClient({ url: plane.url, ca: plane.caPem, apiKey });
}
async function gateway(name: string) {
  const { pairingCode: code } = await client.pairingCode();
  return pair({ planeUrl: plane.url, code, name, dataDir: join(folder, name), ...deps });
}
async function dial(identity: Identity, name: string) {
  const { role, uid, tenantUid, certificate: cert, privateKey: key, ca, tunnel: address } = identity;
  const link = await openLink(
    {
      ...deps,
      database: join(folder, `${name}.db`),
      dial: grpcDial({ address, credentials: async () => ({ cert, key, ca }) }),
    },
    { identity: { role, uid, tenantUid }, retry: { baseMs: 20, capMs: 100 } },
    stop.signal,
  );
  links.push(link);
  const desired: DesiredCluster[] = [];
  link.handle(
    desiredClusterTopic,
    async (message) => void desired.push(verifyDesired(message.body, identity.signingKey)),
  );
  return { link, desired };
}
const beat = (link: Link) =>
  link.publish({
    topic: "heartbeat",
    class: "state",
    key: "gateway",
    body: { at: "", version: "1", vcenter: { server: "vc.example", reachable: true } },
  });
const until = { timeout: 10_000, interval: 20 };

test("from a typed code to a cluster that an enrolled agent speaks for, and to its end", async () => {
  const identity = await gateway("edge");
  const { link, desired } = await dial(identity, "edge");
  await beat(link);
  await expect
    .poll(async () => (await client.overlord(identity.uid)).status, until)
    .toMatchObject({ state: "Running", isReady: true, isActive: true });

  const uid = await client.createCluster(sampleEntity());
  await expect.poll(() => desired.map((d) => d.counter), until).toEqual([1]);
  const { agent } = desired[0]!.spec;
  const token = new Secret(agent?.enrolmentToken ?? "");
  const agentIdentity = await enrolAgent({
    planeUrl: agent?.planeUrl ?? "",
    ca: agent?.planeCa,
    enrolmentToken: token,
    dataDir: join(folder, "agent"),
    ...deps,
  });
  const second = await dial(agentIdentity, "agent");
  const status = { clusterUid: uid, pivoted: true, conditions: [], milestones: [], machines: [] };
  await link.publish({
    topic: "status.cluster",
    class: "state",
    key: uid,
    body: { ...status, state: "Provisioning" },
  });
  await expect.poll(() => second.desired.map((d) => d.clusterUid), until).toEqual([uid]);
  await second.link.publish({
    topic: "status.cluster",
    class: "state",
    key: uid,
    body: { ...status, state: "Running" },
  });
  await expect.poll(async () => (await client.clusterStatus(uid)).state, until).toBe("Running");

  await client.deleteCluster(uid);
  await expect.poll(() => desired.map((d) => d.spec.action), until).toEqual(["Create", "Delete"]);
  await link.publish({
    topic: "status.cluster",
    class: "state",
    key: uid,
    body: { ...status, pivoted: false, state: "Deleted" },
  });
  await expect.poll(async () => (await client.clusterStatus(uid)).state, until).toBe("Deleted");
  await expect.poll(() => second.link.state.kind, until).toBe("refused");
});

test("a revoked gateway is cut off and stays out; its neighbour does not notice", async () => {
  const [one, two] = [await gateway("one"), await gateway("two")];
  const [first, second] = [await dial(one, "one"), await dial(two, "two")];
  await expect
    .poll(() => [first.link.state.kind, second.link.state.kind], until)
    .toEqual(["connected", "connected"]);
  await client.revokeOverlord(one.uid, "stolen");
  await expect.poll(() => first.link.state.kind, until).toBe("refused");
  expect(second.link.state.kind).toBe("connected");
});

test("events sent while the plane was away, and lost its outbox, arrive after its return: all, once, in order", async () => {
  const identity = await gateway("edge");
  const { link, desired } = await dial(identity, "edge");
  await beat(link);
  await expect.poll(async () => (await client.overlord(identity.uid)).status.isReady, until).toBe(true);
  const uid = await client.createCluster(sampleEntity());
  const [port, tunnelPort] = [Number(new URL(plane.url).port), Number(plane.tunnelAddress.split(":")[1])];
  const event = (n: number) => ({
    id: `e${n}`,
    at: "",
    clusterUid: uid,
    severity: "Info",
    reason: "R",
    message: `event ${n}`,
    component: "jet",
  });
  const send = (n: number) => link.publish({ topic: "event", class: "event", key: uid, body: event(n) });
  await send(0);
  await client.close();
  await plane.close();
  await rm(join(folder, "plane", "link.db")); // whatever it held is sent again
  for (let n = 1; n < 50; n++) await send(n);
  await start(port, tunnelPort);
  const heard = async () =>
    (await client.clusterEvents(uid, { limit: 100 })).items
      .map((e) => e.message)
      .filter((m) => m.startsWith("event"))
      .toReversed();
  await expect.poll(async () => (await heard()).length, until).toBe(50);
  await expect.poll(() => desired.map((d) => d.counter), until).toEqual([1, 1]);
  expect(await heard()).toEqual(Array.from({ length: 50 }, (_, n) => `event ${n}`));
});
