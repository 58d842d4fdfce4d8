// Jet dies, again and again, at places spread over a cluster's whole life; the next Jet carries on. Every n-th write is a place; which
// ones depends on `stride` alone, so that a failure can be run again.
import { expect, it } from "vitest";
import { machine, type Spa } from "#proto";
import { askToRevive, loseObjects, memoryMirrors, mirrorOf } from "../mirror/testing.ts";
import { crashing, Doom } from "../testing/crashing-store.ts";
import { wish, World } from "../testing/world.ts";

const stride = 4;

/** The processes of Jet on a world: each dies before its write number `lives[i]`, the last one lives. */
function live(world: World, doom: Doom): void {
  world.jetStore = crashing(world.gateway, doom);
  world.wrapWorkload = (store) => crashing(store, doom);
  world.restart();
}

function revive(world: World): void {
  world.jetStore = world.gateway;
  world.wrapWorkload = (store) => store;
  world.restart();
}

function isRunning(object: Spa | undefined): boolean {
  return object?.status?.state === "Running" && object.status.pivot?.step === "Done";
}

/** Rounds until Jet is dead or `done`; true when it died. */
async function untilDead(world: World, doom: Doom, done: () => Promise<boolean>): Promise<boolean> {
  for (let at = 0; at < 200 && !doom.dead; at++) {
    if (await done()) return false;
    const after = await world.round().catch(() => 1_000);
    await world.play();
    await world.clock.advance(Math.min(after ?? 1_000, 60_000));
  }
  return doom.dead;
}

it("a gateway that is killed on the way up still brings the cluster to Running, with nothing doubled", async () => {
  let died = true;
  for (let at = 1; died; at += stride) {
    const world = new World();
    await world.prepare();
    await world.want();
    const doom = new Doom(at);
    live(world, doom);
    died = await untilDead(world, doom, async () => (await world.spa())?.status?.state === "Running");
    revive(world);
    await world.untilState("Running");
    expect(world.dc.made, `died before write ${at}`).toBe(1);
    expect((await world.workload.list(machine)).items).toHaveLength(1);
    expect(await world.residue()).not.toContain("Cluster/c1");
    const said = world.events.map((event) => event.id);
    expect(new Set(said).size).toBe(said.length);
    await world.close();
  }
}, 240_000);

it("a gateway that is killed while it revives a cluster still hands it over again, with nothing doubled", async () => {
  let died = true;
  for (let at = 1; died; at += 2 * stride) {
    const world = new World();
    world.mirrors = memoryMirrors();
    await world.prepare();
    await world.want();
    await world.untilState("Running");
    await world.addWorkers();
    const vms = [...world.dc.vms.keys()].sort();
    await world.mirrors.keep(await mirrorOf(world.workload, "u1", "c1", world.clock));
    await loseObjects(world.workload, "u1");
    await askToRevive(world.gateway, "u1", "c1");
    const isBack = async () =>
      (await world.spa())?.status?.pivot?.epoch === 3 && isRunning(await world.spa());
    const doom = new Doom(at);
    live(world, doom);
    died = await untilDead(world, doom, isBack);
    revive(world);
    await world.until("is handed over again", isBack);
    expect([...world.dc.vms.keys()].sort(), `died before write ${at}`).toEqual(vms);
    expect(world.dc.made).toBe(3);
    expect((await world.workload.list(machine)).items).toHaveLength(3);
    expect(await world.residue()).not.toContain("Cluster/c1");
    await world.close();
  }
}, 240_000);

it("a gateway that is killed on the way down still leaves nothing behind", async () => {
  let died = true;
  for (let at = 1; died; at += stride) {
    const world = new World();
    await world.prepare();
    await world.want();
    await world.untilState("Running");
    await world.want(wish({ action: "Delete", counter: 2 }));
    const doom = new Doom(at);
    live(world, doom);
    died = await untilDead(world, doom, async () => (await world.spa()) === undefined);
    revive(world);
    await world.untilGone();
    await world.clock.advance(1_000);
    expect(await world.residue(), `died before write ${at}`).toEqual([]);
    expect(world.statuses.at(-1)?.state).toBe("Deleted");
    await world.close();
  }
}, 240_000);
