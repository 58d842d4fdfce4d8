// The pivot into a real kube-apiserver and back, beside its real garbage collector: an object with an unknown owner would be gone
// within two seconds. The process dies at places spread over its writes, and the next one goes on. Then the same between two real APIs
// with Cluster API's own CRDs, the process a real one that gets SIGKILL: a sample of `npm run bench -- pivot-kill`.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { sleep, systemClock } from "#core";
import { kubeStore } from "#core/store/kube-store.ts";
import { clusterApiKinds, ipamKinds } from "#proto";
import { crdOf } from "#proto/generate-crds.ts";
import { runPivot } from "../../jet/pivot/engine.ts";
import { newJournal, type Direction } from "../../jet/pivot/journal.ts";
import { PivotLab } from "../../jet/pivot/lab.ts";
import { Crash, Doom } from "../../jet/testing/crashing-store.ts";
import { applyCrds } from "./harness/crds.ts";
import { startKube, type Kube } from "./harness/kube.ts";
import { openArena } from "./pivot/arena.ts";
import { killOurs, pointsOver, writesOf } from "./pivot/matrix.ts";
import { bundleMover } from "./pivot/runs.ts";

const never = new AbortController().signal;
/** Every so many writes a process dies. */
const stride = 9;
/** Every so many of the points at which a step begins or ends, a real process is killed. */
const sampleStride = 4;
/** What the collector needs to notice a stray. */
const collectorMs = 3_000;

let dir: string;
let kube: Kube;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "pcg-peers-"));
  kube = await startKube({ dir });
  await applyCrds(
    kube,
    [...clusterApiKinds, ...ipamKinds].map((kind) => crdOf(kind)),
  );
}, 600_000);

afterAll(async () => {
  await kube?.stop();
  rmSync(dir, { recursive: true, force: true });
});

async function makeLab(uid: string): Promise<PivotLab> {
  const lab = new PivotLab({ uid, target: await kubeStore(kube.kubeconfig, { clock: systemClock }) });
  await lab.prepare();
  return lab;
}

/** The two sides of a direction: what was the target is the source on the way back. */
function context(lab: PivotLab, direction: Direction, doom?: Doom) {
  const ctx = lab.context(direction, doom);
  return direction === "ToWorkload" ? ctx : { ...ctx, source: ctx.target, target: ctx.source };
}

async function finish(lab: PivotLab, direction: Direction): Promise<void> {
  for (let tries = 0; tries < 20; tries++) {
    const end = await runPivot(context(lab, direction), never);
    if (end.kind !== "waiting") return;
    await lab.play();
  }
  throw new Error(`never done: ${JSON.stringify(lab.journal)}`);
}

it("goes there and back, and the collector finds nothing to collect", async () => {
  const lab = await makeLab("round-trip");
  const before = await lab.held(lab.source);
  await finish(lab, "ToWorkload");
  await sleep(systemClock, collectorMs);
  expect(await lab.problems(before)).toEqual([]);
  lab.journal = newJournal("ToGateway", "back", 2, systemClock.now());
  await finish(lab, "ToGateway");
  expect(await lab.held(lab.target)).toEqual([]);
  expect(await lab.held(lab.source)).toEqual(before);
  expect(await lab.holdsCredential(lab.target)).toBe(false);
  expect(lab.dc.made).toBe(1);
  await lab.close();
}, 120_000);

it("is finished by the next process when one dies on the way", async () => {
  const labs: { readonly lab: PivotLab; readonly before: string[]; readonly at: number }[] = [];
  for (let at = 1, died = true; died; at += stride) {
    const lab = await makeLab(`dies-${at}`);
    const before = await lab.held(lab.source);
    const doom = new Doom(at, () => lab.checkCredential());
    while (!doom.dead && lab.journal?.step !== "Done") {
      try {
        await runPivot(context(lab, "ToWorkload", doom), never);
      } catch (error) {
        if (!(error instanceof Crash)) throw error;
      }
      if (!doom.dead) await lab.play();
    }
    died = doom.dead;
    await lab.rogueUnpause();
    await finish(lab, "ToWorkload");
    labs.push({ lab, before, at });
  }
  await sleep(systemClock, collectorMs);
  for (const { lab, before, at } of labs) {
    expect(await lab.problems(before), `died before write ${at}`).toEqual([]);
    await lab.close();
  }
  expect(labs.length).toBeGreaterThan(5);
}, 300_000);

it("kill -9 of its process at a sample of its writes, both directions: invariants hold, and a restart finishes", async () => {
  const folder = join(dir, "arena");
  const arena = await openArena(folder);
  try {
    const mover = await bundleMover(folder);
    const writes = await writesOf(arena, mover, folder);
    const points = pointsOver(writes, 0).filter((_, at) => at % sampleStride === 0);
    for (const [at, point] of points.entries()) {
      const direction = at % 2 === 0 ? "ToWorkload" : "ToGateway";
      const during = at % 4 < 2 ? {} : { during: at % 7 };
      const run = await killOurs(arena, mover, folder, { uid: `s${at}`, direction, at: point, ...during });
      expect(run, JSON.stringify(run)).toMatchObject({ wrong: [], end: "done" });
    }
    expect(points.length).toBeGreaterThan(5);
  } finally {
    await arena.close();
  }
}, 600_000);
