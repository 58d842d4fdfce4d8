// The plane goes away while a cluster is made: provisioning goes on, and the plane hears the whole story afterwards.
import { afterEach, describe, expect, it } from "vitest";
import { spa } from "#proto";
import { openGrpcHub, planeClient, startPlane } from "#plane";
import { join } from "node:path";
import { testDeps, testSite, until, untilState } from "./site.ts";

describe("a plane that is away", { timeout: 240_000 }, () => {
  const closers: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });

  it("is not missed by a cluster in the making, and hears every event afterwards, once each, in order", async () => {
    const end = new AbortController();
    const site = await testSite(end.signal);
    closers.push(() => site.close());
    await site.pairUp();
    const uid = await site.applySample();
    const { store } = site.gateway;
    const theSpa = async () => (await store.list(spa, { namespace: `cluster-${uid}` })).items[0];
    await until("the order has arrived", async () => (await theSpa()) !== undefined);

    const { hostname, port } = new URL(site.plane.url);
    const [tunnelHost = "", tunnelPort = ""] = site.plane.tunnelAddress.split(":");
    await site.plane.close();

    await until(
      "the cluster runs, as the gateway sees it",
      async () => (await theSpa())?.status?.state === "Running",
      120_000,
    );
    const told = await site.gateway.readEvents(uid);

    const lines: string[] = [];
    const deps = testDeps(lines);
    const back = await startPlane(
      {
        dataDir: join(site.folder, "plane"),
        listen: { host: hostname, port: Number(port) },
        tunnelListen: { host: tunnelHost, port: Number(tunnelPort) },
      },
      { clock: deps.clock, random: deps.random, log: deps.log("plane"), openHub: openGrpcHub },
      end.signal,
    );
    closers.push(() => back.close());
    const client = planeClient({ url: back.url, ca: back.caPem, apiKey: site.apiKey });
    closers.push(() => client.close());

    const running = await untilState(client, uid, "Running");
    expect(running.machines.length).toBe(5);
    const fromGateway = async () => {
      const { items } = await client.clusterEvents(uid, { limit: 500 });
      const mine = new Set(told.map((event) => event.id));
      return items.filter((event) => mine.has(event.metadata.uid ?? "")).reverse();
    };
    await until(
      "all events of the gateway have arrived",
      async () => (await fromGateway()).length >= told.length,
    );
    expect((await fromGateway()).map((event) => event.metadata.uid)).toEqual(told.map((event) => event.id));
  });
});
