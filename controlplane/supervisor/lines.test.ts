import { describe, expect, it } from "vitest";
import { isStack, LineBudget, parseLine, type Severity } from "./lines.ts";

const table: readonly [string, string, Severity, string][] = [
  [
    "klog's information",
    'I1127 22:06:00.123456    4711 controller.go:12] "Starting" controller="cluster"',
    "debug",
    '"Starting" controller="cluster"',
  ],
  ["klog's error", "E1127 22:06:00.123456       1 a.go:1] lost the lease", "warn", "lost the lease"],
  ["klog's last word", "F1127 22:06:00.123456       1 a.go:1] no CRD", "error", "no CRD"],
  [
    "etcd's JSON",
    '{"level":"fatal","ts":"2026-11-27T22:10:37Z","caller":"a.go:1","msg":"discovery failed","error":"full","stacktrace":"a"}',
    "error",
    'discovery failed {"error":"full"}',
  ],
  ["JSON that breaks off", '{"level":"info","msg":"a', "warn", '{"level":"info","msg":"a'],
  ["a panic", "panic: runtime error", "warn", "panic: runtime error"],
];

describe("lines", () => {
  it.each(table)("%s", (_name, line, severity, text) => {
    expect(parseLine(line)).toEqual({ severity, text });
  });

  it("that are long are cut", () => {
    expect(parseLine("x".repeat(10_000)).text).toHaveLength(2001);
  });
});

describe("a Go stack", () => {
  const panic = [
    "panic: failed to create WAL",
    "",
    "goroutine 1 [running]:",
    "go.uber.org/zap/zapcore.CheckWriteAction.OnWrite(0x1?, 0x129fdc6?, {0x0?, 0x0?, 0xb6d29367680?})",
    "\tgo.uber.org/zap@v1.27.0/zapcore/entry.go:196 +0x54",
    "go.uber.org/zap.(*Logger).Panic(0xb6d29598500?, {0x129fdc6?, 0x1d?}, {0xb6d297b87c0, 0x1, 0x1})",
    "main.main()",
    "created by main.main in goroutine 1",
    "fatal error: all goroutines are asleep - deadlock!",
    'Error: unknown flag "--x"',
  ];

  it("is told from what happened", () => {
    expect(panic.filter((line) => line && !isStack(line))).toEqual([panic[0], panic[8], panic[9]]);
  });
});

describe("the budget", () => {
  it("lets a burst through, then so many a second, and counts the rest", () => {
    const budget = new LineBudget(2, 3);
    const passed = (now: number) => budget.pass(now)?.dropped;
    expect([0, 0, 0, 0, 0].map(passed)).toEqual([0, 0, 0, undefined, undefined]);
    expect(passed(500)).toBe(2);
    expect(passed(500)).toBeUndefined();
    expect(passed(60_000)).toBe(1);
    expect([60_000, 60_000, 60_000].map(passed)).toEqual([0, 0, undefined]);
  });

  it("a clock that goes back takes nothing away", () => {
    const budget = new LineBudget(1, 1);
    expect(budget.pass(10_000)).toBeDefined();
    expect(budget.pass(0)).toBeUndefined();
    expect(budget.pass(1000)).toBeDefined();
  });
});
