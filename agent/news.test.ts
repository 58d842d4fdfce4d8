import { describe, expect, it } from "vitest";
import { fakeClock } from "#core/time/fake-clock.ts";
import { memoryStore } from "#core/store/memory-store.ts";
import { silentLogger } from "#core";
import type { ClusterEvent, MachineStatus, SpectroCluster } from "#proto";
import { agentEvents } from "./events.ts";
import { newsOf } from "./news.ts";

type Status = NonNullable<SpectroCluster["status"]>;

const machine = (change: Partial<MachineStatus> = {}): MachineStatus => ({
  name: "c1-w-x",
  role: "worker",
  pool: "w",
  phase: "Provisioning",
  ...change,
});
const status = (...machines: MachineStatus[]): Status => ({ machines });
const news = (before: Status | undefined, after: Status) =>
  newsOf(before, after, []).map((e) => `${e.severity ?? "Info"} ${e.reason}: ${e.message}`);

describe("what is worth an event", () => {
  it("a first look is no news", () => {
    expect(news(undefined, status(machine()))).toEqual([]);
  });

  it("a machine comes, runs, falls ill and goes", () => {
    const running = machine({ phase: "Running", ip: "10.0.0.5", host: "esx-1" });
    const ill = { ...running, reason: "NotReady" };
    expect(news(status(), status(machine()))).toEqual([
      "Info MachineAdded: machine c1-w-x of pool w was asked for",
    ]);
    expect(news(status(machine()), status(running))).toEqual([
      "Info MachineRunning: machine c1-w-x of pool w runs at 10.0.0.5 on esx-1",
    ]);
    expect(news(status(running), status(running))).toEqual([]);
    expect(news(status(running), status(ill))).toEqual([
      "Warn MachineNotReady: machine c1-w-x of pool w: NotReady",
    ]);
    expect(news(status(ill), status(ill))).toEqual([]);
    expect(news(status(ill), status())).toEqual(["Info MachineRemoved: machine c1-w-x of pool w is gone"]);
  });

  it("blocked remediation is told once, and its end", () => {
    const with_ = (is: "True" | "False", reason: string): Status => ({
      conditions: [
        {
          type: "RemediationBlocked",
          status: is,
          reason,
          message: reason,
          lastTransitionTime: "2026-01-01T00:00:00Z",
        },
      ],
    });
    expect(news({}, with_("True", "Paused"))).toEqual(["Warn RemediationBlocked: Paused"]);
    expect(news(with_("True", "Paused"), with_("True", "Paused"))).toEqual([]);
    expect(news(with_("True", "Paused"), with_("False", "Ready"))).toHaveLength(1);
    expect(news({}, with_("False", "Ready"))).toEqual([]);
  });
});

describe("events", () => {
  it("the same thing with other numbers is told once in ten minutes, another object's at once", async () => {
    const told: ClusterEvent[] = [];
    const clock = fakeClock();
    const say = agentEvents(
      {
        store: memoryStore({ clock }),
        clock,
        log: silentLogger,
        random: () => 0.5,
        outlet: { status: async () => {}, heartbeat: async () => {}, event: async (e) => void told.push(e) },
      },
      "u1",
    );
    const ill = (name: string, seconds: number) =>
      say({
        reason: "MachineNotReady",
        message: `silent for ${seconds} s`,
        involvedObject: { kind: "Machine", name },
      });
    await ill("a", 10);
    await ill("a", 40);
    await ill("b", 40);
    expect(told.map((e) => e.involvedObject?.name)).toEqual(["a", "b"]);
    await clock.advance(601_000);
    await ill("a", 640);
    expect(told).toHaveLength(3);
    expect(new Set(told.map((e) => e.id)).size).toBe(3);
  });
});
