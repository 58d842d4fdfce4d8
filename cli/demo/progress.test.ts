import { describe, expect, it } from "vitest";
import type { Milestone } from "#proto";
import { progressLines } from "./progress.ts";
import { inSubnet, takeSubnet } from "./subnet.ts";

const milestone = (state: Milestone["state"], more: Partial<Milestone> = {}): Milestone => ({
  key: "WorkerNodeAdditionDone",
  title: "Adding Worker Nodes",
  state,
  attempt: 1,
  ...more,
});

describe("progress of a cluster", () => {
  it("tells a milestone once, with what was counted", () => {
    const before = { state: "Provisioning" as const, milestones: [milestone("InProgress")] };
    const now = {
      state: "Provisioning" as const,
      milestones: [milestone("Done", { progress: { done: 2, total: 2 } })],
    };
    expect(progressLines(before, now, 1_234)).toEqual([
      { sign: "done", text: "  1.2 s  Adding Worker Nodes (2 of 2)" },
    ]);
    expect(progressLines(now, now, 2_000)).toEqual([]);
  });

  it("tells a trouble when it is new or has changed, and not once it is over", () => {
    const trouble = (message: string) => ({ code: "X", message, since: "", count: 1 });
    const at = (state: Milestone["state"], message: string) => ({
      state: "Provisioning" as const,
      milestones: [milestone(state, { lastError: trouble(message) })],
    });
    expect(progressLines(undefined, at("InProgress", "no room"), 0).map((l) => l.sign)).toEqual([
      "trouble",
      "state",
    ]);
    expect(progressLines(at("InProgress", "no room"), at("InProgress", "no room"), 0)).toEqual([]);
    expect(progressLines(at("InProgress", "no room"), at("InProgress", "no pool"), 0).length).toBe(1);
    expect(progressLines(at("InProgress", "no room"), at("Done", "no room"), 0).map((l) => l.sign)).toEqual([
      "done",
    ]);
  });
});

describe("the demo's subnet", () => {
  it("is another one for a second demo, and free again afterwards", async () => {
    const first = await takeSubnet();
    const second = await takeSubnet();
    expect(second.prefix).not.toBe(first.prefix);
    expect(inSubnet("127.77.0.10-127.77.0.60", second)).toBe(`${second.prefix}10-${second.prefix}60`);
    await first.release();
    await second.release();
    const third = await takeSubnet();
    expect(third.prefix).toBe(first.prefix);
    await third.release();
  });
});
