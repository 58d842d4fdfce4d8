import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { Fault, openDatabase, Secret, silentLogger, systemClock, type OwnedStore } from "#core";
import { runControllers } from "#core/controller/runner.ts";
import { memoryStore } from "#core/store/memory-store.ts";
import { serveStore } from "#core/store/serve.ts";
import {
  historyControllers,
  historyFile,
  historyMigration,
  ipamControllers,
  metal3Controllers,
  sqliteHistory,
} from "#ipam";
import { allKinds, inClusterIPPool, ipAddressClaim, metal3IPPool } from "#proto";
import type { World } from "../world.ts";
import { ipClaims, ipExplain, ipPools } from "./ip.ts";
import { ipImport, ipPlan, ipRelease } from "./ip-change.ts";
import { ipHistory } from "./ip-history.ts";

const dir = mkdtempSync(join(tmpdir(), "pcg-ip-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** A gateway's API with its address controllers, spoken to as `pcg ip --kubeconfig` does. */
describe("pcg ip", () => {
  const closers: (() => Promise<unknown>)[] = [];
  const stop: AbortController[] = [];
  let store: OwnedStore;
  let lines: string[];
  let world: World;
  const options = { context: "none", kubeconfig: join(dir, "kubeconfig"), output: "table" as const };

  beforeEach(async () => {
    store = memoryStore({ clock: systemClock });
    const served = await serveStore(store, {
      kinds: allKinds,
      listen: { host: "127.0.0.1", port: 0 },
      token: new Secret("token"),
      log: silentLogger,
      clock: systemClock,
    });
    writeFileSync(
      options.kubeconfig,
      JSON.stringify({
        clusters: [{ name: "x", cluster: { server: served.url } }],
        users: [{ name: "x", user: { token: "token" } }],
        contexts: [{ name: "x", context: { cluster: "x", user: "x" } }],
        "current-context": "x",
      }),
    );
    const database = await openDatabase(join(dir, historyFile), { migrations: [historyMigration] });
    const deps = { store, clock: systemClock, log: silentLogger, random: Math.random };
    const abort = new AbortController();
    stop.push(abort);
    const controllers = [
      ...ipamControllers(deps),
      ...metal3Controllers(deps),
      ...historyControllers({ ...deps, shelf: sqliteHistory(database) }),
    ];
    const running = runControllers(deps, controllers, abort.signal);
    await running.ready;
    closers.push(
      () => running.stopped,
      () => served.close(),
      () => store.close(),
      () => database.close(),
    );
    lines = [];
    world = {
      clock: systemClock,
      signal: new AbortController().signal,
      output: {
        interactive: false,
        line: (text = "") => void lines.push(...text.split("\n")),
        note: () => {},
        style: (_: string, text: string) => text,
      },
    } as unknown as World;
    await store.create(inClusterIPPool, {
      metadata: { namespace: "default", name: "nodes" },
      spec: { addresses: ["10.0.0.10-10.0.0.12"], prefix: 24, gateway: "10.0.0.1" },
    });
    await store.create(metal3IPPool, {
      metadata: { namespace: "default", name: "m3" },
      spec: { namePrefix: "m3", allocationStrategy: "sequential", pools: [{ subnet: "10.9.0.0/29" }] },
    });
  });
  afterEach(async () => {
    for (const abort of stop.splice(0)) abort.abort();
    for (const close of closers.splice(0)) await close();
  });

  it("says what to do where nothing answers", async () => {
    const kubeconfig = written("away", readFileSync(options.kubeconfig, "utf8").replace(/:\d+"/, ':1"'));
    await expect(ipPools(world, { ...options, kubeconfig })).rejects.toMatchObject({
      code: "Unavailable",
      message: expect.stringMatching(
        /listing .* at http:\/\/127\.0\.0\.1:1: .*ECONNREFUSED.*; does the server that .*away names run/,
      ) as string,
    });
  });

  const claim = (name: string) =>
    store.create(ipAddressClaim, {
      metadata: { namespace: "default", name },
      spec: { poolRef: { apiGroup: "ipam.cluster.x-k8s.io", kind: "InClusterIPPool", name: "nodes" } },
    });
  const until = async (holds: () => Promise<boolean>) => {
    for (const end = Date.now() + 5_000; !(await holds());) {
      if (Date.now() > end) throw new Error("not in 5 s");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  const squeezed = () => lines.map((line) => line.replace(/ {2,}/g, " | ").trimEnd());
  const written = (name: string, text: string) => {
    writeFileSync(join(dir, name), text);
    return join(dir, name);
  };

  it("pools, claims and explain, for people and for programs", async () => {
    await claim("a");
    await until(
      async () =>
        (await store.get(ipAddressClaim, { namespace: "default", name: "a" }))?.status?.addressRef !==
        undefined,
    );
    await ipPools(world, options);
    expect(squeezed()).toEqual([
      "NAMESPACE | NAME | KIND | TOTAL | USED | FREE | WAITING | STATE",
      "default | nodes | InClusterIPPool | 3 | 1 | 2 | 0 | ok",
      "default | m3 | IPPool | 6 | 0 | 6 | 0 | ok",
    ]);
    lines.length = 0;
    await ipClaims(world, { ...options, output: "json" });
    expect(JSON.parse(lines.join("\n"))).toMatchObject({
      items: [
        { kind: "IPAddressClaim", name: "a", state: "bound", address: "10.0.0.10", pool: { name: "nodes" } },
      ],
    });
    lines.length = 0;
    await ipExplain(world, "a", options);
    expect(lines[0]).toBe("IPAddressClaim default/a has 10.0.0.10 from InClusterIPPool default/nodes");
    await expect(ipExplain(world, "aa", options)).rejects.toThrow(/no claim aa; did you mean a\?/);
  });

  it("import, then release, then the history of both", async () => {
    const table = written("in-use.csv", "address,name\n10.0.0.11,db\n10.0.0.99,far\n");
    await expect(ipImport(world, { ...options, pool: "nodes", filename: table })).rejects.toThrow(
      /1 of 2 addresses were not imported/,
    );
    expect(squeezed()).toEqual([
      "ADDRESS | CLAIM | CLUSTER | FROM",
      "10.0.0.11 | db | | line 2".replace("| |", "|"),
      "not imported, line 3: InClusterIPPool default/nodes does not give out 10.0.0.99; add it to the pool first",
      "1 of 1 imported",
    ]);
    lines.length = 0;
    await ipRelease(world, "10.0.0.11", options);
    expect(lines).toEqual([
      "IPAddressClaim default/db is deleted, 10.0.0.11 goes back to InClusterIPPool default/nodes",
    ]);
    const history = { ...options, data: dir };
    await until(async () => {
      lines.length = 0;
      await ipHistory(world, "10.0.0.11", history);
      return lines.length === 3;
    });
    expect(lines.map((line) => line.split(/ {2,}/).slice(1, 5).join(" "))).toEqual([
      "EVENT ADDRESS CLAIM POOL",
      "given 10.0.0.11 default/db InClusterIPPool default/nodes",
      "released 10.0.0.11 default/db InClusterIPPool default/nodes",
    ]);
    lines.length = 0;
    await ipHistory(world, "10.0.0.11", { ...history, at: "2020-01-01T00:00:00Z" });
    expect(lines).toEqual(["nobody had 10.0.0.11 at 2020-01-01T00:00:00Z"]);
  });

  it("plan says what an edit brings, and fails where it would be refused", async () => {
    await claim("a");
    await until(
      async () =>
        (await store.get(ipAddressClaim, { namespace: "default", name: "a" }))?.status?.addressRef !==
        undefined,
    );
    const pool = (addresses: string) =>
      written(
        "pool.yaml",
        `apiVersion: ipam.cluster.x-k8s.io/v1alpha2\nkind: InClusterIPPool\nmetadata: { name: nodes }\nspec: { addresses: [${addresses}], prefix: 24, gateway: 10.0.0.1 }\n`,
      );
    await ipPlan(world, [pool("10.0.0.10-10.0.0.20")], options);
    expect(lines).toEqual([
      "InClusterIPPool default/nodes: can be changed so",
      "  gives out in addition: 10.0.0.13-10.0.0.20",
      "  then 11 addresses, 10 of them free",
    ]);
    await expect(ipPlan(world, [pool("10.0.0.11-10.0.0.20")], options)).rejects.toThrow(
      /InClusterIPPool default\/nodes would be refused/,
    );
    await expect(ipPlan(world, [join(dir, "none.yaml")], options)).rejects.toBeInstanceOf(Fault);
  });

  it("says what is wrong with what it is given", async () => {
    await expect(ipImport(world, { ...options, pool: "nodes" })).rejects.toThrow(
      /one of -f FILE, --from-kubeconfig FILE and --from-vcenter/,
    );
    const table = written("bad.csv", "ip\n10.0.0.11\n");
    await expect(ipImport(world, { ...options, pool: "nodes", filename: table })).rejects.toMatchObject({
      code: "Invalid",
    });
    const good = written("good.csv", "address\n10.0.0.11\n");
    await expect(ipImport(world, { ...options, pool: "nodez", filename: good })).rejects.toThrow(
      /there are: InClusterIPPool\/nodes, IPPool\/m3/,
    );
    await expect(ipRelease(world, "10.0.0.12", options)).rejects.toThrow(/nobody holds 10.0.0.12/);
    await expect(ipPools(world, { ...options, kubeconfig: join(dir, "missing") })).rejects.toThrow(
      /--kubeconfig .*missing cannot be read/,
    );
    await expect(ipHistory(world, "10.0.0.1", { ...options, data: join(dir, "nowhere") })).rejects.toThrow(
      /name it with --data/,
    );
    await expect(ipHistory(world, "10.0.0.1", { ...options, at: "yesterday" })).rejects.toThrow(
      /--at yesterday/,
    );
  });
});
