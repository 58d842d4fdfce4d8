import { describe, expect, it } from "vitest";
import { activeSide, newJournal, pivotSteps, type Direction, type PivotJournal } from "../pivot/journal.ts";
import { planRecovery, type RecoverySeen } from "./plan-recovery.ts";

const journal = (step: string, epoch = 1, direction: Direction = "ToWorkload"): PivotJournal => ({
  ...newJournal(direction, `p${epoch}`, epoch, 0),
  step,
});
const spa = (change: Partial<NonNullable<RecoverySeen["spa"]>> = {}): NonNullable<RecoverySeen["spa"]> => ({
  counter: 1,
  journal: undefined,
  held: undefined,
  word: undefined,
  ...change,
});
const mirror = (epoch = 1, counter = 1) => ({ id: `p${epoch}`, epoch, counter });
const answered = (state?: string, epoch = 1): RecoverySeen["target"] => ({
  kind: "answered",
  decision: state ? { id: `p${epoch}`, epoch, state } : undefined,
});
const seen = (change: Partial<RecoverySeen>): RecoverySeen => ({
  spa: undefined,
  objects: "none",
  mirror: undefined,
  forgotten: false,
  target: { kind: "unasked" },
  leases: "unasked",
  behind: true,
  ...change,
});

const table: readonly (readonly [string, RecoverySeen, string])[] = [
  ["nothing known at all", seen({}), "nothing"],
  ["an empty store and a mirror", seen({ mirror: mirror() }), "fence rebuild"],
  [
    "a deleted cluster that a snapshot brought back",
    seen({ forgotten: true, spa: spa({ journal: journal("Done") }) }),
    "fence bury",
  ],
  ["a deleted cluster's late mirror", seen({ forgotten: true, mirror: mirror() }), "nothing"],
  [
    "a snapshot from before the first node, and a mirror",
    seen({ spa: spa(), mirror: mirror() }),
    "fence yield 1",
  ],
  [
    "a snapshot from the middle of the pivot, and a mirror of that pivot",
    seen({ spa: spa({ journal: journal("PreflightSource") }), objects: "complete", mirror: mirror() }),
    "fence yield 1",
  ],
  [
    "the same, without a mirror, but the cluster answers",
    seen({ spa: spa({ journal: journal("Create") }), objects: "complete", target: answered("Active") }),
    "fence yield 1",
  ],
  [
    "the same, and the cluster is silent",
    seen({ spa: spa({ journal: journal("Create") }), objects: "complete", target: { kind: "silent" } }),
    "fence hold OwnerUnknown",
  ],
  [
    "the same, and the cluster knows of no decision",
    seen({ spa: spa({ journal: journal("Create") }), objects: "complete", target: answered() }),
    "nothing",
  ],
  [
    "a decision that was not carried out",
    seen({ spa: spa({ journal: journal("Create") }), objects: "complete", target: answered("Committed") }),
    "fence hold HandOverUnderWay",
  ],
  [
    "a snapshot from the hand-over itself",
    seen({ spa: spa({ journal: journal("FenceSource") }) }),
    "fence hold HandOverUnderWay",
  ],
  [
    "one in the making, its machine unknown",
    seen({ spa: spa(), objects: "incomplete" }),
    "fence hold MadeMeanwhile",
  ],
  ["one that had not begun", seen({ spa: spa() }), "fence hold MadeMeanwhile"],
  [
    "one that manages itself, by its journal",
    seen({ spa: spa({ journal: journal("Done") }), mirror: mirror() }),
    "nothing",
  ],
  [
    "one that manages itself, whose wish is old",
    seen({ spa: spa({ journal: journal("Done") }), mirror: mirror(1, 4) }),
    "raise",
  ],
  [
    "one that manages itself, with leases to be made",
    seen({
      spa: spa({ journal: journal("Done") }),
      mirror: mirror(1, 4),
      leases: { todo: 2, conflicts: [] },
    }),
    "lease",
  ],
  [
    "one whose address went to another",
    seen({
      spa: spa({ journal: journal("Done") }),
      mirror: mirror(),
      leases: { todo: 1, conflicts: ["10.0.0.5 of pool edge is held by claim a/b"] },
    }),
    "hold AddressTaken",
  ],
  [
    "one whose address is free again",
    seen({
      spa: spa({ journal: journal("Done"), held: "AddressTaken: x" }),
      mirror: mirror(),
      leases: { todo: 0, conflicts: [] },
      behind: false,
    }),
    "release",
  ],
  [
    "a recovery that was interrupted after the journal",
    seen({ spa: spa({ journal: journal("Done") }), objects: "complete", behind: false }),
    "fence yield 1",
  ],
  [
    "one that came back for its deletion",
    seen({ spa: spa({ journal: journal("Watch", 2, "ToGateway") }), mirror: mirror(1), objects: "complete" }),
    "nothing",
  ],
  [
    "one that came back and went again",
    seen({ spa: spa({ journal: journal("Done", 2, "ToGateway") }), mirror: mirror(3), objects: "complete" }),
    "fence yield 3",
  ],
  [
    "an ordinary restart in the making",
    seen({ behind: false, spa: spa(), objects: "incomplete" }),
    "nothing",
  ],
  [
    "an ordinary restart in the hand-over",
    seen({ behind: false, spa: spa({ journal: journal("Commit") }), objects: "complete" }),
    "fence nothing",
  ],
  [
    "a held one, a start later, still silent",
    seen({
      behind: false,
      spa: spa({ held: "OwnerUnknown: x" }),
      objects: "complete",
      target: { kind: "silent" },
    }),
    "fence hold OwnerUnknown",
  ],
  [
    "a held one that answers at last: it manages itself",
    seen({
      behind: false,
      spa: spa({ held: "OwnerUnknown: x" }),
      objects: "complete",
      target: answered("Active"),
    }),
    "fence yield 1",
  ],
  [
    "a held one that answers at last: the gateway's",
    seen({ behind: false, spa: spa({ held: "OwnerUnknown: x" }), objects: "complete", target: answered() }),
    "release",
  ],
  [
    "a person says: it manages itself",
    seen({ spa: spa({ held: "x: y", word: "workload" }) }),
    "fence yield 1",
  ],
  ["a person says: the gateway's", seen({ spa: spa({ held: "x: y", word: "gateway" }) }), "release"],
  [
    "a person who is wrong: the mirror knows better",
    seen({ spa: spa({ held: "x: y", word: "gateway" }), mirror: mirror() }),
    "fence yield 1",
  ],
];

function text(of: RecoverySeen): string {
  const { fence, recovery } = planRecovery(of);
  const detail =
    recovery.do === "yield" ? ` ${recovery.epoch}` : recovery.do === "hold" ? ` ${recovery.reason}` : "";
  return `${fence ? "fence " : ""}${recovery.do}${detail}`;
}

describe("planRecovery", () => {
  it.each(table)("%s", (_name, of, expected) => expect(text(of)).toBe(expected));
});

/** Every combination of what may be known. */
function* everything(): Generator<RecoverySeen> {
  const journals: (PivotJournal | undefined)[] = [undefined];
  for (const direction of ["ToWorkload", "ToGateway"] as const)
    for (const epoch of [1, 2])
      for (const step of [...pivotSteps, "RollBack", "RolledBack"])
        journals.push(journal(step, epoch, direction));
  const targets: RecoverySeen["target"][] = [{ kind: "unasked" }, { kind: "silent" }, answered()];
  for (const state of ["Committed", "Active", "Leaving"])
    for (const epoch of [1, 2]) targets.push(answered(state, epoch));
  const spas: RecoverySeen["spa"][] = [undefined];
  for (const one of journals)
    for (const held of [undefined, "OwnerUnknown: x"])
      for (const word of held ? ([undefined, "gateway", "workload"] as const) : [undefined])
        spas.push(spa({ journal: one, held, word }));
  for (const one of spas)
    for (const objects of ["none", "incomplete", "complete"] as const)
      for (const copy of [undefined, mirror(1), mirror(1, 9), mirror(2)])
        for (const target of targets)
          for (const behind of [true, false])
            for (const forgotten of [true, false])
              yield { spa: one, objects, mirror: copy, target, behind, forgotten, leases: "unasked" };
}

describe("planRecovery, for everything that may be known", { timeout: 60_000 }, () => {
  it("keeps its promises", () => {
    let count = 0;
    for (const of of everything()) {
      count++;
      const { fence, recovery } = planRecovery(of);
      const promise = (what: string, kept: boolean) => {
        if (!kept) throw new Error(`${what}: ${JSON.stringify({ of, fence, recovery })}`);
      };
      const { spa: have } = of;
      const risky = ["bury", "yield", "rebuild", "hold"].includes(recovery.do);
      const swept = have?.journal?.step === "Done" && of.objects !== "none";
      promise("V1, V3: no credential where the gateway's ownership is not sure", !risky || fence);
      promise("V4: gone is gone", !of.forgotten || recovery.do === "bury" || recovery.do === "nothing");
      if (of.forgotten) continue;
      const decided = of.target.kind === "answered" && of.target.decision?.state === "Active";
      const proof = Math.max(of.mirror?.epoch ?? 0, decided ? of.target.decision!.epoch : 0);
      const known = have?.journal?.epoch ?? 0;
      if (have && proof > known)
        promise("V2: a later epoch is heeded", recovery.do === "yield" && recovery.epoch === proof);
      if (recovery.do === "yield") promise("V2: epochs do not fall", recovery.epoch >= (known || 1));
      const ended = have?.journal?.direction === "ToWorkload" && known === proof;
      if (have && !of.behind && !have.held && proof <= known && !ended && !swept)
        promise("V5: an ordinary restart changes nothing", ["nothing", "raise"].includes(recovery.do));
      if (have && of.behind && recovery.do === "nothing" && !fence) {
        const settled = activeSide(have.journal) === "workload" || have.journal?.direction === "ToGateway";
        const undecided = of.objects === "complete" && of.target.kind === "answered" && !of.target.decision;
        promise("V1: nobody acts on a guess", settled || undecided || have.word === "gateway");
      }
      if (recovery.do === "rebuild") promise("nothing is made of nothing", !have && of.mirror !== undefined);
    }
    expect(count).toBeGreaterThan(10_000);
  });
});
