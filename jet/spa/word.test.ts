// A person's word to a pivot, through the SPA as kubectl would say it; and a cluster's API that falls silent in the middle.
import { afterEach, beforeEach, expect, it } from "vitest";
import { cluster, machine, spa } from "#proto";
import { commandAnnotation } from "../pivot/command.ts";
import { wish, World } from "../testing/world.ts";

let world: World;
beforeEach(async () => {
  world = new World();
  await world.prepare();
  await world.want(wish());
});
afterEach(() => world.close());

const pivot = async () => (await world.spa())?.status?.pivot;
const condition = async () =>
  (await world.spa())?.status?.conditions?.find((c) => c.type === "PivotCompleted");

async function say(word: string): Promise<void> {
  const object = (await world.spa())!;
  const annotations = { ...object.metadata.annotations, [commandAnnotation]: word };
  await world.gateway.update(spa, { ...object, metadata: { ...object.metadata, annotations } });
}

it("rollback takes it back and holds it there; resume lets it begin again", async () => {
  await world.until("paused", async () => (await pivot())?.step === "PauseSource");
  await say("rollback");
  await world.until("taken back", async () => (await pivot())?.step === "RolledBack");
  for (let at = 0; at < 5; at++) await world.round();
  expect((await pivot())?.epoch).toBe(1);
  expect(await condition()).toMatchObject({ reason: "HeldBack" });
  expect((await world.gateway.list(cluster)).items[0]?.spec.paused).toBeUndefined();
  await say("resume");
  await world.untilState("Running");
  expect(await pivot()).toMatchObject({ step: "Done", epoch: 2 });
  expect((await world.spa())?.metadata.annotations?.[commandAnnotation]).toBeUndefined();
  expect(world.dc.made).toBe(1);
});

it("an API that falls silent in mid-pivot is named, and after ten minutes the cluster goes back to the gateway by itself", async () => {
  await world.until("paused", async () => (await pivot())?.step === "PauseSource");
  world.knobs.workloadUp = false;
  await world.until("named", async () => (await condition())?.reason === "TargetUnreachable");
  expect((await condition())?.message).toContain("pcg cluster pivot rollback");
  await world.until("taken back", async () => (await pivot())?.step === "RolledBack", 1_000);
  expect((await world.gateway.list(cluster)).items[0]?.spec.paused).toBeUndefined();
  world.knobs.workloadUp = true;
  await world.untilState("Running");
  expect(world.dc.made).toBe(1);
});

it("a machine too many after the hand-over stops it until a person says to go on", async () => {
  await world.until("watching", async () => (await pivot())?.step === "Watch");
  const [one] = (await world.workload.list(machine)).items;
  const { name: _, uid: _u, resourceVersion: _r, ...metadata } = one!.metadata;
  await world.workload.create(machine, { ...one!, metadata: { ...metadata, name: "too-many" } } as never);
  await world.until("stopped", async () => (await pivot())?.tripped !== undefined);
  expect((await world.workload.list(cluster)).items[0]?.spec.paused).toBe(true);
  await world.until("told", () =>
    world.events.some((e) => e.reason === "MachinesDiffer" && e.severity === "Error"),
  );
  expect((await world.spa())?.status?.lastError?.message).toContain("pcg cluster pivot resume");
  await say("resume");
  await world.untilState("Running");
});
