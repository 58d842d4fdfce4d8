// A cluster whose API is dead, brought back from its mirror, beside a world that is played by hand.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { configMap, cluster, machine, secret, spa, vsphereVM } from "#proto";
import { clusterNames } from "#proto/render/names.ts";
import { readMembers } from "#proto/render/membership.ts";
import { activeSide } from "../pivot/journal.ts";
import { spaJournal } from "../spa/act-pivot.ts";
import { Crash, crashing, Doom } from "../testing/crashing-store.ts";
import { World } from "../testing/world.ts";
import { reviveFromMirror } from "./revive.ts";
import { mirrorOf, snapshotOf, storeFrom } from "./testing.ts";
import type { Mirrored } from "../ports.ts";
import type { OwnedStore } from "#core";

const never = new AbortController().signal;
const names = clusterNames("u1", "c1");
const here = { namespace: names.namespace };

let world: World;
let mirrored: Mirrored;

beforeEach(async () => {
  world = new World();
  await world.prepare();
  await world.want();
  await world.untilState("Running");
  mirrored = await mirrorOf(world.workload, "u1", "c1", world.clock);
});
afterEach(() => world.close());

const revive = (store: OwnedStore, of = mirrored) =>
  reviveFromMirror(
    { store, journal: spaJournal(store, { ...here, name: "c1" }), clock: world.clock },
    of,
    never,
  );

const text = (o: { kind: string; metadata: { name: string } }) => `${o.kind}/${o.metadata.name}`;

async function problems(store: OwnedStore): Promise<string[]> {
  const found: string[] = [];
  const objects = await readMembers(store, names.namespace, "c1");
  const uids = new Set(objects.map((o) => o.metadata.uid));
  const wanted = new Set(mirrored.objects.map(text));
  for (const o of objects) {
    if (!wanted.delete(text(o))) found.push(`${text(o)} was not in the mirror`);
    for (const ref of o.metadata.ownerReferences ?? [])
      if (!uids.has(ref.uid)) found.push(`${text(o)} has an owner that is not there`);
  }
  for (const missing of wanted) found.push(`${missing} is missing`);
  const whole = await store.get(cluster, { ...here, name: "c1" });
  if (!whole?.spec.paused) found.push("the Cluster is awake");
  if (await store.get(secret, { ...here, name: names.identity })) found.push("the credential is there");
  for (const vm of (await store.list(vsphereVM, here)).items)
    if (!(vm.spec as { biosUUID?: string }).biosUUID) found.push(`${text(vm)} cannot be found in vCenter`);
  for (const one of (await store.list(machine, here)).items)
    if (!one.status?.nodeRef) found.push(`${text(one)} has lost its node`);
  return found;
}

describe("a revival of the objects", { timeout: 120_000 }, () => {
  it("brings every object back, asleep and without the credential, and the gateway owns it from now on", async () => {
    const { objects, epoch } = await revive(world.gateway);
    expect(objects).toBe(mirrored.objects.length);
    expect(epoch).toBe(2);
    expect(await problems(world.gateway)).toEqual([]);
    const journal = (await world.gateway.get(spa, { ...here, name: "c1" }))?.status?.pivot;
    expect(activeSide(journal)).toBe("gateway");
    expect(await revive(world.gateway)).toEqual({ objects, epoch });
    expect((await world.gateway.get(configMap, { ...here, name: "pcg-pivot" }))?.data).toMatchObject({
      epoch: "2",
      state: "Active",
    });
  });

  it("is finished by the next process when one dies at any write", async () => {
    const snapshot = await snapshotOf(world.gateway);
    let died = true;
    for (let at = 1; died; at++) {
      const store = await storeFrom(snapshot, world.clock);
      const doom = new Doom(at);
      await revive(crashing(store, doom)).catch((error: unknown) => {
        if (!(error instanceof Crash)) throw error;
      });
      died = doom.dead;
      await revive(store);
      expect(await problems(store), `died before write ${at}`).toEqual([]);
      await store.close();
    }
  });

  it("starts over from a newer mirror, and leaves what is not its own alone", async () => {
    const store = await storeFrom(await snapshotOf(world.gateway), world.clock);
    await revive(crashing(store, new Doom(6))).catch(() => {});
    await revive(store, { ...mirrored, digest: "another" });
    expect(await problems(store)).toEqual([]);
    await store.close();

    const taken = await storeFrom(await snapshotOf(world.gateway), world.clock);
    await taken.create(cluster, { metadata: { ...here, name: "c1" }, spec: {} });
    await expect(revive(taken)).rejects.toMatchObject({ code: "Conflict" });
    await taken.close();
  });

  it("is deleted by Cluster API on the gateway like any other", async () => {
    world.knobs.workloadUp = false;
    await revive(world.gateway);
    const object = (await world.spa())!;
    await world.gateway.update(spa, { ...object, spec: { ...object.spec, action: "Delete", counter: 2 } });
    await world.untilGone();
    await world.clock.advance(1_000);
    expect(await world.residue()).toEqual([]);
  });
});
