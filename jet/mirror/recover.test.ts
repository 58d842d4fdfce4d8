// A gateway whose store was restored: from every moment of a cluster's way up, with and without a mirror, and a process that dies on the
// way back. The running cluster must not notice.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { silentLogger, type OwnedStore } from "#core";
import { clusterApiKinds, ipAddress, ipAddressClaim, secret, spa } from "#proto";
import { words } from "#proto/render/names.ts";
import { Crash, crashing, Doom } from "../testing/crashing-store.ts";
import { wish, World } from "../testing/world.ts";
import { tick, type LineageShelf } from "./lineage.ts";
import { fenceAfterRestore, recoverClusters, type RecoveryDeps } from "./recover.ts";
import { memoryLineage, memoryMirrors, mirrorOf, snapshotOf, storeFrom, type Snapshot } from "./testing.ts";
import type { Mirrors } from "../ports.ts";

const never = new AbortController().signal;
const ns = "cluster-u1";

let world: World;
let mirrors: Mirrors;
let lineage: LineageShelf;
/** The gateway's store after each write of Jet's on the way up, oldest first. */
let snapshots: { readonly at: string; readonly of: Snapshot }[];

beforeEach(async () => {
  world = new World();
  mirrors = memoryMirrors();
  lineage = memoryLineage();
  snapshots = [];
  await world.prepare();
  await tick(world.gateway, lineage, "pcg-system");
  const watched = new Doom(Infinity, async () => {
    const { state, pivot } = (await world.spa())?.status ?? {};
    const at = pivot ? `pivot ${pivot.step}` : `${state}`;
    snapshots.push({ at: `${snapshots.length} ${at}`, of: await snapshotOf(world.gateway) });
  });
  world.jetStore = crashing(world.gateway, watched);
  world.restart();
  await world.want();
  await world.untilState("Running");
  world.jetStore = world.gateway;
  world.restart();
  await tick(world.gateway, lineage, "pcg-system");
});
afterEach(() => world.close());

function deps(store: OwnedStore): RecoveryDeps {
  const { workloads, clock } = world.deps();
  return { store, mirrors, workloads, clock, log: silentLogger, lineage, cloud: () => wish().cloud };
}

async function mirror(): Promise<void> {
  await mirrors.keep(await mirrorOf(world.workload, "u1", "c1", world.clock));
}

const moment = (at: string) => snapshots.find((one) => one.at.endsWith(at))!;

const identityIn = (store: OwnedStore) => store.get(secret, { namespace: ns, name: "c1-identity" });

async function leased(store: OwnedStore): Promise<string[]> {
  const claims = (await store.list(ipAddressClaim)).items.filter((c) => c.metadata.labels?.[words.leaseOf]);
  const addresses = (await store.list(ipAddress)).items;
  return claims
    .map(
      (c) => `${c.metadata.name} ${addresses.find((a) => a.metadata.name === c.metadata.name)?.spec.address}`,
    )
    .sort();
}

async function objectsIn(store: OwnedStore): Promise<string[]> {
  const found: string[] = [];
  for (const kind of clusterApiKinds)
    for (const o of (await store.list(kind, { namespace: ns })).items)
      found.push(`${kind.kind}/${o.metadata.name}`);
  return found;
}

/** Jet goes on over this store. */
function goOn(store: OwnedStore): void {
  Object.assign(world, { gateway: store, jetStore: store });
  world.restart();
}

const held = async (store: OwnedStore) =>
  (await store.list(spa)).items[0]?.metadata.annotations?.[words.held];

describe("a store that was restored", { timeout: 120_000 }, () => {
  it("from any moment, with a mirror, knows again that the cluster manages itself", async () => {
    await mirror();
    const before = await leased(world.gateway);
    expect(before.length).toBeGreaterThan(3);
    expect(snapshots.length).toBeGreaterThan(60);
    for (const { at, of } of [...snapshots, { at: "empty", of: [] }]) {
      lineage = memoryLineage(99);
      const store = await storeFrom(of, world.clock);
      await fenceAfterRestore(deps(store), async () => {}, never);
      expect(await identityIn(store), at).toBeUndefined();
      expect(await objectsIn(store), at).toEqual([]);
      await recoverClusters(deps(store), never);
      const [object] = (await store.list(spa)).items;
      expect(object?.status, at).toMatchObject({
        pivot: { direction: "ToWorkload", step: "Done", epoch: 1 },
        activeSide: { side: "workload", epoch: 1 },
      });
      const { agent: _agent, ...wanted } = (await world.spa())!.spec;
      expect(object?.spec, at).toMatchObject(wanted);
      expect(await leased(store), at).toEqual(before);
      expect(await held(store), at).toBeUndefined();
      expect(await recoverClusters(deps(store), never), "twice is once").toEqual([]);
      await store.close();
    }
  });

  it("goes on as if nothing had been: no machine made, deletion to the last trace", async () => {
    await mirror();
    const { of } = moment("pivot Create");
    lineage = memoryLineage(99);
    const store = await storeFrom(of, world.clock);
    await recoverClusters(deps(store), never);
    goOn(store);
    for (let round = 0; round < 10; round++) {
      await world.round();
      await world.play();
      await world.clock.advance(1_000);
    }
    expect((await world.spa())?.status?.state).toBe("Running");
    expect(await objectsIn(store)).toEqual([]);
    expect(world.dc.made).toBe(1);
    await world.want(wish({ action: "Delete", counter: 2 }));
    await world.untilGone();
    await world.clock.advance(1_000);
    expect(await world.residue()).toEqual([]);
  });

  it("is brought back by the next process when one dies at any write, and never lets the credential be on both sides", async () => {
    await mirror();
    const before = await leased(world.gateway);
    for (const { of } of [
      moment("pivot Create"),
      moment("pivot PreflightSource"),
      snapshots[1]!,
      { of: [] },
    ]) {
      let died = true;
      for (let at = 1; died; at++) {
        lineage = memoryLineage(99);
        const store = await storeFrom(of, world.clock);
        let fenced = false;
        const doom = new Doom(at, async () => {
          const both = (await identityIn(store)) !== undefined;
          if (fenced && both) throw new Error(`the credential is back after write ${doom.writes}`);
          fenced ||= !both;
        });
        try {
          const doomed = deps(crashing(store, doom));
          await fenceAfterRestore(doomed, async () => {}, never);
          await recoverClusters(doomed, never);
        } catch (error) {
          if (!(error instanceof Crash)) throw error;
        }
        died = doom.dead;
        await fenceAfterRestore(deps(store), async () => {}, never);
        await recoverClusters(deps(store), never);
        expect(await objectsIn(store), `died before write ${at}`).toEqual([]);
        expect(await identityIn(store)).toBeUndefined();
        expect(await leased(store), `died before write ${at}`).toEqual(before);
        expect(await held(store)).toBeUndefined();
        expect((await store.list(spa)).items[0]?.status?.pivot?.step).toBe("Done");
        await store.close();
      }
    }
  });

  it("without a mirror asks the cluster itself; a silent one is held, untouched, until it answers", async () => {
    for (const step of ["PreflightSource", "InstallTarget", "PauseSource", "Create", "Verify"]) {
      const { at, of } = moment(`pivot ${step}`);
      mirrors = memoryMirrors();
      lineage = memoryLineage(99);
      const asked = await storeFrom(of, world.clock);
      await recoverClusters(deps(asked), never);
      expect((await asked.list(spa)).items[0]?.status?.pivot?.step, at).toBe("Done");
      expect(await objectsIn(asked), at).toEqual([]);
      await asked.close();

      lineage = memoryLineage(99);
      world.knobs.workloadUp = false;
      const silent = await storeFrom(of, world.clock);
      const objects = await objectsIn(silent);
      await fenceAfterRestore(deps(silent), async () => {}, never);
      await recoverClusters(deps(silent), never);
      expect(await held(silent), at).toMatch(/^OwnerUnknown: /);
      expect(await identityIn(silent), at).toBeUndefined();
      expect(await objectsIn(silent), at).toEqual(objects);

      goOn(silent);
      await world.round();
      expect((await world.spa())?.status?.conditions).toContainEqual(
        expect.objectContaining({ type: "AdoptionRequired", status: "True", reason: "OwnerUnknown" }),
      );
      expect(await identityIn(silent), at).toBeUndefined();
      world.knobs.workloadUp = true;
      world.deps = ((base) => () => ({ ...base.call(world), mirrors }))(World.prototype.deps);
      world.restart();
      await world.until(
        "Running",
        async () => (await world.spa())?.status?.state === "Running" && !(await held(silent)),
      );
      await world.round();
      expect(await objectsIn(silent), at).toEqual([]);
      expect(world.dc.made, at).toBe(1);
      expect((await world.spa())?.status?.conditions).toContainEqual(
        expect.objectContaining({ type: "AdoptionRequired", status: "False" }),
      );
      await silent.close();
    }
  });

  it("of a cluster in the making asks a person, and goes on at his word", async () => {
    const { of } = snapshots[1]!;
    lineage = memoryLineage(99);
    world.knobs.workloadUp = false;
    const store = await storeFrom(of, world.clock);
    await recoverClusters(deps(store), never);
    expect(await held(store)).toMatch(/^MadeMeanwhile: /);
    const object = (await store.list(spa)).items[0]!;
    await store.update(spa, {
      ...object,
      metadata: {
        ...object.metadata,
        annotations: { ...object.metadata.annotations, [words.adopt]: "gateway" },
      },
    });
    await recoverClusters(deps(store), never);
    expect(await held(store)).toBeUndefined();
    await store.close();
  });

  it("does not bring a deleted cluster back, and frees what it had", async () => {
    await mirror();
    await mirrors.forget("u1");
    for (const { at, of } of snapshots) {
      lineage = memoryLineage(99);
      const store = await storeFrom(of, world.clock);
      await fenceAfterRestore(deps(store), async () => {}, never);
      await recoverClusters(deps(store), never);
      expect((await store.list(spa)).items, at).toEqual([]);
      expect(await objectsIn(store), at).toEqual([]);
      expect(await leased(store), at).toEqual([]);
      await store.close();
    }
  });

  it("takes no address from another who has it by now: a person is told which", async () => {
    await mirror();
    const [, address] = (await leased(world.gateway))[2]!.split(" ");
    lineage = memoryLineage(99);
    const store = await storeFrom([], world.clock);
    const rival = { namespace: "default", name: "rival" };
    const poolRef = { apiGroup: "ipam.cluster.x-k8s.io", kind: "InClusterIPPool", name: "edge" };
    await store.create(ipAddressClaim, { metadata: rival, spec: { poolRef } });
    await store.create(ipAddress, {
      metadata: rival,
      spec: { address: address!, prefix: 24, claimRef: { name: "rival" }, poolRef },
    } as never);
    await recoverClusters(deps(store), never);
    expect(await held(store)).toMatch(
      new RegExp(`^AddressTaken: .*${address} of pool default/edge is held by claim default/rival`),
    );
    await store.delete(ipAddressClaim, rival);
    await store.delete(ipAddress, rival);
    await recoverClusters(deps(store), never);
    expect(await held(store)).toBeUndefined();
    expect((await leased(store)).some((line) => line.endsWith(` ${address}`))).toBe(true);
    await store.close();
  });

  it("an ordinary restart changes nothing, at any moment", async () => {
    for (const { at, of } of snapshots) {
      const store = await storeFrom(of, world.clock);
      lineage = memoryLineage(0);
      const text = async () => JSON.stringify((await snapshotOf(store)).map(({ object }) => object));
      const before = await text();
      expect(await fenceAfterRestore(deps(store), async () => {}, never), at).toEqual([]);
      if (!/Commit|FenceSource|Resume/.test(at)) expect(await text(), at).toBe(before);
      await store.close();
    }
  });
});
