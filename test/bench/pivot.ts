// The pivot between two real Kubernetes APIs, and `clusterctl move` of the same cluster beside it: wall time, and writes an object.
// The time that our pivot waits on purpose (quiet source, watch afterwards) is left out of both, and is what the options say.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { binaries } from "../peers/harness/build.ts";
import { held, openArena, seedCluster, type Arena } from "../peers/pivot/arena.ts";
import { beginPivot, bundleMover, orderFor, runClusterctl, runMover } from "../peers/pivot/runs.ts";
import type { Figure } from "./figure/limits.ts";

export async function* run(args: readonly string[]): AsyncGenerator<Figure> {
  const runs = Number(args[0] ?? 7);
  const dir = mkdtempSync(join(tmpdir(), "pcg-bench-"));
  let arena: Arena | undefined;
  try {
    const clusterctl = (await binaries("capi", (line) => console.error(line)))("clusterctl");
    arena = await openArena(dir);
    const mover = await bundleMover(dir);
    const ours: number[] = [];
    const theirs: number[] = [];
    let objects = 0;
    let writes = 0;
    const steps: Record<string, number[]> = {};
    for (let at = 0; at <= runs; at++) {
      const warm = at === 0; // caches, connections, compiled code
      const uid = `ours-${at}`;
      objects = (await seedCluster(arena, uid, "gateway")).length;
      await beginPivot(arena, uid, "ToWorkload");
      const end = await runMover(mover, orderFor(arena, uid, "ToWorkload", join(dir, uid), false));
      if (end.end !== "done") throw new Error(`ours did not end: ${JSON.stringify(end)}`);
      const other = `theirs-${at}`;
      await seedCluster(arena, other, "gateway");
      const moved = await runClusterctl(clusterctl, arena, other);
      if (moved.code !== 0) throw new Error(`clusterctl failed: ${moved.said}`);
      const left = await held(arena.gateway.store, other);
      if (left.some((name) => name.startsWith("Machine/"))) throw new Error(`clusterctl left ${left.join()}`);
      if (warm) continue;
      ours.push(end.ms ?? 0);
      theirs.push(moved.ms);
      writes = end.writes ?? 0;
      for (const [name, ms] of Object.entries(end.steps ?? {})) (steps[name] ??= []).push(ms);
    }
    yield {
      figure: "pivot",
      mover: "ours",
      runs,
      objects,
      ...spread(ours),
      writes,
      writesAnObject: rounded(writes / objects),
    };
    yield { figure: "pivot", mover: "clusterctl move", runs, objects, ...spread(theirs) };
    yield {
      figure: "ratio",
      of: "wall time, ours to clusterctl move",
      ratio: rounded(median(ours) / median(theirs)),
      must: { ratio: { most: 1.5 } },
    };
    yield {
      figure: "pivot steps",
      medianMs: Object.fromEntries(Object.entries(steps).map(([name, all]) => [name, median(all)])),
    };
    yield {
      figure: "waits on purpose",
      quietMs: 2_000,
      watchMs: 5_000,
      note: "options jet.quiet and jet.watch; not in the times above",
    };
  } finally {
    await arena?.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

function spread(all: readonly number[]) {
  return { medianMs: median(all), minMs: Math.min(...all), maxMs: Math.max(...all) };
}

function median(all: readonly number[]): number {
  return [...all].sort((a, b) => a - b)[Math.floor(all.length / 2)] ?? 0;
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
