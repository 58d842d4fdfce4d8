// The gateway loses its control plane's store: an older copy is put back, or none. Running clusters do not notice, nobody pairs anew,
// and the store learns from the mirrors what it has forgotten, addresses first.
import { copyFile, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type OwnedStore, Secret } from "#core";
import { kubeStore } from "#core/store/kube-store.ts";
import { clusterApiKinds, inClusterIPPool, ipAddress, ipAddressClaim, secret, spa } from "#proto";
import { openGrpcHub, planeClient, startPlane, type Plane, type PlaneClient } from "#plane";
import type { Datacenter } from "#sandbox";
import { takeSubnet, type Subnet } from "../../cli/demo/subnet.ts";
import { attach, startSandbox } from "../../cli/site.ts";
import { childGateway, type ChildGateway } from "./children.ts";
import { applySample, testAccount, testDeps, until, untilState } from "./site.ts";

describe("a gateway that loses its store", { timeout: 300_000 }, () => {
  const closers: (() => Promise<unknown>)[] = [];
  const lines: string[] = [];
  const deps = testDeps(lines);
  let folder: string;
  let plane: Plane;
  let client: PlaneClient;
  let datacenter: Datacenter;
  let gateway: ChildGateway;
  let store: OwnedStore;
  let subnet: Subnet;
  let detach: () => Promise<void>;
  let uid: string;

  beforeAll(async () => {
    const end = new AbortController();
    const { clock, random } = deps;
    folder = await mkdtemp(join(tmpdir(), "pcg-lost-"));
    closers.push(() => rm(folder, { recursive: true, force: true }));
    subnet = await takeSubnet();
    closers.push(() => subnet.release());
    plane = await startPlane(
      {
        dataDir: join(folder, "plane"),
        listen: { host: "127.0.0.1", port: 0 },
        tunnelListen: { host: "127.0.0.1", port: 0 },
      },
      { clock, log: deps.log("plane"), random, openHub: openGrpcHub },
      end.signal,
    );
    closers.push(() => plane.close());
    client = planeClient({ url: plane.url, ca: plane.caPem, apiKey: plane.apiKey ?? new Secret("") });
    closers.push(() => client.close());
    datacenter = await startSandbox(deps, {
      dataDir: join(folder, "sandbox"),
      listen: "127.0.0.1:0",
      account: testAccount,
    });
    closers.push(() => datacenter.close());
    const { pairingCode } = await client.pairingCode();
    gateway = await childGateway(folder, {
      plane: { url: plane.url, pairingCode, heartbeat: "1s" },
      vcenter: {
        server: datacenter.vcenter.server,
        username: testAccount.username,
        password: testAccount.password.reveal(),
        thumbprint: datacenter.vcenter.thumbprint,
      },
      jet: { quiet: "300ms", watch: "500ms" },
    });
    closers.push(() => gateway.kill());
    await gateway.start();
    detach = await attach(datacenter, gateway.kubeconfigPath, deps);
    closers.push(() => detach());
    await until("the plane knows the vCenter account", async () => (await client.accounts()).length > 0);
    store = await kubeStore(await readFile(gateway.kubeconfigPath, "utf8"), { clock });
    closers.push(() => store.close());
    uid = await applySample({ client, gateway: { store } as never }, subnet);

    // Snapshots: before there is anything of Cluster API, and in the middle of the hand-over, with the credential on the gateway.
    await until("the SPA is there", async () => (await theSpa()) !== undefined);
    await snapshot("early");
    await until("the hand-over has begun", async () => (await theSpa())?.status?.pivot !== undefined);
    await snapshot("in the hand-over");
    await untilState(client, uid, "Running");
    await until("the mirror has all machines", async () => hasWholeMirror(), 90_000);
  }, 240_000);
  afterAll(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });

  const ns = () => ({ namespace: `cluster-${uid}` });
  const theSpa = async () => (await store.list(spa, ns())).items[0];
  const data = (...names: string[]) => join(folder, "gateway", ...names);
  const files = ["store.db", "store.db-wal", "store.db-shm"];

  /** As of a moment at which the gateway is dead: what a snapshot of the store would hold. */
  async function snapshot(name: string): Promise<void> {
    await gateway.kill();
    await mkdir(join(folder, name));
    for (const file of files) await copyFile(data(file), join(folder, name, file)).catch(() => {});
    await gateway.start();
  }

  async function restore(name?: string): Promise<void> {
    await detach();
    await gateway.kill();
    for (const file of files) await rm(data(file), { force: true });
    if (name) for (const file of files) await copyFile(join(folder, name, file), data(file)).catch(() => {});
    await gateway.start();
    detach = await attach(datacenter, gateway.kubeconfigPath, deps); // Cluster API's managers start after it
  }

  /** Whether the gateway has the newest mirror that the agent sent, and that one has five machines: seven objects each. */
  function hasWholeMirror(): boolean {
    const sent = lines.filter((line) => line.includes("sent the mirror"));
    const took = gateway.lines.filter((line) => line.includes("took a mirror"));
    const { objects, sequence } = JSON.parse(sent.at(-1) ?? "{}") as { objects?: number; sequence?: number };
    return (objects ?? 0) > 40 && took.some((line) => line.includes(String(sequence)));
  }

  /** What must be the same before and after. */
  const world = () => ({
    vms: datacenter.vcenter
      .vms()
      .filter((vm) => !vm.template)
      .map(({ name, biosUuid, ipAddress: at, power }) => ({ name, biosUuid, at, power }))
      .sort((a, b) => a.name.localeCompare(b.name)),
    identity: readFile(data("identity.json"), "utf8"),
  });

  const leased = async () => {
    const claims = (await store.list(ipAddressClaim)).items.filter(
      (c) => c.metadata.labels?.["jet.pcg.dev/lease-of"],
    );
    const addresses = (await store.list(ipAddress)).items;
    return claims
      .map((c) => {
        const bound = addresses.find(
          (a) =>
            a.metadata.name === c.status?.addressRef?.name && a.metadata.namespace === c.metadata.namespace,
        );
        return `${c.metadata.name} ${bound?.spec.address}`;
      })
      .sort();
  };

  /** Everything that a cluster that manages itself must not have on the gateway. */
  const leftOnGateway = async () => {
    const found: string[] = [];
    for (const kind of clusterApiKinds)
      for (const object of (await store.list(kind, ns())).items)
        found.push(`${kind.kind}/${object.metadata.name}`);
    for (const object of (await store.list(secret, ns())).items)
      if (object.metadata.name.endsWith("-identity")) found.push(`Secret/${object.metadata.name}`);
    return found;
  };

  async function settled(): Promise<void> {
    await until("the SPA is Running again", async () => (await theSpa())?.status?.state === "Running");
    await until("it hears its agent", async () => {
      const conditions = (await theSpa())?.status?.conditions ?? [];
      return conditions.some((c) => c.type === "Healthy" && c.status === "True");
    });
  }

  it.each(["in the hand-over", "early", undefined])("and gets back: %s", async (name) => {
    const before = { world: world(), leased: await leased() };
    expect(before.leased.length).toBeGreaterThan(5);
    const [pool] = (await store.list(inClusterIPPool, { namespace: "default" })).items;
    await restore(name);
    expect(await leftOnGateway()).toEqual([]);
    if (!name) {
      // An operator's own objects are in no mirror.
      await store.create(inClusterIPPool, {
        metadata: { name: pool!.metadata.name, namespace: "default" },
        spec: pool!.spec,
      });
    }
    await settled();
    expect((await theSpa())?.status).toMatchObject({
      pivot: { direction: "ToWorkload", step: "Done" },
      activeSide: { side: "workload" },
    });
    await until(
      "every lease is bound again",
      async () => !(await leased()).some((l) => l.includes("undefined")),
    );
    expect(await leased()).toEqual(before.leased);
    expect(await leftOnGateway()).toEqual([]);
    expect(world().vms).toEqual(before.world.vms);
    expect(await world().identity).toBe(await before.world.identity);
    expect((await client.clusterStatus(uid)).state).toBe("Running");
  });

  it("and a claim of another cluster gets none of its addresses", async () => {
    const taken = new Set((await leased()).map((line) => line.split(" ")[1]));
    const poolRef = { apiGroup: inClusterIPPool.group, kind: inClusterIPPool.kind, name: "nodes" };
    await store.create(ipAddressClaim, {
      metadata: { name: "other", namespace: "default" },
      spec: { poolRef },
    });
    const address = async () =>
      (await store.get(ipAddress, { namespace: "default", name: "other" }))?.spec.address;
    await until("it has one", async () => (await address()) !== undefined);
    expect(taken.has(await address())).toBe(false);
    await store.delete(ipAddressClaim, { namespace: "default", name: "other" });
  });

  it("and the cluster can still be deleted to the last trace", async () => {
    await client.deleteCluster(uid);
    await untilState(client, uid, "Deleted");
    expect(datacenter.vcenter.vms().filter((vm) => vm.name.startsWith("shop-1"))).toEqual([]);
    await until("all addresses are free", async () => (await store.list(ipAddress)).items.length === 0);
  });

  it("and what was deleted is not brought back by an old copy", async () => {
    await restore("in the hand-over");
    expect((await store.list(spa)).items).toEqual([]);
    expect(await leftOnGateway()).toEqual([]);
    expect((await store.list(ipAddressClaim)).items).toEqual([]);
    expect(datacenter.vcenter.vms().filter((vm) => vm.name.startsWith("shop-1"))).toEqual([]);
  });
});
