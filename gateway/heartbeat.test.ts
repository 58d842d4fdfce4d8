import { describe, expect, it } from "vitest";
import { getCondition, silentLogger } from "#core";
import { fakeClock } from "#core/time/fake-clock.ts";
import { memoryStore } from "#core/store/memory-store.ts";
import { gateway, type Heartbeat } from "#proto";
import { keepPulse, statusOf, type PulseFacts } from "./heartbeat.ts";

const facts: PulseFacts = {
  version: "1.0.0",
  startedAt: "2026-01-01T00:00:00Z",
  controlPlaneMode: "sandbox",
  identity: { uid: "gw-1", tenantUid: "t-1" },
  link: { state: { kind: "connected", since: 0, transport: "grpc" }, backlog: 2 },
  vcenter: { server: "vc:443", reachable: true },
  controllers: [],
  memoryMiB: 99,
};
const at = "2026-01-01T00:01:00Z";

describe("the gateway's status", () => {
  it("is all True where all is well", () => {
    const status = statusOf(facts, undefined, at);
    expect(status.conditions?.map((c) => [c.type, c.status])).toEqual([
      ["Paired", "True"],
      ["Connected", "True"],
      ["VCenterReachable", "True"],
      ["Working", "True"],
    ]);
    expect(status.link).toEqual({
      state: "connected",
      since: "1970-01-01T00:00:00Z",
      transport: "grpc",
      backlog: 2,
    });
  });

  it("says what to do about a gateway that is not paired", () => {
    const { identity: _identity, link: _link, ...alone } = facts;
    const status = statusOf(alone, undefined, at);
    expect(getCondition(status.conditions, "Paired")?.message).toMatch(/pcg gateway pair CODE/);
    expect(getCondition(status.conditions, "Connected")).toMatchObject({ status: "False", reason: "NoLink" });
  });

  it("carries the words of a line that waits, of a vCenter that refuses, of controllers that fail", () => {
    const status = statusOf(
      {
        ...facts,
        link: {
          state: { kind: "waiting", until: 0, attempt: 3, lastError: "connection refused" },
          backlog: 7,
        },
        vcenter: { server: "vc:443", reachable: false, message: "vCenter refused user x" },
        controllers: [
          {
            name: "spa",
            synced: true,
            due: 0,
            working: [],
            rounds: 9,
            failures: 3,
            failing: [{ key: "ns/c1", since: 0, failures: 3, code: "Unavailable", message: "no answer" }],
          },
        ],
      },
      undefined,
      at,
    );
    expect(getCondition(status.conditions, "Connected")).toMatchObject({
      status: "False",
      reason: "Waiting",
      message: "connection refused",
    });
    expect(getCondition(status.conditions, "VCenterReachable")?.message).toBe("vCenter refused user x");
    expect(getCondition(status.conditions, "Working")?.message).toBe("in trouble: spa ns/c1");
    expect(status.controllers?.[0]?.failing).toEqual([{ key: "ns/c1", failures: 3, message: "no answer" }]);
  });

  it("keeps the time of a condition that did not change", () => {
    const before = statusOf(facts, undefined, "2026-01-01T00:00:30Z");
    const after = statusOf(facts, before, at);
    expect(getCondition(after.conditions, "Paired")?.lastTransitionTime).toBe("2026-01-01T00:00:30Z");
  });
});

describe("the pulse", () => {
  it("beats at once, every period, and out of turn when the line changes", async () => {
    const clock = fakeClock();
    const store = memoryStore({ clock });
    const sent: Heartbeat[] = [];
    const end = new AbortController();
    let change: () => void = () => {};
    const deps = {
      store,
      clock,
      log: silentLogger,
      facts: async () => facts,
      send: async (beat: Heartbeat) => void sent.push(beat),
      onChange: (listener: () => void) => ((change = listener), () => {}),
    };
    const pulse = keepPulse(deps, 30_000, end.signal);
    await clock.advance(0);
    expect(sent.length).toBe(1);
    change();
    change();
    await clock.advance(300);
    expect(sent.length, "two changes of a moment are one beat").toBe(2);
    await clock.advance(30_000);
    expect(sent.length).toBe(3);
    expect((await store.get(gateway, { name: "gateway" }))?.status?.version).toBe("1.0.0");
    end.abort();
    await pulse;
    await store.close();
  });
});
