import { describe, expect, it } from "vitest";
import {
  aggregate,
  no,
  oldNo,
  oldSummary,
  oldYes,
  part,
  summary,
  unknown,
  withConditions,
  withOldConditions,
  yes,
  type Part,
} from "./conditions.ts";

const at = "2026-01-01T00:00:00Z";
const later = "2026-01-02T00:00:00Z";
const order = ["Available", "Ready", "Paused"];

const bad = (name: string, message: string): Part => ({ name, status: "False", reason: "NotReady", message });
const dark = (name: string, message: string): Part => ({
  name,
  status: "Unknown",
  reason: "Unknown",
  message,
});
const good = (name: string): Part => ({ name, status: "True", reason: "Ready", message: "" });

describe("conditions", () => {
  it("a transition time moves only when the status does", () => {
    const first = withConditions([], [no("Ready", "NotReady", "a")], order, 1, at);
    const same = withConditions(first, [no("Ready", "NotReady", "b")], order, 2, later);
    expect(same).toEqual([
      {
        type: "Ready",
        status: "False",
        reason: "NotReady",
        message: "b",
        observedGeneration: 2,
        lastTransitionTime: at,
      },
    ]);
    const turned = withConditions(same, [yes("Ready", "Ready")], order, 2, later);
    expect(turned[0]).toMatchObject({ status: "True", lastTransitionTime: later });
  });

  it("conditions stand in their order, unknown types before Paused and Deleting", () => {
    const drafts = [
      no("Deleting", "NotDeleting"),
      no("Paused", "NotPaused"),
      yes("Odd", "Odd"),
      yes("Ready", "Ready"),
      yes("Available", "Available"),
    ];
    const types = withConditions([], drafts, ["Available", "Ready"], 1, at).map((c) => c.type);
    expect(types).toEqual(["Available", "Ready", "Odd", "Paused", "Deleting"]);
  });

  const cases: [string, readonly Part[], ReturnType<typeof summary>][] = [
    ["all well", [good("A"), good("B")], yes("Ready", "Ready")],
    ["one wrong", [good("A"), bad("B", "broken")], no("Ready", "NotReady", "* B: broken")],
    ["one in the dark", [dark("A", "not yet"), good("B")], unknown("Ready", "ReadyUnknown", "* A: not yet")],
    [
      "wrong beats dark, both are told, in order",
      [dark("A", "not yet"), bad("B", "broken")],
      no("Ready", "NotReady", "* A: not yet\n* B: broken"),
    ],
    [
      "a list goes below its name",
      [bad("A", "* X: one\n* Y: two")],
      no("Ready", "NotReady", "* A:\n  * X: one\n  * Y: two"),
    ],
    [
      "no message: the reason",
      [{ ...bad("A", ""), reason: "WaitingForClone" }],
      no("Ready", "NotReady", "* A: WaitingForClone"),
    ],
  ];
  it.each(cases)("a summary: %s", (_, parts, want) => {
    expect(summary("Ready", parts)).toEqual(want);
  });

  it("a condition that is missing is not yet reported", () => {
    expect(part([], "Ready")).toMatchObject({ status: "Unknown", message: "Condition not yet reported" });
  });

  it("an aggregate names objects with the same message together, three at most", () => {
    const of = (...names: string[]) =>
      aggregate(
        "MachinesReady",
        "Machine",
        names.map((n) => bad(n, "* X: y")),
      ).message;
    expect(of("a")).toBe("* Machine a:\n  * X: y");
    expect(of("b", "a")).toBe("* Machines a, b:\n  * X: y");
    expect(of("a", "b", "c", "d", "e")).toBe("* Machines a, b, c, ... (2 more):\n  * X: y");
    expect(aggregate("MachinesReady", "Machine", [])).toEqual(yes("MachinesReady", "NoReplicas"));
  });

  it("of the old conditions the worst one makes Ready, and they stand by name", () => {
    const worst = oldSummary([oldYes("A"), oldNo("B", "Info", "Waits"), oldNo("C", "Error", "Broken", "m")]);
    expect(worst).toEqual({
      type: "Ready",
      status: "False",
      severity: "Error",
      reason: "Broken",
      message: "m",
    });
    const list = withOldConditions([], [oldYes("Z"), oldYes("A"), oldYes("Ready")], at);
    expect(list.map((c) => c.type)).toEqual(["Ready", "A", "Z"]);
  });
});
