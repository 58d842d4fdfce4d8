import { expect, test } from "vitest";
import type { ClusterStatus } from "#proto/messages.ts";
import { viewOf, type ClusterSeen } from "./cluster-view.ts";
import { afterUnknown, judge, refusal, type CodeSeen, type Try } from "./enrolment-rules.ts";
import { healthEvent, healthOf, type Health } from "./health.ts";

const fresh: CodeSeen = { role: "gateway", expiresAt: 1000, wrong: 0, used: undefined };
const used = { at: 500, csrDigest: "mine", uid: "g1" };
const attempt: Try = { role: "gateway", csrDigest: "mine", proofHolds: true, now: 600 };

test.each<[string, CodeSeen | undefined, Partial<Try>, object]>([
  ["a fresh code is claimed", fresh, {}, { kind: "claim" }],
  ["a code nobody made is unknown", undefined, {}, { kind: "unknown" }],
  ["a gateway's code is unknown to an agent", fresh, { role: "agent" }, { kind: "unknown" }],
  ["at the very millisecond of its end it has expired", fresh, { now: 1000 }, { kind: "expired", at: 1000 }],
  ["one millisecond before it has not", fresh, { now: 999 }, { kind: "claim" }],
  ["the same request again gets the same again", { ...fresh, used }, {}, { kind: "again", uid: "g1" }],
  ["another request finds it used", { ...fresh, used }, { csrDigest: "other" }, { kind: "used", at: 500 }],
  [
    "after its end even the same request finds it used",
    { ...fresh, used },
    { now: 2000 },
    { kind: "used", at: 500 },
  ],
  ["a wrong proof leaves four more", fresh, { proofHolds: false }, { kind: "wrong", left: 4 }],
  ["the fifth wrong proof locks", { ...fresh, wrong: 4 }, { proofHolds: false }, { kind: "locked" }],
  ["locked stays locked, with the right proof too", { ...fresh, wrong: 5 }, {}, { kind: "locked" }],
  [
    "a token without an end never expires",
    { ...fresh, expiresAt: undefined },
    { now: 1e15 },
    { kind: "claim" },
  ],
])("%s", (_name, code, more, expected) => {
  expect(judge(code, { ...attempt, ...more })).toEqual(expected);
});

test("refusals have words for programs", () => {
  expect(refusal({ kind: "expired", at: 0 }, "gateway").word).toBe("PairingCodeExpired");
  expect(refusal({ kind: "used", at: 0 }, "agent")).toMatchObject({
    word: "EnrolmentTokenUsed",
    code: "Conflict",
  });
});

test("unknown codes are counted in a window; the fifth locks for a window", () => {
  let tries = afterUnknown(undefined, 0, 100);
  for (let i = 1; i < 4; i++) tries = afterUnknown(tries, i, 100);
  expect(tries).toEqual({ count: 4, since: 0, lockedUntil: 0 });
  expect(afterUnknown(tries, 99, 100)).toEqual({ count: 5, since: 0, lockedUntil: 199 });
  expect(afterUnknown(tries, 100, 100)).toEqual({ count: 1, since: 100, lockedUntil: 0 });
});

const limits = { unhealthyMs: 60, alertMs: 600 };
test.each<[number | undefined, number, Health]>([
  [undefined, 1e9, "unknown"],
  [0, 59, "healthy"],
  [0, 60, "unhealthy"],
  [0, 599, "unhealthy"],
  [0, 600, "alerting"],
])("last heartbeat at %s, now %s: %s", (last, now, expected) => {
  expect(healthOf(last, now, limits)).toBe(expected);
});

test("health is told when it changes, and only then", () => {
  expect(healthEvent("healthy", "healthy", "g", 0)).toBeUndefined();
  expect(healthEvent("healthy", "unhealthy", "gateway 'g'", 0)?.message).toBe(
    "gateway 'g' has sent no heartbeat since 1970-01-01T00:00:00Z",
  );
  expect(healthEvent("unhealthy", "alerting", "g", 0)?.severity).toBe("Error");
  expect(healthEvent("alerting", "healthy", "g", 0)?.reason).toBe("HeartbeatBack");
});

const said = (state: ClusterStatus["state"], more: Partial<ClusterStatus> = {}): ClusterStatus => ({
  clusterUid: "c",
  state,
  pivoted: false,
  conditions: [],
  milestones: [],
  machines: [],
  ...more,
});
const machine = (name: string) => ({ name, role: "worker" as const, phase: "Running" });
const seen = (more: Partial<ClusterSeen>): ClusterSeen => ({
  gateway: undefined,
  agent: undefined,
  deleteRequested: false,
  deleted: false,
  ...more,
});

test("before anybody spoke a cluster is Pending", () => {
  expect(viewOf(seen({}))).toMatchObject({ state: "Pending", pivoted: false, machines: [] });
});

test("after the pivot the agent speaks for machines and conditions, and the gateway's milestones stay", () => {
  const condition = (type: string, message: string) => ({
    type,
    status: "True" as const,
    reason: "R",
    message,
    lastTransitionTime: "",
  });
  const milestone = { key: "PivotCompleted", title: "", state: "Done" as const, attempt: 1 };
  const view = viewOf(
    seen({
      gateway: said("Running", {
        pivoted: true,
        machines: [machine("old")],
        conditions: [condition("A", "gw"), condition("B", "gw")],
        milestones: [milestone],
      }),
      agent: said("Provisioning", {
        pivoted: true,
        machines: [machine("a"), machine("b")],
        conditions: [condition("B", "agent"), condition("C", "agent")],
      }),
    }),
  );
  expect(view.state).toBe("Provisioning");
  expect(view.machines.map((m) => m.name)).toEqual(["a", "b"]);
  expect(view.conditions.map((c) => `${c.type}:${c.message}`)).toEqual(["A:gw", "B:agent", "C:agent"]);
  expect(view.milestones).toEqual([milestone]);
});

test("a gateway that is behind does not undo a pivot its agent spoke of", () => {
  expect(
    viewOf(seen({ gateway: said("Provisioning"), agent: said("Running", { pivoted: true }) })).pivoted,
  ).toBe(true);
});

test("once deletion was asked for the state is Deleting, whatever was said before, until the gateway says Deleted", () => {
  const agent = said("Running", { pivoted: true });
  expect(
    viewOf(seen({ gateway: said("Running", { pivoted: true }), agent, deleteRequested: true })).state,
  ).toBe("Deleting");
  const back = viewOf(seen({ gateway: said("Deleting"), agent, deleteRequested: true }));
  expect(back).toMatchObject({ state: "Deleting", pivoted: false });
  expect(viewOf(seen({ gateway: said("Deleted"), agent, deleteRequested: true })).state).toBe("Deleted");
});
