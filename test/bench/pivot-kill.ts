// npm run bench -- pivot-kill [points] [runs]: kill -9 of a process that carries out a pivot between two real Kubernetes APIs, at so many
// points spread over its writes, so many times each, both directions in turn; and `clusterctl move` killed at the same relative moments.
// 64 points and 10 runs unless told; that takes an hour on two cores.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { binaries } from "../peers/harness/build.ts";
import { openArena, type Arena } from "../peers/pivot/arena.ts";
import {
  killOurs,
  killTheirs,
  pointsOver,
  stepsMissed,
  timeTheirs,
  writesOf,
  type OurRun,
  type Standing,
  type TheirRun,
} from "../peers/pivot/matrix.ts";
import { bundleMover } from "../peers/pivot/runs.ts";
import type { Figure } from "./figure/limits.ts";

export async function* run(args: readonly string[]): AsyncGenerator<Figure> {
  const [points = 64, runs = 10] = args.map(Number);
  const dir = mkdtempSync(join(tmpdir(), "pcg-bench-"));
  let arena: Arena | undefined;
  try {
    const clusterctl = (await binaries("capi", (line) => console.error(line)))("clusterctl");
    arena = await openArena(dir);
    const mover = await bundleMover(dir);
    const writes = await writesOf(arena, mover, dir);
    const at = pointsOver(writes, points);
    const ours: OurRun[] = [];
    const theirs: TheirRun[] = [];
    const undisturbedMs: number[] = [];
    for (let round = 0; round < runs; round++) {
      const theirMs = await timeTheirs(arena, clusterctl, round);
      undisturbedMs.push(theirMs);
      for (const [index, point] of at.entries()) {
        const direction = (round + index) % 2 === 0 ? "ToWorkload" : "ToGateway";
        // Every other round the write has been sent, and may have been done or not.
        const during = round % 2 === 1 ? { during: round * 2 } : {};
        ours.push(
          await killOurs(arena, mover, dir, { uid: `k${round}-${index}`, direction, at: point, ...during }),
        );
        const afterMs = Math.round((theirMs * (index + 0.5)) / at.length);
        theirs.push(await killTheirs(arena, clusterctl, { uid: `c${round}-${index}`, point, afterMs }));
      }
      console.error(
        `round ${round + 1} of ${runs}: ${ours.filter((one) => one.wrong.length > 0).length} wrong so far`,
      );
    }
    yield {
      figure: "kill matrix",
      mover: "ours",
      writes: writes.length,
      points: at.length,
      runsAPoint: runs,
      runs: ours.length,
      finishedAfterRestart: ours.filter((one) => one.end === "done").length,
      violations: ours.filter((one) => one.wrong.length > 0).length,
      wrong: ours.filter((one) => one.wrong.length > 0).slice(0, 10),
      stepsNotKilledIn: stepsMissed(ours),
      must: { finishedAfterRestart: { is: ours.length }, violations: { is: 0 } },
    };
    yield {
      figure: "kill matrix",
      mover: "clusterctl move",
      undisturbedMs,
      runs: theirs.length,
      afterTheKill: tally(theirs.map((one) => one.left)),
      afterASecondRun: tally(theirs.map((one) => one.again)),
    };
  } finally {
    await arena?.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

function tally(all: readonly Standing[]): Record<Standing, number> {
  const counts: Record<Standing, number> = { untouched: 0, moved: 0, stuck: 0, partial: 0 };
  for (const one of all) counts[one]++;
  return counts;
}
