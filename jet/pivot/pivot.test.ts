import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Fault, type Kind, type ResourceStore } from "#core";
import { cluster, ipAddress, ipAddressClaim, machine, secret, vsphereVM } from "#proto";
import { words } from "#proto/render/names.ts";
import { Crash, Doom } from "../testing/crashing-store.ts";
import { randomFrom } from "../testing/random.ts";
import { runPivot, requestRollBack, pivotStep } from "./engine.ts";
import { activeSide, pivotSteps, placeOf, type Direction } from "./journal.ts";
import { PivotLab } from "./lab.ts";
import { marks } from "./marks.ts";

const never = new AbortController().signal;

/** Runs pivot processes, each fresh, with everybody else acting in between, until it is done. */
async function finish(lab: PivotLab, direction: Direction = "ToWorkload"): Promise<void> {
  for (let tries = 0; tries < 20; tries++) {
    const end = await runPivot(lab.context(direction), never);
    if (end.kind !== "waiting") return;
    await lab.play();
    await lab.clock.advance(1_000);
  }
  throw new Error(`never done: ${JSON.stringify(lab.journal)}`);
}

let lab: PivotLab;
beforeEach(async () => {
  lab = new PivotLab();
  await lab.prepare();
});
afterEach(() => lab.close());

describe("a pivot", () => {
  it("moves everything, and nothing twice", async () => {
    const before = await lab.held(lab.source);
    expect(before).toHaveLength(12);
    await finish(lab);
    expect(await lab.problems(before)).toEqual([]);
    expect(lab.journal).toMatchObject({ step: "Done", sourceFenced: true, objects: { done: 12, total: 12 } });
  });

  it("keeps an address where it was, with its claim and its owner", async () => {
    await finish(lab);
    const [claim] = (await lab.target.list(ipAddressClaim)).items;
    const [address] = (await lab.target.list(ipAddress)).items;
    const [vm] = (await lab.target.list(vsphereVM)).items;
    expect(claim?.status?.addressRef).toEqual({ name: address?.metadata.name });
    expect(address?.spec.address).toBe("10.0.0.11");
    expect(claim?.metadata.ownerReferences?.[0]).toMatchObject({ kind: "VSphereVM", uid: vm?.metadata.uid });
  });

  it("waits until every controller says that it paused", async () => {
    const end = await runPivot(lab.context(), never);
    expect(end).toMatchObject({ kind: "waiting", reason: "NotPausedYet" });
    expect(lab.journal?.step).toBe("PauseSource");
    await lab.play();
    await runPivot(lab.context(), never);
    expect(placeOf(lab.journal!.step)).toBeGreaterThan(placeOf("Commit"));
  });

  it("does not begin while a VM has no BIOS UUID", async () => {
    const [vm] = (await lab.source.list(vsphereVM)).items;
    const { biosUUID: _, ...spec } = vm!.spec;
    await lab.source.update(vsphereVM, { ...vm!, spec: spec as never });
    expect(await runPivot(lab.context(), never)).toMatchObject({
      reason: "VmUnknown",
      object: "VSphereVM/c1-cp-m0",
    });
  });

  it("does not begin while vCenter does not know a VM", async () => {
    lab.dc.vms.clear();
    expect(await runPivot(lab.context(), never)).toMatchObject({ reason: "VmMissing", blocked: true });
  });

  it("touches nothing of a stranger on the other side", async () => {
    await lab.target.create(cluster, { metadata: { name: "c1", namespace: "cluster-u1" }, spec: {} });
    await runPivot(lab.context(), never);
    await lab.play();
    expect(await runPivot(lab.context(), never)).toMatchObject({
      reason: "InTheWay",
      object: "Cluster/c1",
      blocked: true,
    });
    expect((await lab.source.list(cluster)).items[0]?.spec.paused).toBeUndefined();
  });

  it("keeps a pause that a person had made", async () => {
    const [whole] = (await lab.source.list(cluster)).items;
    await lab.source.update(cluster, { ...whole!, spec: { ...whole!.spec, paused: true } });
    await finish(lab);
    expect((await lab.target.list(cluster)).items[0]?.spec.paused).toBe(true);
  });

  it("starts over from a new snapshot when somebody changes the source in between", async () => {
    await runPivot(lab.context(), never);
    await lab.play();
    while (lab.journal!.step !== "Verify") await pivotStep(lab.context(), never);
    const [vm] = (await lab.source.list(machine)).items;
    await lab.source.update(machine, {
      ...vm!,
      metadata: { ...vm!.metadata, labels: { ...vm!.metadata.labels, extra: "1" } },
    });
    await finish(lab);
    expect((await lab.target.list(machine)).items[0]?.metadata.labels?.extra).toBe("1");
  });

  it("can be taken back until it is decided, and not afterwards", async () => {
    const before = await lab.held(lab.source);
    await runPivot(lab.context(), never);
    await lab.play();
    while (lab.journal!.step !== "Verify") await pivotStep(lab.context(), never);
    expect(await lab.held(lab.target)).toEqual(before);
    expect(await requestRollBack(lab.context())).toBe(true);
    expect((await runPivot(lab.context(), never)).kind).toBe("rolledBack");
    expect(await lab.held(lab.target)).toEqual([]);
    expect(await lab.held(lab.source)).toEqual(before);
    const [whole] = (await lab.source.list(cluster)).items;
    expect(whole?.spec.paused).toBeUndefined();
    expect(whole?.metadata.annotations).toEqual({ [marks.takenBack]: "p1" });
    expect(await lab.holdsCredential(lab.source)).toBe(true);

    lab.journal = { ...lab.journal!, step: "Commit" };
    expect(await requestRollBack(lab.context())).toBe(false);
  });

  it("leaves no mark and no secret in what it writes down", async () => {
    await finish(lab);
    const text = JSON.stringify(lab.journal);
    expect(text).not.toContain("password");
    for (const kind of [cluster, machine, vsphereVM, secret] as readonly Kind[]) {
      for (const object of (await lab.target.list(kind)).items) {
        const keys = Object.keys(object.metadata.annotations ?? {});
        expect(keys.filter((k) => k.startsWith("pivot.") || k === words.paused)).toEqual([]);
      }
    }
  });

  it("goes there and back again", async () => {
    const before = await lab.held(lab.source);
    await finish(lab);
    lab.journal = {
      direction: "ToGateway",
      id: "p2",
      epoch: 2,
      step: "PreflightSource",
      stepStartedAt: "2026-01-01T00:00:00Z",
      attempts: 1,
    };
    for (let tries = 0; tries < 20 && lab.journal.step !== "Done"; tries++) {
      const ctx = {
        ...lab.context("ToGateway"),
        source: lab.target as ResourceStore,
        target: lab.source as ResourceStore,
      };
      await runPivot(ctx, never);
      await lab.play();
    }
    expect(lab.journal.step).toBe("Done");
    expect(await lab.held(lab.source)).toEqual(before);
    expect(await lab.held(lab.target)).toEqual([]);
    expect(await lab.holdsCredential(lab.source)).toBe(true);
    expect(lab.dc.made).toBe(1);
  });
});

describe("a pivot whose process dies", () => {
  for (const direction of ["ToWorkload", "ToGateway"] as const) {
    it(`before any one of its writes is finished by the next process (${direction})`, async () => {
      let at = 0;
      for (let died = true; died;) {
        at++;
        const one = new PivotLab();
        await one.prepare();
        one.journal = { ...one.journal!, direction };
        const before = await one.held(one.source);
        const doom = new Doom(at, () => one.checkCredential()); // I1 after every write
        for (let tries = 0; tries < 20 && !doom.dead && one.journal.step !== "Done"; tries++) {
          try {
            await runPivot(one.context(direction, doom), never);
          } catch (error) {
            if (!(error instanceof Crash)) throw error;
          }
          if (!doom.dead) await one.play();
        }
        died = doom.dead;
        await one.checkCredential();
        await one.rogueUnpause(); // whatever anyone un-pauses, one side at most can act
        await finish(one, direction);
        expect(await one.problems(before), `died before write ${at}`).toEqual([]);
        await one.close();
      }
      expect(at).toBeGreaterThan(70);
    }, 60_000);
  }

  it("ends well however often calls fail, before or after they were done", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), async (seed) => {
        const dice = randomFrom(seed);
        const one = new PivotLab();
        await one.prepare();
        const before = await one.held(one.source);
        const shaky = (store: ResourceStore): ResourceStore =>
          new Proxy(store, {
            get(of, key) {
              const method: unknown = Reflect.get(of, key, of);
              if (typeof method !== "function" || key === "watch") return method;
              return async (...args: unknown[]) => {
                const luck = Math.floor(dice() * 100);
                if (luck === 0) throw new Fault("Unavailable", "lost on the way there");
                const answer: unknown = await (method as (...args: unknown[]) => Promise<unknown>).apply(
                  of,
                  args,
                );
                await one.checkCredential();
                if (luck === 1) throw new Fault("TimedOut", "lost on the way back");
                return answer;
              };
            },
          });
        for (let tries = 0; tries < 400 && one.journal!.step !== "Done"; tries++) {
          const ctx = one.context();
          await runPivot({ ...ctx, source: shaky(one.source), target: shaky(one.target) }, never).catch(
            (error: unknown) => {
              if (!(error instanceof Fault)) throw error;
            },
          );
          await one.play();
        }
        expect(await one.problems(before)).toEqual([]);
        await one.close();
      }),
      { numRuns: 15 },
    );
  }, 60_000);
});

describe("which side may act", () => {
  it("follows from the journal alone", () => {
    const table = pivotSteps.map((step) => {
      const journal = {
        direction: "ToWorkload" as const,
        id: "p",
        epoch: 1,
        step,
        stepStartedAt: "",
        attempts: 1,
      };
      return `${step}: ${activeSide(journal)} ${activeSide({ ...journal, direction: "ToGateway" })}`;
    });
    expect(activeSide(undefined)).toBe("gateway");
    expect(table).toEqual([
      "PreflightSource: gateway workload",
      "InstallTarget: gateway workload",
      "PreflightTarget: gateway workload",
      "PauseSource: gateway workload",
      "Quiesce: gateway workload",
      "Snapshot: gateway workload",
      "Create: gateway workload",
      "CarryStatus: gateway workload",
      "Verify: gateway workload",
      "Commit: none none",
      "FenceSource: none none",
      "Resume: none none",
      "Watch: workload gateway",
      "Retire: workload gateway",
      "Done: workload gateway",
    ]);
  });
});
