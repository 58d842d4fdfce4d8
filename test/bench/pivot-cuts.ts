// npm run bench -- pivot-cuts [set ...]: hand-overs of a real cluster, there and back by a gateway that is a process of its own, with the
// managers of both sides at work (three of Cluster API's, CAPV), real kube-apiservers and vcsim; disturbed in every step. Sets:
//
//   cuts       the API of a side does not answer for 1 s, in each step
//   away       for ever, in some: until `pcg cluster pivot status` says what is waited for
//   minute     for 60 s, in some
//   dead       the API server of a side dies and comes back
//   rogue      somebody wakes the Cluster of a side, in each step
//   kills      kill -9 of the gateway, its control plane running on, and of the agent, in each step
//   embedded   kill -9 of a gateway with everything in it, in each step
//
// All of them unless told; an hour on two busy cores.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pivotSteps, type PivotStep } from "../../jet/pivot/journal.ts";
import {
  cutFor,
  cutUntilTold,
  killAgent,
  killGateway,
  openRing,
  restartApi,
  roundTrip,
  rogue,
  type Hand,
  type HandResult,
  type Ring,
} from "../peers/pivot/hands.ts";
import type { Way } from "../peers/pivot/moves.ts";
import type { Figure } from "./figure/limits.ts";

type Make = (way: Way, step: PivotStep) => Hand;

const ways = ["ToGateway", "ToWorkload"] as const;
const ends = ["source", "target"] as const;
const all = pivotSteps.filter((step) => step !== "Done");

/** A hand in each of these steps, both ways. */
const inEach = (make: Make, steps: readonly PivotStep[] = all): Hand[] =>
  ways.flatMap((way) => steps.map((step) => make(way, step)));

const sets: Readonly<Record<string, readonly (readonly Hand[])[]>> = {
  cuts: [
    ...ends.map((end) => inEach((way, step) => cutFor(way, step, end, 1_000, "refused"))),
    ...ends.map((end) => inEach((way, step) => cutFor(way, step, end, 1_000, "silent"))),
  ],
  away: ends.map((end) =>
    inEach(
      (way, step) => cutUntilTold(way, step, end, "refused"),
      ["PauseSource", "Create", "FenceSource", "Resume", "Retire"],
    ),
  ),
  minute: ends.map((end) =>
    inEach(
      (way, step) => cutFor(way, step, end, 60_000, step === "Create" ? "refused" : "silent"),
      ["Create", "Resume"],
    ),
  ),
  dead: ends.map((end) =>
    inEach(
      (way, step) => restartApi(way, step, end),
      ["Quiesce", "Create", "Commit", "FenceSource", "Resume", "Watch", "Retire"],
    ),
  ),
  rogue: ends.map((end) => inEach((way, step) => rogue(way, step, end))),
  kills: [
    inEach((way, step) => killGateway(way, step)),
    ...[40, 120, 250].map((ms) =>
      inEach((way, step) => killGateway(way, step, ms), ["Create", "Resume", "Retire"]),
    ),
    inEach((way, step) => killAgent(way, step)),
  ],
  embedded: [inEach((way, step) => killGateway(way, step))],
};

export async function* run(args: readonly string[]): AsyncGenerator<Figure> {
  const names = args.length > 0 ? args : Object.keys(sets);
  for (const mode of ["external", "embedded"] as const) {
    const here = names.filter((name) => (name === "embedded") === (mode === "embedded"));
    if (here.length === 0) continue;
    const dir = mkdtempSync(join(tmpdir(), "pcg-bench-"));
    let ring: (Ring & { close(): Promise<void> }) | undefined;
    try {
      ring = await openRing({ dir, mode, runningMs: 600_000 });
      for (const name of here) yield* figuresOf(ring, name);
    } finally {
      await ring?.close();
      rmSync(dir, { recursive: true, force: true });
    }
  }
}

async function* figuresOf(ring: Ring, name: string): AsyncGenerator<Figure> {
  const results: HandResult[] = [];
  for (const hands of sets[name] ?? []) {
    const done = await roundTrip(ring, hands);
    results.push(...done);
    for (const { what, way, step, stoodAt, ms, wrong, told } of done)
      console.error(JSON.stringify({ what, way, step, stoodAt, ms, wrong, told }));
  }
  for (const what of new Set(results.map((result) => result.what))) {
    const of = results.filter((result) => result.what === what);
    yield {
      figure: "disturbed hand-overs",
      set: name,
      what,
      cases: of.length,
      finished: of.length, // one that does not ends the run
      harmed: of.filter(({ wrong }) => wrong.length > 0).length,
      must: { harmed: { is: 0 } },
      wrong: [...new Set(of.flatMap(({ wrong }) => wrong))].slice(0, 10),
      stepsMet: Object.fromEntries(
        ways.map((way) => [way, new Set(of.filter((one) => one.way === way).map((one) => one.stoodAt)).size]),
      ),
      slowestMs: Math.max(...of.map(({ ms }) => ms)),
      told: of.flatMap(({ way, stoodAt, told }) =>
        told?.["said"] ? [`${way} ${stoodAt}: ${String(told["said"])}`] : [],
      ),
    };
  }
}
