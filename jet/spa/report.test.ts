import { describe, expect, it } from "vitest";
import type { Milestone, SpaStatus } from "#proto";
import { eventsBetween } from "./report.ts";

function milestone(key: string, state: Milestone["state"], more: Partial<Milestone> = {}): Milestone {
  return { key, title: `Doing ${key}`, state, attempt: 1, ...more };
}
const error = (count: number) => ({
  code: "Unavailable",
  message: "no route",
  object: "VSphereVM/a",
  since: "t",
  count,
});
const said = (before: SpaStatus | undefined, after: SpaStatus) =>
  eventsBetween(before, after).map((e) => `${e.severity} ${e.reason}: ${e.message}`);

describe("events between two statuses", () => {
  it("tell what began, what ended, and how the cluster is", () => {
    const after: SpaStatus = {
      state: "Provisioning",
      milestones: [milestone("A", "Done"), milestone("B", "InProgress"), milestone("C", "Pending")],
    };
    expect(said(undefined, after)).toEqual([
      "Info A: Doing A: done",
      "Info Started: Doing B",
      "Info Provisioning: the cluster is Provisioning",
    ]);
    expect(said(after, after)).toEqual([]);
  });

  it("tell each try that failed, with its object; louder where only a person can help", () => {
    const at = (count: number, state: Milestone["state"] = "InProgress"): SpaStatus => ({
      milestones: [milestone("A", state, { lastError: error(count), attempt: count })],
    });
    expect(eventsBetween(at(1), at(2))).toEqual([
      {
        severity: "Warn",
        reason: "Unavailable",
        message: "no route",
        milestone: "A",
        attempt: 2,
        involvedObject: { kind: "VSphereVM", name: "a" },
      },
    ]);
    expect(said(at(2), at(2))).toEqual([]);
    expect(said(at(2), at(3, "Blocked"))).toEqual(["Error Unavailable: no route"]);
  });

  it("do not repeat the errors of what is done", () => {
    const before: SpaStatus = { milestones: [milestone("A", "InProgress", { lastError: error(1) })] };
    expect(said(before, { milestones: [milestone("A", "Done")] })).toEqual(["Info A: Doing A: done"]);
  });
});
