// What a pivot does when the world does not hold still: cuts, late processes, tasks in flight, a machine too many, a person's word.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Fault, isFault, type Resource, type ResourceStore } from "#core";
import { cluster, configMap, kubeadmControlPlane, machine, secret, vsphereVM } from "#proto";
import { words } from "#proto/render/names.ts";
import { pivotStep, requestResume, requestRollBack, runPivot, type Advance } from "./engine.ts";
import { moved, placeOf, type PivotStep } from "./journal.ts";
import { readClosure, strayOwners } from "./closure.ts";
import { copyOf } from "./copies.ts";
import { PivotLab } from "./lab.ts";
import { steps } from "./steps.ts";
import type { PivotContext } from "./step.ts";

const never = new AbortController().signal;
let lab: PivotLab;
beforeEach(async () => {
  lab = new PivotLab();
  await lab.prepare();
});
afterEach(() => lab.close());

async function until(step: PivotStep, ctx = () => lab.context()): Promise<void> {
  for (let tries = 0; tries < 60 && lab.journal!.step !== step; tries++) {
    await pivotStep(ctx(), never);
    await lab.play();
  }
  expect(lab.journal!.step).toBe(step);
}

async function finish(ctx = () => lab.context()): Promise<Advance> {
  let end: Advance | undefined;
  for (let tries = 0; tries < 20; tries++) {
    end = await runPivot(ctx(), never);
    if (end.kind !== "waiting" || end.blocked) return end;
    await lab.play();
    await lab.clock.advance(1_000);
  }
  return end!;
}

/** A store that nobody answers for. */
const cut: ResourceStore = new Proxy({} as ResourceStore, {
  get: () => () => Promise.reject(new Fault("Unavailable", "connection refused")),
});

const one = async () => (await lab.source.list(machine)).items[0]!;
const whole = async (store: ResourceStore) => (await store.list(cluster)).items[0];

describe("a snapshot", () => {
  it("is all that the copies are made of: the source may be gone", async () => {
    await until("Create");
    const blind = (): PivotContext => ({ ...lab.context(), source: cut });
    for (const step of ["CarryStatus", "Verify", "Commit"] as const) {
      await pivotStep(blind(), never);
      expect(lab.journal!.step).toBe(step);
    }
    expect(await pivotStep(blind(), never)).toMatchObject({ kind: "waiting", reason: "SourceUnreachable" });
    expect((await finish()).kind).toBe("done");
  });

  it("that is not there any more is taken anew", async () => {
    await until("Create");
    await lab.snapshots.drop("u1");
    expect((await finish()).kind).toBe("done");
    expect(lab.journal!.round).toBe(2);
  });

  it("tells which owners do not move; the copies do without them", async () => {
    const { members } = await readClosure(lab.source, "cluster-u1", "c1");
    const stranger = { apiVersion: "x/v1", kind: "Stranger", name: "s", uid: "no-such-uid" };
    const [odd] = members.filter((m) => m.kind === machine);
    const owned = { ...odd!.object.metadata, ownerReferences: [stranger] };
    const member = { kind: machine, object: { ...odd!.object, metadata: owned } };
    expect(strayOwners([...members.filter((m) => m !== odd), member])).toEqual([
      "Machine/c1-cp-m0: owner Stranger/s",
    ]);
    expect(copyOf(member, new Map(), lab.journal!, "cluster-u1").metadata.ownerReferences).toBeUndefined();
  });
});

describe("a side that does not answer", () => {
  const targetCut = (): PivotContext => ({ ...lab.context(), target: cut });

  it("before the pause changes nothing", async () => {
    await until("PreflightTarget");
    expect(await runPivot(targetCut(), never)).toMatchObject({
      kind: "waiting",
      reason: "TargetUnreachable",
      message: expect.stringContaining("nothing has been changed yet") as string,
    });
    expect((await whole(lab.source))?.spec.paused).toBeUndefined();
  });

  for (const step of ["Create", "CarryStatus", "Verify"] as const) {
    it(`at ${step} for a short while is waited for, for long takes the pivot back`, async () => {
      await until(step);
      expect(await runPivot(targetCut(), never)).toMatchObject({ reason: "TargetUnreachable" });
      await lab.clock.advance(700_000);
      expect((await runPivot(targetCut(), never)).kind).toBe("rolledBack");
      expect((await whole(lab.source))?.spec.paused).toBeUndefined();
      expect(await lab.holdsCredential(lab.source)).toBe(true);
    });
  }

  for (const step of ["Commit", "FenceSource", "Resume", "Watch", "Retire"] as const) {
    it(`at ${step} is waited for by name for ever, and finished when it answers`, async () => {
      const before = await lab.held(lab.source);
      await until(step);
      const sides: Partial<PivotContext>[] = [
        { target: cut },
        ...(step === "Watch" ? [] : [{ source: cut }]),
      ];
      for (const side of sides) {
        const lone = () => ({ ...lab.context(), ...side });
        if (step === "FenceSource" && side.target) continue; // asks the source alone
        expect(await runPivot(lone(), never)).toMatchObject({
          kind: "waiting",
          reason: side.target ? "TargetUnreachable" : "SourceUnreachable",
          message: expect.stringContaining("bring") as string,
        });
        await lab.clock.advance(7_000_000);
        expect((await runPivot(lone(), never)).kind).toBe("waiting");
      }
      expect((await finish()).kind).toBe("done");
      expect(await lab.problems(before)).toEqual([]);
    });
  }

  it("and is gone for good with the source: a person says so, and the pivot goes on", async () => {
    await until("FenceSource");
    const lone = (): PivotContext => ({ ...lab.context(), source: cut });
    expect(await runPivot(lone(), never)).toMatchObject({
      message: expect.stringContaining("pcg cluster pivot resume --source-lost") as string,
    });
    await requestResume(lone());
    expect((await runPivot(lone(), never)).kind).toBe("waiting");
    await requestResume(lone(), { sourceLost: true });
    expect((await finish(lone)).kind).toBe("done");
    expect(await lab.holdsCredential(lab.target)).toBe(true);
    expect((await lab.target.list(machine)).items).toHaveLength(1);
  });

  it("cannot be declared lost before the decision", async () => {
    await until("Verify");
    await requestResume(lab.context(), { sourceLost: true });
    expect(lab.journal!.sourceLost).toBeUndefined();
  });
});

describe("a task of vCenter under way", () => {
  it("is waited for before the pause; found after it, the source is woken until it ends", async () => {
    const [vm] = (await lab.source.list(vsphereVM)).items;
    const busy = { ...vm!, status: { ...vm!.status, taskRef: "task-7" } };
    await lab.source.updateStatus(vsphereVM, busy as never);
    expect(await runPivot(lab.context(), never)).toMatchObject({ reason: "TaskRunning" });
    expect(lab.journal!.step).toBe("PreflightSource");

    lab.journal = moved(lab.journal!, "PauseSource", 0);
    await pivotStep(lab.context(), never);
    await lab.play();
    expect((await whole(lab.source))?.spec.paused).toBe(true);
    await until("PreflightSource");
    expect((await whole(lab.source))?.spec.paused).toBeUndefined();
    const [now] = (await lab.source.list(vsphereVM)).items;
    const { taskRef: _, ...status } = now!.status!;
    await lab.source.updateStatus(vsphereVM, { ...now!, status });
    expect((await finish()).kind).toBe("done");
  });
});

describe("a process that is late", () => {
  /** Runs a step up to its n-th write, lets `meanwhile` happen there, and the rest of it afterwards. */
  async function late(step: PivotStep, meanwhile: () => Promise<void>, at = 1): Promise<unknown> {
    const journal = lab.journal!;
    let writes = 0;
    const slow = (store: ResourceStore): ResourceStore =>
      new Proxy(store, {
        get(of, key) {
          const method: unknown = Reflect.get(of, key, of);
          if (typeof method !== "function") return method;
          return async (...args: unknown[]) => {
            const isWrite = ["create", "update", "updateStatus", "delete"].includes(String(key));
            if (isWrite && ++writes === at) await meanwhile();
            return (method as (...args: unknown[]) => Promise<unknown>).apply(of, args);
          };
        },
      });
    const ctx = { ...lab.context(), source: slow(lab.source), target: slow(lab.target), parallel: 1 };
    return steps[step as keyof typeof steps](ctx, journal, never).catch((error: unknown) => error);
  }

  it("does not pause a cluster that was taken back meanwhile", async () => {
    await until("PauseSource");
    await late("PauseSource", async () => {
      await requestRollBack(lab.context());
      expect((await runPivot(lab.context(), never)).kind).toBe("rolledBack");
    });
    expect((await whole(lab.source))?.spec.paused).toBeUndefined();
  });

  it("does not give the credential to a side that has lost it again", async () => {
    for (const at of [1, 2]) {
      const second = new PivotLab();
      await second.prepare();
      lab = second;
      await until("Resume");
      const outcome = await late(
        "Resume",
        async () => {
          expect((await finish()).kind).toBe("done");
          // and back again, as far as the other side's Resume
          lab.journal = {
            ...moved(lab.journal!, "PreflightSource", 0),
            direction: "ToGateway",
            id: "p2",
            epoch: 2,
          };
          const back = (): PivotContext => ({
            ...lab.context("ToGateway"),
            source: lab.target,
            target: lab.source,
          });
          expect((await finish(back)).kind).toBe("done");
        },
        at,
      );
      // Before its first write it finds the fence gone; before its second, that what it read is no more.
      expect(at === 1 ? outcome : isFault(outcome)).toEqual(
        at === 1 ? expect.objectContaining({ kind: "back", to: "FenceSource" }) : true,
      );
      await lab.checkCredential();
      expect(await lab.holdsCredential(lab.source)).toBe(true);
      await second.close();
    }
  });

  it("does not delete what has come back", async () => {
    const before = await lab.held(lab.source);
    await until("Retire");
    await late(
      "Retire",
      async () => {
        expect((await finish()).kind).toBe("done");
        lab.journal = {
          ...moved(lab.journal!, "PreflightSource", 0),
          direction: "ToGateway",
          id: "p2",
          epoch: 2,
        };
        const back = (): PivotContext => ({
          ...lab.context("ToGateway"),
          source: lab.target,
          target: lab.source,
        });
        expect((await finish(back)).kind).toBe("done");
      },
      4,
    );
    expect(await lab.held(lab.source)).toEqual(before);
  });

  it("cannot replace the copies of a later snapshot with those of its own", async () => {
    await until("Create");
    const object = await one();
    const outcome = await late(
      "Create",
      async () => {
        await lab.source.update(machine, {
          ...object,
          metadata: { ...object.metadata, labels: { ...object.metadata.labels, extra: "1" } },
        });
        lab.journal = moved(lab.journal!, "PauseSource", 0);
        await until("Verify");
      },
      3,
    );
    expect(isFault(outcome, "Conflict")).toBe(true);
    expect((await finish()).kind).toBe("done");
    expect((await lab.target.list(machine)).items[0]?.metadata.labels?.extra).toBe("1");
  });
});

describe("somebody who wakes the source", () => {
  it("before the decision: it is paused again, and looked at again", async () => {
    await until("Commit");
    const object = (await whole(lab.source))!;
    await lab.source.update(cluster, { ...object, spec: { ...object.spec, paused: false } });
    expect(await pivotStep(lab.context(), never)).toMatchObject({
      kind: "advanced",
      why: expect.any(String) as string,
    });
    expect(lab.journal!.step).toBe("PauseSource");
    expect((await finish()).kind).toBe("done");
  });

  it("between decision and fence: what changed goes along", async () => {
    const before = await lab.held(lab.source);
    await until("FenceSource");
    const object = await one();
    await lab.source.update(machine, {
      ...object,
      metadata: { ...object.metadata, labels: { ...object.metadata.labels, extra: "1" } },
    });
    await pivotStep(lab.context(), never);
    expect(lab.journal).toMatchObject({ step: "PauseSource", sourceFenced: true });
    expect(await requestRollBack(lab.context())).toBe(false);
    expect((await finish()).kind).toBe("done");
    expect((await lab.target.list(machine)).items[0]?.metadata.labels?.extra).toBe("1");
    expect(await lab.problems(before)).toEqual([]);
  });
});

describe("the watch", () => {
  async function addMachine(): Promise<void> {
    const [object] = (await lab.target.list(machine)).items;
    const { name: _, uid: _u, resourceVersion: _r, ...metadata } = object!.metadata;
    await lab.target.create(machine, { ...object!, metadata: { ...metadata, name: "too-many" } } as never);
  }

  it("pauses the new side when there is a machine too many, and goes on when a person says so", async () => {
    await until("Watch");
    await addMachine();
    expect(await pivotStep(lab.context(), never)).toMatchObject({
      reason: "MachinesDiffer",
      blocked: true,
      message: expect.stringContaining("2 machines instead of 1 (+too-many)") as string,
    });
    expect((await whole(lab.target))?.spec.paused).toBe(true);
    expect((await whole(lab.source))?.spec.paused).toBe(true);
    expect((await finish()).kind).toBe("waiting");
    await requestResume(lab.context());
    expect((await finish()).kind).toBe("done");
    expect((await whole(lab.target))?.spec.paused).toBeUndefined();
    expect(lab.journal).toMatchObject({ accepted: true, census: { machines: { count: 2 } } });
  });

  it("lets nothing be removed whose copy is gone", async () => {
    await until("Retire");
    const [plane] = (await lab.target.list(kubeadmControlPlane)).items;
    await lab.target.update(kubeadmControlPlane, {
      ...plane!,
      metadata: { ...plane!.metadata, finalizers: [] },
    });
    await lab.target.delete(
      kubeadmControlPlane,
      { namespace: "cluster-u1", name: "c1-cp" },
      { propagation: "Orphan" },
    );
    await lab.clock.advance(1_000);
    expect(await pivotStep(lab.context(), never)).toMatchObject({ reason: "TargetLacks", blocked: true });
    expect((await lab.source.list(machine)).items).toHaveLength(1);
  });
});

describe("the old objects", () => {
  it("go, although a controller that somebody woke puts its finalizer back between their being told and their deletion", async () => {
    await until("Retire");
    const ctx = lab.context();
    let meddled = 0;
    const meddling: ResourceStore = {
      ...ctx.source,
      get: (kind, key) => ctx.source.get(kind, key),
      list: (kind, options) => ctx.source.list(kind, options),
      update: async (kind, object) => {
        const told = await ctx.source.update(kind, object);
        if (told.metadata.annotations?.[words.deleteForMove] === undefined || meddled > 0) return told;
        meddled++;
        await ctx.source.update(kind, { ...told, metadata: { ...told.metadata, finalizers: ["theirs/x"] } });
        return told;
      },
      delete: (kind, key, options) => ctx.source.delete(kind, key, options),
    };
    await pivotStep({ ...ctx, source: meddling }, never);
    expect(meddled).toBe(1);
    expect((await finish()).kind).toBe("done");
    expect(await lab.held(lab.source)).toEqual([]);
  });
});

describe("the target's admission", () => {
  it("is asked about each kind before anything is paused", async () => {
    const asked: string[] = [];
    const ctx = (say?: Fault): PivotContext => ({
      ...lab.context(),
      admits: (kind, draft) => {
        asked.push(kind.kind);
        expect(draft.metadata.ownerReferences).toBeUndefined();
        return say && kind === machine ? Promise.reject(say) : Promise.resolve();
      },
    });
    const refused = ctx(new Fault("Invalid", "spec.version: is too old"));
    expect(await runPivot(refused, never)).toMatchObject({
      reason: "Refused",
      blocked: true,
      object: "Machine/c1-cp-m0",
    });
    const silent = ctx(new Fault("Unavailable", "failed calling webhook"));
    expect(await runPivot(silent, never)).toMatchObject({ reason: "TargetNotReady" });
    expect((await whole(lab.source))?.spec.paused).toBeUndefined();
    expect(new Set(asked).size).toBe(11);
    expect((await finish(() => ctx())).kind).toBe("done");
  });
});

describe("what carries over", () => {
  it("also the words that controllers had written beside a pivot's own", async () => {
    const object = await one();
    await lab.source.update(machine, {
      ...object,
      metadata: { ...object.metadata, annotations: { theirs: "1" } },
    });
    await until("Retire");
    const seen: string[] = [];
    const ctx = lab.context();
    const spy = new Proxy(ctx.source, {
      get(of, key) {
        const method: unknown = Reflect.get(of, key, of);
        if (key !== "update") return typeof method === "function" ? (method.bind(of) as unknown) : method;
        return (kind: never, next: Resource) => {
          if (next.kind === "Machine") seen.push(...Object.keys(next.metadata.annotations ?? {}));
          return of.update(kind, next as never);
        };
      },
    });
    await runPivot({ ...ctx, source: spy }, never);
    expect(seen).toContain("theirs");
    expect(seen).toContain(words.deleteForMove);
    expect((await lab.target.list(machine)).items[0]?.metadata.annotations).toEqual({ theirs: "1" });
  });

  it("the decision stays the record of the side that is left until it is left", async () => {
    await until("Commit");
    expect(await lab.target.get(configMap, { namespace: "cluster-u1", name: "pcg-pivot" })).toBeUndefined();
    await pivotStep(lab.context(), never);
    const record = await lab.target.get(configMap, { namespace: "cluster-u1", name: "pcg-pivot" });
    expect(record?.data).toMatchObject({ id: "p1", state: "Committed", digest: lab.journal!.snapshotDigest });
    expect((await lab.target.list(secret)).items.some((s) => s.metadata.name === lab.names.identity)).toBe(
      false,
    );
    expect(placeOf(lab.journal!.step)).toBe(placeOf("FenceSource"));
  });
});
