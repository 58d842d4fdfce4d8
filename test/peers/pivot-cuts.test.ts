// Hand-overs of a real cluster by a gateway that is a process of its own, the managers of both sides at work, disturbed: a sample of
// `npm run bench -- pivot-cuts`. One cluster with one control plane and one worker goes back to the gateway and again to itself.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import {
  cutFor,
  cutUntilTold,
  killAgent,
  killGateway,
  move,
  openRing,
  rogue,
  type Hand,
  type Ring,
} from "./pivot/hands.ts";

const dir = mkdtempSync(join(tmpdir(), "pcg-peers-"));
let ring: Ring & { close(): Promise<void> };

beforeAll(async () => {
  ring = await openRing({ dir, mode: "external", runningMs: 300_000 });
}, 600_000);

afterAll(async () => {
  await ring?.close();
  rmSync(dir, { recursive: true, force: true });
}, 60_000);

async function unharmed(way: Hand["way"], hands: readonly Hand[]): Promise<void> {
  const results = await move(ring, way, hands);
  expect(results.map(({ what, wrong }) => ({ what, wrong }))).toEqual(
    hands.map(({ what }) => ({ what, wrong: [] })),
  );
  for (const { what, told = {} } of results) {
    if ("said" in told) expect(told["said"], what).toMatch(/pcg|bring/);
    expect(told, what).not.toMatchObject({ awake: false }); // the rogue's word was taken up
    expect(told, what).not.toMatchObject({ ran: false });
  }
}

it("goes back to the gateway, whoever cuts, wakes and kills on the way: no machine more, no VM touched", async () => {
  await unharmed("ToGateway", [
    killAgent("ToGateway", "PreflightSource"),
    rogue("ToGateway", "Snapshot", "source"),
    cutFor("ToGateway", "Create", "target", 1_000, "refused"),
    cutUntilTold("ToGateway", "FenceSource", "source", "refused"),
    killGateway("ToGateway", "Resume"),
    rogue("ToGateway", "Retire", "source"),
  ]);
}, 600_000);

it("is handed to itself again, likewise", async () => {
  await unharmed("ToWorkload", [
    cutUntilTold("ToWorkload", "Create", "target", "refused"),
    rogue("ToWorkload", "Verify", "target"),
    cutFor("ToWorkload", "Commit", "source", 1_000, "silent"),
    rogue("ToWorkload", "FenceSource", "source"),
    killGateway("ToWorkload", "Resume"),
    cutUntilTold("ToWorkload", "Retire", "target", "silent"),
  ]);
}, 600_000);
