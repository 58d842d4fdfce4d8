// The embedded control plane on the real programs: how long it takes to be ready, first and again, and what it takes of memory, idle and
// while a cluster is made.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openBundle, startControlPlane } from "#controlplane";
import { silentLogger, systemClock } from "#core";
import { peerBundle } from "../peers/harness/bundle.ts";
import { provisioning } from "./controlplane/provisioning.ts";
import type { Figure } from "./figure/limits.ts";

const targetMs = 15_000;
const targetMiB = 1024;

/** `settle`: seconds to wait before memory is read; 10 unless told. `only`: "provisioning" leaves the starts out. */
export async function* run([settle = "10", only]: readonly string[]): AsyncIterable<Figure> {
  const settleMs = Number(settle) * 1000;
  if (only !== "provisioning") yield* starts(settleMs);
  yield* provisioning(targetMiB, settleMs);
}

async function* starts(settleMs: number): AsyncIterable<Figure> {
  const folder = await peerBundle((line) => console.error(line));
  const dir = mkdtempSync(join(tmpdir(), "pcg-bench-"));
  const memory = join(dir, "digests.json");
  const deps = { clock: systemClock, log: silentLogger, random: Math.random };
  const signal = new AbortController().signal;
  try {
    for (const what of ["first start", "start again"]) {
      const began = performance.now();
      const bundle = await openBundle(folder, { memory });
      const opened = performance.now();
      const controlPlane = await startControlPlane({ dataDir: join(dir, "data"), bundle }, deps, signal);
      const ready = performance.now();
      yield {
        figure: `controlplane: ${what}, to all ready`,
        ms: Math.round(ready - began),
        bundleMs: Math.round(opened - began),
        must: { ms: { most: targetMs } },
      };
      await new Promise((resolve) => setTimeout(resolve, settleMs));
      const status = await controlPlane.status();
      const rss = Object.fromEntries(status.map(({ name, rssMiB }) => [name, rssMiB]));
      const gateway = Math.round(process.memoryUsage.rss() / 1024 ** 2);
      const total = status.reduce((sum, { rssMiB = 0 }) => sum + rssMiB, 0);
      yield {
        figure: `controlplane: memory, MiB (${what})`,
        ...rss,
        supervisor: gateway,
        total,
        must: { total: { most: targetMiB } },
      };
      const closing = performance.now();
      await controlPlane.close();
      const ms = Math.round(performance.now() - closing);
      yield { figure: "controlplane: clean stop", ms, must: { ms: { most: 5_000 } } };
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
