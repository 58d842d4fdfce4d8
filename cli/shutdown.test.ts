import { EventEmitter } from "node:events";
import { describe, expect, it, vi } from "vitest";
import { shutdownOnSignals } from "./shutdown.ts";

function fakeProcess() {
  const exits: number[] = [];
  const process = Object.assign(new EventEmitter(), { exit: (code: number) => void exits.push(code) });
  return { exits, process: process as unknown as Pick<NodeJS.Process, "on" | "off" | "exit"> & EventEmitter };
}

describe("shutdown", () => {
  it("asks politely once, and leaves at the second signal", () => {
    const { exits, process } = fakeProcess();
    const said: string[] = [];
    const shutdown = shutdownOnSignals(process, (text) => void said.push(text));
    process.emit("SIGTERM", "SIGTERM");
    expect(shutdown.signal.aborted).toBe(true);
    expect([said, exits]).toEqual([["SIGTERM: stopping"], []]);
    process.emit("SIGINT", "SIGINT");
    expect(exits).toEqual([130]);
    shutdown.dispose();
    expect(process.listenerCount("SIGTERM")).toBe(0);
  });

  it("ends the process when stopping takes too long", () => {
    vi.useFakeTimers();
    const { exits, process } = fakeProcess();
    const shutdown = shutdownOnSignals(process, () => {});
    process.emit("SIGTERM", "SIGTERM");
    vi.advanceTimersByTime(4_999);
    expect(exits).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(exits).toEqual([1]);
    shutdown.dispose();
    vi.useRealTimers();
  });
});
