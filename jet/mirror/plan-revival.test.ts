import { expect, it } from "vitest";
import { newJournal, type PivotJournal } from "../pivot/journal.ts";
import { planRevival, type RevivalSeen } from "./plan-revival.ts";
import { revivalId } from "../pivot/journal.ts";

const done = (direction: PivotJournal["direction"], id = "p", step = "Done") => ({
  ...newJournal(direction, id, 3, 0),
  step,
});
const lost: RevivalSeen = {
  clusterName: "c1",
  journal: done("ToWorkload"),
  mirror: { epoch: 3 },
  api: { kind: "answers", lost: {} },
};

it.each<[string, Partial<RevivalSeen>, string, RegExp?]>([
  ["its objects are lost and its API answers", {}, "revive"],
  ["its API is silent", { api: { kind: "silent" } }, "wait", /API answers.*pcg delete cluster c1/],
  ["its Cluster is there", { api: { kind: "answers", lost: undefined } }, "heard", /nothing is lost/],
  [
    "a machine is left",
    { api: { kind: "answers", lost: { left: "Machine/m" } } },
    "wait",
    /Machine\/m is left/,
  ],
  ["there is no mirror", { mirror: undefined }, "heard", /no mirror/],
  ["the mirror is of an earlier life", { mirror: { epoch: 2 } }, "heard", /before its last hand-over/],
  ["it was never handed over", { journal: undefined }, "heard", /gateway has its objects/],
  ["it is being handed over", { journal: done("ToWorkload", "p", "Resume") }, "heard", /does not manage/],
  ["it came back", { journal: done("ToGateway") }, "heard", /gateway has its objects/],
  ["it went to another gateway", { journal: done("ToPeer") }, "heard", /does not manage/],
  ["it is revived already", { journal: done("ToGateway", revivalId("abc")) }, "heard"],
])("where %s", (_name, change, does, says) => {
  const plan = planRevival({ ...lost, ...change });
  expect(plan.do).toBe(does);
  const text = plan.do === "wait" ? plan.message : plan.do === "heard" ? (plan.why ?? "") : "";
  if (says) expect(text).toMatch(says);
  else expect(text).toBe("");
});
